"""`experiments train`: one run, new or taken up again. Imports torch only when a checked config runs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from experiments.system.signals import stoppable
from experiments.system.terminal import done_waiting


def main(overrides: Sequence[str], folders: Sequence[str], resume: str | None) -> int:
    """Trains, tests and records one run.

    Args:
        overrides: the words of its config.
        folders: further folders of configs.
        resume: the folder of a run to take up again.
    """
    opening: contextlib.AbstractContextManager[Path | None]
    if resume is not None:
        from experiments.run.reopened import reopened

        kept = [word for word in overrides if not word.startswith("resume=")]
        opening = reopened(Path(resume).expanduser(), kept)
    else:
        from experiments.config.compose import compose
        from experiments.run.folder import opened

        opening = opened(compose(overrides, folders))
    with stoppable(), opening as folder:
        if folder is None:
            done_waiting()
            return 0
        from experiments.run.execute import run

        record = run(folder)
    if int(os.environ.get("RANK", 0)) == 0:
        from experiments.run.banner import closing

        closing(record, folder)
    return 0
