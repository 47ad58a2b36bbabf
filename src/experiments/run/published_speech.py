"""A published network that writes what it hears, for recordings, without a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.config.check import require
from experiments.config.compose import compose
from experiments.config.options import content, option_files
from experiments.config.sound_networks import with_sound_network
from experiments.errors import UserError
from experiments.run.build import build_task, prepare_process
from experiments.spec import AudioSpec
from experiments.system.bounded_files import read_json
from experiments.system.hub import hub_name, published_folder


def is_speech(overrides: Sequence[str], config_dirs: Sequence[str] = ()) -> bool:
    """Tell whether the model that some overrides name reads speech."""
    words = with_sound_network(overrides, config_dirs)
    name = next((word.partition("=")[2] for word in words if word.startswith("model=")), None)
    file = option_files("model", config_dirs).get(name or "")
    reads = content(file).get("reads") if file else None
    return isinstance(reads, dict) and "speech" in (reads.get("kind") or [])


def build_published_speech(overrides: Sequence[str], config_dirs: Sequence[str] = ()) -> tuple[Any, AudioSpec, Any]:
    """Return the config, the spec and the task, in evaluation mode.

    Raises:
        UserError: when there are no weights, or they lack what turns numbers into text.
    """
    config = compose(["data=ljspeech", "data.root=.", *overrides], config_dirs)
    model, weights = config.run.choices.model, config.weights
    library = (config.model.get("pretrained") or {}).get("library")
    if weights is None or library != "transformers":
        raise UserError(
            f"model={model} weights={weights} writes no text without training: name a run, or published weights"
        )
    require(config)
    prepare_process(config)
    folder = published_folder(weights) if hub_name(weights, config.model) else Path(weights)
    spec = AudioSpec(int(config.data.rate), 0, 0, symbols=_symbols(folder))
    task = build_task(config, spec, with_head=True)
    task.eval()
    return config, spec, task


def _symbols(folder: Path) -> tuple[str, ...]:
    """Return the characters that a published head scores, by vocab.json; where there is none the tokenizer knows."""
    path = folder / "vocab.json"
    if not path.is_file():
        return (" ",)
    try:
        names = read_json(path)
        letters = {name.lower() for name in names if len(name) == 1}
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}): fetch it again") from error
    return tuple(sorted({" " if letter == "|" else letter for letter in letters}))
