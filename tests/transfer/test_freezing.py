"""Frozen is bitwise unchanged; what is released learns; the table says so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.config.compose import compose
from experiments.errors import UserError
from experiments.run.build import build_freezing, build_model
from experiments.spec import ImageSpec

SMALL = [
    "data=digits", "data.limit=96", "data.batch_size=32", "trainer=cpu", "callbacks=none", "logger=none",
    "optimizer=sgd", "optimizer.momentum=0.9", "optimizer.weight_decay=0.1",
]  # fmt: skip
STAGES = ("one", "two", "three", "head")
SPEC = ImageSpec(1, 8, 8, tuple("0123456789"), (0.5,), (0.5,))


def weights(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    state = torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]
    return {key.removeprefix("model."): value for key, value in state.items() if key.startswith("model.")}


def first(net: list[str], tmp_path: Path) -> dict[str, torch.Tensor]:
    """The first values that a run begins with, written to `first.pt`."""
    config = compose([*net[2:], *SMALL], [str(tmp_path / "conf")])
    torch.manual_seed(0)
    model = build_model(config, SPEC)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_()
    torch.save(model.state_dict(), tmp_path / "first.pt")
    return {name: value.clone() for name, value in model.state_dict().items()}


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor], prefix: str) -> set[str]:
    names = [name for name in before if name.startswith(f"{prefix}.")]
    assert names
    return {name for name in names if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize(
    ("words", "learning"),
    [
        (["freezing=feature_extraction"], {"head"}),
        (["freezing=last_stage"], {"three", "head"}),
        (["freezing=last_stage", "freezing.count=2", "optimizer=adamw"], {"two", "three", "head"}),
        (["freezing=gradual", "freezing.depth=1", "scheduler=plateau"], {"three", "head"}),
        (["freezing.head_epochs=1", "freezing.head_rate=10", "scheduler=one_cycle"], set(STAGES)),
        (["freezing=stages", "freezing.learn=[two]"], {"two"}),
    ],
)
def test_what_is_frozen_stays_bit_for_bit_and_the_rest_learns(
    experiments: Any, net: list[str], tmp_path: Path, words: list[str], learning: set[str]
) -> None:
    before = first(net, tmp_path)
    given = {word.partition("=")[0] for word in words}
    small = [word for word in SMALL if "optimizer" not in given or not word.startswith(("optimizer=", "optimizer.mom"))]
    code, _, errors = experiments(
        "train", *net, *small, *words, "weights=first.pt", "trainer.max_epochs=2", "hydra.run.dir=run"
    )
    assert code == 0, errors
    after = weights(tmp_path / "run")
    for stage in STAGES:
        names = {name for name in before if name.startswith(f"{stage}.")}
        assert changed(before, after, stage) == (names if stage in learning else set()), stage


@pytest.mark.slow
@pytest.mark.parametrize(
    ("norm", "moved"),
    [
        ("frozen", set()),
        ("statistics", {"running_mean", "running_var", "num_batches_tracked"}),
        ("affine", {"weight", "bias"}),
        ("free", {"running_mean", "running_var", "num_batches_tracked", "weight", "bias"}),
    ],
)
def test_norm_policy(experiments: Any, net: list[str], tmp_path: Path, norm: str, moved: set[str]) -> None:
    before = first(net, tmp_path)
    words = ["freezing=feature_extraction", f"freezing.norm={norm}", "weights=first.pt", "trainer.max_epochs=1"]
    assert experiments("train", *net, *SMALL, *words, "hydra.run.dir=run")[0] == 0
    after = weights(tmp_path / "run")
    for stage in STAGES[:3]:
        assert changed(before, after, stage) == {f"{stage}.1.{name}" for name in moved}


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["norm_only", "bias_only", "lora"])
def test_parts_of_layers(experiments: Any, net: list[str], tmp_path: Path, strategy: str) -> None:
    before = first(net, tmp_path)
    words = [f"freezing={strategy}", "weights=first.pt", "trainer.max_epochs=1"]
    code, _, errors = experiments("train", *net, *SMALL, *words, "hydra.run.dir=run")
    assert code == 0, errors
    after = weights(tmp_path / "run")
    state = {"running_mean", "running_var", "num_batches_tracked"}
    expected = {
        "norm_only": {f"1.{name}" for name in {"weight", "bias"} | state},
        "bias_only": {"0.bias", "1.bias"},
        "lora": set(),
    }[strategy]
    if strategy == "lora":
        again = ["freezing=none", "weights=run", "trainer=quick", "hydra.run.dir=again"]  # it loads as plain weights
        assert experiments("train", *net, *SMALL, *again)[0] == 0
        assert after["two.0.parametrizations.weight.0.up"].abs().sum() > 0
        after = {name.replace("parametrizations.weight.original", "weight"): value for name, value in after.items()}
    for stage in STAGES[:3]:
        assert changed(before, after, stage) == {f"{stage}.{name}" for name in expected}
    assert changed(before, after, "head") == {"head.weight", "head.bias"}


@pytest.mark.slow
def test_two_processes_release_stages_like_one(experiments: Any, command: Any, tmp_path: Path) -> None:
    """Without batch statistics and dropout two processes compute what one does, also for what is released later."""
    words = ["data=digits", "data.limit=256", "data.batch_size=64", "model=lenet5", "callbacks=none", "logger=none"]
    words += ["freezing=gradual", "optimizer=sgd", "optimizer.weight_decay=0.1", "trainer.max_epochs=3"]
    assert experiments("train", *words, "trainer=cpu", "hydra.run.dir=one")[0] == 0
    done = command("train", *words, "trainer=cpu_2", "hydra.run.dir=two")
    assert done.returncode == 0, done.stderr
    first, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name in first:
        if name.startswith("conv"):  # three epochs release fc2 and fc1
            assert torch.equal(first[name], two[name])
        else:
            torch.testing.assert_close(first[name], two[name], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_frozen_in_two_processes(command: Any, net: list[str], tmp_path: Path) -> None:
    before = first(net, tmp_path)
    words = ["freezing=gradual", "weights=first.pt", "trainer=cpu_2", "trainer.max_epochs=2", "hydra.run.dir=run"]
    done = command("train", *net, *SMALL, *words)
    assert done.returncode == 0, done.stderr
    after = weights(tmp_path / "run")
    assert changed(before, after, "one") == changed(before, after, "two") == set()
    assert len(changed(before, after, "three")) == len([name for name in before if name.startswith("three.")])


@pytest.mark.slow
def test_table_is_printed_and_recorded(experiments: Any, net: list[str], tmp_path: Path) -> None:
    words = ["freezing=gradual", "freezing.every_epochs=2", "freezing.head_rate=10", "optimizer.lr=0.01"]
    code, _, errors = experiments("train", *net, *SMALL, *words, "trainer.max_epochs=3", "hydra.run.dir=run")
    assert code == 0, errors
    rows = json.loads((tmp_path / "run" / "record.json").read_text())["freezing"]
    assert [row["stage"] for row in rows] == ["one", "shake", "two", "three", "pool", "head"]
    assert [row["from_epoch"] for row in rows] == [7, None, 5, 3, None, 1]
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.01, None, 0.01, 0.01, None, 0.1])
    assert sum(row["parameters"] for row in rows) == sum(row["learning"] for row in rows)
    lines = [line.split() for line in errors.splitlines()]
    assert ["three", "456", "yes", "3", "0.01"] in lines
    assert ["head", "330", "yes", "1", "0.1"] in lines
    assert "the run ends after epoch 3, before one, two would begin to learn" in errors


@pytest.mark.slow
def test_reset_head(experiments: Any, net: list[str], tmp_path: Path) -> None:
    before = first(net, tmp_path)
    words = ["freezing=stages", "freezing.learn=[three]", "weights=first.pt", "trainer.max_epochs=1", "seed=5"]
    for reset in ("false", "true"):
        run = [f"freezing.reset_head={reset}", f"hydra.run.dir=reset_{reset}"]
        assert experiments("train", *net, *SMALL, *words, *run)[0] == 0
        assert bool(changed(before, weights(tmp_path / f"reset_{reset}"), "head")) == (reset == "true")
        assert not changed(before, weights(tmp_path / f"reset_{reset}"), "one")


def frozen(words: list[str], net: list[str], tmp_path: Path) -> Any:
    config = compose([*net[2:], *words], [str(tmp_path / "conf")])
    return build_freezing(config, build_model(config, SPEC))


def test_pruned_weights_learn_on(net: list[str], tmp_path: Path) -> None:
    """Lightning's ModelPruning calls what it masks `weight_orig`."""
    from torch.nn.utils import prune

    freezing = frozen(["freezing=stages", "freezing.learn=[head]"], net, tmp_path)
    for layer in (freezing.model.head, freezing.model.get_submodule("one.0")):
        prune.l1_unstructured(layer, "weight", amount=0.5)
    freezing.enter(1)
    assert {name for name, parameter in freezing.model.named_parameters() if parameter.requires_grad} == {
        "head.weight_orig",
        "head.bias",
    }


def test_what_a_model_makes_without_a_gradient_never_learns(net: list[str], tmp_path: Path) -> None:
    config = compose([*net[2:], "freezing=none"], [str(tmp_path / "conf")])
    model = build_model(config, SPEC)
    model.get_submodule("one.0").bias.requires_grad_(False)
    freezing = build_freezing(config, model)
    freezing.enter(0)
    assert [name for name, parameter in model.named_parameters() if not parameter.requires_grad] == ["one.0.bias"]
    model.train()
    freezing.rest()
    assert freezing.everything and all(module.training for module in model.modules())


def test_modes_are_kept_when_training_is_asked_for(net: list[str], tmp_path: Path) -> None:
    freezing = frozen(["freezing=gradual"], net, tmp_path)
    expected = {0: ["three", "two", "shake", "one"], 1: ["two", "shake", "one"], 2: ["one"], 3: []}
    for epoch, resting in expected.items():
        freezing.model.train()
        freezing.enter(epoch)
        modules = {name: module for name, module in freezing.model.named_modules() if name}
        assert {name for name, module in modules.items() if not module.training} == {
            name for name in modules if name.split(".")[0] in resting
        }


@pytest.mark.parametrize(
    ("words", "counts"),
    [
        (["freezing=feature_extraction"], [5, 5]),  # pooling included
        (["freezing=last_stage"], [3, 3]),
        (["freezing=gradual"], [5, 3, 1, 0]),  # dropout right before what learns is not kept
        (["freezing=feature_extraction", "freezing.norm=statistics"], [0]),
        (["freezing=feature_extraction", "freezing.norm=affine"], [0]),
        (["freezing=lora"], [0]),
        (["freezing=stages", "freezing.learn=[two]"], [1]),
        (["freezing=none"], [0]),
    ],
)
def test_how_many_stages_are_fixed_functions(
    net: list[str], tmp_path: Path, words: list[str], counts: list[int]
) -> None:
    freezing = frozen(words, net, tmp_path)
    assert [freezing.frozen_stages(epoch) for epoch in range(len(counts))] == counts


def test_low_rank_updates_merge_into_plain_weights(net: list[str], tmp_path: Path) -> None:
    from experiments.transfer.lora import merge, merged

    freezing = frozen(["freezing=lora", "freezing.rank=3"], net, tmp_path)
    model, images = freezing.model.eval(), torch.rand(4, 1, 8, 8)
    for name, parameter in model.named_parameters():
        if name.endswith(".up"):
            torch.nn.init.normal_(parameter)
    state, expected = model.state_dict(), model(images)
    plain = build_model(compose([*net[2:]], [str(tmp_path / "conf")]), SPEC).eval()
    plain.load_state_dict(merged(state))
    torch.testing.assert_close(plain(images), expected)
    torch.testing.assert_close(merge(model)(images), expected)
    assert model.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["freezing=stages", "freezing.learn=[fourth]"], "fourth, which is no stage and matches no parameter"),
        (
            ["freezing=last_stage", "freezing.count=4"],
            "more stages below the head than this model's 3 (one, two, three)",
        ),
        (["freezing=lora", "freezing.layers=attention"], "leaves no linear or convolution layer"),
        (["freezing=lora", "freezing.layers='['"], "freezing.layers=[ is no regular expression (unterminated"),
    ],
)
def test_what_this_model_cannot_do(net: list[str], tmp_path: Path, words: list[str], sentence: str) -> None:
    with pytest.raises(UserError, match=re.escape(sentence)):
        frozen(words, net, tmp_path)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["freezing.norm=open"], "freezing.norm=open is unknown: choose one of frozen, statistics, affine, free"),
        (["freezing.head_epochs=10"], "freezing.head_epochs=10 leaves the strategy none of trainer.max_epochs=10"),
        (["freezing=feature_extraction", "freezing.head_epochs=10"], "train longer, or set freezing.head_epochs=0"),
        (["freezing=discriminative", "freezing.decay=2.0"], "freezing.decay=2.0 must lie above 0 and not above 1"),
        (["freezing=stages", "freezing.learn=[]"], "freezing.learn=[] leaves nothing to learn"),
        (["freezing=last_stage", "freezing.count=0"], "freezing.count=0 must be a whole number, 1 or more"),
        (["freezing=norm"], "norm"),
    ],
)
def test_check_refuses(experiments: Any, words: list[str], sentence: str) -> None:
    code, _, errors = experiments("check", *words)
    assert code == 2
    assert sentence in errors
