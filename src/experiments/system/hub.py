"""Folders of published weights in transformers' layout, by path or by their name on the hub."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
from pathlib import Path
from typing import Any

from experiments.errors import UserError, first_line

HOST = "huggingface.co"
WAIT = 1.0  # seconds for the hub to answer at all
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack")
FILES = ("*.json", "*.safetensors", "*.txt")  # no pickles


def hub_name(weights: Any, model: Any) -> bool:
    """Tell whether weights are named as on the hub, OWNER/NAME, for a model whose published weights come from there.

    Args:
        weights: as the user gave them.
        model: its config; `pretrained.kinds` says what config.json may say that it is.
    """
    return (
        isinstance(weights, str)
        and bool((model.get("pretrained") or {}).get("kinds"))
        and re.fullmatch(r"[\w.-]+/[\w.-]+", weights) is not None
        and not Path(weights).exists()
    )


def published_folder(name: str) -> Path:
    """Return the folder of a name on the hub, from its cache, or else fetched.

    Raises:
        UserError: in a second, when it is not in the cache and the hub cannot be reached.
    """
    found = cached_folder(name)
    if found is not None:
        return found
    _require_network(name)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(FILES)))
    except Exception as error:  # a name without weights, a licence to accept, a network that breaks off
        raise UserError(f"weights={name} cannot be fetched ({first_line(error)}): {_cure(name)}") from error


def _cure(name: str) -> str:
    return f"run  hf download {name}  where there is a network and put the cache (HF_HOME) here, or give a folder as weights=PATH"


def _require_network(name: str) -> None:
    if _offline() or not _answers():
        why = "HF_HUB_OFFLINE is set" if _offline() else f"{HOST} does not answer"
        raise UserError(f"weights={name} is not in the cache {_cache()} and cannot be fetched ({why}): {_cure(name)}")


def hub_problems(name: str) -> list[str]:
    """Tell why weights named as on the hub cannot be had, without fetching them."""
    if cached_folder(name) is not None:
        return []
    try:
        _require_network(name)
    except UserError as error:
        return [str(error)]
    return []


def folder_problems(folder: Path, model: Any) -> list[str]:
    """Return what is wrong with a folder of weights for a model of transformers, as far as its file names and
    config.json tell.
    """
    published = model.get("pretrained") or {}
    if not published.get("kinds") or not (folder / "config.json").is_file():
        return []
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
        kinds = list(published["kinds"])
        if kind not in kinds:
            raise UserError(
                f"weights={folder} is of a {kind} and not of {' or '.join(kinds)}: choose the model that it belongs to"
            )
        weight_files(folder, f"weights={folder}")
    except UserError as error:
        return [str(error)]
    except (OSError, ValueError, AttributeError) as error:
        return [f"{folder / 'config.json'} cannot be read ({error}): fetch the folder again"]
    return []


def weight_files(folder: Path, named: str) -> list[Path]:
    """Return the files of safetensors in a folder in transformers' layout.

    Args:
        folder: holds one file, or several with an index.
        named: how the user named it.

    Raises:
        UserError: when there are none, or nothing but pickles.
    """
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    if (folder / INDEX).is_file():
        content = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        found = [folder / name for name in sorted(set(content["weight_map"].values()))]
        absent = next((path for path in found if not path.is_file()), None)
        if absent is None:
            return found
        raise UserError(f"{named} lacks {absent.name}, which {INDEX} names: fetch it into that folder")
    pickle = next((name for name in PICKLES if (folder / name).is_file()), None)
    if pickle:
        raise UserError(
            f"{named} holds {pickle} alone, which is code that would be run: save it as {SINGLE}, with transformers'"
            " save_pretrained"
        )
    raise UserError(f"{named} holds no {SINGLE}: fetch it into that folder")


def cached_folder(name: str) -> Path | None:
    """Return the newest whole snapshot of a name in the hub's cache."""
    folder = _cache() / f"models--{name.replace('/', '--')}"
    try:
        commit = (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    found = folder / "snapshots" / commit
    return found if (found / "config.json").is_file() and any(found.glob("*.safetensors")) else None


def _cache() -> Path:
    home = os.environ.get("HF_HOME", "~/.cache/huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def _answers() -> bool:
    """Tell whether the hub can be reached; asked in a thread, as looking up a name knows no time limit."""
    heard = threading.Event()

    def ask() -> None:
        try:
            with socket.create_connection((HOST, 443), timeout=WAIT):
                heard.set()
        except OSError:
            return

    threading.Thread(target=ask, daemon=True).start()
    return heard.wait(WAIT)
