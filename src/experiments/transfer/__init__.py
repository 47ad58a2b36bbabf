"""Where a model's first values come from, and which of its stages learn."""
