"""`experiments evaluate`: tests a run again, or published weights without a run. Imports torch only where it is used."""

from __future__ import annotations

from pathlib import Path

from experiments.config.command_words import split_words
from experiments.errors import UserError
from experiments.system.processes import is_first_of_run
from experiments.system.terminal import waiting


def main(words: list[str]) -> int:
    """Prints the test metrics.

    Raises:
        UserError: when no run is named, or it cannot be tested.
    """
    if not words or words[0].startswith("-"):
        raise UserError("evaluate needs a run: experiments evaluate RUN [key=value …]")
    if "=" in words[0] and not Path(words[0]).exists():  # no run: weights from elsewhere
        overrides, folders, switches = split_words(words)
        if switches:
            raise UserError(f"experiments evaluate does not know {switches[0]}: give group=option and key=value")
        with waiting("importing PyTorch, testing"):
            from experiments.run.evaluation import evaluate_weights

            metrics = evaluate_weights(overrides, folders)
    else:
        with waiting("importing PyTorch, testing"):
            from experiments.run.evaluation import evaluate

            metrics = evaluate(words[0], *words[1:])
    if is_first_of_run():  # a run of several processes is tested by as many, which know the same
        for name, value in metrics.items():
            print(f"{name:<16} {value:.4f}")
    return 0
