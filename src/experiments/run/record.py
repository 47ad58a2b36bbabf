"""The record of a run: what was chosen, what came out, what it cost and where it ran."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from experiments.config.devices import cores
from experiments.config.signatures import targets_of
from experiments.errors import UserError, first_line, kind_of
from experiments.run.identity import choices, identity, settings
from experiments.system.bounded_files import read_json
from experiments.system.files import digest, is_full, write_json
from experiments.system.outside_text import concealed

_INSTALLED = {"site-packages", "dist-packages"}
_PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "hydra-core", "numpy")
_SIMULATORS = ("gymnasium", "mujoco")  # whose physics decide what a policy of control earns

RUNNING, FINISHED, FAILED, INTERRUPTED = "running", "finished", "failed", "interrupted"
PRUNED = "pruned"  # ended early by its search


@lru_cache(maxsize=1)
def code_state() -> dict[str, Any]:
    """Git commit and whether the tree differs from it, where there is one, and a hash of this package's sources."""
    package = Path(__file__).parents[1]
    state: dict[str, Any] = {
        "git_commit": None,
        "git_dirty": None,
        "package_hash": digest(sorted(package.rglob("*.py")))[:16],
    }
    if (package.parents[1] / ".git").exists():
        command = ["git", "-C", str(package), "status", "--porcelain=v2", "--branch"]
        try:
            lines = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.splitlines()
        except (OSError, subprocess.SubprocessError):
            return state
        heads = [line.split()[-1] for line in lines if line.startswith("# branch.oid")]
        state["git_commit"] = heads[0] if heads and heads[0] != "(initial)" else None
        state["git_dirty"] = any(not line.startswith("#") for line in lines)
    return state


def own_code(config: dict[str, Any]) -> dict[str, str]:
    """Return a hash of the sources of every user's package whose classes a config names, by its name."""
    names = sorted({target.partition(".")[0] for target in targets_of(config)})
    return {name: sources for name in names if (sources := own_sources(name))}


@lru_cache
def own_sources(package: str) -> str | None:
    """Return a hash of a package's sources, which is not imported; None for ours, and where it is not there or was
    installed.
    """
    standard = package == "experiments" or package in sys.stdlib_module_names
    spec = None if standard else PathFinder.find_spec(package)
    places = [] if spec is None else list(spec.submodule_search_locations or filter(None, [spec.origin]))
    paths = [Path(place) for place in places if not _INSTALLED & set(Path(place).parts)]
    files = sorted(file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path]))
    return digest(files)[:16] if files else None


def environment() -> dict[str, Any]:
    """Versions, machine and code; the device and the precision that ran are added by the run."""
    return dict(_environment())


@lru_cache(maxsize=1)
def _environment() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "versions": _versions(_PACKAGES),
        "host": platform.node(),
        "platform": platform.platform(),
        "cpus": cores(),
        **code_state(),
    }


def _versions(names: Iterable[str]) -> dict[str, str | None]:
    versions: dict[str, str | None] = {}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return versions


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Record:
    """One run's `record.json`, written whole at every change of status.

    Args:
        folder: the run's folder.
        config: the resolved config, as plain Python.

    Attributes:
        written: the environment of the run's earlier part, where it is resumed.
        examples: sizes and fingerprint of its data then.
        keeps_earlier: whether what stands in the file is the result of a finished run that is made longer.
    """

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.path = folder / "record.json"
        earlier = earlier_record(folder)
        self._seconds_before = earlier.get("cost", {}).get("seconds", 0.0) or 0.0
        self._began = time.monotonic()
        self.written: dict[str, Any] | None = earlier.get("environment")
        self.examples: dict[str, Any] = earlier.get("data") or {}
        self.keeps_earlier = earlier.get("status") == FINISHED
        self.content: dict[str, Any] = {
            "status": RUNNING,
            "choices": choices(config),
            "identity": identity(config),
            "settings": settings(config),
            "metrics": {},
            "cost": {},
            "environment": environment() | {"own_code": own_code(config)},
            "error": None,
            "started": earlier.get("started", now()),
            "ended": None,
            "resumed": earlier.get("resumed", 0) + 1 if earlier else 0,
            "pid": os.getpid(),
            "overrides": config["run"]["overrides"],
        }
        if config["data"].get("env"):
            about = self.content["environment"]
            about["versions"] = about["versions"] | _versions(_SIMULATORS)

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    def write(self, status: str, error: str | None = None) -> None:
        """Writes the file; `seconds` counts all parts of an interrupted run."""
        self.keeps_earlier = False
        self.content["status"], self.content["error"] = status, error and concealed(error)
        self.content["cost"]["seconds"] = round(self._seconds_before + time.monotonic() - self._began, 3)
        if status != RUNNING:
            self.content["ended"] = now()
        try:
            write_json(self.path, self.content)
        except OSError as full:
            if status == RUNNING or not is_full(full):
                raise
            self._write_in_place()

    def _write_in_place(self) -> None:
        """Writes how the run ended over its record on a full disk: without indents it needs less room than is taken."""
        with open(self.path, "r+b") as file:
            size = os.fstat(file.fileno()).st_size
            text = json.dumps(self.content, ensure_ascii=False).encode()
            if len(text) > size:  # what is in config.yaml as well
                text = json.dumps(self.content | {"settings": {}, "metrics": {}}, ensure_ascii=False).encode()
            file.write(text.ljust(size))
            file.truncate()


def read_record(folder: Path) -> dict[str, Any]:
    """Return the record in a run's folder.

    Raises:
        UserError: when there is none, or it is damaged.
    """
    path = folder / "record.json"
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise UserError(f"{folder} holds no record.json: name the folder of a run") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): restore it from a copy") from None
    except ValueError as error:
        raise UserError(f"{path} is damaged ({first_line(error)}): {_REBUILT.format(folder)}") from None
    if (wrong := unlike_a_record(content)) is not None:
        raise UserError(f"{path} is not the record of a run ({wrong}): {_REBUILT.format(folder)}")
    return content


def own_module(record: dict[str, Any]) -> str | None:
    """Return the class of a run's LightningModule where it is none of our tasks, with its package; None where it is one."""
    if "module" in record:
        return str(record["module"]).partition("#")[0]
    if (record.get("choices") or {}).get("model") is not None:
        return None
    # Of a run that ended before it was built, or of earlier versions.
    target = (record.get("settings") or {}).get("task._target_")
    return None if target is None else str(target)


def checkpoint_of(folder: Path, record: dict[str, Any]) -> Path | None:
    """Return the file with the weights that a run tested, or None where there is none (yet)."""
    named = (record.get("tested") or {}).get("checkpoint") or "best.ckpt"
    path = folder / "checkpoints" / str(named)
    return path if path.exists() else None


def can_answer(folder: Path, record: dict[str, Any]) -> bool:
    """Tell whether `predict` and `show` can read a run: its task is one of ours, and its weights were kept."""
    return bool(record.get("spec")) and own_module(record) is None and checkpoint_of(folder, record) is not None


_REBUILT = "it is written anew by experiments train resume={}"
_FIELDS = {
    "choices": dict, "metrics": dict, "cost": dict, "environment": dict, "settings": dict, "spec": dict, "data": dict, "overrides": list,
}  # fmt: skip
_WHERE_THERE = ("tested", "judged", "checkpoints", "kept")  # groups of keys, or null, of runs that came so far


def unlike_a_record(content: Any) -> str | None:
    """Return what of a record is of another form than what is written here, as half a sentence."""
    if not isinstance(content, dict):
        return f"it holds {kind_of(content)}"
    if not isinstance(content.get("status"), str):
        return "it has no status"
    lightning = "spec" in content and content["spec"] is None  # a LightningModule of its own has none
    fields = {name: kind for name, kind in _FIELDS.items() if not (lightning and name == "spec")}
    wrong = [name for name, kind in fields.items() if not isinstance(content.get(name, kind()), kind)]
    wrong += [name for name in _WHERE_THERE if not isinstance(content.get(name) or {}, dict)]
    if not wrong and not isinstance((content.get("tested") or {}).get("checkpoint") or "", str):
        return "its tested.checkpoint is no name of a file"
    if wrong:
        return f"its {wrong[0]} is {kind_of(content[wrong[0]])}"
    metrics, seconds = content.get("metrics", {}), content.get("cost", {}).get("seconds")
    for name, value in {
        **{f"metrics.{name}": number for name, number in metrics.items()},
        "cost.seconds": seconds,
    }.items():
        if value is not None and not (isinstance(value, int | float) and abs(value) < 1e300):  # false for NaN
            return f"its {name} is no number"
    return None


def earlier_record(folder: Path) -> dict[str, Any]:
    """Return the record of a resumed run; empty, with a warning, where it was lost."""
    path = folder / "record.json"
    if not path.exists():
        return {}
    try:
        return read_record(folder)
    except UserError as error:
        print(f"warning: {error}", file=sys.stderr)
        with contextlib.suppress(OSError):
            os.replace(path, path.with_name("record.json.damaged"))
        return {}
