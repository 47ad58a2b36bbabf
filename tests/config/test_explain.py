"""`experiments explain`, and the comments of YAML files in the help."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.config.comments import comments, with_comments
from experiments.config.options import conf_dir


def test_comments_behind_and_above_keys(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text('# Of the file.\na: 1 # first\nb:\n  # above\n  c: "x # y"\n  d: 2   # last\n\n  e: 3\n')
    assert comments(path) == {"a": "first", "b.c": "above", "b.d": "last"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["data.validation"],
            ["share or count held out from the training images", "0.1 (data=digits)", "a share below 1"],
        ),
        (["data.validation", "data=cifar10"], ["5000 (data=cifar10)"]),
        (["freezing"], ["freezing=none", "feature_extraction"]),
        (["freezing=lora"], ["freezing.alpha", "alpha / rank"]),
        (["features.cache"], ["false computes them in every epoch", "default   true"]),
        (["model.hidden", "model=lstm", "data=generated_reviews"], ["units a layer and direction", "128 (model=lstm)"]),
        (["model.hidden"], ["not a key of model=", "model=lstm"]),
    ],
)
def test_explain(experiments, words: list[str], said: list[str]) -> None:
    code, output, errors = experiments("explain", *words)
    assert code == 0, errors
    assert all(one in output for one in said), output


@pytest.mark.parametrize("words", [[], ["dat.validation"], ["freezing=lorra"]])
def test_unknown_keys_are_one_sentence(experiments, words: list[str]) -> None:
    code, output, errors = experiments("explain", *words)
    assert code == 2 and not output and len(errors.splitlines()) == 1


def test_usual_words_are_answered_with_the_words_here(experiments) -> None:
    assert "freezing=fine_tuning is freezing=none here" in experiments("explain", "freezing=fine_tuning")[2]
    assert "experiments explain optimizer.lr" in experiments("explain", "learning_rate")[2]


def test_help_of_train_shows_the_comments(experiments) -> None:
    code, output, _ = experiments("train", "--help")
    assert code == 0
    assert "share or count held out" in output and "# null, pretrained, or a path" in output


def test_every_comment_is_read() -> None:
    assert len(comments(conf_dir() / "model" / "lstm.yaml")) >= 8
    assert with_comments("seed: 0\n", {}) == "seed: 0\n"
