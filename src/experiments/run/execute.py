"""One run: trained, tested and recorded, from the `config.yaml` in its folder.

Every process of a run (this one, a rank of a distributed job, a worker of a sweep, a resumed run) starts from that
file and never composes again.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments import speedups
from experiments.config.devices import processes_here
from experiments.contracts import KeepsFiles
from experiments.errors import Pruned, UserError, belongs_to, in_short
from experiments.run.banner import banner, freezing_table
from experiments.run.build import (
    build_callbacks,
    build_data,
    build_task,
    prepare_process,
    seed_everything,
)
from experiments.run.build_errors import before_the_first_batch, in_words, require_monitors
from experiments.run.folder import in_rank, only_process, rank, read_config, reading
from experiments.run.foreign import build_foreign_task, choices_of, has_test, lightning_in_words, parameters_of
from experiments.run.loaded import earlier_run
from experiments.run.names_of_data import require_same_names, spec_in
from experiments.run.rebuilt_record import hashes, hashes_of_kept
from experiments.run.record import FAILED, FINISHED, INTERRUPTED, PRUNED, RUNNING, Record
from experiments.run.trainer import build_trainer
from experiments.spec import to_plain
from experiments.system.files import remove_leftovers
from experiments.system.signals import stop_behind, stop_if_asked, stoppable, undisturbed
from experiments.system.terminal import waiting_for
from experiments.tasks.report import report_of

log = logging.getLogger(__name__)


def run(folder: Path) -> dict[str, Any]:
    """Executes the run in `folder`, in this process or in as many as its config asks for; returns its record.

    The folder is locked meanwhile; an error that ends the run has it as its attribute `folder`.

    Raises:
        UserError: for what the user can mend, such as that another process works on this run.
        RunFailed: when another process of the run failed.
        Interrupted: after SIGINT or SIGTERM.
    """
    try:
        with only_process(folder):
            config = read_config(folder)
            processes = processes_here(config)
            if rank() == 0:
                remove_leftovers(folder, folder / "checkpoints", folder / "figures")
            if processes == 1 or in_rank():
                return execute(folder, config)
            from experiments.run.launch_ranks import launch

            return launch(folder, processes)
    except BaseException as error:
        if not isinstance(
            error, UserError
        ):  # one who is to mend something first is told how to resume once it has begun
            belongs_to(error, folder)
        raise


def execute(folder: Path, config: DictConfig | None = None) -> dict[str, Any]:
    """Trains, tests and records the run whose `config.yaml` lies in `folder`; continues it where it has checkpoints.

    Raises:
        UserError: for what the user can mend; the record says `failed`, or is that of the finished run as long as nothing was
            trained beyond it.
        Interrupted: after SIGINT or SIGTERM; a checkpoint is there and the record says `interrupted`.
    """
    config = config or read_config(folder)
    record = Record(folder, OmegaConf.to_container(config))  # type: ignore[arg-type]

    def write(status: str, error: str | None = None) -> None:
        if rank() == 0:
            with undisturbed():
                if status != RUNNING:
                    record.content["environment"]["speedups"] = speedups.in_use()
                    record.content |= {"checkpoints": hashes(folder), "kept": hashes_of_kept(folder)}
                record.write(status, error)

    if not record.keeps_earlier:
        write(RUNNING)
    with stoppable():
        try:
            with reading(folder, record.written):
                waiting_for("importing PyTorch")
                with in_words(config):
                    prepare_process(config)
                _train_and_test(config, folder, record, write)
        except Pruned as early:
            record.content["metrics"] = {name: _plain(value) for name, value in sorted(early.metrics.items())}
            write(PRUNED, str(early))
            return record.content
        except BaseException as error:
            stopped = stop_behind(error)
            ending = stopped or error
            if not record.keeps_earlier:
                write(INTERRUPTED if stopped else FAILED, in_short(ending))
            if stopped and stopped is not error:
                raise stopped from error
            raise
    write(FINISHED)
    return record.content


def _train_and_test(config: DictConfig, folder: Path, record: Record, write: Callable[[str], None]) -> None:
    from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy

    from experiments.callbacks.meter import CountingMeter, Meter
    from experiments.callbacks.stop_at_once import StopAtOnce
    from experiments.loggers.base import announce, close, told
    from experiments.run.foreign import is_ours, shares_batches
    from experiments.run.tested_weights import checkpoint_to_resume

    with in_words(config):
        ours = is_ours(config.task)
        waiting_for("reading the data")
        data = build_data(config, ours)
        waiting_for("building the model")
        if rank() == 0 and isinstance(data, KeepsFiles):  # what data have learned from their training split
            data.keep(folder)
        seed_everything(config.seed)  # whatever the data drew
        task = (
            build_task(config, data.spec, data, earlier_run=earlier_run) if ours else build_foreign_task(config, data)
        )
        if ours and rank() == 0 and isinstance(task.model, KeepsFiles):  # what a model needs besides its weights
            task.model.keep(folder)
        seed_everything(config.seed + rank())  # dropout differs between the processes of one run
        trainer = build_trainer(config, shares=shares_batches(data))
        require_monitors(config, task)
    meter = Meter() if ours else CountingMeter()
    always = build_callbacks(config, task.freezing) if ours else []
    trainer.callbacks[:0] = [*always, meter, StopAtOnce()]
    record.content["features"] = always[-1].summary if ours else None
    record.content["data"] = _splits(data)
    if ours:  # for evaluate, which has the same loss
        record.content |= type(task).from_data(config.task, data)
    spec = getattr(data, "spec", None)
    record.content["spec"] = None if spec is None else to_plain(spec)
    record.content["environment"] |= describe_device(trainer)
    record.content["environment"]["memory_format"] = config.trainer.get("memory_format", "contiguous")
    texts = {"config": f"```yaml\n{(folder / 'config.yaml').read_text(encoding='utf-8')}```"}
    if ours:
        with in_words(config):
            texts |= _describe(config, task, data.spec, record)
    else:
        record.content["cost"] |= parameters_of(task)
        record.content["choices"] |= choices_of(config)
        record.content["module"] = str(config.task.get("object") or config.task["_target_"])
    checkpoint = checkpoint_to_resume(trainer, folder)
    if checkpoint is not None:
        _require_same_data(data, checkpoint, folder, record, counted="anomalous" not in config.task)
    if rank() == 0:
        banner(config, record.content, folder)
    if config.trainer.get("compile"):
        (task.model if ours else task).compile()
    names = task.metric_names("test") if ours else []
    announce(trainer.loggers, hyperparameters(config, record), names, texts, folder)
    if record.keeps_earlier:  # up to here a refusal leaves the result of the finished run
        write(RUNNING)
    try:
        _fit_and_test(config, task, data, trainer, meter, checkpoint, record)
    except BaseException as error:
        belongs_to(error, folder)
        close(trainer.loggers, FAILED)
        raise
    finally:
        if told_values := told(trainer.loggers):
            record.content["hyperparameters"] = told_values
        # Layers may have been made late, by `configure_model`; with other strategies each process has a share of them.
        if not ours and isinstance(trainer.strategy, (SingleDeviceStrategy, DDPStrategy)):
            record.content["cost"] |= parameters_of(task)
    close(trainer.loggers, FINISHED)


def _describe(config: DictConfig, task: Any, spec: Any, record: Record) -> dict[str, str]:
    """Size and freezing of a task of ours: into the record, onto the screen, and as texts for the loggers."""
    from experiments.run.layer_table import as_markdown, layer_table
    from experiments.viz.tables import markdown

    table = layer_table(task.model, spec, begins=task.freezing.begins)
    task.require_output(table.output)
    record.content["cost"] |= {
        "parameters": table.parameters,
        "trainable_parameters": table.trainable,
        "flops_per_example": table.flops,
    }
    rate = config.optimizer.get("lr")
    head, cells = task.freezing.table(rate)
    record.content["freezing"] = [asdict(row) for row in task.freezing.rows(rate)]
    if rank() == 0:
        freezing_table(config, task.freezing, rate)
    return {"layers": as_markdown(table), "freezing": markdown(head, cells, right=(1, 3, 4))}


def _fit_and_test(
    config: DictConfig, task: Any, data: Any, trainer: Any, meter: Any, checkpoint: Path | None, record: Record
) -> None:
    from experiments.callbacks.checkpoint import judged_by
    from experiments.run.tested_weights import choose, keep_through_setup
    from experiments.tasks.base import Task

    folder = record.path.parent
    if not getattr(task, "learns", True):
        trainer.fit_loop.max_epochs = 1
        log.warning("The model has nothing to learn: one pass without training.")
    stop_if_asked()
    with lightning_in_words(), before_the_first_batch(config, trainer):
        trainer.fit(task, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    metrics: dict[str, float] = {name: float(value) for name, value in trainer.callback_metrics.items()}
    lost = [name for name, value in metrics.items() if name.endswith("loss") and not math.isfinite(value)]
    if lost:
        record.content["diverged"] = True
        log.warning(
            "%s is no finite number any more: try a lower optimizer.lr, or trainer.gradient_clip_val=1", lost[0]
        )
    tested = choose(trainer, task, folder)
    metrics = tested.metrics or metrics
    if tested.epoch is not None:
        record.content["best_epoch"] = tested.epoch + 1  # epochs count from 1, as in all that is shown
    if (judged := judged_by(trainer, task)) is not None:
        record.content["judged"] = {"metric": judged[0], "mode": judged[1]}
    record.content["tested"] = {"checkpoint": tested.checkpoint, "weights": tested.weights}
    if has_test(task, data):
        if not isinstance(task, Task) and tested.checkpoint is not None:
            keep_through_setup(trainer, task, folder / "checkpoints" / tested.checkpoint)
        with lightning_in_words():
            trainer.test(task, datamodule=data, verbose=False)
    else:
        if rank() == 0:
            log.warning("%s has no test_step, or its data no test_dataloader: nothing is tested.", type(task).__name__)
    metrics |= {name: float(value) for name, value in trainer.callback_metrics.items()}
    record.content["metrics"] = {name: _plain(value) for name, value in sorted(metrics.items())}
    record.content |= report_of(task).details()
    record.content["cost"] |= meter.cost()


def _splits(data: Any) -> dict[str, Any]:
    """Return what data say of their parts; nothing where a foreign module means something else by `splits`.

    It is the data's own dictionary, not a copy: a task that leaves classes out changes it before training.
    """
    told_splits = getattr(data, "splits", None)
    plain_types = (str, int, float, list, dict, type(None))
    if isinstance(told_splits, dict) and all(isinstance(value, plain_types) for value in told_splits.values()):
        return told_splits
    return {}


def _require_same_data(data: Any, checkpoint: Path, folder: Path, record: Record, counted: bool) -> None:
    """Refuses to resume with data that have other names, and says where other examples are in their parts.

    `counted`: the parts hold already what they are trained on; anomaly detection leaves classes out later.
    """
    try:
        require_same_names(getattr(data, "spec", None), checkpoint, folder)
    except UserError:
        record.content["spec"] = to_plain(spec_in(checkpoint))  # as what is kept was learned
        raise
    counts = [
        ", ".join(f"{examples[split]} {split}" for split in ("train", "validation", "test") if split in examples)
        for examples in (record.examples, record.content["data"])
    ]
    if counted and all(counts) and counts[0] != counts[1] and rank() == 0:
        log.warning("%s began with %s examples, and its data have %s now: it goes on with these.", folder, *counts)


def _plain(value: float) -> float | None:
    """JSON knows no NaN or infinity."""
    return round(value, 8) if math.isfinite(value) else None


def hyperparameters(config: DictConfig, record: Record) -> dict[str, Any]:
    """Return the choices of a run and its commonest numbers, for TensorBoard's HPARAMS tab."""
    chosen = record.content["choices"]
    numbers = {
        "lr": config.optimizer.get("lr") if chosen.get("optimizer") else config.task.get("lr"),
        "batch_size": config.data.get("batch_size"),
        "limit": config.data.get("limit"),
    }
    return {key: value for key, value in (chosen | numbers).items() if value is not None}


def describe_device(trainer: Any) -> dict[str, Any]:
    """Where the run computes, and the precision that really runs."""
    import torch

    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "device": name,
        "processes": trainer.world_size,
        "threads": torch.get_num_threads(),
        "precision": str(trainer.precision),
    }
