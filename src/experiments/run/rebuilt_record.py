"""A record that was lost, as far as the config and the checkpoints of its run say it; and whether checkpoints are the recorded ones."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments.errors import UserError, first_line
from experiments.run.identity import choices, identity, settings
from experiments.run.record import INTERRUPTED, read_record
from experiments.spec import from_plain
from experiments.system.files import digest

_STATE = "Checkpoints"  # how the state of our checkpoint callback begins


def readable_record(folder: Path, config: DictConfig) -> dict[str, Any]:
    """Return the record of a run, or what can be said without it, with a line of warning; nothing is written.

    Raises:
        UserError: when there is neither a record nor a checkpoint.
    """
    try:
        record = read_record(folder)
        if record.get("spec") is not None:
            from_plain(record["spec"])
        return record
    except (UserError, KeyError, TypeError) as error:
        if not isinstance(error, UserError):
            why = f"{folder / 'record.json'} has a spec of the data that cannot be read ({first_line(error)})"
            error = UserError(f"{why}: remove it, and it is read from the rest of the run")
        best = folder / "checkpoints" / "best.ckpt"
        if not best.exists():
            raise error from None
        record = _rebuilt(config, best)
        if "spec" not in record:
            raise error from None
        print(f"warning: {error}; config.yaml and best.ckpt are read in its place", file=sys.stderr)
        return record


def _rebuilt(config: DictConfig, best: Path) -> dict[str, Any]:
    from experiments.transfer.weight_files import read_checkpoint

    content = read_checkpoint(best)
    content = content if isinstance(content, dict) else {}
    plain: dict[str, Any] = OmegaConf.to_container(config)  # type: ignore[assignment]
    states = [state for key, state in (content.get("callbacks") or {}).items() if key.startswith(_STATE)]
    state = states[0] if states else {}
    record = {
        "status": INTERRUPTED,
        "choices": choices(plain),
        "identity": identity(plain),
        "settings": settings(plain),
        "metrics": dict(state.get("best_metrics") or {}),
        "cost": {},
        "environment": {},
        "overrides": plain["run"]["overrides"],
    }
    return record | ({"spec": content["spec"]} if "spec" in content else {})


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each checkpoint in a run's folder, by name."""
    return {path.name: digest([path]) for path in sorted((folder / "checkpoints").glob("*.ckpt"))}


def hashes_of_kept(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of the other files that a run's answers depend on, tokenizers and published sizes, by their place."""
    files = [*folder.glob("*tokenizer*.json"), *(folder / "published").glob("*")]
    return {path.relative_to(folder).as_posix(): digest([path]) for path in sorted(files) if path.is_file()}


def require_unchanged(folder: Path, checkpoint: Path, record: Mapping[str, Any]) -> None:
    """Refuses a run whose checkpoint, tokenizer or published sizes are not those in its record.

    Raises:
        UserError: when one is another file, or damaged.
    """
    recorded, kept = record.get("checkpoints"), record.get("kept")
    wanted = {checkpoint: recorded.get(checkpoint.name)} if isinstance(recorded, dict) else {}
    if isinstance(kept, dict):
        wanted |= {folder / name: kept[name] for name in hashes_of_kept(folder) if name in kept}
    for path, checksum in wanted.items():
        if checksum and path.is_file() and digest([path]) != checksum:
            raise UserError(
                f"{path} is not the file that its run wrote (its SHA-256 is another one than in record.json): restore it "
                "from a copy, or train again"
            )
