"""Many runs from one command, and their comparison."""
