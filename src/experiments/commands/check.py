"""`experiments check`: what is wrong with the config of one run, new or resumed, without running it."""

from __future__ import annotations

from pathlib import Path

from experiments.config.command_words import split_words
from experiments.errors import UserError
from experiments.system.terminal import done_waiting, waiting_for


def main(words: list[str], resumed: str | None = None) -> int:
    """Says whether a config can run.

    Args:
        words: those of its command line.
        resumed: the folder of the run that they resume, if any.

    Raises:
        UserError: with a line a problem.
    """
    from experiments.config.check import require
    from experiments.config.compose import compose
    from experiments.config.foreign_modules import choices_by_name
    from experiments.config.needs_rehearsal import only_building_tells

    overrides, folders, switches = split_words(words)
    if switches:
        raise UserError(f"experiments check does not know {switches[0]}: give group=option and key=value")
    waiting_for("reading the config")
    if resumed is None:
        config = compose(overrides, folders)
        require(config)
    else:
        from experiments.run.reopened import resumed_config

        kept = [word for word in overrides if not word.startswith("resume=")]
        config = resumed_config(Path(resumed).expanduser(), kept)
    if only_building_tells(config):
        from experiments.run.rehearse import rehearse

        waiting_for("building data and model, up to the first batch")
        rehearse(config)
    done_waiting()
    chosen = choices_by_name(config)
    groups = [group for group in ("model", "data", "task", "freezing", "precision", "trainer") if chosen.get(group)]
    print("  ".join(f"{group}={chosen[group]}" for group in groups))
    print("This config can run.")
    return 0
