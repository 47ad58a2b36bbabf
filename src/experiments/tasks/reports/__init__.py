"""What runs of each task tell beyond numbers: one file a task, named as it is."""
