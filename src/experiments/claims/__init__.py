"""Claims of the course, each tested by a sweep: `experiments claim`."""
