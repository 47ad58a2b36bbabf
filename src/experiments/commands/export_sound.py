"""A run's network of sound as a folder that `transformers` loads: Wav2Vec 2.0 and its like, and Whisper."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.batches import Encoded, Sequences
from experiments.errors import UserError

if TYPE_CHECKING:
    from experiments.run.loaded import Loaded

BLANK, BETWEEN_WORDS = "<pad>", "|"  # as the library's tokenizer of letters calls them
_OF_WHISPER = ("generation_config.json", "preprocessor_config.json", "tokenizer.json", "vocab.json")


def is_sound(model: Any) -> bool:
    """Tell whether a network of the library reads sound."""
    return hasattr(model, "head_names") and hasattr(model, "config")


def write_sound(loaded: Loaded, place: Path) -> None:
    """Writes config.json, the tensors and what turns sound into numbers and numbers into text.

    Raises:
        UserError: when the library has no network that computes what the run's does.
    """
    import transformers

    model: Any = loaded.model
    config = type(model.config).from_dict(model.config.to_dict())
    if hasattr(model, "words"):
        published = loaded.folder / "published"
        if not (published / "tokenizer.json").is_file():
            raise UserError(
                "--format transformers writes Whisper with its tokenizer, and this run writes characters of its own: begin with weights=FOLDER"
            )
        for name in _OF_WHISPER:
            if (published / name).is_file():
                shutil.copyfile(published / name, place / name)
        kind: Any = transformers.AutoModelForSpeechSeq2Seq
    elif config.model_type == "whisper":
        raise UserError(
            "--format transformers: the library's classifier on Whisper hears the silence behind a recording and this run's does not: "
            "use --format safetensors"
        )
    else:
        kind = _letters(loaded, config, place) if model.blank else _classes(loaded, config)
        transformers.Wav2Vec2FeatureExtractor(
            sampling_rate=loaded.spec.rate, return_attention_mask=True
        ).save_pretrained(place)
    net = kind.from_config(config)
    state, theirs = model.state_dict(), net.state_dict()
    names = dict(model.published_names) | {
        f"{head}.{end}": f"{ours}.{end}" for head, ours in model.head_names.items() for end in ("weight", "bias")
    }
    net.load_state_dict({name: state[ours] for name, ours in names.items() if name in theirs}, strict=False)
    transformers.utils.logging.disable_progress_bar()
    net.save_pretrained(place)


def _letters(loaded: Loaded, config: Any, place: Path) -> Any:
    """Write the names of the head's rows; return the library's class."""
    import transformers

    rows = {BLANK: 0} | {
        BETWEEN_WORDS if symbol == " " else symbol: row for row, symbol in enumerate(loaded.spec.symbols, 1)
    }
    vocabulary = place / "vocab.json"
    vocabulary.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    tokenizer = transformers.Wav2Vec2CTCTokenizer(
        str(vocabulary), pad_token=BLANK, unk_token=BLANK, bos_token=None, eos_token=None, word_delimiter_token=BETWEEN_WORDS
    )  # fmt: skip
    tokenizer.save_pretrained(place)
    config.vocab_size, config.pad_token_id = len(rows), 0
    config.bos_token_id = config.eos_token_id = None
    return transformers.AutoModelForCTC


def _classes(loaded: Loaded, config: Any) -> Any:
    import transformers

    names = loaded.spec.classes
    config.id2label, config.label2id = dict(enumerate(names)), {name: row for row, name in enumerate(names)}
    config.use_weighted_layer_sum = False
    return transformers.AutoModelForAudioClassification


def compare_sound(loaded: Loaded, place: Path) -> float:
    """Return the largest difference of the scores of some test recordings, each alone."""
    import torch
    import transformers

    model: Any = loaded.model
    sounds, _ = loaded.data.sample("test", 4)
    listens = hasattr(model, "words")
    kind = (
        transformers.AutoModelForSpeechSeq2Seq
        if listens
        else transformers.AutoModelForCTC
        if model.blank
        else transformers.AutoModelForAudioClassification
    )
    net = kind.from_pretrained(place, local_files_only=True).eval()
    largest = 0.0
    with torch.no_grad():
        for row, length in zip(sounds.values, sounds.lengths.tolist(), strict=True):
            if not listens and length < model.features.field:  # which the library does not take
                continue
            sound = Sequences(row[None, :length], torch.tensor([length]))
            ours, theirs = _heard(model, net, sound) if listens else _scored(model, net, sound)
            largest = max(largest, float((ours - theirs).abs().max()))
    return largest


def _heard(model: Any, net: Any, sound: Sequences) -> tuple[Any, Any]:
    """Scores of the first token, of the window that was published."""
    import torch

    from experiments.models.library.log_mel import LogMel
    from experiments.models.library.whisper import WhisperSpoken

    spectrum = LogMel(model.config.num_mel_bins, model.config.max_source_positions / 50)(sound)
    start = torch.tensor([[model.words.start]])
    ours = model(WhisperSpoken(Encoded(spectrum.values, spectrum.lengths, 1), start))
    return ours, net(input_features=spectrum.values.transpose(1, 2), decoder_input_ids=start).logits


def _scored(model: Any, net: Any, sound: Sequences) -> tuple[Any, Any]:
    ours = model(sound)
    samples = sound.values.float() / 32768
    samples = (samples - samples.mean()) / (samples.var(unbiased=False) + 1e-7).sqrt()
    return ours.values if isinstance(ours, Sequences) else ours, net(samples).logits
