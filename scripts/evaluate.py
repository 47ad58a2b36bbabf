"""`python scripts/evaluate.py …` is `experiments evaluate …`."""

from experiments.cli import entry

if __name__ == "__main__":
    entry("evaluate")
