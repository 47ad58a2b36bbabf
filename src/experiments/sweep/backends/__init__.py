"""Where the jobs of a sweep run: forked or fresh processes of this machine, SLURM, Ray."""
