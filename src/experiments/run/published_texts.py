"""A published language model without a run: it translates, goes on with texts, or tells hidden words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.config.check import require
from experiments.config.compose import compose
from experiments.config.options import content, option_files
from experiments.errors import UserError
from experiments.run.build import build_task, prepare_process
from experiments.run.instantiate import make
from experiments.system.bounded_files import read_json

PAIR, TEXT = "pair", "text"


def text_kind(overrides: Sequence[str], config_dirs: Sequence[str] = ()) -> str | None:
    """Tell what the model that some overrides name reads: `pair` of a translator, `text`, or None for all else."""
    given = dict(word.split("=", 1) for word in overrides if "=" in word)
    file = option_files("model", config_dirs).get(given.get("model", ""))
    option = content(file) if file else {}
    published, reads = option.get("pretrained"), option.get("reads")
    if not isinstance(published, dict) or published.get("library") != "transformers" or not isinstance(reads, dict):
        return None
    kinds = reads.get("kind")
    kinds = [kinds] if isinstance(kinds, str) else list(kinds or ())
    if PAIR in kinds and len(kinds) > 1:  # any family: the folder says which
        return PAIR if _translates(Path(given.get("weights", "")).expanduser()) else TEXT
    return PAIR if PAIR in kinds else TEXT if TEXT in kinds else None


def _translates(folder: Path) -> bool:
    try:
        return bool(read_json(folder / "config.json").get("is_encoder_decoder"))
    except (OSError, ValueError, AttributeError):  # whoever loads the weights says so
        return False


def build_published_text(kind: str, overrides: Sequence[str], config_dirs: Sequence[str] = ()) -> tuple[Any, Any, Any]:
    """Return the config, the spec and the task, in evaluation mode.

    Args:
        kind: as `text_kind` says.
        overrides: with the model and its weights.
        config_dirs: further folders of configs.

    Raises:
        UserError: when there are no weights, or they lack a tokenizer.
    """
    compares = "task=similarity" in overrides
    data_of_kind = "pairs" if kind == PAIR else "sentence_pairs" if compares else "text_file"
    words = [f"data={data_of_kind}", "data.path=.", *overrides]
    if kind == TEXT and not any(word.startswith("task=") for word in overrides):
        words.append(f"task={'' if _writes(overrides, config_dirs) else 'masked_'}language_modelling")
    config = compose(words, config_dirs)
    if config.weights is None:
        raise UserError(
            f"model={config.run.choices.model} weights=null says nothing without training: name a run, or published weights"
        )
    require(config)
    prepare_process(config)
    data = make(config.data)
    data.describe()
    task = build_task(config, data.spec, with_head=True)
    task.eval()
    return config, data.spec, task


def _writes(overrides: Sequence[str], config_dirs: Sequence[str]) -> bool:
    """Tell whether a model goes on with texts, rather than reading them whole."""
    from experiments.models.library.language_decoders import DECODERS

    config = compose(["data=text_file", "data.path=.", *overrides], config_dirs)
    return config.model.get("name") in DECODERS
