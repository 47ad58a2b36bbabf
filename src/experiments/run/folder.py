"""Run folders: created for a checked config, and read again."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from experiments.config.check import require
from experiments.errors import UserError, as_typed, first_line, kind_of
from experiments.run.not_a_run import why_no_run
from experiments.run.old_names import with_new_names
from experiments.run.record import code_state
from experiments.run.signature import signed
from experiments.system.bounded_files import read_yaml
from experiments.system.files import write_text
from experiments.system.locks import AtWork, hold
from experiments.system.outside_text import note_variables
from experiments.system.yaml_of_configs import dumper, loader

_VARIABLE = re.compile(r"\$\{oc\.env:\s*([^,}\s]+)")

LOCK = ".lock"


def rank() -> int:
    """This process's number among those of a distributed job; 0 where there is one."""
    return int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", 0)))


def in_rank() -> bool:
    """Tell whether a launcher (torchrun, srun) started this process as one of several."""
    return "RANK" in os.environ or int(os.environ.get("SLURM_NTASKS", 1)) > 1


def open_run(config: DictConfig) -> Path:
    """Checks a config, makes the run's folder and writes `config.yaml` into it.

    Raises:
        UserError: when the config cannot run, or the folder holds a run already.
    """
    require(config)
    nodes = int(config.trainer.get("num_nodes") or 1)
    if nodes > 1 and not in_rank():
        raise UserError(
            f"trainer.num_nodes={nodes} needs this command on every node, started by torchrun or srun, and nothing says that it "
            "was: see docs/distributed.md, or use trainer.num_nodes=1"
        )
    folder, given = Path(config.run.dir), any(word.startswith("hydra.run.dir=") for word in config.run.overrides)
    if in_rank():
        if not given:
            raise UserError("several processes need one folder: add hydra.run.dir=FOLDER, the same for all")
        if rank():
            return _await(folder)
    folder = _claim(folder, given)
    write_config(relocate(config, folder), folder)
    return folder


@contextmanager
def only_process(folder: Path) -> Iterator[None]:
    """Keeps a run's folder to this process; of several processes of one run, to the first.

    Raises:
        UserError: when another process works on it, or the folder cannot be written to.
    """
    if rank():
        yield
        return
    with ExitStack() as kept:
        try:
            locks = kept.enter_context(hold(folder / LOCK))
        except AtWork as other:
            raise UserError(
                f"{as_typed(folder)} is at work in another process ({other}): wait for it, or stop it first"
            ) from None
        except OSError as error:
            raise UserError(f"{folder} cannot be written to ({error.strerror}): choose a folder that can") from error
        if not locks:
            print(
                f"warning: {folder} is on a file system without locks: nothing keeps a second process out",
                file=sys.stderr,
            )
        yield


@contextmanager
def opened(config: DictConfig) -> Iterator[Path]:
    """Yield the folder of a new run, as `open_run` gives it; where a mistake of the user's kept the run from its first
    checkpoint, all that it wrote is gone again, and so are the folders made for it.
    """
    place = Path(config.run.dir)
    made = [path for path in place.parents if not path.exists()]
    before = set(place.iterdir()) if place.is_dir() else None
    folder: Path | None = None
    try:
        folder = open_run(config)
        yield folder
    except UserError:
        if rank() == 0:
            if folder is not None and not any(folder.rglob("*.ckpt")):
                _remove(folder, before)
            for path in made:
                with suppress(OSError):  # others write there too
                    path.rmdir()
        raise


def _remove(folder: Path, before: set[Path] | None) -> None:
    """Removes what a run wrote: its folder, or of one that was there already what is new in it."""
    if before is None:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in set(folder.iterdir()) - before:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _claim(folder: Path, given: bool) -> Path:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if given:
            folder.mkdir(exist_ok=True)
            if (folder / "record.json").exists() or (folder / "config.yaml").exists():
                raise UserError(
                    f"hydra.run.dir={folder} holds a run already: choose another folder, or resume={folder}"
                )
            return folder
        for number in range(1, 10_000):  # two runs may begin within the second that names them
            candidate = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
            try:
                candidate.mkdir()
            except FileExistsError:
                continue
            return candidate
    except OSError as error:
        raise UserError(f"hydra.run.dir={folder} cannot be made ({error.strerror}): choose another folder") from error
    raise UserError(f"{folder} and 9,999 like it exist: clear the folder {folder.parent}")


def _await(folder: Path, seconds: float = 300) -> Path:
    """Waits until the first process has written the config."""
    until = time.monotonic() + seconds
    while not (folder / "config.yaml").exists():
        if time.monotonic() > until:
            raise UserError(
                f"{folder}/config.yaml did not appear within {seconds:.0f} s: is the folder shared by all machines?"
            )
        time.sleep(0.2)
    return folder


def write_config(config: DictConfig | dict[str, Any], folder: Path) -> None:
    """Writes a resolved config as the run's `config.yaml`."""
    plain = OmegaConf.to_container(config) if isinstance(config, DictConfig) else config
    text = yaml.dump(plain, Dumper=dumper(), default_flow_style=False, allow_unicode=True, sort_keys=False)
    write_text(folder / "config.yaml", signed(text))


def relocate(config: DictConfig, folder: Path) -> DictConfig:
    """Return the config with every path into its run folder pointing into `folder`."""
    old, new = str(config.run.dir), str(folder.absolute())
    return config if old == new else OmegaConf.create(moved(OmegaConf.to_container(config), old, new))


def moved(value: Any, old: str, new: str) -> Any:
    """Plain Python with every path at or below `old` taken to `new`."""
    if isinstance(value, dict):
        return {key: moved(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [moved(item, old, new) for item in value]
    if isinstance(value, str) and (value == old or value.startswith(f"{old}/")):
        return new + value[len(old) :]
    return value


def read_config(folder: Path) -> DictConfig:
    """Return the resolved config of a run, also where its folder has been moved.

    Raises:
        UserError: when the folder holds none, or it is damaged.
    """
    path = folder / "config.yaml"
    try:
        plain = with_new_names(read_yaml(path, loader()))
        problem = _lacking(plain)
        config = OmegaConf.create(plain) if problem is None else None
    except FileNotFoundError:
        raise UserError(why_no_run(folder)) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): restore it from a copy") from None
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path} cannot be read ({first_line(error)}): restore it from a copy, or run again") from error
    if not isinstance(config, DictConfig):
        raise UserError(
            f"{path} is not the config of a run ({problem}): restore it from a copy, or name the folder of a run"
        )
    note_variables(name for text in _texts(plain) for name in _VARIABLE.findall(text))
    return relocate(config, folder)


def _texts(node: Any) -> Iterator[str]:
    """Yield every text among the values of plain Python."""
    if isinstance(node, (dict, list)):
        for inner in node.values() if isinstance(node, dict) else node:
            yield from _texts(inner)
    elif isinstance(node, str):
        yield node


def _lacking(config: Any) -> str | None:
    """Return what a run's config lacks, as half a sentence; None where nothing is missing that every run has."""
    if not isinstance(config, dict):
        return "it is empty" if config is None else f"it holds {kind_of(config)}"
    for key in ("run", "model", "data", "task"):
        if not isinstance(config.get(key), dict):
            return f"it has no group {key}"
    kinds = {"dir": str, "choices": dict, "overrides": list, "config_dirs": list}
    wrong = [key for key, kind in kinds.items() if not isinstance(config["run"].get(key), kind)]
    if not wrong and not all(
        isinstance(word, str) for key in ("overrides", "config_dirs") for word in config["run"][key]
    ):
        return "run.overrides holds more than words"
    if wrong:
        return f"it has no run.{wrong[0]}"
    cut_off = "trainer" in config["run"]["choices"] and "trainer" not in config  # the file's last groups are gone
    return "it has no group trainer" if cut_off else None


@contextmanager
def reading(folder: Path, written: Mapping[str, Any] | None) -> Iterator[None]:
    """Says in one sentence which key a run's config lacks, as one does that was written before the key existed.

    Args:
        folder: the run's.
        written: the environment in its record; None where it has none yet.

    Raises:
        UserError: in place of OmegaConf's error.
    """
    try:
        yield
    except (ConfigAttributeError, ConfigKeyError) as error:
        if written is None or written.get("package_hash") == code_state()["package_hash"]:
            cure = "restore the file from a copy, or give the key a value in the YAML file of the option"
        else:
            commit = written.get("git_commit")
            version = f"commit {commit[:10]}" if commit else "another version"
            cure = f"the file was written by {version}; use that one, or add the key with the value that does the same"
        key = error.full_key
        raise UserError(f"{folder / 'config.yaml'} has no key {key}, which is read today: {cure}") from error
