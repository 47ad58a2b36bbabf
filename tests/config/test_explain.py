"""`experiments explain`, and the comments of YAML files in the help."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from experiments.config.comments import comment_of, comments, files_of, with_comments
from experiments.config.compose import GROUPS, dotted
from experiments.config.glossary import glossary, glossary_page, glossary_word
from experiments.config.key_meanings import argument, meaning
from experiments.config.options import conf_dir, content, defaults_of, option_files

Run = Callable[..., tuple[int, str, str]]


def test_comments_behind_and_above_keys(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text('# Of the file.\na: 1 # first\nb:\n  # above\n  c: "x # y"\n  d: 2   # last\n\n  e: 3\n')
    assert comments(path) == {"a": "first", "b.c": "above", "b.d": "last"}


@pytest.mark.parametrize(
    ("words", "sentences"),
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
        (["hydra.sweep.dir"], ["the folder of a sweep"]),
        (["hidden", "state"], ["from step to step", "सार", "experiments show rnn"]),
        (["Feature-Map"], ["one filter", "एक filter का परिणाम", "experiments show convolution"]),
        (["pretrained"], ["another dataset before", "write experiments explain weights"]),
        (["loss"], ["What training makes small", "the task brings its loss"]),
        (["kernels"], ["filter, kernel", "experiments show convolution"]),
        (["seed", "optimizer.betas"], ["of the first weights", "means of the gradient"]),
    ],
)
def test_explain(experiments, words: list[str], sentences: list[str]) -> None:
    code, output, errors = experiments("explain", *words)
    assert code == 0, errors
    assert all(sentence in output for sentence in sentences), output


def test_every_word_of_the_glossary_is_explained_and_on_its_page(experiments) -> None:
    words = glossary()
    assert (conf_dir().parent / "docs" / "glossary.md").read_text(encoding="utf-8") == glossary_page()
    assert [word["term"].lower() for word in words] == sorted(word["term"].lower() for word in words)
    answer = experiments("explain", *(word["term"].replace(" ", "_") for word in words[:6]))
    assert answer[0] == 0 and all(word["hi"] in answer[1] for word in words[:6])
    for word in words:
        assert glossary_word(word["term"].split(", ")[-1].upper()) == word and word["see"].startswith("experiments ")


@pytest.mark.parametrize("words", [[], ["dat.validation"], ["freezing=lorra"]])
def test_unknown_keys_are_one_sentence(experiments, words: list[str]) -> None:
    code, output, errors = experiments("explain", *words)
    assert code == 2 and not output and len(errors.splitlines()) == 1


def test_usual_words_are_answered_with_the_words_here(experiments) -> None:
    assert "freezing=fine_tuning is freezing=none here" in experiments("explain", "freezing=fine_tuning")[2]
    assert "experiments explain optimizer.lr" in experiments("explain", "learning_rate")[1]


def keys_of(group: str, option: str) -> dict[str, Any]:
    """The keys that an option's files set, those of its bases below its own."""
    config: dict[str, Any] = {}
    for path in reversed(list(files_of(group, option))):
        new = {key: value for key, value in content(path).items() if key != "defaults"}
        config = OmegaConf.to_container(OmegaConf.merge(config, new))  # type: ignore[assignment]
    return {group: config}


@pytest.mark.slow
@pytest.mark.parametrize("group", [group for group in GROUPS if group not in ("experiment", "debug", "sweep")])
def test_no_key_is_without_words(group: str) -> None:
    mute = set()
    for option in option_files(group):
        config = keys_of(group, option)
        mute |= {
            f"{key} of {group}={option}"
            for key in dotted(config)
            if not comment_of(key, {group: option}) and not meaning(key, config)
        }
    assert not mute, f"write a comment behind each in its YAML file: {sorted(mute)}"


def test_keys_outside_of_the_groups_have_words() -> None:
    words = comments(conf_dir() / "train.yaml")
    assert {"seed", "weights", "resume", "features.cache", "features.dir", "launcher.jobs"} <= set(words)


@pytest.mark.slow
def test_a_class_says_what_its_arguments_mean(experiments: Run) -> None:
    assert "11, 13, 16 or 19 layers" in experiments("explain", "model.depth", "model=vgg11")[1]
    assert "model.batch_norm" in experiments("explain", "model=vgg11")[1]
    code, output, _ = experiments("explain", "trainer.benchmark")  # a key that no file of ours lists
    assert code == 0 and "cudnn.benchmark" in output and "lightning.pytorch.Trainer" in output
    text = "Does it.\n\nArgs:\n    one, two: of the first\n        kind. More.\n    three (int): last.\n\nReturns:\n    four: no"
    assert [argument(text, name) for name in ("two", "three", "four")] == ["of the first kind. More.", "last", ""]


@pytest.mark.slow
def test_help_of_train_shows_the_comments(experiments) -> None:
    code, output, _ = experiments("train", "--help")
    assert code == 0
    assert "share or count held out" in output and "# null, pretrained, or a path" in output


def test_every_comment_is_read() -> None:
    assert len(comments(conf_dir() / "model" / "lstm.yaml")) >= 8
    assert with_comments("nothing: 0\n", {}) == "nothing: 0\n"


def test_options_in_a_folder_of_their_group_are_read() -> None:
    """`data=control` changes `base/environment`, a file in a folder of the group."""
    assert [path.name for path in files_of("data", "control")] == ["control.yaml", "environment.yaml"]
    defaults = {
        "defaults": ["_self_", "base/a@_here_", "/model/b", "/hydra/launcher/c", {"override /hydra/sweeper": "d"}]
    }
    assert defaults_of(defaults, "model") == [
        ("model", "base/a", ""), ("model", "b", ""), ("hydra/launcher", "c", ""), ("hydra/sweeper", "d", "override /hydra/sweeper"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "sentences"),
    [
        (["fc"], "called head in every network"),
        (["last", "layer"], "called head in every network"),
        (["classifier"], "freezing.reset_head=true"),
        (["backbone"], "freezing=feature_extraction"),
        (["transfer", "learning"], "weights=RUN"),
        (["fine-tuning"], "freezing=last_stage"),
        (["Feature extraction"], "experiments explain freezing"),
        (["overfitting"], "callbacks=early_stopping"),
    ],
)
def test_words_of_the_course_are_explained(experiments, words: list[str], sentences: str) -> None:
    code, output, errors = experiments("explain", *words)
    assert code == 0 and sentences in output, errors


def test_bare_options_are_named_with_their_group(experiments) -> None:
    assert "write experiments explain model=resnet18" in experiments("explain", "resnet18")[2]
