"""`python scripts/predict.py …` is `experiments predict …`."""

import sys

from experiments.cli import main

if __name__ == "__main__":
    sys.exit(main(["predict", *sys.argv[1:]]))
