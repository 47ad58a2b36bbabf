"""What published weights expect of images, and models and tasks of sound, taken over by the data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from experiments.errors import UserError

KEYS = ("size", "resize", "interpolation", "mean", "std")


def take_over_published(config: Any) -> None:
    """Fills in what the data of a config leaves open: for `weights=pretrained` what they expect, and what a model of sound reads.

    Raises:
        UserError: when a value stands where the published weights are described.
    """
    published = config["model"].get("pretrained") or {}
    if not isinstance(published, Mapping) and not hasattr(published, "keys"):
        raise UserError(
            f"model.pretrained={published} stands where the published weights are described: write weights=pretrained"
        )
    if config["weights"] == "pretrained" and "size" in published:
        take_over(config["data"], published, given_keys(config))
    take_over_sound(config["data"], config["model"], config["task"])
    data = config["data"]
    if writes_every_character(config) and data.get("unknown", "") is None:
        data["unknown"] = "keep"


def writes_every_character(config: Any) -> bool:
    """Tell whether the tokens of the weights, and no alphabet of the training transcripts, are what the model writes."""
    return config["weights"] is not None and bool(config["task"].get("writes_tokens"))


def take_over_sound(data: Any, model: Any, task: Any) -> None:
    """Fills in what a data config of sound leaves open (null): the rate that the model reads, how the task wants transcripts."""
    rate = (model.get("reads") or {}).get("rate")
    if rate and "rate" in data and data["rate"] is None:
        data["rate"] = rate
    if "normalise" in data and data["normalise"] is None:
        data["normalise"] = task.get("transcripts") or "simple"


def given_keys(config: Any) -> list[str]:
    """Keys that were set on the command line."""
    return [word.lstrip("+").partition("=")[0] for word in config["run"]["overrides"]]


def take_over(data: Any, expected: Mapping[str, Any], given: Collection[str] = ()) -> None:
    """Fills in what a data config leaves open (null) of size, crop, interpolation and normalisation.

    Args:
        data: a data config with some of the keys `size`, `resize`, `interpolation`, `mean` and `std`; changed in place.
        expected: their values for the published weights.
        given: keys that the user set, whatever to.
    """
    if "size" not in data:
        return
    grey = (data.get("gives") or {}).get("channels") == 1 or bool(data.get("grey"))
    for key in KEYS:
        value: Any = expected.get(key)
        if key not in data or data[key] is not None or value is None or f"data.{key}" in given:
            continue
        if key == "resize" and data["size"] != expected["size"]:
            value = round(data["size"] * value / expected["size"]) if data["size"] else None
        if key in ("mean", "std"):
            value = [sum(value) / len(value)] if grey else list(value)
        data[key] = value
