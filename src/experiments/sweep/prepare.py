"""What comes before the jobs of a sweep: its settings, its folder, the list of its runs."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments.config.hydra_keys import refuse_unused, words_given
from experiments.config.options import conf_dir, content
from experiments.config.refusals import refuse_hidden
from experiments.errors import UserError
from experiments.sweep import folder as sweep_folder
from experiments.sweep.folder import Sweep, locked
from experiments.system.processes import can_fork

_SUBDIR = "${hydra:job.num}"  # Hydra's own, which nothing reads


def read_settings(config: DictConfig) -> dict[str, Any]:
    """`launcher.*` as plain Python, its values checked.

    Raises:
        UserError: for a value that cannot be, and for a key of Hydra's that would have no effect.
    """
    subdir = OmegaConf.to_container(config.hydra.sweep, resolve=False)["subdir"]  # type: ignore[index, call-overload]
    if subdir != _SUBDIR:
        raise UserError(
            f"hydra.sweep.subdir={subdir} has no effect, because the runs of a sweep are named by what differs, such as "
            "3_model=mlp,seed=1: leave it out, and name the sweep's folder with hydra.sweep.dir"
        )
    settings: dict[str, Any] = OmegaConf.to_container(config.launcher, resolve=True)  # type: ignore[assignment]
    for key in ("jobs", "threads", "jobs_per_gpu"):
        value = settings.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise UserError(f"launcher.{key}={value} must be a whole number, 1 or more, or null: try launcher.{key}=1")
    words = os.environ.get("OMP_NUM_THREADS", "")
    if settings.get("threads") is None and words.isdecimal() and int(words):  # what holds for all programs of this user
        settings["threads"] = int(words)
    timeout = settings.get("timeout")
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout <= 0):
        raise UserError(
            f"launcher.timeout={timeout} must be seconds above 0, or null for no limit: try launcher.timeout=3600"
        )
    settings["start"] = how_to_start(settings.get("start") or "auto")
    if settings.get("on_invalid") not in ("stop", "skip"):
        raise UserError(
            f"launcher.on_invalid={settings.get('on_invalid')} must be stop or skip: try launcher.on_invalid=skip"
        )
    return settings


def how_to_start(word: str) -> str:
    """Tell how jobs start on this machine, fork or spawn, by `launcher.start`.

    Raises:
        UserError: for another word, and for fork where it cannot be.
    """
    if word not in ("auto", "fork", "spawn"):
        raise UserError(f"launcher.start={word} must be auto, fork or spawn: try launcher.start=auto")
    if word == "fork" and not can_fork():
        raise UserError(
            f"launcher.start=fork works on Linux and this is {platform.system()}: take launcher.start=spawn, or auto"
        )
    return word if word != "auto" else "fork" if can_fork() else "spawn"


def sweep_folder_of(config: DictConfig) -> Path:
    """Return the sweep's folder: the one that was asked for, or a fresh one."""
    folder = Path(os.path.abspath(config.hydra.sweep.dir))
    given = any(word.startswith("hydra.sweep.dir=") for word in words_given(config.hydra, "hydra"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if given:
            folder.mkdir(exist_ok=True)
            return folder
        for number in range(1, 1000):  # two sweeps may begin within the second that names them
            candidate = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
            with contextlib.suppress(FileExistsError):
                candidate.mkdir()
                return candidate
    except OSError as error:
        raise UserError(f"hydra.sweep.dir={folder} cannot be made ({error.strerror}): choose another folder") from error
    raise UserError(f"{folder} and 999 like it exist: clear {folder.parent}")


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keeps a sweep's folder to this process; where the sweep is refused or stopped before it begins, a folder made for it goes again.

    Raises:
        UserError: when another sweep is at work there.
    """
    ours = False
    try:
        with locked(folder):
            ours = True
            yield
    except BaseException:
        with contextlib.suppress(OSError):  # what this made and nothing is in
            if ours and not sweep_folder.is_sweep(folder):
                (folder / sweep_folder.LOCK).unlink(missing_ok=True)
                folder.rmdir()
        raise


def open_sweep(config: DictConfig, folder: Path) -> Sweep:
    """Return what lies in the sweep's folder, with the settings of this command, which a later resume takes over."""
    try:
        sweep = sweep_folder.read_sweep(folder)
    except UserError:
        sweep = Sweep(folder)
    hydra = [
        word
        for word in words_given(config.hydra, "hydra")
        if not word.startswith(("hydra.sweep.dir=", "hydra.mode=", "hydra.sweeper."))
    ]
    task = [word for word in words_given(config.hydra) if word.startswith("launcher.")]
    sweep.settings = [*hydra, *task, *_of_files(config, {word.partition("=")[0] for word in task})]
    refuse_unused(config.hydra)
    sweep.config_dirs = config_dirs(config)
    refuse_hidden(sweep.config_dirs)
    return sweep


def _of_files(config: DictConfig, given: set[str]) -> list[str]:
    """`launcher.*` as a file such as that of a named sweep sets it, in words."""
    defaults = content(conf_dir() / "train.yaml")["launcher"]
    values: dict[str, Any] = OmegaConf.to_container(config.launcher, resolve=True)  # type: ignore[assignment]
    words = {f"launcher.{key}": value for key, value in values.items() if value != defaults.get(key)}
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in words.items() if key not in given]


def config_dirs(config: DictConfig) -> list[str]:
    """Folders of configs beside ours, as Hydra was given them."""
    sources = [source.path for source in config.hydra.runtime.config_sources if source.provider == "command-line"]
    return [str(path) for path in sources]


def write_sweep(sweep: Sweep) -> None:
    """Writes the sweep's list.

    Raises:
        UserError: when the disk is full or the folder cannot be written to.
    """
    try:
        sweep.write()
    except OSError as error:
        raise UserError(
            f"{sweep.folder} cannot be written to ({error.strerror}): make room, or choose another hydra.sweep.dir"
        ) from error
