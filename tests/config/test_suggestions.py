"""Words of beginners: each is answered with what to type."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.cli import COMMANDS
from experiments.config.command_suggestions import _COMMANDS
from experiments.config.compose import GROUPS
from experiments.config.options import options
from experiments.config.suggestions import unknown_option
from experiments.config.usual_words import CONTROL_KEYS, KEYS, OPTIONS
from experiments.errors import UserError, in_short


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("freezing=fine_tuning", "freezing=fine_tuning is freezing=none here: write that"),
        ("freezing=full", "freezing=full is freezing=none here: write that"),
        ("freezing=partial", "is freezing=last_stage here"),
        ("model=resnet18 freezing.learn=[fc]", "freezing.learn is a key of freezing=stages: choose that"),
        ("model=resnet18 freezing=stages freezing.stages=[layer4,fc]", "freezing=stages freezing.learn=[layer4,head]"),
        ("model=resnet18 freezing=stages freezing.learn=[layer4,fc]", "the last layer is called head here"),
        ("model=bert", "did you mean bert_base or bert_mini or bert_tiny?"),
        ("model=unet", "other data, as data=generated_masks"),
        ("model=whisper", "did you mean whisper_base or whisper_tiny?"),
        ("model=gpt", "gpt2 or gpt2_tiny or gpt_mini"),
        ("model=t5", "did you mean t5_small or t5_tiny?"),
        ("model=yolo", "ssdlite"),
        ("model=mpl", "did you mean mlp"),
        ("model=lstm_cell", "model=lstm_cell is model=lstm here: write that"),
        ("model=cnn", "simple_cnn"),
        ("model=resnet", "resnet18 or resnet20"),
        ("model=vit", "model=timm model.name=vit_tiny_patch16_224"),
        ("model=nothing_like_it", "experiments list models shows all"),
        ("model=bert_mini", "other data, as data=generated_reviews"),
        ("model=lenet5 data=generated_reviews", "other data, as data=digits"),
        ("task=translation", "other data, as data=generated_pairs"),
        ("data=mnist_digits", "data=mnist_digits is data=mnist here: write that"),
        ("data=cifar", "did you mean cifar10 or cifar100?"),
        ("data=my_images", "data=my_images is data=image_folder here"),
        ("data=series_table data.target=[y]", "data.target is data.columns here: write that"),
        ("path=x", "choose an option of data that has it, as data=audio_folder"),
        ("data=image_folder data.path=x", "data.path is data.root here: write that"),
        ("data=image_folder folder=x", "folder is data.root here: write that"),
        ("data=ljspeech data.dir=x", "data.dir is data.root here: write that"),
        ("data=text_file data.root=x", "data.root is data.path here: write that"),
        ("data=text_table data.csv=x", "data.csv is data.path here: write that"),
        ("data=conllu data.file=x", "data.file is data.path here: write that"),
        ("precision=mixed", "is precision=16-mixed here"),
        ("epochs=3", "epochs is trainer.max_epochs here: write that"),
        ("sweep.dir=x", "sweep.dir is hydra.sweep.dir here: write that"),
        ("lr=0.1", "lr is optimizer.lr here: write that"),
        ("model=lenet5 pretrained=true", "pretrained is weights=pretrained here"),
        ("model=resnet18 weights=imagenet", "weights=imagenet is weights=pretrained here"),
        ("data=control task.gae_lambda=2", "task.gae_lambda is task.trace here: write that"),
        ("data=control task.gamma=0.9", "task.gamma is task.discount here"),
        ("weights=none", "weights=none is weights=null here"),
        ("model=VGG-16", "model=VGG-16 is model=vgg16 here: write that"),
        ("model=SimpleCNN", "model=SimpleCNN is model=simple_cnn here: write that"),
        ("model=gan", "vae and conv_vae make new images"),
        ("precision=16", "precision=16 is precision=16-mixed here"),
        ("model=resnet18 model.pretrained=true", "write weights=pretrained"),
        ("model=resnet18 model.num_classes=2", "the data say how many classes there are"),
        ("num_classes=2", "the data say how many classes there are"),
        ("search.trials=3", "a search has it: add -m hydra/sweeper=optuna"),
        ("optimizer=lion", "write optimizer=Lion"),
        ("freezing=layer4", "freezing.learn=[layer4,head]"),
        ("data=titanic", "tables of measurements are not read"),
        ("task=summarization", "data.prefix='summarize:'"),
        ("data.tgt_lang=hi", "data.languages=[en,hi]"),
        ("data=pairs data.path=. data.target=hi", "data.target is data.languages=[en,hi] here: write that"),
        ("data=pairs data.path=. task.language=hi", "task.language is data.languages=[en,hi] here: write that"),
        ("data=rt_polarity data.gibes=x", "data.gibes is no key of this config: did you mean data.test"),
        ("freezing=fc", "the last layer is called head here, and freezing=feature_extraction learns it alone"),
        ("freezing=true", "freezing=true is freezing=feature_extraction here: write that"),
        ("loss=cross_entropy", "the task brings its loss"),
        ("seeds=3", "experiments train -m seed=0,1,2 trains with three"),
        ("patience=3", "callbacks=early_stopping callbacks.early_stopping.patience=5 here: write that"),
        ("momentum=0.9", "optimizer.momentum here: choose an option of optimizer that has it, as optimizer=rmsprop or"),
        ("dropout=0.5", "model.dropout here: choose an option of model that has it, as model="),
        ("model=lstm data=generated_reviews dropout=0.5", "dropout is model.dropout here: write that"),
        ("optimizer.learning_rate=0.1", "optimizer.learning_rate is optimizer.lr here: write that"),
        ("--epochs 5", "--epochs is trainer.max_epochs=… here: write that"),
        ("--batch-size=5", "--batch-size=5 is data.batch_size=5 here: write that"),
        ("--gpu", "--gpu is trainer=gpu here: write that"),
        ("--model lenet5", "--model is model=… here: write that"),
        ("'trainer={max_epoch: 3}'", "trainer.max_epoch is no key of this config: did you mean trainer.max_epochs"),
        ("data=mnist 'data.augment={nope: 1}'", "data.augment.nope is no key of this config: did you mean"),
        ("lenet5 mnist", "lenet5 is no key=value: write model=lenet5"),
        ("MNIST", "MNIST is no key=value: write data=mnist"),
        ("nowhere", "nowhere is no key=value: write group=option or key=value, as model=lenet5 or optimizer.lr=0.01"),
    ],
)
def test_says_what_to_type(experiments, words: str, sentence: str) -> None:
    code, _, errors = experiments("check", *shlex.split(words))
    assert code == 2 and sentence in errors and len(errors.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("run model=lenet5", "run is train here: write experiments train"),
        ("fit", "write experiments train"),
        ("test outputs", "write experiments evaluate RUN"),
        ("models", "write experiments list models"),
        ("claims", "write experiments claim --list"),
        ("model=lenet5", "model=lenet5 is no command: write experiments train model=lenet5"),
        ("lenet5", "lenet5 is no command: write experiments train model=lenet5"),
        ("evalute RUN", "did you mean evaluate?"),
        ("-m model=lenet5,mlp", "write experiments train -m"),
        ("--data=mnist", "write experiments train data=mnist"),
        ("--epochs 5", "write experiments train trainer.max_epochs=5"),
        ("--epochs", "write experiments train trainer.max_epochs=…"),
        (
            "--model lenet5 train --gpu --lr=0.1 seed=3",
            "experiments train model=lenet5 trainer=gpu optimizer.lr=0.1 seed=3",
        ),
        ("model=lenet5 data=digits", "write experiments train model=lenet5 data=digits"),
        ("--gpu", "write experiments train trainer=gpu"),
        ("draw resnet18", "name the folder of a run, or model=resnet18"),
        ("explain patience", "write experiments explain callbacks.early_stopping.patience"),
    ],
)
def test_commands_of_beginners(experiments, words: str, sentence: str) -> None:
    code, _, errors = experiments(*shlex.split(words))
    assert code == 2 and sentence in errors and len(errors.splitlines()) == 1


def test_commands_that_are_named_are_there() -> None:
    commands = {*COMMANDS, "--version"}
    assert {meant.split()[0] for meant in _COMMANDS.values()} <= commands
    assert not set(_COMMANDS) & commands


def test_what_is_named_is_there() -> None:
    for group, words in OPTIONS.items():
        there = options(group)
        assert set(words.values()) <= set(there), group
        assert not set(words) & set(there), f"{group}: an option of ours can be typed as it is"
    for meant in (*KEYS.values(), *CONTROL_KEYS.values()):
        assert re.match(rf"({'|'.join([*GROUPS, 'weights', 'seed', 'hydra'])})\b", meant)


def test_an_option_of_ones_own_is_near_too() -> None:
    assert unknown_option("model", "abc", ["lenet5", "my_net"]).endswith("choose from lenet5, my_net")
    assert unknown_option("model", "net", ["lenet5", "my_net"]).endswith("did you mean my_net?")


def test_claims_are_listed_and_searched(experiments) -> None:
    code, output, _ = experiments("list", "claims", "gru")
    assert code == 0 and "gru_faster_than_lstm" in output and "depth_needs_shortcuts" not in output
    code, _, errors = experiments("list", "claims", "bicycles")
    assert code == 2 and "no claim has bicycles" in errors


def test_a_folder_in_place_of_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, experiments: Callable[..., tuple[int, str, str]]
) -> None:
    """What a stranger types first: each refusal says what to type next."""
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    assert "write data=image_folder data.root=photos" in experiments("check", "data=photos")[2]
    message = experiments("check", "data=image_folder")[2]
    assert "data.root has no default: add data.root=… (holds train/<class>/*" in message
    assert "(holds train/<class>/*" in experiments("check", "-m", "data=image_folder", "seed=0,1")[2]


def test_an_error_of_the_user_is_its_sentence_alone() -> None:
    assert in_short(UserError("photo.png is broken: leave it out")) == "photo.png is broken: leave it out"
    assert in_short(ValueError("no")) == "ValueError: no"
