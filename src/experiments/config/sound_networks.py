"""`model=transformers` with a network of sound: the option of `model` that reads it, and what its weights say of its sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.config.options import content, option_files
from experiments.config.preprocessing import given_keys
from experiments.config.weights_place import run_config
from experiments.errors import UserError
from experiments.system.bounded_files import read_json
from experiments.system.hub import cached_folder, published_folder

# What the configurations of the library call the sizes of a network, by families.
_SIZES = {
    "name": ("model_type",),
    "filters": ("conv_dim",),
    "kernels": ("conv_kernel",),
    "strides": ("conv_stride",),
    "bands": ("num_mel_bins",),
    "hidden": ("hidden_size", "d_model"),
    "layers": ("num_hidden_layers", "encoder_layers"),
    "heads": ("num_attention_heads", "encoder_attention_heads"),
    "inner": ("intermediate_size", "encoder_ffn_dim"),
    "position_kernel": ("num_conv_pos_embeddings",),
    "position_groups": ("num_conv_pos_embedding_groups",),
    "longest_text": ("max_target_positions",),
    "projection": ("classifier_proj_size",),
}


def with_sound_network(words: Sequence[str], config_dirs: Sequence[str] = ()) -> list[str]:
    """Return overrides that name a network of sound by `model=transformers` with the option of `model` that reads it.

    The network is that of the config.json of `weights`, of a run that `weights` names, or of `model.name`.

    Raises:
        UserError: when `weights=pretrained` names weights that are not here and cannot be fetched.
    """
    chosen = dict(word.split("=", 1) for word in words if "=" in word)
    if chosen.get("model") != "transformers":
        return list(words)
    weights, name = (chosen.get(key, "").strip("'\"") for key in ("weights", "model.name"))
    published = weights == "pretrained" and "/" in name
    folder = published_folder(name, f"weights=pretrained ({name})") if published else Path(weights).expanduser()
    if re.fullmatch(r"[\w.-]+/[\w.-]+", weights) and not folder.exists():
        folder = cached_folder(weights) or folder
    kind = _kind(folder) if weights else name
    option = _option(kind, config_dirs) or _option_of_run(weights)
    if option is None:
        return list(words)
    changed = {"model": option, "model.size": "model.hidden"}
    file = option_files("model", config_dirs).get(option)
    if published or (file and "name" not in content(file)):  # the option says the family itself
        changed["model.name"] = ""
    if published:
        changed["weights"] = name
    return [written for word in words if (written := _changed(word, changed))]


def _changed(word: str, changed: Mapping[str, str]) -> str:
    """Return a word with another value, or for a key of a group another key; empty where it is left out."""
    key, equals, value = word.partition("=")
    new = changed.get(key) if equals else None
    if new is None:
        return word
    return f"{new}={value}" if "." in new else f"{key}={new}" if new else ""


def _kind(folder: Path) -> str:
    """Return what the config.json of a folder says that its network is; empty where nothing does."""
    try:
        return str(read_json(folder / "config.json")["model_type"])
    except (OSError, ValueError, LookupError, TypeError):  # whoever loads the weights says so
        return ""


def _option(kind: str, config_dirs: Sequence[str]) -> str | None:
    """Return the first option of `model` that reads networks of a kind."""
    if not re.fullmatch(r"[\w-]+", kind):
        return None
    options = option_files("model", config_dirs)
    return next((name for name in sorted(options) if kind in _kinds(content(options[name]))), None)


def _option_of_run(weights: str) -> str | None:
    """Return the option of `model` of a run with a network of sound."""
    config = run_config(weights) if weights else {}
    return ((config.get("run") or {}).get("choices") or {}).get("model") if _kinds(config.get("model")) else None


def _kinds(model: Any) -> Sequence[str]:
    published = model.get("pretrained") if isinstance(model, Mapping) else None
    return (published.get("kinds") or ()) if isinstance(published, Mapping) else ()


def take_sizes(config: Any) -> None:
    """Take the sizes of a network of sound from the config.json beside its weights.

    Raises:
        UserError: when a key that somebody wrote says something else.
    """
    model = config["model"]
    source = model.get("source")
    if not isinstance(source, str):
        return
    try:
        stated = read_json(Path(source).expanduser() / "config.json")
    except (OSError, ValueError):  # a run, a name on the hub, or a damaged file, of which the network says so
        return
    if not isinstance(stated, dict) or stated.get("model_type") not in _kinds(dict(model)):
        return
    files, name = option_files("model", config["run"]["config_dirs"]), config["run"]["choices"].get("model")
    usual = content(files[name]) if name in files else {}
    given = given_keys(config)
    for key, names in _SIZES.items():
        value = next((stated[name] for name in names if stated.get(name) is not None), None)
        if key not in model or value is None:
            continue
        own = model[key]
        if own != value and (f"model.{key}" in given or own != usual.get(key, own)):
            raise UserError(
                f"weights={source} has {key}={value} and model.{key}={own}: take that of the weights, or leave out model.{key}"
            )
        model[key] = value
