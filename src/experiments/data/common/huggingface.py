"""Datasets of the `datasets` library: a folder or a Parquet file of this machine, or a name on its hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.data.common.split_names import NAMES
from experiments.errors import UserError, first_line, unknown
from experiments.system.hub import hub_answers, offline

LABELS = ("label", "labels", "target", "class", "category", "sentiment")  # usual names of the column with classes
TEXTS = ("text", "sentence", "content", "review", "document")  # likewise, with texts

_FILES: dict[str, tuple[str, dict[str, Any]]] = {
    ".parquet": ("parquet", {}), ".csv": ("csv", {}), ".tsv": ("csv", {"sep": "\t"}),
    ".json": ("json", {}), ".jsonl": ("json", {}),
}  # fmt: skip


def open_splits(path: str, config: str | None) -> dict[str, Any]:
    """Return the splits of a dataset, `train` and where it has them `validation` and `test`, each of the library's class
    `Dataset`.

    Args:
        path: a folder (of Parquet, CSV or JSON files, of class folders with images, or written by `save_to_disk`), a file of Parquet,
            CSV, TSV or JSON, or a name on the hub.
        config: which of several datasets under one name.

    Raises:
        UserError: when the library is missing, the dataset cannot be read, or it has no training split.
    """
    try:
        import datasets  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise UserError("data=huggingface needs the package datasets, which is not installed: pip install 'lightning-experiments[huggingface]'") from None  # fmt: skip
    datasets.disable_progress_bars()
    place = Path(path).expanduser()
    try:
        if (place / "dataset_dict.json").is_file() or (place / "state.json").is_file():
            content = datasets.load_from_disk(str(place))
        elif place.is_file():
            reader, options = _FILES.get(place.suffix.lower(), ("", {}))
            if not reader:
                raise UserError(f"data.path={path} ends with none of {', '.join(_FILES)}: save it as one of them")
            content = datasets.load_dataset(reader, data_files={"train": str(place)}, **options)
        else:
            before = datasets.config.HF_HUB_OFFLINE
            try:
                if not place.exists() and not offline() and not hub_answers():
                    # Its cache is asked at once; the hub would be tried five times, for half a minute.
                    datasets.config.HF_HUB_OFFLINE = True
                content = datasets.load_dataset(str(place) if place.exists() else path, config)
            finally:
                datasets.config.HF_HUB_OFFLINE = before
    except UserError:
        raise
    except Exception as error:  # of a dozen kinds, of several libraries
        where = "" if place.exists() else ", and there is no such folder here"
        raise UserError(
            f"data.path={path} cannot be read by the datasets library ({first_line(error)}){where}: name a folder with Parquet files or class "
            "folders, or a name of its hub where there is a network"
        ) from error
    splits = dict(content) if isinstance(content, dict) else {"train": content}
    by_split = {}
    for split, names in NAMES.items():
        name = next((name for name in names if name in splits), None)
        if name is not None and len(splits[name]):
            by_split[split] = splits[name]
    if "train" not in by_split:
        raise UserError(f"data.path={path} has no split called train, only {', '.join(splits)}: rename one")
    return by_split


def column(
    data: Any, key: str, wanted: str | None, kinds: tuple[str, ...], what: str, likely: Sequence[str] = ()
) -> str:
    """Return the name of a column: the one that is wanted, else one with a likely name, else the first of some kinds.

    Args:
        data: one split.
        key: that names the column, for messages.
        wanted: by the config.
        kinds: types of the library's, such as Image, ClassLabel, string.
        what: the column holds, for messages.
        likely: names that say what the column is, whatever its type, if it has one value an example.

    Raises:
        UserError: when there is none.
    """
    if wanted is not None:
        if wanted not in data.column_names:
            raise UserError(unknown(f"{key}={wanted}", "no column of this dataset", wanted, data.column_names))
        return wanted
    columns = {name: _kind(feature) for name, feature in data.features.items()}
    plain = [name for name, feature in data.features.items() if type(feature).__name__ in ("Value", "ClassLabel")]
    if named := next((name for name in likely if name in plain), None):
        return named
    for kind in kinds:
        if match := next((name for name, column_kind in columns.items() if column_kind == kind), None):
            return match
    shown = ", ".join(f"{name} ({kind})" for name, kind in columns.items())
    raise UserError(f"{key} names no column with {what}, and none of {shown} looks like it: set {key}")


def _kind(feature: Any) -> str:
    return str(getattr(feature, "dtype", "")) if type(feature).__name__ == "Value" else type(feature).__name__


def class_names(data: Any, label: str) -> list[str] | None:
    """Return the names that a column of class indices has, in their order; None for other columns."""
    return list(names) if (names := getattr(data.features[label], "names", None)) else None
