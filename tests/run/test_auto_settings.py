"""Which precision and memory format `auto` stands for, what the record says of it, and the table of `experiments benchmark`."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from experiments.models.cnn import SimpleCNN
from experiments.models.dense import MLP
from experiments.models.mobilenet import MobileNetV2
from experiments.run.auto_settings import arrange, fastest

RUN = ["data=digits", "trainer=quick", "trainer.accelerator=cpu", "callbacks=none", "logger=none", "hydra.run.dir=run"]


@pytest.mark.parametrize(
    ("has_bfloat16", "model", "flops", "expected"),
    [
        (True, SimpleCNN(), 1e9, ("bf16-mixed", "channels_last")),
        (False, SimpleCNN(), 1e9, ("32-true", "channels_last")),
        (True, SimpleCNN(), 1e5, ("32-true", "channels_last")),
        (True, MLP(), 1e9, ("bf16-mixed", "contiguous")),
        (True, MobileNetV2(), 1e9, ("32-true", "channels_last")),
    ],
)
def test_the_rule_on_a_cpu(
    monkeypatch: pytest.MonkeyPatch, has_bfloat16: bool, model: nn.Module, flops: int, expected: tuple[str, str]
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_tile": False, "avx512_bf16": has_bfloat16})
    assert fastest("auto", "auto", model, flops, "cpu") == expected
    assert fastest("64-true", "contiguous", model, flops, "cpu") == ("64-true", "contiguous")


def test_the_rule_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for has_bf16, precision in ((True, "bf16-mixed"), (False, "16-mixed")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, has_bf16=has_bf16: has_bf16)
        assert fastest("auto", "auto", SimpleCNN(), 1e9, "gpu") == (precision, "channels_last")
    assert fastest("32-true", "auto", SimpleCNN(), 1e9, "gpu").memory_format == "contiguous"


def test_channels_last_changes_no_value() -> None:
    model, images = SimpleCNN().eval(), torch.randn(2, 3, 32, 32)
    before = model(images)
    arrange(model, "channels_last")
    assert model.conv1[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(model(images), before, atol=1e-5)


def test_large_weights_stay_as_they_are_where_that_changes_no_bit() -> None:
    """On a CPU torch copies a large weight with channels last at each step; what passes between layers has channels last."""
    formats = []

    def note(layer: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        formats.append(output.is_contiguous(memory_format=torch.channels_last))

    outputs, images = [], torch.randn(2, 3, 8, 8)
    for device in ("cpu", "gpu"):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 128, 3), nn.BatchNorm2d(128))
        arrange(model, "channels_last", device)
        assert model[2].weight.is_contiguous() == (device == "cpu")
        model[2].register_forward_hook(note)
        outputs.append(model(images))
        outputs[-1].square().mean().backward()
        outputs.append(model[2].weight.grad.contiguous())
    assert formats == [True, True]
    assert torch.equal(outputs[0], outputs[2]) and torch.equal(outputs[1], outputs[3])


@pytest.mark.slow
@pytest.mark.parametrize(("model", "memory_format"), [("simple_cnn", "channels_last"), ("mlp", "contiguous")])
def test_the_record_says_what_ran(experiments, tmp_path: Path, model: str, memory_format: str) -> None:
    code, _, errors = experiments("train", f"model={model}", "precision=auto", "data.size=32", *RUN)
    assert code == 0, errors
    environment = json.loads((tmp_path / "run" / "record.json").read_text())["environment"]
    assert environment["precision"] in ("32-true", "bf16-mixed")
    assert environment["memory_format"] == memory_format
    code, output, errors = experiments("evaluate", "run")
    assert code == 0, errors
    assert "test/accuracy" in output


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["optimizer=LBFGS"],
        [
            "callbacks.prune._target_=lightning.pytorch.callbacks.ModelPruning",
            "callbacks.prune.pruning_fn=l1_unstructured",
        ],
    ],
)
def test_what_flattens_weights_trains_a_network_that_convolves(experiments, tmp_path: Path, words: list[str]) -> None:
    code, _, errors = experiments("train", "model=simple_cnn", "data.size=32", *words, *RUN)
    assert code == 0, errors
    environment = json.loads((tmp_path / "run" / "record.json").read_text())["environment"]
    assert environment["memory_format"] == "contiguous"


def test_an_unknown_memory_format(experiments) -> None:
    code, _, errors = experiments("train", "trainer.memory_format=channels_first", *RUN)
    assert code == 2
    assert "channels_first" in errors and "channels_last" in errors


@pytest.mark.slow
def test_a_compiled_network_trains(command) -> None:
    done = command("train", "model=mlp", "trainer.compile=true", *RUN)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_benchmark_prints_a_table(command) -> None:
    words = ["model=mlp", "data=digits", "trainer=cpu", "--batch-sizes", "16,32", "--precisions", "32-true,bf16-mixed"]
    done = command("benchmark", *words, "--seconds", "0.2")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len([line for line in lines if "MB" in line]) == 8
    assert "precision=auto and trainer.memory_format=auto choose 32-true and contiguous here." in lines[-1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["model=lenet6"], "lenet6"),
        (["--batch-sizes", "many"], "--batch-sizes many"),
        (["--precisions", "17-true"], "precision=17-true"),
    ],
)
def test_benchmark_refuses_in_one_sentence(experiments, words: list[str], sentence: str) -> None:
    code, _, errors = experiments("benchmark", *words)
    assert code == 2
    assert sentence in errors


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no mallopt")
@pytest.mark.parametrize("tuned", [False, True], ids=["", "tuned by the user"])
def test_the_memory_of_a_batch_is_not_fetched_anew_for_the_next(tuned: bool) -> None:
    program = (
        "import resource\nfrom experiments.speedups.malloc import keep_freed_memory\nkeep_freed_memory()\n"
        "faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "bytearray(64 << 20)\nbefore = faults()\n"
        "for _ in range(4): bytearray(64 << 20)\n"
        "print((faults() - before) * resource.getpagesize() >> 20)\n"
    )
    environment = {"MALLOC_ARENA_MAX": "1"} if tuned else {}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 256 if tuned else int(done.stdout) < 64
