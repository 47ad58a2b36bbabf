"""Folders of published weights in transformers' layout, by path or by their name on the hub."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from experiments.errors import UserError, first_line
from experiments.system.bounded_files import read_json

HUB = "https://huggingface.co"
WAIT = 1.0  # seconds for the hub to answer at all
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack")
FILES = ("*.json", "*.safetensors", "*.txt")  # no pickles


def hub_name(weights: Any, model: Any) -> bool:
    """Tell whether weights are named as on the hub, OWNER/NAME, for a model whose published weights come from there.

    Args:
        weights: as the user gave them.
        model: its config; `pretrained.library` says where they come from.
    """
    return (
        isinstance(weights, str)
        and (model.get("pretrained") or {}).get("library") == "transformers"
        and re.fullmatch(r"[\w.-]+/[\w.-]+", weights) is not None
        and not (
            Path(weights).exists() or Path(weights).parent.is_dir()
        )  # a folder here may lack the file that is named
    )


def published_folder(name: str, named: str = "") -> Path:
    """Return the folder of a name on the hub, from its cache, or else fetched.

    Args:
        name: OWNER/NAME.
        named: how the user named it; empty: by its name.

    Raises:
        UserError: in a second, when it is not in the cache and the hub cannot be reached.
    """
    folder = cached_folder(name)
    if folder is not None:
        return folder
    named = named or f"weights={name}"
    _require_network(name, named)
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise UserError(
            f"{named} needs the package transformers, which is not installed: pip install 'lightning-experiments[language]'"
        ) from None
    try:
        return Path(snapshot_download(name, allow_patterns=list(FILES)))
    except Exception as error:  # a name without weights, a licence to accept, a network that breaks off
        raise UserError(f"{named} cannot be fetched ({first_line(error)}): {_cure(name)}") from error


def _cure(name: str) -> str:
    return (
        f"run  hf download {name}  where there is a network and put the cache (HF_HOME) here, or give a folder as "
        "weights=FOLDER"
    )


def _require_network(name: str, named: str) -> None:
    if offline() or not hub_answers():
        why = "HF_HUB_OFFLINE is set" if offline() else f"{_host()[0]} does not answer"
        raise UserError(f"{named} is not in the cache {_cache()} and cannot be fetched ({why}): {_cure(name)}")


def hub_problems(name: str) -> list[str]:
    """Tell why weights named as on the hub cannot be had, without fetching them."""
    if cached_folder(name) is not None:
        return []
    try:
        _require_network(name, f"weights={name}")
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
        kind = read_json(folder / "config.json").get("model_type")
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
        try:
            content = read_json(folder / INDEX)
            shards = [folder / name for name in sorted(set(content["weight_map"].values()))]
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise UserError(f"{folder / INDEX} cannot be read ({type(error).__name__}): fetch it again") from error
        absent = next((path for path in shards if not path.is_file()), None)
        if absent is None:
            return shards
        raise UserError(f"{named} lacks {absent.name}, which {INDEX} names: fetch it into that folder")
    pickle = next((name for name in PICKLES if (folder / name).is_file()), None)
    if pickle:
        raise UserError(
            f"{named} holds {pickle} alone, which is code that would be run: save it as {SINGLE}, with transformers'"
            " save_pretrained"
        )
    raise UserError(f"{named} holds no {SINGLE}: fetch it into that folder")


def cached_folder(name: str) -> Path | None:
    """Return the snapshot of a name in the hub's cache: the one that its main branch names, else the newest whole one."""
    folder = _cache() / f"models--{name.replace('/', '--')}"
    try:
        commit = (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        commit = ""
    named = [folder / "snapshots" / commit] if commit else []
    others = sorted(folder.glob("snapshots/*/config.json"), key=lambda file: file.stat().st_mtime, reverse=True)
    places = [*named, *(file.parent for file in others)]
    return next(
        (place for place in places if (place / "config.json").is_file() and any(place.glob("*.safetensors"))), None
    )


def _cache() -> Path:
    home = os.environ.get("HF_HOME", "~/.cache/huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()


def offline() -> bool:
    """Tell whether HF_HUB_OFFLINE asks for what is cached alone."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def _host() -> tuple[str, int]:
    """Return the name and port of what answers for the hub: a proxy, a mirror (HF_ENDPOINT) or the hub itself."""
    proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
    place = urlsplit(proxy or os.environ.get("HF_ENDPOINT") or HUB)
    return place.hostname or "", place.port or (80 if place.scheme == "http" else 443)


def hub_answers() -> bool:
    """Tell whether the hub can be reached; asked in a thread, as looking up a name knows no time limit."""
    answered = threading.Event()

    def ask() -> None:
        with contextlib.suppress(OSError), socket.create_connection(_host(), timeout=WAIT):
            answered.set()

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(WAIT)
    return answered.is_set()
