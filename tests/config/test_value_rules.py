"""A value has one sentence, whether the command line or Python code gives it."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.config.compose import compose
from experiments.config.value_rules import require_amount, require_values, value_problems
from experiments.errors import UserError
from experiments.run.instantiate import make


@pytest.mark.parametrize(
    ("data", "key", "value"),
    [
        ("generated_reviews", "max_length", 0),
        ("generated_pairs", "max_length", 0),
        ("bccd", "unannotated", "ignore"),
        ("camvid", "fit", "crop"),
        ("camvid", "exif", "ignore"),
        ("camvid", "memory", -1),
        ("camvid", "border_weight", -1),
        ("camvid", "border_sigma", 0),
        ("coco_masks", "bad", "ignore"),
        ("digits", "validation", 2.0),
        ("digits", "validation", "many"),
        ("fsdd", "limit", 1.5),
        ("generated_boxes", "limit", 0),
        ("demonstrations", "limit", -1),
        ("camvid", "test", 1.0),
        ("generated_reviews", "validation", 1.5),
        ("generated_reviews", "empty", "abc"),
        ("generated_entities", "empty", "abc"),
        ("generated_pairs", "empty", "abc"),
        ("generated_pairs", "cut", 3),
        ("yesno", "empty", "abc"),
        ("ett", "missing", "abc"),
    ],
)
def test_the_class_says_the_sentence_of_the_rule(data: str, key: str, value: object) -> None:
    config = compose([f"data={data}"])
    config.data[key] = value
    sentences = value_problems(config)
    assert len(sentences) == 1 and sentences[0].startswith(f"data.{key}={value} must be ")
    with pytest.raises(UserError) as refused:
        make(config.data)
    assert str(refused.value) == sentences[0]


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("callbacks.projector.dir=[a]", 'callbacks.projector.dir=["a"] must be a path: its default is ${run.dir}'),
        ("callbacks.figures.dir=null", "callbacks.figures.dir=null must be a path: its default is ${run.dir}/figures"),
        ("logger.csv.dir=3", "logger.csv.dir=3 must be a path: its default is ${run.dir}"),
    ],
)
def test_a_default_in_the_run_folder_is_named_as_in_its_file(experiments, word: str, sentence: str) -> None:
    """The folder has the time in its name, and so another in each command."""
    assert experiments("check", "data=digits", word) == (2, "", f"error: {sentence}\n")


def test_a_path_that_its_class_takes_as_null_may_be_null(experiments) -> None:
    words = ("data=digits", "callbacks=gradients", "callbacks.gradient_norms.dir=null")
    assert experiments("check", *words)[0] == 0


@pytest.mark.parametrize("count", [-5, 0, 1.5])
def test_a_count_that_is_none_is_refused(count: float) -> None:
    for data in ("shapes", "generated_text", "generated_boxes", "parity"):
        config = compose([f"data={data}"])
        config.data["count"] = count
        wanted = f"data.count={count} must be a whole number, 1 or more: try data.count=1000"
        assert value_problems(config) == [wanted]


@pytest.mark.parametrize("value", [0, -3, 0.0, 1.0, 2.5, True, "many", None, [3]])
def test_amounts_that_cannot_be(value: object) -> None:
    words = "must be a share below 1, or a number of examples: try data.validation=0.1"
    with pytest.raises(UserError, match=words):
        require_amount("data.validation", value)


def test_amounts_that_can_be() -> None:
    for value in (1, 500, 0.1):
        require_amount("data.validation", value)
    require_amount("data.limit", None)
    require_amount("data.limit", 1.0)
    require_amount("data.test", 1.0, whole=True)
    require_amount("data.test", "val", word="val")
    with pytest.raises(UserError, match="a share below 1, a number of examples, or val: try"):
        require_amount("data.test", "train", word="val")


@pytest.mark.parametrize(("task", "key"), [("variational", "free_bits"), ("reconstruction", "contractive")])
def test_the_task_says_the_sentence_of_the_rule(task: str, key: str, experiments: Any) -> None:
    sentence = f"task.{key}=-1 must be a number, 0 or more: try task.{key}=0"
    _, _, errors = experiments("check", "data=digits", f"task={task}", f"task.{key}=-1")
    assert errors == f"error: {sentence}\n"
    with pytest.raises(UserError, match=sentence):
        require_values("image", "task", **{key: -1})
