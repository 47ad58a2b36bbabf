"""Files of checkpoints: written whole or not at all, verified when read; and the random states that they hold."""

from __future__ import annotations

import logging
import random
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.plugins.io import AsyncCheckpointIO

from experiments.callbacks.checkpoint_content import plain
from experiments.errors import UserError
from experiments.system.files import atomic_path, link_or_copy
from experiments.transfer.weight_files import read_checkpoint

log = logging.getLogger(__name__)


class AtomicCheckpointIO(CheckpointIO):
    """Writes to a temporary name and renames it; reads tensors and plain Python only, and only what is whole."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        with atomic_path(Path(path)) as temporary:
            torch.save(plain(checkpoint), temporary)

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def wait_for_writes(writer: Any) -> None:
    """Waits until a plugin that writes in a thread of its own has written what it was given."""
    if isinstance(writer, AsyncCheckpointIO):
        writer.teardown()  # it begins anew with the next checkpoint


def random_state() -> dict[str, Any]:
    """States of Python's, NumPy's and torch's generators, as tensors and plain Python."""
    version, internal, gauss = random.getstate()
    name, keys, position, has_gauss, cached = cast(tuple[Any, ...], np.random.get_state(legacy=True))
    return {
        "python": [version, list(internal), gauss],
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Sets every generator to what `random_state` saw."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])


def unusable(path: Path) -> str | None:
    """Tell why a run cannot be resumed from a checkpoint, as one sentence; None where it can."""
    return content_or_problem(path)[1]


def content_or_problem(path: Path) -> tuple[dict[str, Any], str | None]:
    """Return what a checkpoint holds and None, or nothing and why a run cannot be resumed from it, as one sentence."""
    try:
        content = read_checkpoint(path)
    except UserError as error:
        return {}, str(error)
    if not (isinstance(content, dict) and "loops" in content):
        return {}, f"{path} holds weights alone, from which no run can be resumed"
    return content, None


def newest_whole(folder: Path, run: Path | None = None) -> Path | None:
    """Return the most recent checkpoint in a folder that can be read to its end, or None where there never was one.

    Args:
        folder: of our checkpoints.
        run: the run's folder, where a ModelCheckpoint in place of ours may write anywhere in it.

    Raises:
        UserError: when there are checkpoints, and none can be read.
    """
    problems: list[str] = []
    checkpoints = [path for path in (run.rglob("*.ckpt") if run else folder.glob("*.ckpt")) if path.is_file()]
    others = sorted(checkpoints, key=lambda path: path.stat().st_mtime, reverse=True)  # of a ModelCheckpoint
    paths = [*([] if run else [folder / "last.ckpt", folder / "best.ckpt"]), *others]
    for path in dict.fromkeys(path for path in paths if path.name != "averaged.ckpt"):  # which holds weights alone
        if path.is_file():
            problem = unusable(path)
            if problem is None:
                if problems:
                    log.warning("%s: resuming from %s", problems[0], path.name)
                return path
            problems.append(problem)
    if problems:
        raise UserError(
            f"{problems[0].partition(': give')[0]}: restore it from a copy, or remove {folder} to begin the run again"
        )
    return None


def keep_last_as_best(folder: Path) -> None:
    """Gives `last.ckpt` the name of the best checkpoint too, where there is none."""
    last, best = folder / "last.ckpt", folder / "best.ckpt"
    if last.exists() and not best.exists():
        with atomic_path(best) as temporary:
            link_or_copy(last, temporary)
