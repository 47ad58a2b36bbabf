"""A folder that was named as a run and is none: one sentence, before anything heavy is imported."""

from __future__ import annotations

import re
from pathlib import Path

from experiments.errors import UserError, as_typed


def require_run(folder: str | Path, otherwise: str = "") -> None:
    """Refuses a folder that holds no config of a run.

    Args:
        folder: what was named as a run.
        otherwise: what may be given in a run's place, as the end of a sentence.

    Raises:
        UserError: where there is no such folder, or it is no run.
    """
    if not (Path(folder) / "config.yaml").exists():
        raise UserError(why_no_run(Path(folder), otherwise))


def why_no_run(folder: Path, otherwise: str = "") -> str:
    """Return what to do where a folder is no run; one that holds runs may be a sweep that has lost its list."""
    name = as_typed(folder)
    if not folder.exists():
        return f"{name} does not exist: name the folder of a run{otherwise}"
    first = next(iter(sorted(folder.glob("*/config.yaml"))), None)
    if first is None:
        return f"{name} holds no config.yaml: name the folder of a run{otherwise}"
    sentence = f"{name} holds runs and is none: name one of them, as in {as_typed(first.parent)}"
    if (folder / "sweep.json").exists() or not re.match(r"\d+_", first.parent.name):
        return sentence
    return (
        f"{sentence}; if it is a sweep that has lost its sweep.json, experiments train -m resume={name} resumes all, "
        "with --config-dir where the sweep was begun with one"
    )
