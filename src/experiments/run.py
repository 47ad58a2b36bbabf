"""Build, train, load: a resolved config in, a record out.

Every process of a run (this one, a rank of a distributed job, a worker of a sweep, a resumed run) starts from the
run's `config.yaml` and never composes again.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments.devices import cores
from experiments.errors import Interrupted, Pruned, RunFailed, UserError, debugging, first_line
from experiments.files import write_json
from experiments.imports import import_lightning
from experiments.record import FAILED, FINISHED, INTERRUPTED, PRUNED, RUNNING, Record, choices, now, read_record
from experiments.runs import in_rank, rank, read_config
from experiments.spec import from_plain, to_plain

_NOTES = ("about", "reads", "gives")  # keys that describe an option and build nothing


def make(node: Any, /, **extra: Any) -> Any:
    """Instantiates a config node without the keys that only describe it.

    Raises:
        UserError: when the class cannot be found, or does not take a key.
    """
    from hydra.utils import get_method

    plain: Any = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    arguments: dict[str, Any] = {key: value for key, value in plain.items() if key not in _NOTES}
    target, partial = arguments.pop("_target_"), arguments.pop("_partial_", False)
    try:
        function = get_method(target)
    except Exception as error:
        raise UserError(
            f"_target_={target} cannot be imported ({first_line(error)}): check the name and its package"
        ) from error
    arguments |= extra
    if partial:
        from functools import partial as bind

        return bind(function, **arguments)
    try:
        return function(**arguments)
    except TypeError as error:
        if "argument" in str(error) and error.__traceback__ is not None and error.__traceback__.tb_next is None:
            raise UserError(f"{target}: {error}; check the keys of its config") from error
        raise
    except ValueError as error:
        raise UserError(str(error)) from error


def build_data(config: DictConfig) -> Any:
    """The data module, ready: `spec` is there."""
    data = make(config.data)
    data.prepare_data()
    data.setup()
    return data


def build_model(config: DictConfig, spec: Any) -> Any:
    """The network for a spec; its first values depend on the seed alone."""
    from hydra.utils import get_class

    task: Any = get_class(config.task._target_)
    return make(config.model, **spec.inputs, **task.outputs(spec))


def build_task(config: DictConfig, spec: Any, data: Any = None) -> Any:
    """Model, weights and freezing, inside the task; `data` where the task counts its classes."""
    from experiments.transfer.freezing import freeze
    from experiments.transfer.weights import load_weights

    model = build_model(config, spec)
    if config.weights is not None:
        load_weights(model, config.weights, config.run.choices.get("model"))
    freeze(model, config.freezing.frozen)
    optimizer = make(config.optimizer)
    if config.precision.name == "16-mixed" and config.trainer.gradient_clip_val is not None:
        optimizer.keywords.pop("fused", None)  # Lightning cannot clip what a fused optimizer unscales itself
    scheduler = make(config.scheduler) if "_target_" in config.scheduler else None
    extra: dict[str, Any] = {"model": model, "spec": spec, "optimizer": optimizer, "scheduler": scheduler}
    if config.task.get("class_weights") == "balanced":
        extra["class_counts"] = data.class_counts
    return make(config.task, **extra)


def _several(nodes: Any, **extra: Any) -> list[Any]:
    return [make(node, **extra) for node in (nodes or {}).values() if node]


def build_trainer(config: DictConfig, callbacks: bool = True) -> Any:
    """The Trainer with callbacks and loggers, its lean loop and its atomic checkpoints."""
    from experiments.callbacks.checkpoint import AtomicCheckpointIO
    from experiments.loop import install

    settings = {key: value for key, value in config.trainer.items() if key not in ("threads",)}
    trainer = make(
        settings,
        precision=config.precision.name,
        callbacks=_several(config.callbacks) if callbacks else [],
        logger=_several(config.logger) if callbacks else False,
        plugins=[AtomicCheckpointIO()],
        default_root_dir=config.run.dir,
        enable_checkpointing=callbacks,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        log_every_n_steps=2**62,  # epochs are logged; a task may still log steps itself
    )
    install(trainer)
    return trainer


def seed_everything(seed: int) -> None:
    """Seeds Python, NumPy and torch."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _quiet() -> None:
    """Lightning's advice is for those who write a Trainer themselves."""
    import warnings

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\.")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")


def prepare_process(config: DictConfig) -> None:
    """Imports, threads and seeds: what comes before anything is built."""
    nodes = [config.model, config.task, config.data, config.optimizer, config.scheduler]
    nodes += [node for group in (config.callbacks, config.logger) for node in (group or {}).values() if node]
    targets = [str(node.get("_target_", "torch.")) for node in nodes]
    import_lightning(lean=all(target.startswith(("experiments.", "lightning.", "torch.")) for target in targets))
    import torch

    _quiet()
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if config.trainer.get("threads"):
        torch.set_num_threads(config.trainer.threads)
    elif beside > 1:  # more busy threads than cores make a step several times slower
        torch.set_num_threads(max(1, cores() // beside))
    seed_everything(config.seed)


def execute(folder: Path, config: DictConfig | None = None) -> dict[str, Any]:
    """Trains, tests and records the run whose `config.yaml` lies in `folder`; continues it where it has checkpoints.

    Raises:
        UserError: for what the user can mend; the record says `failed`.
        Interrupted: after SIGINT or SIGTERM; a checkpoint is there and the record says `interrupted`.
    """
    config = config or read_config(folder)
    record = Record(folder, OmegaConf.to_container(config, resolve=True))  # type: ignore[arg-type]

    def write(status: str, error: str | None = None) -> None:
        if rank() == 0:
            record.write(status, error)

    write(RUNNING)
    with _stoppable():
        try:
            prepare_process(config)
            _train_and_test(config, folder, record)
        except Pruned as early:
            record.content["metrics"] = {name: _plain(value) for name, value in sorted(early.metrics.items())}
            write(PRUNED, str(early))
            return record.content
        except BaseException as error:
            stopped = isinstance(error, Interrupted)
            write(INTERRUPTED if stopped else FAILED, f"{type(error).__name__}: {first_line(error)}")
            raise
    write(FINISHED)
    return record.content


def _train_and_test(config: DictConfig, folder: Path, record: Record) -> None:
    from experiments.callbacks.meter import Meter
    from experiments.layers import as_markdown, layer_table
    from experiments.loggers import announce, close

    data = build_data(config)
    seed_everything(config.seed)  # whatever the data drew
    task = build_task(config, data.spec, data)
    seed_everything(config.seed + rank())  # dropout differs between the processes of one run
    trainer = build_trainer(config)
    meter = Meter()
    trainer.callbacks.insert(0, meter)
    record.content["data"] = data.splits
    record.content["spec"] = to_plain(data.spec)
    record.content["environment"] |= describe_device(trainer)
    table = layer_table(task.model, data.spec)
    record.content["cost"] |= {
        "parameters": table.parameters,
        "trainable_parameters": table.trainable,
        "flops_per_example": table.flops,
    }
    texts = {"config": f"```yaml\n{OmegaConf.to_yaml(config, resolve=True)}```", "layers": as_markdown(table)}
    announce(trainer.loggers, hyperparameters(config), task.metric_names("test"), texts)
    try:
        _fit_and_test(task, data, trainer, meter, folder, record)
    except BaseException:
        close(trainer.loggers, FAILED)
        raise
    close(trainer.loggers, FINISHED)


def _fit_and_test(task: Any, data: Any, trainer: Any, meter: Any, folder: Path, record: Record) -> None:
    from experiments.callbacks.checkpoint import Checkpoints, newest_whole

    folder_of_checkpoints = folder / "checkpoints"
    trainer.fit(task, datamodule=data, ckpt_path=newest_whole(folder_of_checkpoints), weights_only=True)
    kept = [callback for callback in trainer.callbacks if isinstance(callback, Checkpoints)]
    metrics: dict[str, float] = {name: float(value) for name, value in trainer.callback_metrics.items()}
    if kept and kept[0].best is not None:
        metrics = dict(kept[0].best_metrics)
        record.content["best_epoch"] = kept[0].best_epoch
        load_checkpoint(task, folder_of_checkpoints / "best.ckpt")
    trainer.test(task, datamodule=data, verbose=False)
    metrics |= {name: float(value) for name, value in trainer.callback_metrics.items()}
    record.content["metrics"] = {name: _plain(value) for name, value in sorted(metrics.items())}
    record.content |= task.details()
    record.content["cost"] |= meter.cost()


def _plain(value: float) -> float | None:
    """JSON knows no NaN or infinity."""
    import math

    return round(value, 8) if math.isfinite(value) else None


def hyperparameters(config: DictConfig) -> dict[str, Any]:
    """The choices of a run and its commonest numbers, for TensorBoard's HPARAMS tab."""
    chosen = choices(OmegaConf.to_container(config, resolve=True))  # type: ignore[arg-type]
    numbers = {
        "lr": config.optimizer.get("lr"),
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


def load_checkpoint(task: Any, path: Path) -> None:
    """Sets a task's weights from one of its checkpoints.

    Raises:
        UserError: when the file is damaged or belongs to another model.
    """
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    except FileNotFoundError:
        raise UserError(f"{path} is missing: finish the run first, with resume={path.parents[1]}") from None
    except Exception as error:
        raise UserError(
            f"{path} cannot be read ({first_line(error)}): take another checkpoint or train again"
        ) from error
    try:
        task.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(
            f"{path} belongs to another model: {first_line(error)}; evaluate it with its own config"
        ) from error


def layers(config: DictConfig) -> str:
    """The layer table of a config's model on its data, as text."""
    from experiments.layers import as_text, layer_table

    prepare_process(config)
    spec = build_data(config).spec
    return as_text(layer_table(build_model(config, spec), spec))


@dataclass
class Loaded:
    """A run with its best weights, in evaluation mode. Its dataset is read only when `data` is asked for."""

    folder: Path
    config: DictConfig
    record: dict[str, Any]
    spec: Any
    task: Any

    @property
    def model(self) -> Any:
        """The plain network: normalised inputs in, logits out."""
        return self.task.model

    @cached_property
    def data(self) -> Any:
        """The run's data module, ready."""
        return build_data(self.config)

    def predict(self, images: Any) -> Any:
        """Class probabilities (N, num_classes) of N images: paths, PIL images, or arrays (H, W) or (H, W, C)."""
        import torch

        data = make(self.config.data)
        data.spec = self.spec
        with torch.inference_mode():
            return self.model(data.prepare(images)).softmax(1)


def load(run_folder: str | Path) -> Loaded:
    """Rebuilds a run from its folder.

    Raises:
        UserError: when the folder holds no run, or one without a checkpoint.
    """
    folder = Path(run_folder).absolute()
    config = read_config(folder)
    record = read_record(folder)
    checkpoint = folder / "checkpoints" / "best.ckpt"
    if "spec" not in record or not checkpoint.exists():
        raise UserError(f"{folder} has no best checkpoint yet ({record['status']}): go on with resume={folder}")
    prepare_process(config)
    spec = from_plain(record["spec"])
    config.weights = None  # the checkpoint holds them all
    config.task.pop("class_weights", None)  # of training alone
    task = build_task(config, spec)
    load_checkpoint(task, checkpoint)
    task.eval()
    return Loaded(folder, config, record, spec, task)


def evaluate(run_folder: str | Path, *overrides: str) -> dict[str, float]:
    """Tests a run again with its best weights, also on other data; writes nothing.

    Args:
        run_folder: the run's folder.
        overrides: of data, precision or trainer; images are normalised as in the run's training.

    Raises:
        UserError: as `load`, and when the other data has other classes or shapes.
    """
    config = read_config(Path(run_folder).absolute())
    if overrides:
        config = _with_overrides(config, overrides)
    loaded = load(run_folder)
    for key in ("mean", "std"):
        if config.data.get(key, loaded) is None:
            config.data[key] = list(getattr(loaded.spec, key))
    data = build_data(config)
    if data.spec.inputs != loaded.spec.inputs or data.spec.num_classes != loaded.spec.num_classes:
        raise UserError(
            f"{config.run.choices.data} gives {_shape(data.spec)} and the run was trained on {_shape(loaded.spec)}: "
            "choose data of the same kind, or set data.size"
        )
    trainer = build_trainer(config, callbacks=False)
    trainer.test(loaded.task, datamodule=data, verbose=False)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def _shape(spec: Any) -> str:
    inputs = ", ".join(f"{key} {value}" for key, value in spec.inputs.items())
    return f"{inputs}, {spec.num_classes} classes"


def _with_overrides(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The config composed anew with a run's own overrides and further ones; the network must stay."""
    from experiments.check import require
    from experiments.compose import compose

    for word in overrides:
        key = word.lstrip("+").partition("=")[0]
        if key.split(".")[0] in ("model", "task", "freezing", "weights", "seed"):
            raise UserError(f"{word} would evaluate another network than the run trained: override data or trainer")
    own = [word for word in config.run.overrides if not _replaced(word, overrides)]
    changed = compose([*own, *overrides], config.run.config_dirs)
    changed.run.dir = config.run.dir
    require(changed)
    return changed


def _replaced(word: str, overrides: Sequence[str]) -> bool:
    """Whether other data replaces what an override of the run says of its own."""
    return word.startswith("data.") and any(other.startswith("data=") for other in overrides)


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM and SIGINT raise `Interrupted` until training takes them over."""
    if threading.current_thread() is not threading.main_thread():  # such as a notebook's helper; Python allows none there
        yield
        return
    previous = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}

    def stop(signum: int, frame: Any) -> None:
        raise Interrupted(signum)

    for signum in previous:
        signal.signal(signum, stop)
    try:
        yield
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


def run(folder: Path) -> dict[str, Any]:
    """Executes the run in `folder`, in this process or in as many as its config asks for; returns its record.

    Raises:
        UserError: for what the user can mend.
        RunFailed: when another process of the run failed.
        Interrupted: after SIGINT or SIGTERM.
    """
    from experiments.devices import processes_here

    config = read_config(folder)
    processes = processes_here(config)
    if processes == 1 or in_rank():
        return execute(folder, config)
    return launch(folder, processes)


def launch(folder: Path, processes: int) -> dict[str, Any]:
    """Executes a run in several processes of this machine, by torch's elastic launcher.

    The first process to fail ends the others, and its error is what the record says.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    settings = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=folder.name,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.2,
    )
    if not debugging():  # what it tells of its processes comes back as one sentence
        logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        elastic_launch(settings, entrypoint=sys.executable)("-m", "experiments.run", str(folder))
    except ChildFailedError as failure:
        rank, first = failure.get_first_failure()
        content = read_record(folder)
        if first.exitcode == 2:
            raise UserError(content["error"].split(": ", 1)[-1]) from None
        if first.exitcode in (130, 143):
            raise Interrupted(first.exitcode - 128) from None
        message = f"process {rank} of {processes} {_ending(first)}"
        write_json(folder / "record.json", content | {"status": FAILED, "error": message, "ended": now()})
        raise RunFailed(message) from None
    except SignalException as stopped:
        content = read_record(folder)
        if content["status"] == RUNNING:
            error = first_line(Interrupted(stopped.sigval))
            write_json(folder / "record.json", content | {"status": INTERRUPTED, "error": error, "ended": now()})
        raise Interrupted(stopped.sigval) from None
    return read_record(folder)


def _ending(failure: Any) -> str:
    if failure.exitcode < 0:
        return f"was killed by {signal.Signals(-failure.exitcode).name}"
    message = failure.message if isinstance(failure.message, str) else failure.message.get("message", "")
    return f"failed: {message}"


def rank_main(folder: Path) -> int:
    """One process of a distributed run; ends with the process that launched it."""
    die_with_parent()
    try:
        execute(folder)
    except Interrupted as stopped:
        return 128 + stopped.signum
    except UserError:
        return 2
    except Exception as error:
        _tell_launcher(error)
        return 1
    return 0


def _tell_launcher(error: Exception) -> None:
    """Leaves the error where torch's elastic launcher looks for it."""
    if debugging():
        traceback.print_exc()
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if path:
        text = f"{type(error).__name__}: {first_line(error)}"
        message = {
            "message": text,
            "extraInfo": {"timestamp": str(int(time.time())), "py_callstack": traceback.format_exc()},
        }
        write_json(Path(path), {"message": message})


def die_with_parent() -> None:
    """Asks the kernel to kill this process when its launcher is gone (Linux), so that none is left behind."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


if __name__ == "__main__":
    # A process started like this imports the module twice under two names otherwise.
    from experiments.run import rank_main as main

    sys.exit(main(Path(sys.argv[1])))
