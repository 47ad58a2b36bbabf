"""`data.augment` as one object or a list of objects, written as one more key beside our own, and data without `data.transform`."""

from __future__ import annotations

from typing import Any

from omegaconf import OmegaConf

from experiments.config.signatures import signature
from experiments.config.usual_words import NO_TRANSFORM

_OURS = ("crop", "flip", "rotation", "resized_crop", "cutout", "mixup", "cutmix")


def settle_augmentation(config: Any) -> None:
    """Moves what `data.augment._target_` or a list of transforms says below `data.augment.transforms`; changed in place.

    Args:
        config: resolved, plain or not.
    """
    data = config.get("data")
    augment = data.get("augment") if hasattr(data, "get") else None
    plain: Any = OmegaConf.to_container(augment) if OmegaConf.is_config(augment) else augment
    if isinstance(plain, list):
        data["augment"] = {"transforms": plain}
    elif isinstance(plain, dict) and "_target_" in plain:
        taken = signature(str(plain["_target_"]))
        theirs = {
            key: value
            for key, value in plain.items()
            if key.startswith("_") or (key not in _OURS and (taken is None or taken.takes(key)))
        }
        data["augment"] = {**{key: plain[key] for key in plain if key not in theirs}, "transforms": theirs}


def transform_problems(config: Any) -> list[str]:
    """Refuse `data.transform._target_=…` for data of ours that take none."""
    data = config.data
    kind = (data.get("gives") or {}).get("kind")
    if data.get("transform") is None or kind == "image" or not str(data.get("_target_")).startswith("experiments."):
        return []
    return [f"data.transform is no key of this config: {NO_TRANSFORM}"]
