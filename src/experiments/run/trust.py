"""Whose code a run folder may name: a run made here by this user any, one from elsewhere that of known packages alone.

`config.yaml` carries a signature made with a key that lies in the user's cache. Where it fits, the run was made (or already
taken over) by this user. Where not, every `_target_` must be a class of a known package and of a kind that a run is made of,
or belong to a package that the user names with `--trust` or in EXPERIMENTS_TRUST. See docs/security.md.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from experiments.config import own_loaders
from experiments.errors import UserError
from experiments.run.signature import is_signed, made_here

_KNOWN = (
    "experiments",
    "torch",
    "torchvision",
    "torchmetrics",
    "lightning",
    "timm",
    "transformers",
    "segmentation_models_pytorch",
)
_OURS = ("models", "tasks", "data", "transfer", "callbacks", "loggers")  # folders with classes for configs
# Modules whose own functions may be called: of ours, and of packages whose files of helpers (`timm.models._helpers`) may read
# files that run code.
_FUNCTIONS = ("experiments.tasks.parts.schedules", "experiments.transfer.strategies", "timm.optim", "timm.scheduler")
_NETWORKS = ("torchvision.models", "timm.models")
_BY_NAME = ("torchvision.models.get_model", "timm.create_model")
_READING_CODE = ("pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "weights_only", "trust_remote_code")
_CHECKING = re.compile(r"experiments\.(config|data|loggers)(\.[a-z][a-z0-9_]*)+")  # `checked_by` of our options
# What a run is made of. Classes of these bases do nothing when they are made but hold values and parameters.
_KINDS = {
    "model": ("torch.nn.Module",),
    "task": ("lightning.pytorch.LightningModule",),
    "data": ("lightning.pytorch.LightningDataModule",),
    "optimizer": ("torch.optim.Optimizer",),
    "scheduler": ("torch.optim.lr_scheduler.LRScheduler",),
    "callbacks": ("lightning.pytorch.Callback",),
    "logger": ("lightning.pytorch.loggers.Logger",),
    "trainer": ("lightning.pytorch.Trainer",),
}
_WITHIN = (
    *(base for bases in _KINDS.values() for base in bases),
    "torchmetrics.Metric",
    "torch.utils.data.Sampler",
    "lightning.pytorch.strategies.Strategy",
    "lightning.pytorch.profilers.Profiler",
    "lightning.pytorch.plugins.Precision",
)
_WRITTEN = (
    "dir",
    "dirpath",
    "save_dir",
    "default_root_dir",
    "root_dir",
    "filename",
)  # what callbacks and loggers write to
READING = ("model", "task", "data", "freezing", "precision")  # all that commands build that only read a run

# A config in a run's folder is resolved, but for values of the environment: any other interpolation could stand for a class.
_PLAIN = re.compile(r"(?:(?!\$\{).|\$\{oc\.env:[^${}]*\})*", re.DOTALL)

_named: set[str] = set()  # packages after --trust


def trust(packages: Iterable[str]) -> None:
    """Lets run folders name code of some packages, until this process ends."""
    _named.update(package.strip() for package in packages if package.strip())


def _trusted() -> set[str]:
    return _named | {name.strip() for name in os.environ.get("EXPERIMENTS_TRUST", "").split(",") if name.strip()}


def words_to_compose(config: Any, folder: Path) -> tuple[list[str], list[str]]:
    """Return the overrides and the folders of configs with which a run's config is composed anew.

    Of a run that was not made here, words for Hydra and folders are left out: they could name code.
    """
    words, folders = list(config["run"]["overrides"]), list(config["run"]["config_dirs"])
    if made_here(folder):
        return words, folders
    return [word for word in words if not word.lstrip("+~").startswith("hydra")], []


def require_inside(folder: Path) -> None:
    """Refuses to write into a run from elsewhere that has links out of its folder: what they name would be written over.

    Raises:
        UserError: naming the first such link.
    """
    if not made_here(folder):
        _refuse_links(folder, [folder])


def require_writing_inside(config: Any, folder: Path) -> None:
    """Refuses a run from elsewhere that would write into another folder than its own: over what lies there.

    Args:
        config: the run's, as plain Python, with paths into its folder as they are here.
        folder: the run's.

    Raises:
        UserError: naming the first key.
    """
    if made_here(folder) or _trusted():
        return
    writing = {group: config.get(group) for group in ("callbacks", "logger", "trainer")}
    for key, name, value in _nodes(writing):
        if (
            name in _WRITTEN
            and isinstance(value, str)
            and not (folder / value).resolve().is_relative_to(folder.resolve())
        ):
            raise UserError(
                f"{folder}/config.yaml was not written here and says {key}={value!r:.120}, which would be written to: nothing was "
                "written; name a folder in the run, or add --trust PACKAGE if you trust who made it"
            )


def require_sweep_inside(folder: Path, content: dict[str, Any]) -> None:
    """As `require_inside`, of a sweep: its own files, and each of its runs that was not made here.

    Args:
        folder: the sweep's.
        content: what its list says, with its signature.
    """
    if folder.is_dir() and not is_signed(content):
        _refuse_links(folder, [path for path in folder.iterdir() if path.is_symlink() or not made_here(path)])


def _refuse_links(folder: Path, places: Iterable[Path]) -> None:
    if _trusted():
        return
    inside = folder.resolve()
    for place in places:
        below = [Path(top, name) for top, folders, files in os.walk(place) for name in (*folders, *files)]
        for path in (place, *below):
            if path != folder and path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(inside):
                what = "run" if (folder / "config.yaml").exists() else "sweep"
                raise UserError(
                    f"{path} is a link to {os.path.realpath(path)}, and this {what} was not written here: nothing was written; "
                    "put a copy of the file in its place if you trust who made it"
                )


def runs_listed(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the runs in the list of a sweep, which earlier versions called cells.

    Raises:
        KeyError: when the list names none.
    """
    runs: list[dict[str, Any]] = content["cells"] if "cells" in content else content["runs"]
    return runs


def require_trusted_words(folder: Path, content: dict[str, Any]) -> None:
    """Refuses the list of a sweep from elsewhere whose words could name code: Hydra would compose and make it.

    Args:
        folder: the sweep's.
        content: what its list says, with its signature.

    Raises:
        UserError: naming the first such word.
    """
    if _trusted() or is_signed(content):
        return
    runs = [*(content.get("runs") or ()), *(content.get("cells") or ())]  # of any version's name
    words = [*content.get("settings", ()), *(word for run in runs for word in run.get("words", ()))]
    risky = [word for word in map(str, words) if "_target_" in word or "searchpath" in word or "preload" in word]
    risky += [f"--config-dir {place}" for place in content.get("config_dirs", ())]
    if risky:
        raise UserError(
            f"{folder} was not written here and says {risky[0]:.120}, which may name code: nothing of it was run; begin a new "
            "sweep with the words that you want, or add --trust PACKAGE if you trust who made it"
        )


def require_trust(config: Any, folder: Path, groups: Sequence[str] | None = None) -> None:
    """Refuses a run folder that names code which nobody vouches for; nothing of it is imported.

    Args:
        config: the run's, as plain Python.
        folder: the run's.
        groups: those whose classes will be made; None for all.

    Raises:
        UserError: naming the first such class, and how to trust it.
    """
    if made_here(folder):
        return
    chosen = config if groups is None else {key: config.get(key) for key in groups}
    for key, _, value in _nodes({group: node for group, node in chosen.items() if group != "run"}):
        if isinstance(value, str) and not _PLAIN.fullmatch(value):
            raise UserError(
                f"{folder}/config.yaml was not written here and says {key}={value!r:.120}, which stands for something else, as no "
                "run writes it: nothing of it was run; restore the file from a copy"
            )
    if not _trusted():
        _leave_out_this_folder()  # before anything is imported, also of ours
    for key, name, value in _nodes(config):
        code = name in _READING_CODE or (name == "checked_by" and value and not _is_check(value))
        if code and not _trusted():
            raise UserError(
                f"{folder}/config.yaml was not written here and says {key}={value!r:.120}, which may run code: nothing of it was "
                "run; if you trust who made it, add --trust PACKAGE"
            )
    targets = [(key, value) for key, name, value in _nodes(chosen) if name == "_target_"]
    untrusted = [(key, target) for key, target in targets if str(target).partition(".")[0] not in _trusted()]
    for key, target in untrusted:
        if not isinstance(target, str):
            raise UserError(
                f"{folder}/config.yaml was cut off or changed, and {key} names no class: restore it from a copy, or train again"
            )
        if why := _unknown(target):
            raise UserError(_refusal(folder, key, target, why))
    for key, target in untrusted:
        if why := _unlike(key, target):
            raise UserError(_refusal(folder, key, target, why))


def _refusal(folder: Path, key: str, target: Any, why: str) -> str:
    package = str(target).partition(".")[0]
    return (
        f"{folder}/config.yaml was not written here and names {key}={target!r:.120}, {why}: nothing of it was run; if you "
        f"trust who made it, add --trust {package if package.isidentifier() else 'PACKAGE'}"
    )


def _nodes(node: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield all that lies in a config, at any depth: its dotted key, its name or number in what holds it, and its value."""
    within = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, (list, tuple)) else ()
    for name, value in within:
        inner = f"{key}[{name}]" if not isinstance(node, dict) else f"{key}.{name}" if key else str(name)
        yield inner, name, value
        yield from _nodes(value, inner)


def _unknown(target: Any) -> str | None:
    """Tell why a name is none that a run folder may bring, as half a sentence; None where its class decides."""
    parts = target.split(".") if isinstance(target, str) else []
    if not parts or not all(part.isidentifier() for part in parts):
        return "which is no name of a class"
    if parts[0] not in _KNOWN:
        return f"whose package is none of {', '.join(_KNOWN)}"
    if any(part.startswith("_") for part in parts) or (
        parts[0] == "experiments" and parts[1:2] and parts[1] not in _OURS and target != own_loaders.TARGET
    ):
        return "which is no class for a config"
    return None


def _is_check(name: Any) -> bool:
    """Tell whether what an option names as `checked_by` is a function of ours that looks at a config."""
    if not isinstance(name, str) or not _CHECKING.fullmatch(name):
        return False
    module, _, function = name.rpartition(".")
    try:
        thing = getattr(import_module(module), function)
    except (ImportError, AttributeError):
        return False
    return inspect.isfunction(thing) and (thing.__module__, len(inspect.signature(thing).parameters)) == (module, 1)


def _unlike(key: str, target: str) -> str | None:
    """Tell why what a name stands for is not what a run is made of, as half a sentence; imports it."""
    try:
        thing = _located(target)
    except ModuleNotFoundError as error:
        return f"which needs the package {error.name}, which is not installed here"
    except (ImportError, AttributeError):
        return "which cannot be imported here"
    if inspect.isfunction(thing) and (_is_ours_to_call(thing, target) or _makes_network(thing)):
        return None
    parts = key.split(".")
    top = len(parts) == 2 or (len(parts) == 3 and parts[0] in ("callbacks", "logger"))
    bases = _KINDS.get(parts[0], ()) if top else _WITHIN
    if inspect.isclass(thing) and issubclass(thing, tuple(_located(base) for base in bases or _WITHIN)):
        return None
    if not top:
        return "which is nothing that a run is made of"
    return f"which is no {' or '.join(base.rpartition('.')[2] for base in bases or _WITHIN[:1])}"


def _is_ours_to_call(function: Any, target: str) -> bool:
    """Tell whether a function is one of those that configs name: a schedule, a strategy, an optimizer or a network by its
    name, and no helper beside them.
    """
    if target in _BY_NAME:
        return True
    module = f"{function.__module__}."
    if module.startswith(tuple(f"{package}." for package in _NETWORKS)):
        return not any(part.startswith("_") for part in module.split("."))
    return module.startswith(tuple(f"{package}." for package in _FUNCTIONS))


def _makes_network(function: Any) -> bool:
    """Tell whether a function of ours returns a network of one class or another, as that of Whisper does."""
    return (
        function.__module__.startswith("experiments.models.") and function.__annotations__.get("return") == "nn.Module"
    )


def _located(target: str) -> Any:
    parts = target.split(".")
    for count in range(len(parts) - 1, 0, -1):
        try:
            thing = import_module(".".join(parts[:count]))
        except ModuleNotFoundError as error:
            if error.name is not None and not f"{target}.".startswith(f"{error.name}."):
                raise  # a package that this module needs
            continue
        for name in parts[count:]:
            thing = getattr(thing, name)
        return thing
    raise ImportError(target)


def _leave_out_this_folder() -> None:
    """Lets no file of the current folder stand for a package that is not installed."""
    here = os.getcwd()
    if sys.path and sys.path[-1] == here:  # where the command puts it
        sys.path.pop()
