"""Where the jobs of a sweep run: forked processes of this machine, SLURM, Ray."""
