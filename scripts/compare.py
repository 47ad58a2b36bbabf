"""`python scripts/compare.py …` is `experiments compare …`."""

import sys

from experiments.cli import main

if __name__ == "__main__":
    sys.exit(main(["compare", *sys.argv[1:]]))
