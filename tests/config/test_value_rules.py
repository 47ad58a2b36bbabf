"""A value has one sentence, whether the command line or Python code gives it."""

from __future__ import annotations

import pytest

from experiments.config.compose import compose
from experiments.config.value_rules import value_problems
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
