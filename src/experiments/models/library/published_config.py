"""Sizes of a network from the config.json of a folder in transformers' layout, and what its adapters share."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

# What a network is, besides its weights.
KEPT = ("config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json", "vocab.json")


def transformers(model: str) -> Any:
    """Return the library.

    Raises:
        ValueError: when it is not installed.
    """
    try:
        import transformers as library  # type: ignore[import-untyped]
    except ImportError:
        raise ValueError(
            f"model={model} needs the package transformers, which is not installed: pip install 'lightning-experiments[speech]'"
        ) from None
    return library


def published_config(source: str | None, kinds: Sequence[str]) -> Any | None:
    """Return the library's config for a folder; None where there is none.

    Args:
        source: the folder, or anything else that weights may come from.
        kinds: what its `model_type` may be.

    Raises:
        ValueError: when config.json is damaged, or of a network of another kind.
    """
    path = config_file(source)
    if path is None:
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        kind = content.get("model_type")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read ({error}): fetch the folder again") from error
    if kind not in kinds:
        raise ValueError(f"{path} is of a {kind} and not of {' or '.join(kinds)}: choose the model that it belongs to")
    library = transformers(kind)
    try:
        return library.AutoConfig.for_model(**content)
    except Exception as error:  # the library checks each value in a way of its own
        raise ValueError(f"{path} is refused by transformers ({_first_line(error)}): fetch the folder again") from error


def config_file(source: str | None) -> Path | None:
    """Return the config.json of a folder in transformers' layout, or of a run that began with one."""
    if source is None:
        return None
    path = Path(source)
    run = path.parent.parent if path.suffix == ".ckpt" else path
    for folder in (path, run / "published"):
        if (folder / "config.json").is_file():
            return folder / "config.json"
    return None


def keep_published(source: str | None, run: Path) -> None:
    """Copies into a run's folder the files that say sizes and tokens, so that it needs the published folder no more."""
    file = config_file(source)
    target = run / "published"
    if file is None or file.parent.resolve() == target.resolve():
        return
    target.mkdir(exist_ok=True)
    for name in KEPT:
        if (file.parent / name).is_file():
            shutil.copyfile(file.parent / name, target / name)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def pooled(features: int, projection: int, num_classes: int) -> nn.Module:
    """Return the library's head of clips: a projection and a classifier, both linear, (B, features) -> (B,
    num_classes).
    """
    return nn.Sequential(nn.Linear(features, projection), nn.Linear(projection, num_classes))


def sizes(**given: int | Sequence[int]) -> None:
    """Refuses sizes below 1.

    Raises:
        ValueError: naming the key.
    """
    for key, value in given.items():
        if any(item < 1 for item in (value if isinstance(value, Sequence) else [value])):
            raise ValueError(f"model.{key}={value} must be 1 or more: try model.{key}=1")
