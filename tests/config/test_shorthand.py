"""Words that Hydra alone would refuse, and optimizers and schedules that are not ours, through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.config.compose import compose, parse
from experiments.config.quoting import quoted
from experiments.config.shorthand import spelled_out
from experiments.config.signatures import is_a, signature
from experiments.errors import UserError

SMALL = ("data=digits", "model=logistic_regression", "data.limit=64", "callbacks=none", "logger=none")
Experiments = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    "words",
    [
        ("optimizer=NAdam", "optimizer.momentum_decay=0.01"),
        ("optimizer=torch", "optimizer.name=LBFGS"),
        ("optimizer=Adafactor", "scheduler=torch"),
        ("optimizer._target_=torch.optim.RAdam", "scheduler=ReduceLROnPlateau", "scheduler.patience=0"),
        (
            "optimizer=sgd",
            "optimizer._target_=torch.optim.Rprop",
            "scheduler=OneCycleLR",
            "scheduler.max_lr=0.1",
            "scheduler.cycle_momentum=false",
        ),
        (
            "optimizer.amsgrad=true",
            "scheduler=cosine",
            "scheduler._target_=torch.optim.lr_scheduler.ExponentialLR",
            "scheduler.gamma=0.5",
        ),
        ("optimizer={_target_: torch.optim.RMSprop, _partial_: true, lr: 0.01, alpha: 0.9}", "scheduler=torch"),
        ("scheduler._target_=torch.optim.lr_scheduler.OneCycleLR", "scheduler.max_lr=0.1", "scheduler.interval=step"),
        ("scheduler=ReduceLROnPlateau", "scheduler.monitor=train/loss"),
        (
            "scheduler={_target_: torch.optim.lr_scheduler.SequentialLR, milestones: [1], schedulers: ["
            "{_target_: torch.optim.lr_scheduler.LinearLR, _partial_: true}, "
            "{_target_: torch.optim.lr_scheduler.CosineAnnealingLR, T_max: 5, _partial_: true}]}",
        ),
        ("optimizer=Lamb", "scheduler=MultiStepLR", "scheduler.milestones=[1]", "scheduler.interval=step"),
    ],
)
def test_any_optimizer_and_any_schedule_train(experiments: Experiments, tmp_path: Path, words: tuple[str, ...]) -> None:
    code, _, errors = experiments("train", *SMALL, "trainer.max_epochs=2", "hydra.run.dir=run", *words)
    assert code == 0, errors
    assert json.loads((tmp_path / "run" / "record.json").read_text())["status"] == "finished"


@pytest.mark.slow
def test_a_schedule_of_torch_in_hydras_form(experiments: Experiments, tmp_path: Path) -> None:
    (tmp_path / "conf" / "scheduler").mkdir(parents=True)
    text = "_target_: torch.optim.lr_scheduler.StepLR\n_partial_: true\nstep_size: 1\ngamma: 0.5\n"
    (tmp_path / "conf" / "scheduler" / "own.yaml").write_text(text)
    words = ["--config-dir", "conf", "scheduler=own", *SMALL, "trainer.max_epochs=2", "hydra.run.dir=run"]
    code, _, errors = experiments("train", *words, "logger=csv", "callbacks=default", "callbacks.figures=null")
    assert code == 0, errors
    rates = [line.split(",") for line in (tmp_path / "run" / "metrics.csv").read_text().splitlines()]
    place = rates[0].index("train/learning_rate")
    assert [float(line[place]) for line in rates[1:]] == [0.001, 0.0005]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("scheduler=StepLR",), "needs step_size: add scheduler.step_size="),
        (("optimizer._target_=torch.optim.SGD", "optimizer.betas=[0.9,0.99]"), "betas"),
        (("optimizer=NAdam", "+optimizer.fused=true"), "fused"),
        (("optimizer=Nadam",), "no option of optimizer"),
    ],
)
def test_what_a_class_does_not_take_is_refused_by_check_and_train(
    experiments: Experiments, tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    messages = []
    for command in ("check", "train"):
        code, _, errors = experiments(command, *SMALL, *words)
        assert code == 2 and sentence in errors
        messages.append(errors)
    assert messages[0] == messages[1] and not (tmp_path / "outputs").exists()


def test_what_an_option_brings_and_the_class_does_not_take_is_left_out() -> None:
    config = compose(["data=digits", "optimizer._target_=torch.optim.Adagrad"])
    assert set(config.optimizer) == {"_target_", "_partial_", "lr", "weight_decay", "fused"}


@pytest.mark.slow
def test_a_sweep_over_classes_by_name(experiments: Experiments) -> None:
    code, output, errors = experiments("check", "-m", *SMALL, "optimizer=adam,NAdam,Lion", "trainer.min_epochs=1,2")
    assert code == 0, errors
    assert "6 runs: 6 to run" in output


def test_signatures_are_read_without_importing() -> None:
    adam = signature("torch.optim.Adam")
    assert adam is not None and adam.takes("fused") and adam.required == ("params",)
    assert is_a("experiments.tasks.classification.Classification", ("LightningModule",))
    assert is_a("torch.nn.Linear", ("LightningModule",)) is False
    assert signature("nowhere.at.all") is None


@pytest.mark.slow
def test_a_trainer_on_the_command_line_counts_more_than_an_experiment() -> None:
    def epochs(*words: str) -> int:
        return int(compose(["experiment=lenet5_digits", *words]).trainer.max_epochs)

    assert epochs() == epochs("trainer=cpu") == epochs("trainer=auto") == 40
    assert epochs("trainer=quick") == 1
    assert epochs("trainer=quick", "trainer.max_epochs=3") == 3
    assert epochs("trainer=quick", "debug=overfit") == compose(["debug=overfit"]).trainer.max_epochs


@pytest.mark.parametrize("sign", ["", "+", "++"])
def test_a_callback_and_a_logger_as_one_object(sign: str) -> None:
    words = [
        f"{sign}callbacks.timer={{_target_: lightning.pytorch.callbacks.Timer, interval: step}}",
        f"{sign}logger.table={{_target_: lightning.pytorch.loggers.CSVLogger, save_dir: tables}}",
    ]
    config = compose(["data=digits", *words])
    assert config.callbacks.timer.interval == "step" and config.logger.table.save_dir == "tables"


def test_values_in_other_letters_need_no_quotes() -> None:
    assert compose(["data=image_folder", "data.root=चित्र/图"]).data.root == "चित्र/图"
    assert compose(["data=image_folder", "data.root='चित्र'"]).data.root == "चित्र"
    assert spelled_out(["-m", "data.root=चित्र,plain"]) == ["-m", "data.root='चित्र',plain"]
    assert spelled_out(["data.root=a, चित्र"]) == ["data.root=a,'चित्र'"]


@pytest.mark.parametrize("text", ["it's", "C:\\data\\new", "ends\\", "C:\\it's\\", 'say "x"', "a, b", "", "चित्र (1)"])
def test_quotes_keep_a_text(text: str) -> None:
    assert parse([f"key={quoted(text)}"])[0].value() == text


def test_whole_objects_are_not_swept_and_named_transforms_stand_beside_ours() -> None:
    with pytest.raises(UserError, match="sweeps over whole objects, and optimizer takes one"):
        spelled_out(["optimizer={_target_: torch.optim.SGD, lr: 0.1},{_target_: torch.optim.Adam, lr: 0.1}"])
    assert spelled_out(["optimizer={}"]) == ["optimizer={}"]
    grey = "torchvision.transforms.v2.Grayscale"
    augment = compose(["data=mnist", f"data.augment={{crop: 4, grey: {{_target_: {grey}}}}}"]).data.augment
    assert augment.crop == 4 and augment.grey == {"_target_": grey} and "transforms" not in augment


def test_a_named_sweep_is_no_single_run(experiments: Experiments) -> None:
    code, _, errors = experiments("check", "sweep=seeds")
    assert code == 2 and "add -m" in errors


def test_callbacks_and_loggers_in_one_word() -> None:
    stop = "{_target_: lightning.pytorch.callbacks.EarlyStopping, monitor: val/loss}"
    config = compose([*SMALL[:3], f"callbacks={{stop: {stop}, figures: null}}"])
    assert config.callbacks.stop.monitor == "val/loss" and config.callbacks.figures is None
    assert config.callbacks.checkpoint is not None, "beside those of the option"
    logger = "{mine: {_target_: lightning.pytorch.loggers.CSVLogger, save_dir: x}}"
    assert compose([*SMALL[:3], f"logger={logger}"]).logger.mine.save_dir == "x"


@pytest.mark.slow
def test_a_sweep_over_a_key_of_ones_own(experiments: Experiments) -> None:
    """Which other keys refer to: the command line of the sweep alone gives it no value."""
    words = ("check", "-m", *SMALL, "+rate=0.1,0.2", "optimizer.lr=${rate}")
    code, output, errors = experiments(*words)
    assert code == 0 and "2 runs" in output, errors
    code, output, errors = experiments(*words, "hydra/sweeper=basic", "hydra/launcher=basic")
    assert code == 0 and output.count("this config can run") == 2, errors


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("train", "--cfg", "job", "--package", "nothere"), "package 'nothere' not found"),
        (("train", "-m", "hydra/sweeper=basic", "++hydra.sweeper.params.seed=0,1"), "write seed=0,1"),
        (("train", "-m", "hydra/sweeper=basic", "++hydra.sweeper.params.seed='0,1'"), "write seed=0,1"),
        (("train", "-m", "hydra.launcher.jobs=1,2"), "takes one value"),
        (("train", "-m", "hydra/sweeper=basic", "hydra.sweeper.params={seed: '0,1'}"), "hydra.sweeper.params is null"),
    ],
)
def test_what_hydra_itself_refuses_ends_with_2(experiments: Experiments, words: tuple[str, ...], sentence: str) -> None:
    code, _, errors = experiments(*words, *SMALL)
    assert code == 2 and sentence in errors, errors
