"""What is done with a finished run or a config: predict, export, benchmark, show."""
