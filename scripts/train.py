"""`python scripts/train.py …` is `experiments train …`."""

import sys

from experiments.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
