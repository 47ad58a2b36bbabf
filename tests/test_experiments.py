"""Every option of every group composes and trains, every experiment states its command and its measured result."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from PIL import Image

from experiments.config.compose import GROUPS, compose
from experiments.config.options import content, option_files

# Keys without a default.
REQUIRED = {
    option: ["data.path=table.csv"]
    for option in ("pairs", "sentence_pairs", "text_table", "text_file", "series_table", "conll", "conllu")
}
REQUIRED["image_folder"] = ["data.root=photos"]
REQUIRED |= {option: ["data.root=photos"] for option in ("voc", "coco", "yolo", "mask_folder", "audio_folder")}
REQUIRED["torchvision"] = ["data.name=SVHN"]
REQUIRED |= {option: ["data.path=owner/name"] for option in ("huggingface", "huggingface_text")}
REQUIRED["speech_manifest"] = ["data.path=list.csv"]
# What stands in for data that need files.
GENERATED = {
    "image": "shapes",
    "masks": "generated_masks",
    "text": "generated_reviews",
    "words": "generated_entities",
    "series": "generated_series",
    "pair": "generated_pairs",
    "audio": "generated_tones",
    "speech": "generated_words",
    "boxes": "generated_boxes",
    "instances": "generated_boxes",
}
# One of a kind, and each quick; the others are slow tests.
QUICK = (
    *(
        "lenet5_digits",
        "mlp_mnist",
        "pca_digits",
        "mnist_to_digits",
        "pneumonia_feature_extraction",
        "autoencoder_digits",
    ),
    *(
        "conv_encoder_classifier_digits",
        "anomaly_mnist",
        "lstm_rt_polarity",
        "text_cnn_rt_polarity",
        "bert_tiny_ag_news",
    ),
    *("bert_generated_entities", "t5_tiny_generated_pairs", "linear_forecaster_etth1", "naive_forecaster_etth1"),
    *("speech_rnn_fsdd", "ppo_cartpole", "imitation_cartpole"),
)
EXPERIMENTS = sorted(option_files("experiment"))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_headers_state_command_and_result(name: str) -> None:
    lines = option_files("experiment")[name].read_text().splitlines()
    assert lines[0] == "# @package _global_"
    text = "\n".join(lines[1:5])
    assert re.search(rf"Command: +experiments train .*experiment={name}\b", text)
    assert re.search(r"Measured: test/\w+ -?\d+\.\d+ (± \d+\.\d+ \(95 %, \d+ (seeds|digits)\)|\(one seed\))", text)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in EXPERIMENTS]
)
def test_every_experiment_trains_two_batches(experiments, tmp_path: Path, name: str) -> None:
    """On generated data in place of the dataset's, so that no file is needed."""
    config = compose([f"experiment={name}"])
    assert config.run.choices.model == chosen_model(name)
    assert config.model._target_ == target(chosen_model(name))
    words = [
        f"experiment={name}",
        "trainer=quick",
        "trainer.accelerator=cpu",
        "callbacks=none",
        "logger=none",
        "hydra.run.dir=run",
        "features.cache=false",  # which would compute those of all examples
    ]
    if config.weights is not None:
        words += ["weights=null"]
    if config.data.gives.kind == "control":  # whose experiments may take a hundred epochs
        words += ["trainer.max_epochs=1"]
    if config.run.choices.data in ("image_folder", "hymenoptera"):
        for number in range(60):
            path = tmp_path / "photos" / f"class{number % 2}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 33), (number * 4, 90, 200)).save(path)
        words += ["data.root=photos", "data.test=0.2"]
        words += ["data.size=32", "data.resize=null"] if config.run.choices.data == "hymenoptera" else []
    elif config.data.get("classes"):
        words.append("data=digits")
    elif config.data.gives.kind in GENERATED and config.run.choices.data != "digits":
        stream = config.run.choices.task in ("language_modelling", "masked_language_modelling")
        generated = "generated_text" if stream else GENERATED[config.data.gives.kind]
        words.append(f"data={generated}")
        keys = compose([f"data={generated}"]).data
        words += [
            f"~data.{key}" for key in content(option_files("experiment")[name]).get("data", {}) if key not in keys
        ]
        words += ["data.limit=200"] if "collections" in config.data else []
        changes = dict(config.data.get("augment", {})) | ({"crop": None} if config.data.gives.kind == "masks" else {})
        words += [f"data.augment.{key}={'null' if value is None else value}" for key, value in changes.items()]
    size = config.data.batch_size
    if config.data.gives.kind in ("image", "masks", "boxes", "audio"):  # large networks are among them
        size = min(size, 8)
    words.append(f"data.batch_size={size}")
    if (config.model.about.get("parameters") or 0) > 50e6:
        words.append("callbacks.checkpoint=null")  # as it would be most of a gigabyte
    if "peers" in config.task:  # what stands beside an autoencoder is tested with its task
        words.append("task.peers=false")
    code, _, errors = experiments("train", *words)
    assert code == 0, errors


def chosen_model(name: str) -> str:
    """The model that an experiment's file names, or that of the experiment it changes."""
    defaults = content(option_files("experiment")[name])["defaults"]
    named = [word["override /model@_global_.model"] for word in defaults if "override /model@_global_.model" in word]
    return named[0] if named else chosen_model(next(word for word in defaults if isinstance(word, str)))


def target(model: str) -> str:
    """The class of a model option, read from its file or from that of the option it changes."""
    option = content(option_files("model", bases=True)[model])
    return option.get("_target_") or target(next(word for word in option["defaults"] if word != "_self_"))


@pytest.mark.slow
def test_every_architecture_has_an_experiment() -> None:
    """Sizes of one architecture share theirs."""

    def architecture(model: str) -> tuple[str, str | None]:
        return target(model), content(option_files("model")[model]).get("method")

    paired = {architecture(chosen_model(name)) for name in EXPERIMENTS}
    assert {architecture(model) for model in option_files("model")} == paired


@pytest.mark.slow
@pytest.mark.parametrize(
    ("group", "option"),  # those of `experiment` are composed above
    [(group, option) for group in GROUPS if group not in ("sweep", "experiment") for option in option_files(group)],
)
def test_every_option_composes_alone(group: str, option: str) -> None:
    config = compose([f"{group}={option}", *(REQUIRED.get(option, []) if group == "data" else [])])
    assert config.run.choices[group] == option


@pytest.mark.slow
def test_every_option_composes_beside_others() -> None:
    """Each stands in one config at least, beside the options of other groups that have its place in their lists."""
    columns = [  # those of `experiment` are composed above
        [(group, option) for option in option_files(group)] for group in GROUPS if group not in ("sweep", "experiment")
    ]
    for row in itertools.zip_longest(*columns):
        chosen = dict(pair for pair in row if pair)
        config = compose(
            [*(f"{group}={option}" for group, option in chosen.items()), *REQUIRED.get(chosen.get("data"), [])]
        )
        assert {group: config.run.choices[group] for group in chosen} == chosen
