"""Stand-ins for parts of Lightning, torch and Python that a usual run does not need whole."""
