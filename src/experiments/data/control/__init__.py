"""Control: environments of gymnasium that a policy acts in, and demonstrations of how to."""
