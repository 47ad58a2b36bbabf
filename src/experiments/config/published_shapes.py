"""What a model reads as published, for tables and pictures of it without any data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments.config.fitting_task import inherited

# Data that need no files, by what a model reads.
STAND_INS = {
    "image": "digits",
    "masks": "generated_masks",
    "boxes": "generated_boxes",
    "instances": "generated_boxes",
    "text": "generated_reviews",
    "words": "generated_entities",
    "question": "generated_questions",
    "sequence": "adding",
    "series": "generated_series",
    "pair": "generated_pairs",
    "audio": "generated_tones",
    "speech": "generated_words",
    "control": "control",
}
_NAMES_DATA = ("data", "experiment", "sweep")


def names_data(words: Sequence[str]) -> bool:
    """Tell whether a command line chooses data, or no model: then nothing is put in their place."""
    chosen = {word.lstrip("+~").partition("=")[0] for word in words}
    return "model" not in chosen or bool(chosen & set(_NAMES_DATA))


def with_stand_in(words: Sequence[str], config_dirs: Sequence[str] = ()) -> list[str]:
    """Adds data that need no files and are of the kind that the chosen model reads."""
    if names_data(words):
        return list(words)
    model = next(word.partition("=")[2] for word in words if word.startswith("model="))
    kind = (inherited("model", model, "reads", config_dirs, of="kind") or {}).get("kind")
    first = kind[0] if isinstance(kind, list) else kind
    return [*words, f"data={STAND_INS[first]}"] if first in STAND_INS else list(words)


def published_fields(config: Any) -> dict[str, Any]:
    """Fields of the data's spec that a model was published with, as channels, size and classes of images; empty where it
    states none."""
    stated = dict((config.model.get("about") or {}).get("published") or {})
    pretrained = config.model.get("pretrained") or {}
    if stated or not pretrained.get("size"):
        return stated
    return {"channels": 3, "size": pretrained["size"], "classes": 1000}  # published weights of images are ImageNet's
