"""`python scripts/evaluate.py …` is `experiments evaluate …`."""

import sys

from experiments.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
