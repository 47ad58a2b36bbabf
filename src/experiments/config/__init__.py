"""What is decided before torch is imported: composing and checking a config, and what this machine has."""
