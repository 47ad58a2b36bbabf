"""What autoencoders are measured against: methods without a network, each learned from training data alone."""
