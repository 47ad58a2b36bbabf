"""Published weights, by the code of the libraries that publish them, and the images they expect."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiments.errors import UserError, first_line

# torchvision normalises the images of these as for others, and then again inside the network; this is both in one.
_HALVES = ("GoogLeNet_Weights", "Inception_V3_Weights")


def published_state(published: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the state dict of published weights, under the names of their library; fetched once into its cache.

    Args:
        published: `weights` names one of torchvision's, as ResNet18_Weights.IMAGENET1K_V1; or `library` and `name`
            a model of torchvision or timm, for its default weights.

    Raises:
        UserError: when there are none, or they are not here and cannot be fetched.
    """
    if published.get("library") == "timm":
        return _from_timm(str(published["name"]))
    weights = torchvision_weights(published)
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    try:
        return weights.get_state_dict(progress=False, check_hash=True)
    except Exception as error:
        why = "it is damaged" if file.exists() else f"it cannot be fetched: {first_line(error)}"
        raise UserError(
            f"weights=pretrained needs {file.name} ({why}): get it from {weights.url} and put it into {file.parent}, "
            "or give its path as weights=PATH"
        ) from error


def torchvision_weights(published: Mapping[str, Any]) -> Any:
    """Return one member of torchvision's enumerations of weights.

    Raises:
        UserError: when the model has none.
    """
    from torchvision.models import get_model_weights, get_weight  # type: ignore[import-untyped]

    if "weights" in published:
        return get_weight(published["weights"])
    published_names = list(get_model_weights(published["name"]))
    if not published_names:
        raise UserError(f"model.name={published['name']} has no published weights: use weights=null or a path")
    return get_model_weights(published["name"]).DEFAULT


def expected_images(published: Mapping[str, Any]) -> dict[str, Any]:
    """Return what published weights expect of their images: `size`, `resize`, `interpolation`, `mean` and `std`, as far
    as they say.
    """
    if published.get("library") == "timm":
        from timm.data import resolve_model_data_config  # type: ignore[import-untyped]
        from timm.models import get_pretrained_cfg  # type: ignore[import-untyped]

        config = get_pretrained_cfg(published["name"])
        transforms = resolve_model_data_config(None, pretrained_cfg=config.to_dict() if config else {})
        size = transforms["input_size"][-1]
        return {
            "size": size,
            "resize": int(size / transforms["crop_pct"]),
            "interpolation": transforms["interpolation"],
            "mean": list(transforms["mean"]),
            "std": list(transforms["std"]),
        }
    weights = torchvision_weights(published)
    transforms = weights.transforms()
    half = [0.5, 0.5, 0.5] if type(weights).__name__ in _HALVES else None
    return {
        "size": transforms.crop_size[0],
        "resize": transforms.resize_size[0],
        "interpolation": transforms.interpolation.value,
        "mean": half or list(transforms.mean),
        "std": half or list(transforms.std),
    }


def shorter_side(published: Mapping[str, Any]) -> int:
    """Pixels that the shorter side of an image is brought to for published weights of a segmenter."""
    return torchvision_weights(published).transforms().resize_size[0]


def class_names(published: Mapping[str, Any]) -> list[str]:
    """Names of the classes that published weights tell apart.

    Raises:
        UserError: when the library does not say.
    """
    if published.get("library") == "timm":
        from timm.data import ImageNetInfo, infer_imagenet_subset  # type: ignore[import-untyped]
        from timm.models import get_pretrained_cfg  # type: ignore[import-untyped]

        config = get_pretrained_cfg(published["name"])
        subset = infer_imagenet_subset(config.to_dict()) if config else None
        if subset is None:
            raise UserError(f"model.name={published['name']} says no classes: evaluate it on data that has them")
        info = ImageNetInfo(subset)
        return [info.index_to_description(index) for index in range(info.num_classes())]
    return torchvision_weights(published).meta["categories"]


def _from_timm(name: str) -> dict[str, Tensor]:
    import logging

    import timm  # type: ignore[import-untyped]
    from timm.models import get_pretrained_cfg  # type: ignore[import-untyped]

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it tells of every attempt
    stated = get_pretrained_cfg(name)
    source = stated.hf_hub_id if stated and stated.hf_hub_id else f"timm/{name}"
    try:
        return timm.create_model(name, pretrained=True).state_dict()
    except RuntimeError as error:
        raise UserError(f"model.name={name}: {first_line(error)}; use weights=null or the path of a file") from error
    except Exception as error:
        raise UserError(
            f"weights=pretrained needs model.safetensors of {source}, which cannot be fetched ({type(error).__name__}): fetch it where "
            "there is a network and put the cache (HF_HOME) here, or give the file as weights=PATH"
        ) from error
