"""The options of a config group: one YAML file each, and what it says of itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

# Keys that describe an option of data, task or model, and build nothing.
NOTES = (
    "about", "reads", "gives", "makes", "answers", "needs_channels", "pretrained", "checked_by", "transcripts", "writes_tokens",
)  # fmt: skip
GROUPS = (
    "model", "data", "task", "freezing", "precision", "trainer", "optimizer", "scheduler", "callbacks", "logger",
    "experiment", "debug", "sweep",
)  # fmt: skip


def conf_dir() -> Path:
    """Return the folder of configs: beside the sources in a checkout, inside the package where it is installed."""
    package = Path(__file__).resolve().parents[1]
    beside = package.parents[1] / "conf"
    return beside if (beside / "train.yaml").is_file() else package / "conf"


def options(group: str, config_dirs: Sequence[str] = ()) -> list[str]:
    """Names of a group's options, ours and those of further folders."""
    return sorted(option_files(group, config_dirs))


def option_files(group: str, config_dirs: Sequence[str] = (), bases: bool = False) -> dict[str, Path]:
    """Return the file of each option of a group; what is found first counts, as in Hydra.

    Args:
        group: such as `model`.
        config_dirs: further folders of configs.
        bases: also those whose names begin with `_`, which hold what several options share.
    """
    files: dict[str, Path] = {}
    for folder in (conf_dir(), *(Path(folder) for folder in config_dirs)):
        for path in sorted((folder / group).glob("*.yaml" if bases else "[!_]*.yaml")):
            if path.is_file():
                files.setdefault(path.stem, path)
    return files


def content(path: Path) -> dict[str, Any]:
    """Return what stands in an option's file alone, not composed; empty when it cannot be read."""
    try:
        parsed = yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


class Default(NamedTuple):
    """An entry of the `defaults` list of an option's file.

    Attributes:
        group: of the option that it names.
        option: its name.
        key: what the file writes before the name, such as `override /hydra/sweeper`; empty for an option that this one changes.
    """

    group: str
    option: Any
    key: str = ""


def defaults_of(parsed: Mapping[str, Any], group: str) -> list[Default]:
    """Return the entries of an option's `defaults` list, but for `_self_`.

    Args:
        parsed: what stands in the file.
        group: the option's own.
    """
    listed = parsed.get("defaults")
    entries: list[Default] = []
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, str) and entry != "_self_":
            name = entry.partition("@")[0]
            place, _, option = name.removeprefix(f"/{group}/").rpartition("/")
            if place.startswith("/"):
                entries.append(Default(place.removeprefix("/"), option))
            else:  # of this group, maybe in a folder of it, as `base/environment`
                entries.append(Default(group, f"{place}/{option}" if place else option))
        for key, option in entry.items() if isinstance(entry, dict) else ():
            place = str(key).removeprefix("override ").strip().partition("@")[0]
            entries.append(Default(place.removeprefix("/"), option, str(key)))
    return entries


def describe(path: Path) -> dict[str, Any]:
    """Return what an option's file says of itself: its `about`, with the first sentence of its leading comment as the
    title where it has none, or else the title of the option that it changes; of a model also what it `reads` and its
    `family`, the file of its class.

    Raises:
        OSError, ValueError, RecursionError, yaml.YAMLError: when the file cannot be read, or holds no keys.
    """
    text = path.read_text(encoding="utf-8")
    parsed = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    if not isinstance(parsed, dict):
        raise ValueError("no keys")
    own = parsed.get("about")
    about: dict[str, Any] = {"title": _leading_sentence(text)} | (own if isinstance(own, dict) else {})
    if not about["title"]:
        del about["title"]
    base = next((entry.option for entry in defaults_of(parsed, path.parent.name) if not entry.key), "_self_")
    if (path.parent / f"{base}.yaml").is_file():  # the option that this one changes
        about = describe(path.parent / f"{base}.yaml") | about
    kinds = (parsed.get("reads") or {}).get("kind") if isinstance(parsed.get("reads"), dict) else None
    if kinds:
        about["reads"] = [kinds] if isinstance(kinds, str) else list(kinds)
    if "_target_" in parsed:
        about["family"] = str(parsed["_target_"]).rpartition(".")[0]
    return {"title": ""} | about


def _leading_sentence(text: str) -> str:
    """Return the first sentence of the comment that a file begins with, on however many lines it stands; empty without
    one.
    """
    comments: list[str] = []
    for line in text.splitlines():
        comment = line.removeprefix("#").strip()
        if line.startswith("#") and comment.startswith("@package"):
            continue
        if not line.startswith("#") or not comment:
            if comments or line.strip(" #-"):  # --- begins a document
                break
            continue
        comments.append(comment)
    return re.split(r"(?<=\.)\s", " ".join(comments), maxsplit=1)[0]
