"""Wav2Vec 2.0 in stages computes what transformers computes, whatever its neighbours in a batch; weights come by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.batches import Sequences
from experiments.errors import UserError
from experiments.transfer.weights import load_weights

transformers = pytest.importorskip("transformers")

from experiments.models.library.wav2vec2 import Wav2Vec2, _spans  # noqa: E402

SIZES: dict[str, Any] = {
    "filters": [8, 8], "kernels": [10, 3], "strides": [5, 2], "hidden": 16, "layers": 2, "heads": 2, "inner": 16,
    "position_kernel": 8, "position_groups": 2, "projection": 8, "dropout": 0.0, "layerdrop": 0.0, "time_mask": 0.05,
    "time_span": 10, "feature_mask": 0.0, "feature_span": 10,
}  # fmt: skip
PUBLISHED = {"library": "transformers", "name": "facebook/wav2vec2-base-960h", "kinds": ["wav2vec2", "hubert"]}
LETTERS = ("a", "b", " ")


def save(folder: Path, kind: str = "Wav2Vec2", head: str = "ForCTC", **changes: Any) -> Any:
    """A tiny network with random values, saved by the library itself."""
    torch.manual_seed(1)
    config = getattr(transformers, f"{kind}Config")(
        **{
            "conv_dim": [12, 20], "conv_kernel": [10, 3], "conv_stride": [5, 2], "hidden_size": 24, "num_hidden_layers": 2,
            "num_attention_heads": 4, "intermediate_size": 32, "num_conv_pos_embeddings": 8, "vocab_size": 6,
            "num_conv_pos_embedding_groups": 4, "classifier_proj_size": 8, "num_feat_extract_layers": 2,
        }
        | changes
    )  # fmt: skip
    net = getattr(transformers, f"{kind}{head}")(config).eval()
    net.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({"<pad>": 0, "<s>": 1, "|": 2, "B": 3, "A": 4, "C": 5}))
    return net


def sound(*lengths: int) -> Sequences:
    values = torch.randint(-9000, 9000, (len(lengths), max(lengths)), generator=torch.Generator().manual_seed(0))
    return Sequences(values.to(torch.int16), torch.tensor(lengths))


def as_published(samples: torch.Tensor) -> torch.Tensor:
    """As the library's feature extractor scales a recording."""
    samples = samples.float() / 32768
    return (samples - samples.mean()) / (samples.var(unbiased=False) + 1e-7).sqrt()


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("Wav2Vec2", {}),
        ("Wav2Vec2", {"feat_extract_norm": "layer", "do_stable_layer_norm": True}),
        ("Hubert", {"feat_extract_norm": "layer"}),
        ("Hubert", {"feat_proj_layer_norm": False}),
        ("Hubert", {"conv_pos_batch_norm": True}),
        ("WavLM", {}),
        ("WavLM", {"feat_extract_norm": "layer", "do_stable_layer_norm": True}),
        ("UniSpeech", {}),
        ("UniSpeechSat", {}),
    ],
)
def test_scores_are_the_library_s(tmp_path: Path, kind: str, changes: dict[str, Any]) -> None:
    """On weights read from its folder; each recording of a batch as the library scores it alone."""
    net = save(tmp_path, kind, **changes)
    model = Wav2Vec2(16000, 4, every_step=True, source=str(tmp_path), **SIZES).eval()
    load_weights(model, str(tmp_path), "wav2vec2_base", PUBLISHED, True, LETTERS)
    stages = [name for name, _ in model.named_children()]
    norm = ["norm"] if changes.get("do_stable_layer_norm") else []
    assert stages == ["features", "projection", "layer1", "layer2", *norm, "head"]
    batch = sound(3000, 1700, 640)
    with torch.no_grad():
        scores = model(batch)
        for row, length in enumerate(batch.lengths.tolist()):
            wanted = net(as_published(batch.values[row, :length])[None]).logits[0]
            steps = int(scores.lengths[row])
            assert steps == len(wanted)
            # The blank, a, b and the blank between words, by name.
            assert torch.allclose(scores.values[row, :steps], wanted[:, [0, 4, 3, 2]], atol=1e-5)


def test_classes_are_the_library_s(tmp_path: Path) -> None:
    labels = {"id2label": {0: "yes", 1: "no", 2: "up"}, "label2id": {"yes": 0, "no": 1, "up": 2}}
    net = save(tmp_path, head="ForSequenceClassification", **labels)
    model = Wav2Vec2(16000, 2, source=str(tmp_path), **SIZES).eval()
    load_weights(model, str(tmp_path), "wav2vec2_base", PUBLISHED, True, ("no", "yes"))
    batch = sound(3000, 1100)
    with torch.no_grad():
        scores = model(batch)
        for row, length in enumerate(batch.lengths.tolist()):
            wanted = net(as_published(batch.values[row, :length])[None]).logits[0]
            assert torch.allclose(scores[row], wanted[[1, 0]], atol=1e-5)


def test_a_head_for_other_names_keeps_its_own_values(tmp_path: Path) -> None:
    save(tmp_path)
    model = Wav2Vec2(16000, 4, every_step=True, source=str(tmp_path), **SIZES)
    before = {name: value.clone() for name, value in model.head.state_dict().items()}
    load_weights(model, str(tmp_path), "wav2vec2_base", PUBLISHED, False, ("x", "y", "z"))
    assert all(torch.equal(value, before[name]) for name, value in model.head.state_dict().items())
    with pytest.raises(UserError, match=r"no row for 'x', 'y', 'z' in its head: train it first"):
        load_weights(model, str(tmp_path), "wav2vec2_base", PUBLISHED, True, ("x", "y", "z"))


def test_older_names_and_networks_without_a_head_are_read(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    net = save(tmp_path, head="Model")
    file = tmp_path / "model.safetensors"
    state = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): value
        for name, value in load_file(file).items()
    }
    assert any("weight_g" in name for name in state)
    save_file(state, file)
    model = Wav2Vec2(16000, 2, source=str(tmp_path), **SIZES)
    load_weights(model, str(tmp_path), "wav2vec2_base", PUBLISHED, False, ("no", "yes"))
    assert torch.equal(model.layer2.layer.attention.q_proj.weight, net.encoder.layers[1].attention.q_proj.weight)


def test_bad_folders_are_named(tmp_path: Path) -> None:
    save(tmp_path)
    model = Wav2Vec2(16000, 4, every_step=True, source=None, **SIZES)
    with pytest.raises(UserError, match=r"is of another network: it .*has another shape of"):
        load_weights(model, str(tmp_path), "wav2vec2_base", PUBLISHED, False, LETTERS)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"holds pytorch_model\.bin alone, which is code that would be run"):
        load_weights(model, str(tmp_path), "wav2vec2_base", PUBLISHED, False, LETTERS)
    (tmp_path / "pytorch_model.bin").unlink()
    with pytest.raises(UserError, match=r"holds no model\.safetensors"):
        load_weights(model, str(tmp_path), "wav2vec2_base", PUBLISHED, False, LETTERS)


@pytest.mark.parametrize("every_step", [False, True])
def test_every_parameter_learns_and_short_recordings_are_filled_up(every_step: bool) -> None:
    model = Wav2Vec2(16000, 3, every_step=every_step, source=None, **SIZES | {"time_mask": 0.5, "layerdrop": 0.1})
    for _ in range(2):
        out = model(sound(4000, 2000, 5))
        loss = out.values.square().mean() if every_step else out.square().mean()
        loss.backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    silent = Sequences(torch.zeros(1, 3, dtype=torch.int16), torch.tensor([3]))
    out = model.eval()(silent)
    assert (out.values if every_step else out).isfinite().all()


def test_spans_are_hidden_in_their_share_and_inside_each_recording() -> None:
    torch.manual_seed(0)
    lengths = torch.tensor([200, 100, 12, 5])
    chosen = torch.stack([_spans(lengths, 200, 0.3, 10) for _ in range(200)]).float()
    shares = chosen.sum(2).mean(0) / lengths
    assert 0.2 < shares[0] < 0.3 and 0.2 < shares[1] < 0.3  # spans may overlap
    assert not any(chosen[:, row, int(length) :].any() for row, length in enumerate(lengths))
    assert not chosen[:, 3].any()  # too short for a span


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sample_rate": 8000}, r"reads 16000 samples a second and the data gives 8000: set data\.rate=16000"),
        ({"heads": 3}, r"model\.hidden=16 must be a multiple of model\.heads=3"),
        ({"kernels": [10]}, r"have 2, 1 and 2 entries"),
        ({"time_mask": 1.0}, r"model\.time_mask=1\.0 must lie in \[0, 1\)"),
        ({"layers": 0}, r"model\.layers=0 must be 1 or more"),
    ],
)
def test_what_it_cannot_be_is_named(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Wav2Vec2(**{"sample_rate": 16000, "num_classes": 3, "source": None, **SIZES} | changes)
