"""Whisper in stages computes what transformers computes: spectrum, encoder, decoder step by step, classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.batches import Sequences
from experiments.errors import UserError
from experiments.transfer.weights import load_weights

transformers = pytest.importorskip("transformers")

from experiments.models.library.log_mel import LogMel  # noqa: E402
from experiments.models.library.whisper import WhisperSpoken, whisper  # noqa: E402

SIZES: dict[str, Any] = {
    "window": 2.0, "bands": 16, "hidden": 16, "layers": 2, "heads": 2, "inner": 32, "longest_text": 32, "projection": 8,
    "dropout": 0.0,
}  # fmt: skip
PUBLISHED = {"library": "transformers", "name": "openai/whisper-tiny", "kinds": ["whisper"]}


def save(folder: Path, kind: str = "WhisperForConditionalGeneration", **changes: Any) -> Any:
    torch.manual_seed(1)
    config = transformers.WhisperConfig(
        **{
            "vocab_size": 40, "num_mel_bins": 20, "d_model": 24, "encoder_layers": 2, "decoder_layers": 3,
            "encoder_attention_heads": 2, "decoder_attention_heads": 4, "encoder_ffn_dim": 32, "decoder_ffn_dim": 48,
            "max_source_positions": 100, "max_target_positions": 24, "classifier_proj_size": 8, "pad_token_id": 0,
            "bos_token_id": 1, "eos_token_id": 0, "decoder_start_token_id": 1, "suppress_tokens": None,
            "begin_suppress_tokens": None,
        }
        | changes
    )  # fmt: skip
    net = getattr(transformers, kind)(config).eval()
    net.save_pretrained(folder)
    return net


def tokenizer(folder: Path) -> None:
    """Letters as tokens, with the names that published tokenizers have."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    letters = {letter: number for number, letter in enumerate(["Ġ", *"abcdefghijklmnopqrst"], 2)}
    names = {"<|endoftext|>": 0, "<|startoftranscript|>": 1, **letters}
    made = Tokenizer(models.BPE(vocab=names, merges=[], unk_token=None))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    made.add_special_tokens([AddedToken(name, special=True) for name in ("<|endoftext|>", "<|startoftranscript|>")])
    made.add_special_tokens([AddedToken("<|notimestamps|>", special=True)])
    assert made.token_to_id("<|notimestamps|>") == 23
    made.save(str(folder / "tokenizer.json"))


def sound(*lengths: int) -> Sequences:
    values = torch.randint(-9000, 9000, (len(lengths), max(lengths)), generator=torch.Generator().manual_seed(0))
    heard = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return Sequences((values * heard).to(torch.int16), torch.tensor(lengths))


def spectrum(batch: Sequences, seconds: int, bands: int) -> torch.Tensor:
    """The library's, (B, bands, frames)."""
    extractor = transformers.WhisperFeatureExtractor(feature_size=bands, chunk_length=seconds)
    clips = [row[:length].float().numpy() / 32768 for row, length in zip(batch.values, batch.lengths, strict=True)]
    return extractor(clips, sampling_rate=16000, return_tensors="pt").input_features


@pytest.mark.parametrize("seconds", [30, 2])
def test_the_spectrum_is_the_library_s(seconds: int) -> None:
    batch = sound(20000, 400, 31999)
    ours = LogMel(80, float(seconds))(batch)
    assert torch.allclose(ours.values.transpose(1, 2), spectrum(batch, seconds, 80), atol=1e-5)
    assert ours.lengths.tolist() == [125, 3, 200]


def test_scores_are_the_library_s_at_once_and_step_by_step(tmp_path: Path) -> None:
    net = save(tmp_path)
    tokenizer(tmp_path)
    model: Any = whisper(16000, None, ("a",), source=str(tmp_path), **SIZES).eval()
    load_weights(model, str(tmp_path), "whisper_tiny", PUBLISHED, True, ("a",))
    stages = [name for name, _ in model.named_children()]
    assert stages == [
        "features", "convolutions", "layer1", "layer2", "norm", "embedding", "decoder1", "decoder2", "decoder3", "head",
    ]  # fmt: skip
    batch = sound(20000, 8000)
    tokens = torch.randint(2, 40, (2, 9), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        wanted = net(spectrum(batch, 2, 20), decoder_input_ids=tokens).logits
        assert torch.allclose(model(WhisperSpoken(batch, tokens)), wanted, atol=1e-5)
        state = model.listen(batch)
        for begin, end in ((0, 4), (4, 5), (5, 9)):
            stepped, state = model.advance(tokens[:, begin:end], state)
            assert torch.allclose(stepped, wanted[:, end - 1], atol=1e-5)
        # Three beams a recording share its sound.
        state = model.listen(batch)
        _, state = model.advance(tokens[:, :4], state)
        state = state.follow(torch.tensor([0, 0, 0, 1, 1, 1]))
        stepped, _ = model.advance(tokens[:, 4:5].repeat_interleave(3, 0), state)
        assert torch.allclose(stepped, wanted[:, 4].repeat_interleave(3, 0), atol=1e-5)
        looks = model.attention(batch, tokens)
    assert looks.shape == (2, 9, 100) and torch.allclose(looks.sum(2), torch.ones(2, 9), atol=1e-5)


def test_classes_are_the_library_s(tmp_path: Path) -> None:
    """Of recordings that fill the window; of shorter ones ours leaves out the silence behind."""
    labels = {"id2label": {0: "yes", 1: "no", 2: "up"}, "label2id": {"yes": 0, "no": 1, "up": 2}}
    net = save(tmp_path, "WhisperForAudioClassification", **labels)
    model: Any = whisper(16000, 2, source=str(tmp_path), **SIZES).eval()
    load_weights(model, str(tmp_path), "whisper_tiny", PUBLISHED, True, ("no", "up"))
    batch = sound(32000, 32000)
    with torch.no_grad():
        wanted = net(spectrum(batch, 2, 20)).logits
        assert torch.allclose(model(batch), wanted[:, [1, 2]], atol=1e-5)
        short = sound(16000, 4000)
        alone = model(Sequences(short.values[1:, :4000], short.lengths[1:]))
        assert torch.allclose(model(short)[1:], alone, atol=1e-5)


def test_the_encoder_of_a_transcriber_serves_classes(tmp_path: Path) -> None:
    net = save(tmp_path)
    model: Any = whisper(16000, 2, source=str(tmp_path), **SIZES)
    load_weights(model, str(tmp_path), "whisper_tiny", PUBLISHED, False, ("no", "yes"))
    ours, theirs = model.layer2.layer.fc1.weight, net.model.encoder.layers[1].fc1.weight
    assert torch.equal(ours, theirs)
    with pytest.raises(UserError, match="has no head for this task: train it first"):
        load_weights(model, str(tmp_path), "whisper_tiny", PUBLISHED, True, ("no", "yes"))


def test_every_parameter_learns() -> None:
    model: Any = whisper(16000, None, tuple("abc"), source=None, **SIZES)
    model(WhisperSpoken(sound(9000, 3000), torch.tensor([[1, 2, 3], [1, 3, 4]]))).square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    classes: Any = whisper(16000, 3, source=None, **SIZES)
    classes(sound(9000, 3000)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in classes.parameters())
    assert [name for name, _ in classes.named_children()][-3:] == ["norm", "pooling", "head"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sample_rate": 8000}, r"set data\.rate=16000"),
        ({"heads": 3}, r"model\.hidden=16 must be a multiple of model\.heads=3"),
        ({"window": 0.0}, r"model\.window=0\.0 must lie between"),
        ({"bands": 0}, r"model\.bands=0 must be 1 or more"),
    ],
)
def test_what_it_cannot_be_is_named(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        whisper(**{"sample_rate": 16000, "num_classes": 3, "source": None, **SIZES} | changes)


def test_bad_folders_are_named(tmp_path: Path) -> None:
    save(tmp_path)
    with pytest.raises(ValueError, match=r"has no tokenizer\.json"):
        whisper(16000, None, ("a",), source=str(tmp_path), **SIZES)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="is of a bert and not of whisper"):
        whisper(16000, 2, source=str(tmp_path), **SIZES)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json cannot be read"):
        whisper(16000, 2, source=str(tmp_path), **SIZES)
