"""`python scripts/compare.py …` is `experiments compare …`."""

from experiments.cli import entry

if __name__ == "__main__":
    entry("compare")
