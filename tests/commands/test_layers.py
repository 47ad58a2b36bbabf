"""`experiments layers` without data, and models side by side."""

from __future__ import annotations

import pytest

from experiments.commands import layers as layers_command
from experiments.config import needed_packages
from experiments.config.compose import compose
from experiments.config.needed_packages import missing_packages
from experiments.config.options import describe, option_files
from experiments.errors import UserError
from experiments.run.build import build_data
from experiments.run.stand_in_specs import STAND_IN_SPECS

IMAGES = {name: describe(path) for name, path in option_files("model").items()}
STATED = [name for name, about in IMAGES.items() if "image" in about.get("reads", ()) and about.get("parameters")]


@pytest.mark.parametrize("name", ["lenet5", "alexnet_2012", "vgg16", "resnet20", "simple_cnn", "mlp", "inception_v3"])
def test_published_shapes_give_the_published_parameters(experiments, name: str) -> None:
    code, output, errors = experiments("layers", f"model={name}")
    assert code == 0, errors
    assert f"{IMAGES[name]['parameters']:,} parameters" in output
    assert "as published; add data=" in output


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*STATED} - {"timm", "torchvision"}))
def test_every_image_network_has_its_stated_parameters(experiments, name: str) -> None:
    code, output, errors = experiments("layers", f"model={name}")
    assert code == 0, errors
    assert f"{IMAGES[name]['parameters']:,} parameters" in output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("lstm", "data=generated_reviews"),
        ("bert_tiny", "data=generated_reviews with 30,522 tokens as published"),
        ("seq2seq", "data=generated_pairs"),
        ("linear_forecaster", "data=generated_series"),
        ("unet", "images of 1 × 512 × 512"),
    ],
)
def test_other_kinds_need_no_data_either(experiments, name: str, sentence: str) -> None:
    code, output, errors = experiments("layers", f"model={name}")
    assert code == 0, errors
    assert sentence in output


@pytest.mark.slow
def test_stand_ins_say_of_themselves_what_is_known_without_their_package(monkeypatch) -> None:
    for name, spec in STAND_IN_SPECS.items():
        assert build_data(compose([f"data={name}"])).spec == spec
    with monkeypatch.context() as patch:
        patch.setattr(needed_packages, "find_spec", lambda package: None)
        assert missing_packages(compose(["data=control"])) and not missing_packages(compose(["data=adding"]))
        without = layers_command.layers(["model=lstm"])
        with pytest.raises(UserError, match="data=generated_reviews needs the package tokenizers"):
            layers_command.layers(["model=lstm", "data=generated_reviews"])
    assert layers_command.layers(["model=lstm"]) == without


def test_columns_of_the_course(experiments) -> None:
    code, output, _ = experiments("layers", "model=simple_cnn", "--purpose")
    assert code == 0
    head, first = output.splitlines()[0].split(), output.splitlines()[3]
    assert head == ["layer", "type", "filters", "output", "parameters", "trainable", "purpose"]
    assert "16 of 3 × 3" in first and "finds a pattern" in first
    for shape in ("16 × 32 × 32", "16 × 16 × 16", "32 × 16 × 16", "32 × 8 × 8", "2048", "128"):
        assert shape in output


def test_frozen_stages_are_marked(experiments) -> None:
    code, output, _ = experiments("layers", "model=lenet5", "freezing=feature_extraction")
    assert code == 0
    assert "61,706 parameters, 850 trainable" in output


@pytest.mark.slow
def test_generations_side_by_side(experiments) -> None:
    code, output, errors = experiments("layers", "--compare", "model=lenet5,alexnet_2012,vgg16,resnet50,googlenet")
    assert code == 0, errors
    rows = {line.split()[0]: line for line in output.splitlines()[2:]}
    for name, year, layers in (
        ("lenet5", 1998, 5), ("alexnet_2012", 2012, 8), ("vgg16", 2014, 16), ("resnet50", 2015, 50), ("googlenet", 2014, 22),
    ):  # fmt: skip
        words = rows[name].split()
        assert words[1] == str(year)
        assert f"  {layers}  " in rows[name].replace("   ", "  ").replace("   ", "  "), rows[name]


def test_compare_needs_models_and_knows_its_switches(experiments) -> None:
    assert experiments("layers", "--compare")[0] == 2
    code, _, errors = experiments("layers", "--wide")
    assert code == 2 and "--compare or --purpose" in errors


@pytest.mark.slow
def test_what_learns_later_says_when(experiments) -> None:
    code, output, errors = experiments("layers", "model=lenet5", "freezing=gradual", "freezing.every_epochs=2")
    assert code == 0, errors
    ends = {line.split()[0]: line.rstrip().endswith for line in output.splitlines() if line[:1].isalpha()}
    assert ends["head"](" yes") and ends["fc2"]("from epoch 3") and ends["conv1"]("from epoch 9")
    assert "all trainable from epoch 9 on" in output
    code, output, errors = experiments("layers", "model=lenet5", "freezing=last_stage")
    assert code == 0 and "11,014 trainable;" in output, errors
