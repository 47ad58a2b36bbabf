"""Groups that a config has no option of: `~logger`, `logger=null`, or `override /logger: null` in a file."""

from __future__ import annotations

from typing import Any

from experiments.config.options import conf_dir, content, defaults_of
from experiments.config.shorthand import TRAINER
from experiments.errors import UserError

_NOTHING = {  # groups, and the option that says nothing of them
    "logger": "none",
    "callbacks": "none",
    "freezing": "none",
    "scheduler": "constant",
    "precision": "32-true",
}
_NEEDED = {"data": "digits", "trainer": "auto"}  # groups that no run can do without, and an option of each


def fill_absent(config: Any) -> None:
    """Fill in, in place, what a run reads of groups that have no option: no logger is `logger=none`.

    Args:
        config: resolved; a DictConfig that takes new keys, or plain Python.

    Raises:
        UserError: for a group that no run can do without.
    """
    for group, option in _NEEDED.items():
        if group not in config:
            raise UserError(f"no {group} is chosen, and every run needs it: choose one, as in {group}={option}")
    for group, option in _NOTHING.items():
        if group not in config:
            config[group] = _said_by(group, option, str(config["run"]["dir"]))
            config["run"]["choices"][group] = option
    if not config["trainer"].get("_target_"):  # a file of a user's own with keys of Trainer alone
        config["trainer"]["_target_"] = TRAINER
    if "optimizer" not in config:
        config["optimizer"] = {}


def _said_by(group: str, option: str, folder: str) -> dict[str, Any]:
    """Return what an option's file and those that it changes say, for a run in a folder."""
    own = content(conf_dir() / group / f"{option}.yaml")
    base: dict[str, Any] = {}
    for entry in defaults_of(own, group):
        base |= _said_by(entry.group, entry.option, folder)
    own.pop("defaults", None)
    return base | _filled(own, folder)


def _filled(node: Any, folder: str) -> Any:
    if isinstance(node, dict):
        return {key: _filled(value, folder) for key, value in node.items()}
    return node.replace("${run.dir}", folder) if isinstance(node, str) else node


def problem(config: Any) -> str | None:
    """Return what a task of ours misses of the groups that a LightningModule of its own can do without."""
    task = config["run"]["choices"].get("task")
    for group, option in (("model", "mlp"), ("optimizer", "adam")):
        if not config[group].get("_target_"):
            return f"task={task} needs {'an' if group[0] in 'aeiou' else 'a'} {group} and none is chosen: add {group}={option}, or another"
    return None
