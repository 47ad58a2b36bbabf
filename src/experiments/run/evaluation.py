"""Test a finished run, or weights from elsewhere, again: on the data of its config, or on other data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments.errors import UserError
from experiments.run.build import build_data, build_task, outputs_of_task, prepare_process
from experiments.run.evaluated_config import judged_keys, with_overrides
from experiments.run.folder import read_config, reading
from experiments.run.foreign import has_test, is_ours, lightning_in_words, shares_batches
from experiments.run.loaded import earlier_run, foreign_parts, load, tested_checkpoint
from experiments.run.names_of_data import match_classes, require_names
from experiments.run.tested_weights import read_by_trainer
from experiments.run.trainer import build_trainer
from experiments.run.trust import READING, require_trust


def evaluate(run_folder: str | Path, *overrides: str) -> dict[str, float]:
    """Tests a run again with its best weights, also on other data; writes nothing.

    Args:
        run_folder: the run's folder.
        overrides: of data, precision or trainer, and of the task what its `test_keys` name; images are normalised as in the
            run's training, and grey where those were.

    Raises:
        UserError: as `load`, and when the other data has other classes or shapes.
    """
    folder = Path(run_folder).absolute()
    config = read_config(folder)
    require_trust(OmegaConf.to_container(config), folder, (*READING, "trainer"))
    prepare_process(config)  # before anything asks for Lightning, which would import all companions of torchmetrics
    judged: dict[str, Any] = {}
    if overrides:
        named = judged_keys(config, overrides)
        config = with_overrides(config, overrides)
        judged = {key: config.task.get(key) for key in named}
    if not is_ours(config.task):
        record, checkpoint = tested_checkpoint(folder, read_config(folder))
        with reading(folder, record.get("environment")):
            prepare_process(config)
            task, data = foreign_parts(config)
        return _tested(read_by_trainer(task, checkpoint), data, config, checkpoint)
    loaded = load(folder, judged=judged)
    prepare_process(config)  # load has used the run's own threads
    for key in ("mean", "std"):
        if config.data.get(key, loaded) is None and hasattr(loaded.spec, key):
            config.data[key] = list(getattr(loaded.spec, key))
    if config.data.get("grey") is False and getattr(loaded.spec, "channels", None) == 1:
        config.data.grey = True  # files of images are read as the run's were
    data = build_data(config)
    match_classes(data, loaded.spec, f"data={config.run.choices.data}")
    require_names(data.spec, loaded.spec, f"data={config.run.choices.data}", f"the run {folder.name}")
    given, trained = (spec.inputs | outputs_of_task(config.task, spec) for spec in (data.spec, loaded.spec))
    if type(data.spec) is not type(loaded.spec) or given != trained:
        cure = ", or set data.size" if "image_size" in trained else ""
        raise UserError(
            f"{config.run.choices.data} gives {_shape(given)} and the run was trained on {_shape(trained)}: "
            f"choose data of the same kind{cure}"
        )
    from experiments.run.auto_settings import settle

    settle(config, loaded.model, loaded.spec)
    return _tested(loaded.task, data, config)


def evaluate_weights(overrides: Sequence[str], config_dirs: Sequence[str] = ()) -> dict[str, float]:
    """Tests weights from elsewhere on the test split of some data, without training; writes nothing.

    Args:
        overrides: such as `model=resnet20`, `data=cifar10`, `weights=PATH` and the normalisation they expect.
        config_dirs: further folders of configs.

    Raises:
        UserError: when there are no weights, or they do not fit, head included.
    """
    from experiments.config.check import require
    from experiments.config.compose import compose

    config = compose(overrides, config_dirs)
    if config.weights is None:
        raise UserError("evaluate needs a run, or weights=pretrained or weights=PATH: experiments evaluate RUN")
    require(config)
    prepare_process(config)
    data = build_data(config)
    task = build_task(config, data.spec, data, with_head=True, earlier_run=earlier_run)
    return _tested(task, data, config)


def _tested(task: Any, data: Any, config: DictConfig, checkpoint: Path | None = None) -> dict[str, float]:
    if not has_test(task, data):
        raise UserError(
            f"{type(task).__name__} has no test_step, or its data no test_dataloader: there is nothing to evaluate"
        )
    trainer = build_trainer(config, callbacks=False, shares=shares_batches(data))
    with lightning_in_words():
        # By Lightning, which also gives data and module what they have put into the checkpoint.
        trainer.test(task, datamodule=data, verbose=False, ckpt_path=checkpoint, weights_only=True)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def _shape(arguments: Mapping[str, Any]) -> str:
    """Say in words what a network was made for: classes, or values that are forecast a step."""
    count = "classes" if "horizon" not in arguments else "values a step"
    return ", ".join(
        f"{value} {count}" if key == "num_classes" else f"{key} {value}" for key, value in arguments.items()
    )
