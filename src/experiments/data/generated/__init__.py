"""Generated sequences that show what a network can remember."""
