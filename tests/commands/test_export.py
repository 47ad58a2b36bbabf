"""`experiments export`: files that compute what the run computes, with what belongs to them, or no file and a sentence."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments import load, train

Experiments = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolutional network after two batches of scanned digits."""
    folder = tmp_path_factory.mktemp("digits") / "run"
    words = ["trainer=quick", "trainer.accelerator=cpu", "callbacks=none", "logger=none", f"hydra.run.dir={folder}"]
    train(*words, data="digits", model="simple_cnn")
    return folder


@pytest.fixture(scope="module")
def images(run: Path) -> torch.Tensor:
    return load(str(run)).data.sample("test", 5)[0]


@pytest.mark.slow
def test_safetensors_hold_the_weights_and_load_again(run: Path, images: torch.Tensor, experiments: Experiments) -> None:
    from safetensors import safe_open

    code, printed, errors = experiments("export", str(run), "--format", "safetensors", "--to", "net.safetensors")
    assert code == 0, errors
    assert "agreement      largest difference 0.0e+00, on 16 test examples in batches of 16, 3 and 1" in printed
    with safe_open("net.safetensors", "pt") as file:
        about = json.loads(file.metadata()["preprocessing"])
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no dictionary
    loaded = load(str(run))
    assert about == json.loads(Path("net.safetensors.json").read_text())
    assert about["classes"] == [str(digit) for digit in range(10)]
    assert about["input"]["then_subtract_mean"] == list(loaded.spec.mean)
    assert about["input"]["shape"] == ["batch", 1, 8, 8]
    assert all(torch.equal(state[name], value) for name, value in loaded.model.state_dict().items())
    assert {path.name for path in Path().iterdir()} == {"net.safetensors", "net.safetensors.json"}
    words = ["data=digits", "model=simple_cnn", "trainer=quick", "callbacks=none", "logger=none"]
    code, _, errors = experiments("train", *words, "weights=net.safetensors", "hydra.run.dir=again")
    assert code == 0, errors


@pytest.mark.slow
def test_torch_export_needs_none_of_our_classes(
    run: Path, images: torch.Tensor, experiments: Experiments, recwarn: pytest.WarningsRecorder
) -> None:
    code, printed, errors = experiments("export", str(run), "--format", "torch-export")
    assert code == 0, errors
    assert not [warning for warning in recwarn if "complete tensor" in str(warning.message)]
    path = run / "export" / "simple_cnn.pt2"
    assert f"file           {path}" in printed
    inside = {"preprocessing.json": ""}
    network = torch.export.load(path, extra_files=inside).module()
    with torch.no_grad():
        torch.testing.assert_close(
            network(images), load(str(run)).model(images)
        )  # another batch size than it was made with
    assert json.loads(inside["preprocessing.json"])["model"]["hidden"] == 128


@pytest.mark.slow
def test_onnx_runs_without_torch(run: Path, images: torch.Tensor, experiments: Experiments) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    code, _, errors = experiments("export", str(run), "--format", "onnx", "--to", "deep/net.onnx")
    assert code == 0, errors
    session = onnxruntime.InferenceSession("deep/net.onnx", providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    assert isinstance(entry.shape[0], str) and entry.shape[1:] == [1, 8, 8]  # any batch size
    (scores,) = session.run(None, {entry.name: images.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(scores, load(str(run)).model(images).numpy(), atol=1e-4)
    about = json.loads(session.get_modelmeta().custom_metadata_map["preprocessing"])
    assert about["spec"]["kind"] == "ImageSpec"


@pytest.mark.slow
def test_a_file_that_differs_is_not_left(run: Path, experiments: Experiments, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.commands import export_formats

    write, read = export_formats.FORMS["safetensors"]

    def spoilt(path: Path, loaded: object, network: object) -> Callable[..., object]:
        again = read(path, loaded, network)
        next(again.parameters()).data.mul_(1.5)  # type: ignore[attr-defined]
        return again

    monkeypatch.setitem(export_formats.FORMS, "safetensors", (write, spoilt))
    code, _, errors = experiments("export", str(run), "--format", "safetensors", "--to", "here/net.safetensors")
    assert code == 1
    assert "the network written as safetensors differs by" in errors and "no file is left" in errors
    assert not list(Path("here").iterdir())


def test_packages_that_are_missing_are_named(
    run: Path, experiments: Experiments, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "onnx" in name else real(name))
    code, _, errors = experiments("export", str(run), "--format", "onnx")
    assert code == 2
    assert errors == (
        "error: --format onnx needs onnx and onnxscript and onnxruntime: pip install 'lightning-experiments[export]', "
        "or --format torch-export\n"
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere"], "nowhere does not exist: name the folder of a run"),
        (
            ["model=resnet18", "weights=pretrained"],
            "model=resnet18 weights=pretrained comes without a dataset: name image",
        ),
        (["RUN", "model=lenet5"], "model=lenet5 would make"),
        (["RUN", "--to", "."], "--to . is a folder: name a file such as"),
    ],
)
def test_mistakes_are_one_sentence(run: Path, experiments: Experiments, words: list[str], sentence: str) -> None:
    words = [str(run) if word == "RUN" else word for word in words]
    code, _, errors = experiments("export", *words, "--format", "safetensors")
    assert code == 2 and errors.startswith(f"error: {sentence}") and errors.count("\n") == 1
