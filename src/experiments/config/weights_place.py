"""What the `weights` of a config name: the folder of an earlier run, or a folder in the layout of transformers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from experiments.errors import UserError
from experiments.system.bounded_files import read_yaml
from experiments.system.hub import hub_name, published_folder


def place_weights(config: Any) -> None:
    """Make the path of weights absolute, so that a run can be repeated and resumed from any folder; a name on the hub is that
    of the published weights.
    """
    if OmegaConf.is_config(config) and OmegaConf.is_interpolation(config, "weights"):
        return  # of the environment: it stays what it is
    weights, model = config.get("weights"), config["model"]
    of_sound = (model.get("pretrained") or {}).get("kinds")
    if weights == "pretrained" and of_sound:
        weights = config["weights"] = model["pretrained"]["name"]
    elif hub_name(weights, model) and not of_sound:
        model["pretrained"]["name"], weights = weights, "pretrained"
        config["weights"] = weights
    if isinstance(weights, str) and weights != "pretrained" and not hub_name(weights, model):
        config["weights"] = os.path.abspath(os.path.expanduser(weights))
    if model.get("source", "") is None:  # a model whose sizes stand beside its weights
        model["source"] = config["weights"]


def weights_folder(config: Any) -> Path | None:
    """Return the folder in the library's layout that a config's weights name, or None where they are something else.

    Where the folder holds none but a single folder in it does, the config is given that one.

    Raises:
        UserError: when there are no published weights, or they are not here and there is no network to fetch them from.
    """
    weights = config.get("weights")
    if weights is None:
        return None
    if weights == "pretrained":
        name = config["model"]["pretrained"].get("name")
        if name is None:
            chosen = config["run"]["choices"].get("model")
            raise UserError(f"model={chosen} has no published weights: use weights=null, a folder or an earlier run")
        return published_folder(str(name), f"weights=pretrained ({name})")
    path = Path(str(weights)).expanduser()
    if not path.is_dir() or is_run(weights):
        return None
    inside = [] if (path / "config.json").is_file() else [file.parent for file in sorted(path.glob("*/config.json"))]
    if len(inside) == 1:  # the original with the library's layout in a folder beside it
        path = inside[0]
        config["weights"] = str(path)
    return path


def run_folder(weights: Any) -> Path | None:
    """Return the folder of the run that weights name, by itself or by a checkpoint in it."""
    if weights in (None, "pretrained"):
        return None
    path = Path(str(weights)).expanduser()
    folders = [path, *path.parents[:2]] if path.is_file() else [path]
    return next((folder for folder in folders if (folder / "config.yaml").is_file()), None)


def is_run(weights: Any) -> bool:
    return run_folder(weights) is not None


def run_config(weights: Any) -> dict[str, Any]:
    """Return the config of the run that weights name; empty where they are something else, or nobody can read it."""
    folder = run_folder(weights)
    if folder is None:
        return {}
    try:
        content = read_yaml(folder / "config.yaml")
    except (OSError, ValueError):  # whoever loads the weights says so
        return {}
    return content if isinstance(content, dict) else {}
