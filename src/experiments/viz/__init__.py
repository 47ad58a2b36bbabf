"""Pictures of a network, a run or a test: arrays in, matplotlib figures out; and texts laid out as tables and pages."""
