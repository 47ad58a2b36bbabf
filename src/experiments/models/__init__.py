"""Architectures: plain `nn.Module`s made of named stages that end in `head`; they know torch and nothing else."""
