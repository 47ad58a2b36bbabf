"""Rows of classes are met by name in every head, not in the last layer of one alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.errors import UserError
from experiments.models.googlenet import GoogLeNet
from experiments.models.library.detectors import FasterRCNN, OnePass, SSDLite
from experiments.models.library.torchvision_segmenters import TorchvisionSegmenter
from experiments.models.speech_rnn import SpeechRNN
from experiments.models.stages import Supervised
from experiments.run.names_of_data import match_classes, require_tokens, trained_spec
from experiments.spec import AudioSpec, TextSpec, to_plain
from experiments.transfer.weights import load_weights

TRAINED, HERE = ["cat", "dog", "hen"], ["hen", "cat", "dog"]
ORDER = [2, 0, 1]


def moved(tmp_path: Path, source: torch.nn.Module, model: torch.nn.Module, names: list[str] = HERE) -> Any:
    """Load a network's weights into another one, for classes of the same names in another order."""
    torch.save(source.state_dict(), tmp_path / "weights.pt")
    load_weights(model, str(tmp_path / "weights.pt"), "x", names=names, trained_names=TRAINED)
    return model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "layers"),
    [
        ({"method": "deeplabv3", "auxiliary": True}, 2),
        ({"method": "lraspp", "auxiliary": False}, 1),
    ],
)
def test_segmenters_score_the_same_classes(tmp_path: Path, arguments: dict[str, Any], layers: int) -> None:
    source, model = (TorchvisionSegmenter(3, (32, 32), 3, backbone="mobilenet_v3_large", **arguments) for _ in range(2))
    moved(tmp_path, source, model)
    images = torch.rand(2, 3, 32, 32)
    scores = []
    for network in (source, model):
        network.train().apply(
            lambda module: setattr(module, "p", 0.0) if isinstance(module, torch.nn.Dropout) else None
        )
        logits = network(images)
        scores.append([logits.values, *logits.auxiliary] if isinstance(logits, Supervised) else [logits])
    assert len(scores[0]) == layers
    for before, after in zip(*scores, strict=True):
        assert torch.allclose(before[:, ORDER], after, atol=1e-5)


def test_auxiliary_heads_of_classifiers_score_the_same_classes(tmp_path: Path) -> None:
    source, model = (GoogLeNet(3, (32, 32), 3, stem="small", auxiliary=0.3) for _ in range(2))
    moved(tmp_path, source, model)
    own, ours = source.state_dict(), model.state_dict()
    scores = [name for name, tensor in own.items() if len(tensor.shape) == 2 and len(tensor) == 3]
    assert len(scores) == 3
    for name in scores:
        assert torch.equal(own[name][ORDER], ours[name])


def test_detectors_find_the_same_classes(tmp_path: Path) -> None:
    source, model = SSDLite(3, size=64), SSDLite(3, size=64)
    for layer in source.class_layers:
        torch.nn.init.normal_(source.get_submodule(layer).bias)
    moved(tmp_path, source, model)
    images = [torch.rand(3, 40, 60)]
    with torch.inference_mode():
        before, after = (network.eval()(images)[0] for network in (source, model))

    def named(boxes: dict[str, torch.Tensor], names: list[str]) -> list[tuple[Any, ...]]:
        return sorted(
            (names[int(label)], *(round(float(side), 2) for side in box))
            for label, box in zip(boxes["labels"], boxes["boxes"], strict=True)
        )

    assert len({label for label, *_ in named(before, TRAINED)}) > 1
    assert named(before, TRAINED) == named(after, HERE)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda: FasterRCNN(3, backbone="resnet18", masks=True),
        lambda: OnePass(3, backbone="resnet18"),
    ],
)
def test_rows_of_detectors_go_with_their_class(tmp_path: Path, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Background first, four numbers of a box together, and each anchor with its classes."""
    source, model = make(), make()
    moved(tmp_path, source, model)
    own, ours = source.state_dict(), model.state_dict()
    assert model.class_layers
    for layer, together in model.class_layers.items():
        for kind in ("weight", "bias"):
            rows, new = (
                network[f"{layer}.{kind}"].reshape(-1, 4, together, *own[f"{layer}.{kind}"].shape[1:])
                for network in (own, ours)
            )
            assert torch.equal(rows[:, [0, 3, 1, 2]], new)
    before = {name: value.clone() for name, value in make().state_dict().items()}
    model.load_state_dict(before)
    moved(tmp_path, source, model, ["cat", "dog", "cow"])
    assert "does not know the classes cow: its layers of classes begin anew" in caplog.text
    ours = model.state_dict()
    fresh = {f"{layer}.{kind}" for layer in model.class_layers for kind in ("weight", "bias")}
    for name, value in ours.items():
        assert torch.equal(value, before[name] if name in fresh else own[name])


def speech(outputs: int) -> SpeechRNN:
    sizes = {"bands": 8, "coefficients": 4, "window": 25.0, "hop": 10.0, "filters": [2], "kernel": [3, 3], "stride": 2, "hidden": 4, "layers": 1}  # fmt: skip
    masks = dict.fromkeys(("time_masks", "time_mask", "band_masks", "band_mask", "dropout"), 0)
    words = {"features": "log_mel", "cell": "gru", "bidirectional": False, "pooling": "mean"}
    return SpeechRNN(8000, outputs, every_step=True, **(sizes | masks | words))  # type: ignore[arg-type]


def test_symbols_of_speech_go_with_their_rows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The blank stays first."""
    source, model = speech(4), speech(4)
    moved(tmp_path, source, model)
    for kind in ("weight", "bias"):
        before, after = (network.state_dict()[f"head.scores.{kind}"] for network in (source, model))
        assert torch.equal(before[[0, 3, 1, 2]], after)
    moved(tmp_path, source, speech(3), ["cat", "dog"])
    assert "knows 3 symbols and the data has 2: the head begins anew" in caplog.text


def test_transcripts_meet_the_symbols_of_a_run_by_name() -> None:
    class Data:
        spec = AudioSpec(8000, 100, 100, symbols=("a", "c"))

        def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
            return batch

    data, trained = Data(), AudioSpec(8000, 90, 90, symbols=("a", "b", "c"))
    match_classes(data, trained, "data=x")
    _, target = data.on_after_batch_transfer((None, torch.tensor([[1, 0, 1], [0, -100, -100]])), 0)
    assert target.tolist() == [[2, 0, 2], [0, -100, -100]] and data.spec.symbols == trained.symbols
    data.spec = AudioSpec(8000, 100, 100, symbols=("a", "x"))
    with pytest.raises(UserError, match=r"symbols that the run does not know \(x\); it knows a, b, c"):
        match_classes(data, trained, "data=x")


def test_a_checkpoint_without_its_tokenizer_meets_no_other_words(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spec = TextSpec(100, 5, 9, ("bad", "good"))
    torch.save({"spec": to_plain(spec), "state_dict": {}}, tmp_path / "taken_out.ckpt")
    trained = trained_spec(str(tmp_path / "taken_out.ckpt"))
    assert trained == spec
    fitted, named = ({"tokenizer": {"kind": "word", "source": source}} for source in (None, "run/tokenizer.json"))
    with pytest.raises(UserError, match=r"its tokenizer is not beside it: .* in data\.tokenizer\.source"):
        require_tokens(fitted, spec, trained, "taken_out.ckpt")
    require_tokens(named, spec, trained, "taken_out.ckpt")
    assert not caplog.text
    require_tokens(fitted, spec, None, "plain.pt")
    assert "weights=plain.pt does not say which tokens its rows are" in caplog.text


def test_rows_of_a_vocabulary_are_no_classes() -> None:
    """A head over 8 tokens beside data with two classes stays as it is."""
    from experiments.transfer.class_rows import by_name

    model = torch.nn.Module()
    model.head = torch.nn.Linear(3, 8)  # type: ignore[assignment]
    state = {name: torch.randn_like(value) for name, value in model.state_dict().items()}
    rows = by_name(state, model, list(state), ["ham", "spam"], ["good", "bad"], "x", False)
    assert all(rows[name] is state[name] for name in state)


def test_detectors_load_from_what_other_code_wraps_them_in(tmp_path: Path) -> None:
    """Numbers of NumPy beside the tensors do no harm."""
    source = SSDLite(3, size=64)
    state = {f"net._orig_mod.{name}": value for name, value in source.state_dict().items()}
    torch.save({**state, "epoch": np.int64(3), "score": np.float32(0.5)}, tmp_path / "wrapped.pt")
    model = SSDLite(3, size=64)
    load_weights(model, str(tmp_path / "wrapped.pt"), "x")
    for before, after in zip(source.state_dict().values(), model.state_dict().values(), strict=True):
        assert torch.equal(before, after)
