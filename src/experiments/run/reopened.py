"""A run's folder, opened again to resume the run; what cannot be resumed stays as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments.config.check import require
from experiments.errors import UserError, as_typed, first_line
from experiments.run.folder import only_process, rank, read_config, reading, write_config
from experiments.run.identity import MAY_CHANGE
from experiments.run.not_a_run import require_run
from experiments.run.record import FINISHED, earlier_record
from experiments.run.trust import require_inside, require_trust, require_writing_inside
from experiments.system.files import in_the_way, write_text
from experiments.system.terminal import done_waiting


@contextmanager
def reopened(folder: Path, overrides: Sequence[str]) -> Iterator[Path | None]:
    """Yield the folder of a run to resume, locked for this process, with overrides that do not change what it computes;
    None when there is nothing to do.

    Raises:
        UserError: as `resumed_config`, and when another process works on the run.
    """
    folder = folder.absolute()
    require_run(folder)
    with only_process(folder):
        config = resumed_config(folder, overrides)
        if not overrides and earlier_record(folder).get("status") == FINISHED:
            done_waiting()
            print(f"{as_typed(folder)} is finished: nothing to do")
            yield None
            return
        with _unless_refused(folder):
            if rank() == 0:
                write_config(config, folder)
            yield folder


def resumed_config(folder: Path, overrides: Sequence[str]) -> DictConfig:
    """Return the checked config with which a run is resumed; nothing is written.

    Raises:
        UserError: when there is no such run, it cannot be resumed, or an override would make it another one.
    """
    folder = folder.absolute()
    config = read_config(folder)
    require_trust(OmegaConf.to_container(config), folder)
    require_inside(folder)
    require_writing_inside(OmegaConf.to_container(config), folder)
    for word in overrides:
        key = word.partition("=")[0]
        if not key.startswith(MAY_CHANGE):
            names = ", ".join(f"{name}*" if name.endswith(".") else name for name in MAY_CHANGE)
            raise UserError(f"{word} would make resume={folder.name} another run: only {names} may change")
        above, _, last = key.rpartition(".")
        if last not in (OmegaConf.select(config, above) or {}) and key not in ("trainer.threads", "data.workers"):
            raise UserError(f"{key} is no key of that run: look into {folder}/config.yaml")
        OmegaConf.update(config, key, _value_of(word))
    with reading(folder, earlier_record(folder).get("environment")):
        require(config)
    tokenizers = (path.name for path in folder.glob("*tokenizer.json"))
    if why := in_the_way(folder / "checkpoints", ("best.ckpt", "last.ckpt")) or in_the_way(folder, tokenizers):
        raise UserError(why)
    return config


@contextmanager
def _unless_refused(folder: Path) -> Iterator[None]:
    """Puts config and record back where a mistake of the user's ends a resumed run before it has trained, and the
    config alone where a stop comes before the record is of the resumed run.
    """
    paths = (folder / "config.yaml", record := folder / "record.json")
    written = {path: _text(path) for path in paths if path.is_file()}
    trained = _checkpoints(folder)
    try:
        yield
    except BaseException as error:
        untouched = record in written and _text(record) == written[record]
        refused = isinstance(error, UserError) and _checkpoints(folder) == trained
        if rank() == 0 and (untouched or refused):
            for path, text in written.items():
                if _text(path) != text:
                    write_text(path, text)
        raise


def _checkpoints(folder: Path) -> dict[str, int]:
    """Return when each checkpoint of a run was written."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / "checkpoints").glob("*.ckpt")}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="backslashreplace")


def _value_of(word: str) -> Any:
    """Return the value in `key=value`.

    Raises:
        UserError: when it cannot be read.
    """
    key, _, value = word.partition("=")
    try:
        return OmegaConf.create({"value": OmegaConf.create(f"value: {value}").value}).value
    except Exception as error:
        raise UserError(
            f"{word} cannot be read as {key}=value ({first_line(error)}): quote values with special characters"
        ) from error
