"""Files that are whole or absent, locks, and signals: what every folder may ask of the operating system."""
