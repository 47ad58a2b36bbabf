"""A value is of a type that its class takes, also where its default is null: what a config says is compared with annotations."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.config.annotated_types import unlike
from experiments.config.signatures import annotation


@pytest.mark.parametrize(
    ("annotated", "good", "bad", "words"),
    [
        ("Sequence[float] | None", [None, [], [1, 0.5]], ["abc", 3, {"a": 1}, ["a"]], "a list of numbers or null"),
        ("int | Sequence[int] | None", [3, [3, 4], None], [0.5, "x", [0.5], True], "a whole number, a list of whole"),
        ("str", ["a", ""], [3, None, ["a"], True], "text"),
        ("float", [1, 0.5, float("inf")], [float("nan"), "1", True, None], "a number"),
        ("bool", [True, False, 0, 1], [2, "yes", None], "true or false"),
        ("Mapping[str, Any]", [{}, {"a": 1}], [[], "x", None], "a group of keys"),
        ("Sequence[str | int] | None", [["a", 1]], ["a", [0.5]], "a list or null"),
    ],
)
def test_values_are_compared_with_annotations(
    annotated: str, good: list[object], bad: list[object], words: str
) -> None:
    assert [value for value in good if unlike(annotated, value)] == []
    assert all((unlike(annotated, value) or "").startswith(words) for value in bad)


def test_what_nobody_knows_is_left_to_the_class() -> None:
    assert unlike("Transform | None", 3) is None and unlike("Sequence[Transform]", [3]) is None
    assert unlike("Any", 3) is None and unlike("not one", 3) is None


def test_annotations_of_bases_are_found() -> None:
    manifest = "experiments.data.audio.speech_manifest.SpeechManifest"
    assert annotation(manifest, "clips") == "str | None"
    assert annotation(manifest, "unknown") == "str | None"  # handed on in **rest
    assert annotation(manifest, "nothing") is None and annotation("nowhere.Class", "x") is None


def test_an_object_is_judged_by_its_class(experiments) -> None:
    code, _, errors = experiments("check", "trainer=quick", "data.mean={_target_: torch.nn.Identity}")
    assert "must be" not in errors, (code, errors)
    code, _, errors = experiments("check", "trainer=quick", "data.mean={a: 1}")
    assert code == 2 and "data.mean={a: 1} must be a list of numbers" in errors.replace('{"a":1}', "{a: 1}"), errors


@pytest.mark.slow
def test_rules_of_our_keys_are_not_of_user_defined_classes(experiments, tmp_path: Path, monkeypatch) -> None:
    """A key of theirs may have the name of one of ours and mean something else: their annotations and defaults decide."""
    (tmp_path / "theirs.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Sequential):\n"
        "    def __init__(self, in_channels, image_size, num_classes, dropout=3, depth: float = 1, mean=5, hidden: int | list[int] = 64):\n"
        "        super().__init__()\n"
        "        self.add_module('flat', nn.Flatten())\n"
        "        self.add_module('head', nn.Linear(in_channels * image_size[0] * image_size[1], num_classes))\n"
    )
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "theirs.yaml").write_text(
        "_target_: theirs.Net\ndropout: 3\ndepth: 1\nmean: 5\nhidden: 64\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ["check", "--config-dir", "conf", "model=theirs"]
    taken = ["model.dropout=7", "model.depth=100000.5", "model.mean=0.5", "model.hidden=[3,4]"]
    code, _, errors = experiments(*words, *taken)
    assert code == 0, errors
    code, _, errors = experiments(*words, "model.depth=abc", "model.dropout=abc", "model.hidden=0.5")
    assert code == 2 and errors.count("must be") == 3, errors


@pytest.mark.slow
def test_rules_of_our_keys_hold_in_classes_made_from_ours(experiments, tmp_path: Path, monkeypatch) -> None:
    """Unless they take a key of the name themselves."""
    (tmp_path / "made_from_ours.py").write_text(
        "from lightning.pytorch import Callback\nfrom torch.optim import SGD\n"
        "from experiments.data.images.digits import Digits\nfrom experiments.tasks.classification import Classification\n"
        "class Own(Digits): pass\nclass Other(Digits):\n"
        "    def __init__(self, *, workers: str, **rest): super().__init__(workers=0, **rest)\n"
        "class Task(Classification): pass\nclass Descent(SGD): pass\n"
        "class Every(Callback):\n    def __init__(self, every: int = 2): pass\n"
    )
    for group, name, text in (
        ("data", "own", "defaults: [digits]\n_target_: made_from_ours.Own\n"),
        ("data", "other", "defaults: [digits]\n_target_: made_from_ours.Other\nworkers: some\n"),
        ("task", "own", "defaults: [/task/classification@_here_, _self_]\n_target_: made_from_ours.Task\n"),
        ("optimizer", "own", "_target_: made_from_ours.Descent\nlr: 0.1\n"),
        ("callbacks", "own", "own:\n  _target_: made_from_ours.Every\n  every: 2\n"),
    ):
        path = tmp_path / "conf" / group / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ["check", "--config-dir", "conf"]
    code, _, errors = experiments(*words, "data=other", "data.workers=many", "callbacks=own", "callbacks.own.every=3")
    assert code == 0, errors
    wrong = [
        "data.batch_size=0",
        "data.workers=-1",
        "task.label_smoothing=5",
        "optimizer.lr=-1",
        "callbacks.own.every=0.5",
    ]
    code, _, errors = experiments(*words, "data=own", "task=own", "optimizer=own", "callbacks=own", *wrong)
    assert code == 2 and errors.count("must be") == 5, errors
