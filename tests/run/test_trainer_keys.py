"""Every key of Lightning's Trainer takes effect, or is refused in one sentence that names the key to use."""

from __future__ import annotations

import copy
import functools
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, ModelSummary, ProgressBar, Timer
from lightning.pytorch.plugins import AsyncCheckpointIO
from lightning.pytorch.profilers import AdvancedProfiler, SimpleProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from omegaconf import OmegaConf

from experiments.callbacks.checkpoint import Checkpoints
from experiments.callbacks.progress import Progress
from experiments.config.check import check
from experiments.config.compose import compose, parse
from experiments.errors import UserError
from experiments.run.trainer import build_trainer, quiet


def _has(kind: type) -> Callable[[Any], bool]:
    return lambda trainer: any(isinstance(callback, kind) for callback in trainer.callbacks)


def _passed(name: str, value: Any) -> Callable[[Any], bool]:
    """What Lightning's own code does with it is Lightning's; that it arrived is ours."""
    return lambda trainer: _ARRIVED[name] == value


_ARRIVED: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def _arrivals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    original = Trainer.__init__

    @functools.wraps(original)
    def init(self: Any, **given: Any) -> None:
        _ARRIVED.clear()
        _ARRIVED.update(given)
        original(self, **given)

    monkeypatch.setattr(Trainer, "__init__", init)
    yield
    torch.use_deterministic_algorithms(False)


@functools.lru_cache(maxsize=1)
def _base() -> Any:
    return compose(["data=digits", "model=mlp"])


def _config(words: list[str]) -> Any:
    """As the command line sets it, without composing anew."""
    config = copy.deepcopy(_base())
    for override in parse([word for word in words if "." in word]):
        OmegaConf.update(config, override.key_or_group, override.value(), force_add=True)
    config.run.overrides = words
    return config


HONOURED: dict[str, tuple[list[str], Callable[[Any], Any]]] = {
    "accelerator": (["trainer.accelerator=cpu"], lambda t: type(t.accelerator).__name__ == "CPUAccelerator"),
    "strategy": (["trainer.strategy={_target_: lightning.pytorch.strategies.SingleDeviceStrategy, device: cpu}"],
                 lambda t: type(t.strategy) is SingleDeviceStrategy),
    "devices": (["trainer=cpu", "trainer.devices=1"], lambda t: t.num_devices == 1),
    "num_nodes": (["trainer.num_nodes=1"], lambda t: t.num_nodes == 1),
    "fast_dev_run": (["trainer.fast_dev_run=true"], lambda t: t.fast_dev_run and t.num_sanity_val_steps == 0),
    "max_epochs": (["trainer.max_epochs=7"], lambda t: t.max_epochs == 7),
    "min_epochs": (["trainer.min_epochs=3"], lambda t: t.min_epochs == 3),
    "max_steps": (["trainer.max_steps=7"], lambda t: t.max_steps == 7),
    "min_steps": (["trainer.min_steps=3"], lambda t: t.min_steps == 3),
    "max_time": (["trainer.max_time='00:00:01:00'"], _has(Timer)),
    "limit_train_batches": (["trainer.limit_train_batches=3"], lambda t: t.limit_train_batches == 3),
    "limit_val_batches": (["trainer.limit_val_batches=0.5"], lambda t: t.limit_val_batches == 0.5),
    "limit_test_batches": (["trainer.limit_test_batches=3"], lambda t: t.limit_test_batches == 3),
    "overfit_batches": (["trainer.overfit_batches=2"], lambda t: t.overfit_batches == 2),
    "val_check_interval": (["trainer.val_check_interval=0.25"], lambda t: t.val_check_interval == 0.25),
    "check_val_every_n_epoch": (["trainer.check_val_every_n_epoch=2"], lambda t: t.check_val_every_n_epoch == 2),
    "num_sanity_val_steps": (["trainer.num_sanity_val_steps=2"], lambda t: t.num_sanity_val_steps == 2),
    "log_every_n_steps": (["trainer.log_every_n_steps=3"], lambda t: t.log_every_n_steps == 3),
    "enable_checkpointing": (["trainer.enable_checkpointing=false"],
                             lambda t: not _has(Checkpoints)(t) and not _has(ModelCheckpoint)(t)),
    "enable_progress_bar": (["trainer.enable_progress_bar=true"],
                            lambda t: _has(ProgressBar)(t) and not _has(Progress)(t)),
    "enable_model_summary": (["trainer.enable_model_summary=true"], _has(ModelSummary)),
    "accumulate_grad_batches": (["trainer.accumulate_grad_batches=2"], lambda t: t.accumulate_grad_batches == 2),
    "gradient_clip_val": (["trainer.gradient_clip_val=0.5"], lambda t: t.gradient_clip_val == 0.5),
    "gradient_clip_algorithm": (["trainer.gradient_clip_algorithm=value", "trainer.gradient_clip_val=1"],
                                lambda t: str(t.gradient_clip_algorithm.value) == "value"),
    "deterministic": (["trainer.deterministic=warn"], lambda t: torch.is_deterministic_algorithms_warn_only_enabled()),
    "benchmark": (["trainer.benchmark=false"], lambda t: torch.backends.cudnn.benchmark is False),
    "inference_mode": (["trainer.inference_mode=false"], _passed("inference_mode", False)),
    "use_distributed_sampler": (["trainer.use_distributed_sampler=true"],
                                _passed("use_distributed_sampler", True)),
    "profiler": (["trainer.profiler=simple"], lambda t: type(t.profiler) is SimpleProfiler),
    "detect_anomaly": (["trainer.detect_anomaly=true"], lambda t: t._detect_anomaly is True),
    "plugins": (["trainer.plugins=[{_target_: lightning.pytorch.plugins.AsyncCheckpointIO}]"],
                lambda t: isinstance(t.strategy.checkpoint_io, AsyncCheckpointIO)),
    "sync_batchnorm": (["trainer.sync_batchnorm=true"], _passed("sync_batchnorm", True)),
    "reload_dataloaders_every_n_epochs": (["trainer.reload_dataloaders_every_n_epochs=2"],
                                          _passed("reload_dataloaders_every_n_epochs", 2)),
    "default_root_dir": (["trainer.default_root_dir=elsewhere"],
                         lambda t: Path(t.default_root_dir).name == "elsewhere"),
    "enable_autolog_hparams": (["trainer.enable_autolog_hparams=false"], lambda t: t.enable_autolog_hparams is False),
    "model_registry": (["trainer.model_registry=mine"], lambda t: t._model_registry == "mine"),
}  # fmt: skip
REFUSED = {
    "precision": (["trainer.precision=16"], "use precision=16-mixed"),
    "logger": (["trainer.logger=false"], "use logger=none"),
    "callbacks": (["trainer.callbacks=[]"], "callbacks.NAME._target_"),
    "barebones": (["trainer.barebones=true"], "logger=none"),
    "limit_predict_batches": (["trainer.limit_predict_batches=3"], "experiments predict"),
}


def test_every_parameter_is_here() -> None:
    assert set(inspect.signature(Trainer.__init__).parameters) - {"self"} == set(HONOURED) | set(REFUSED)


@pytest.mark.parametrize("key", HONOURED)
def test_takes_effect(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words, holds = HONOURED[key]
    config = _config(words)
    assert check(config, _base()) == []
    quiet()
    trainer = build_trainer(config)
    assert holds(trainer), key


@pytest.mark.parametrize("key", REFUSED)
def test_is_refused_with_the_key_to_use(key: str) -> None:
    words, cure = REFUSED[key]
    (sentence,) = check(_config(words), _base())
    assert sentence.startswith(f"trainer.{key}=") and cure in sentence


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("trainer.profiler=3", "must be text or a Profiler by its _target_ or null"),
        ("trainer.profiler=fast", "choose one of simple, advanced, pytorch"),
        ("trainer.min_epochs=much", "must be a whole number, 1 or more, or null"),
        ("trainer.log_every_n_steps=often", "must be a whole number, 0 or more, or null"),
        ("trainer.strategy=ddp_spawn", "use trainer.strategy=ddp"),
        (
            "trainer.max_time=2",
            "must be a time, as '00:12:00:00' (days, hours, minutes, seconds) or {hours: 12}, or null",
        ),
        ("trainer.max_time=2h", "try trainer.max_time='00:12:00:00'"),
        ("trainer.max_time={hour: 2}", "must be a time"),
        ("trainer.val_check_interval=often", "or a time, as"),
        ("trainer.memory_format=sideways", "choose one of auto, contiguous, channels_last"),
        ("+trainer.profilers=simple", "no key of Lightning's Trainer: did you mean profiler"),
    ],
)
def test_other_values_are_refused(word: str, part: str) -> None:
    (sentence,) = check(_config([word]), _base())
    assert part in sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["trainer.min_steps=9", "trainer.max_steps=5"], "is more than trainer.max_steps=5: set trainer.max_steps=9"),
        (["trainer.max_epochs=null", "trainer.max_steps=5"], "try trainer.max_epochs=-1"),
        (
            ["optimizer._target_=torch.optim.LBFGS", "trainer.memory_format=channels_last"],
            "trainer.memory_format=channels_last does not go with optimizer (torch.optim.LBFGS)",
        ),
        (["callbacks={_target_: lightning.pytorch.callbacks.Timer}"], "write callbacks={NAME: {_target_: …}}"),
    ],
)
def test_pairs_that_would_have_no_effect(words: list[str], sentence: str) -> None:
    config = _config(words) if "callbacks" not in words[0] else compose(["data=digits", "model=mlp", *words])
    assert any(sentence in problem for problem in check(config, _base()))


@pytest.mark.parametrize("value", ["'00:12:00:00'", "{hours: 12, minutes: 30}", "null"])
def test_lengths_of_time(value: str) -> None:
    assert check(_config([f"trainer.max_time={value}"]), _base()) == []


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("callbacks.mine={_target_: torch.nn.ReLU}", "callbacks.mine (torch.nn.ReLU) makes no Callback of Lightning"),
        ("logger.mine={_target_: torch.nn.ReLU}", "a subclass of lightning.pytorch.loggers.Logger"),
        (
            "callbacks.mine={_target_: lightning.pytorch.callbacks.Timer, _partial_: true}",
            "makes no Callback of Lightning",
        ),
    ],
)
def test_objects_of_another_kind_are_refused(word: str, part: str, tmp_path: Path) -> None:
    config = _config([word])
    config.run.dir = str(tmp_path)
    with pytest.raises(UserError, match=re.escape(part)):
        build_trainer(config)


def test_a_list_of_classes_says_where_the_name_belongs() -> None:
    with pytest.raises(
        UserError, match=re.escape("write callbacks={NAME: {_target_: lightning.pytorch.callbacks.Timer}}")
    ):
        compose(["data=digits", "callbacks=[{_target_: lightning.pytorch.callbacks.Timer}]"])


def test_all_together_are_composed_without_a_plus() -> None:
    words = [word for key, (words, _) in HONOURED.items() if key not in ("strategy", "devices") for word in words]
    config = compose(["data=digits", "model=mlp", *words])
    assert all(word.partition("=")[0].partition(".")[2] in config.trainer for word in words)
    assert check(config) == []


def test_a_plus_is_taken_too() -> None:
    config = compose(["data=digits", "+trainer.log_every_n_steps=1", "+trainer.profiler=simple"])
    assert (config.trainer.log_every_n_steps, config.trainer.profiler) == (1, "simple")


def test_a_profiler_by_target() -> None:
    node = "trainer.profiler={_target_: lightning.pytorch.profilers.AdvancedProfiler, filename: report}"
    trainer = build_trainer(compose(["data=digits", node]))
    assert isinstance(trainer.profiler, AdvancedProfiler) and trainer.profiler.filename == "report"
