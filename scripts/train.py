"""`python scripts/train.py …` is `experiments train …`."""

from experiments.cli import entry

if __name__ == "__main__":
    entry("train")
