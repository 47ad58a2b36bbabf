"""`data.augment` as one object or a list of objects, written as one more key beside our own."""

from __future__ import annotations

from typing import Any

from omegaconf import OmegaConf

_OURS = ("crop", "flip", "rotation", "resized_crop", "cutout", "mixup", "cutmix")


def settle_augmentation(config: Any) -> None:
    """Moves what `data.augment._target_` or a list of transforms says below `data.augment.transforms`; changed in place.

    Args:
        config: resolved, plain or not.
    """
    data = config.get("data")
    found = data.get("augment") if hasattr(data, "get") else None
    plain: Any = OmegaConf.to_container(found) if OmegaConf.is_config(found) else found
    if isinstance(plain, list):
        data["augment"] = {"transforms": plain}
    elif isinstance(plain, dict) and "_target_" in plain:
        theirs = {key: value for key, value in plain.items() if key not in _OURS}
        data["augment"] = {**{key: plain[key] for key in _OURS if key in plain}, "transforms": theirs}
