"""What lies in and beside every exported file: what its inputs must look like, and what its outputs mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.run.loaded import Loaded


def preprocessing(loaded: Loaded) -> dict[str, Any]:
    """Return what inputs must look like and outputs mean, as plain Python."""
    from experiments.run.build import plain_node
    from experiments.spec import ImageSpec, to_plain

    spec, config = loaded.spec, loaded.config
    about: dict[str, Any] = {"model": plain_node(config.model), "spec": to_plain(spec)}
    if isinstance(spec, ImageSpec):
        about["input"] = {
            "shape": ["batch", spec.channels, spec.height, spec.width],
            "resize_short_side": config.data.get("resize") or min(spec.height, spec.width),
            "then_crop_middle": [spec.height, spec.width],
            "scale_pixels_to": [0, 1],
            "then_subtract_mean": list(spec.mean),
            "then_divide_by_std": list(spec.std),
        }
        if config.data.get("fit") in ("stretch", "pad"):  # of images with masks
            for key in ("resize_short_side", "then_crop_middle"):
                del about["input"][key]
            about["input"][f"{config.data.fit}_to"] = [spec.height, spec.width]
    if hasattr(spec, "classes"):
        about["classes"] = list(spec.classes)
    return about
