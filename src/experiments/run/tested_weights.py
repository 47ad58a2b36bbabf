"""Chooses the weights that a run tests and saves: those of the best epoch, an average, or the last."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from experiments.errors import UserError

log = logging.getLogger(__name__)

AVERAGED = "averaged.ckpt"
_COMPILED = "_orig_mod."  # which torch.compile puts before the names within a module


class Tested(NamedTuple):
    """What is in the task when it is tested.

    Attributes:
        checkpoint: name of the file in `checkpoints/` that holds the same weights; None where no file does.
        weights: best, averaged or last.
        epoch: of the best, or None.
        metrics: of validation at that epoch; empty where those after the fit hold.
    """

    checkpoint: str | None
    weights: str
    epoch: int | None = None
    metrics: dict[str, float] = {}  # noqa: RUF012


def choose(trainer: Any, task: Any, folder: Path) -> Tested:
    """Puts the weights that are to be tested into a task that has just been fitted.

    An average that a callback made at the end of the fit is tested as it is, and written to `averaged.ckpt`; otherwise the best
    checkpoint of ours or of a ModelCheckpoint; otherwise what the fit left.
    """
    from lightning.pytorch.callbacks import ModelCheckpoint, StochasticWeightAveraging, WeightAveraging

    from experiments.callbacks.checkpoint import Checkpoints
    from experiments.callbacks.checkpoint_files import content_or_problem, keep_last_as_best

    place = folder / "checkpoints"
    ours = [callback for callback in trainer.callbacks if isinstance(callback, Checkpoints)]
    averages = any(isinstance(callback, WeightAveraging) for callback in trainer.callbacks)
    if any(isinstance(callback, StochasticWeightAveraging) for callback in trainer.callbacks):
        trainer.save_checkpoint(place / AVERAGED, weights_only=True)
        return Tested(AVERAGED, "averaged")
    if ours and ours[0].best is not None:
        content, problem = content_or_problem(place / "best.ckpt")
        if problem is None:
            load_checkpoint(task, place / "best.ckpt", content=content)
            kind = "averaged" if averages else "best"
            return Tested("best.ckpt", kind, ours[0].best_epoch, dict(ours[0].best_metrics))
        log.warning("%s: the weights of the last epoch are tested and kept in its place", problem.partition(": ")[0])
        ours[0].best = None
        if trainer.is_global_zero:
            (place / "best.ckpt").unlink(missing_ok=True)
    theirs = [
        callback for callback in trainer.callbacks if isinstance(callback, ModelCheckpoint) and callback.best_model_path
    ]
    if theirs:
        path = Path(theirs[0].best_model_path)
        load_checkpoint(task, path)
        kind = "averaged" if averages else "best" if theirs[0].monitor else "last"
        name = path.name if path.parent.resolve() == place.resolve() else str(path)
        return Tested(name, kind, _epoch_of(path) if theirs[0].monitor else None)
    if averages and ours:
        trainer.save_checkpoint(place / AVERAGED, weights_only=True)
        return Tested(AVERAGED, "averaged")
    if (
        ours and trainer.is_global_zero
    ):  # nothing said which epoch is the best: what is tested is what predict and evaluate read
        keep_last_as_best(place)
    return Tested("last.ckpt" if ours else None, "last")


def checkpoint_to_resume(trainer: Any, folder: Path) -> Path | None:
    """Return the checkpoint that a run is resumed from: the newest of ours, or of a ModelCheckpoint in place of ours wherever
    in the run's folder it writes, `checkpoints` where it does not say; None for a run that has none yet. Says where none
    would be found.
    """
    from lightning.pytorch.callbacks import ModelCheckpoint

    from experiments.callbacks.checkpoint import Checkpoints
    from experiments.callbacks.checkpoint_files import newest_whole

    if any(isinstance(callback, Checkpoints) for callback in trainer.callbacks):
        return newest_whole(folder / "checkpoints")
    for callback in (saver for saver in trainer.callbacks if isinstance(saver, ModelCheckpoint)):
        callback.dirpath = str(callback.dirpath or folder / "checkpoints")
        if not Path(callback.dirpath).resolve().is_relative_to(folder.resolve()):
            log.warning(
                "ModelCheckpoint writes to %s, where no resume of this run looks: give it dirpath: ${run.dir}/checkpoints",
                callback.dirpath,
            )
    return newest_whole(folder / "checkpoints", folder)


def _epoch_of(path: Path) -> int | None:
    from experiments.transfer.weight_files import read_checkpoint

    epoch = read_checkpoint(path).get("epoch")
    return epoch if isinstance(epoch, int) else None


def load_checkpoint(task: Any, path: Path, data: Any = None, content: dict[str, Any] | None = None) -> None:
    """Sets a task's weights from one of its checkpoints.

    Args:
        task: whose weights are set.
        path: of the checkpoint.
        data: the DataModule of a LightningModule that is not ours, whose `setup` may make layers; None makes none late.
        content: of the checkpoint, where it has been read.

    Raises:
        UserError: when the file is damaged or belongs to another model, or layers cannot be made late.
    """
    content = _content(path, content)
    if data is not None:
        _set_up_late(task, data, content["state_dict"])
    if _reads_checkpoints(task):
        task.on_load_checkpoint(content)
    with _of_its_model(path):
        task.load_state_dict(_named_as_in(task, content["state_dict"]), strict=task.strict_loading)


def _set_up_late(task: Any, data: Any, weights: dict[str, Any]) -> None:
    """Calls the `setup` of a task, as for a test, where weights are of layers that the task has not, or has otherwise.

    Args:
        task: whose weights are not set yet.
        data: its DataModule, which `setup` may ask its Trainer for.
        weights: those that are to be set.

    Raises:
        UserError: when `setup` does not run without a Trainer that fits or tests.
    """
    from lightning.pytorch.utilities.model_helpers import is_overridden

    if not is_overridden("setup", task) or _shapes(task.state_dict()) == _shapes(weights):
        return
    from lightning.pytorch import Trainer

    # Not the run's: the Trainer of a run from elsewhere is built by nothing that reads it.
    trainer: Any = Trainer(accelerator="cpu", devices=1, logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)  # fmt: skip
    trainer.datamodule, task.trainer = data, trainer
    part: Any = data
    try:
        data.prepare_data()
        data.setup("test")
        part = task
        task.setup("test")
    except Exception as error:  # a user's own code, which may raise anything
        raise UserError(
            f"{type(task).__name__}.setup makes layers, and {type(part).__name__} cannot be set up outside a test "
            f"({type(error).__name__}: {error}): make them in __init__ or configure_model, or use experiments evaluate and predict"
        ) from error
    finally:
        task.trainer = None


def _shapes(state: dict[str, Any]) -> dict[str, Any]:
    """Return the shapes of weights by name; None of one that has no values yet."""
    from torch.nn.parameter import is_lazy

    names = {name: value for name, value in state.items() if hasattr(value, "shape")}
    return {name.replace(_COMPILED, ""): None if is_lazy(value) else value.shape for name, value in names.items()}


def _content(path: Path, content: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what a checkpoint of a run holds, which is read unless it is given.

    Raises:
        UserError: when it is missing, damaged, or no checkpoint of a run.
    """
    from experiments.transfer.weight_files import read_checkpoint

    if not path.exists():
        raise UserError(f"{path} is missing: finish the run first, with resume={path.parents[1]}")
    content = read_checkpoint(path) if content is None else content
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise UserError(
            f"{path} is no checkpoint of a run: restore it from a copy, or finish the run with resume={path.parents[1]}"
        )
    return content


@contextmanager
def _of_its_model(path: Path) -> Iterator[None]:
    """Says of weights that do not fit that their checkpoint belongs to another model.

    Raises:
        UserError: in place of torch's error.
    """
    try:
        yield
    except (RuntimeError, AttributeError, TypeError) as error:
        detail = " ".join(str(error).split())
        detail = re.sub(r"^Error\(s\) in loading state_dict for \w+: ", "", detail)
        shown = detail if len(detail) < 300 else f"{detail[:300]}…"
        raise UserError(f"{path} belongs to another model: {shown} Evaluate it with its own config") from error


def _reads_checkpoints(task: Any) -> bool:
    """Tell whether a class of the user's own reads what it has put into checkpoints; what ours put there is of training."""
    owner = next(base for base in type(task).__mro__ if "on_load_checkpoint" in vars(base))
    return not owner.__module__.startswith(("experiments.", "lightning."))


def _named_as_in(task: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Return weights under the names that a task has for them: parts that `torch.compile` has wrapped have others."""
    own = set(task.state_dict())
    if own == set(state):
        return state
    names = {name.replace(_COMPILED, ""): name for name in own}
    return {names.get(name.replace(_COMPILED, ""), name): value for name, value in state.items()}


def read_by_trainer(task: Any, path: Path) -> Any:
    """Return a task that a Trainer's `ckpt_path` fills, also where `torch.compile` wraps parts of it in training alone.

    Raises:
        UserError: when the file is damaged; in the Trainer, when it belongs to another model.
    """
    _content(path)  # Lightning reads it again: it looks neither for damage nor for a pipe, which would be waited for
    given, load_state_dict = task.on_load_checkpoint, task.load_state_dict

    def on_load_checkpoint(checkpoint: dict[str, Any]) -> None:
        given(checkpoint)
        checkpoint["state_dict"] = _named_as_in(task, checkpoint["state_dict"])

    def load_or_refuse(*args: Any, **options: Any) -> Any:
        with _of_its_model(path):
            return load_state_dict(*args, **options)

    task.on_load_checkpoint, task.load_state_dict = on_load_checkpoint, load_or_refuse
    return task


def keep_through_setup(trainer: Any, task: Any, path: Path) -> None:
    """Lets a test begin with the weights of a checkpoint, also where the task's own `setup` makes layers anew for it."""
    from lightning.pytorch.callbacks import LambdaCallback
    from lightning.pytorch.utilities.model_helpers import is_overridden

    if is_overridden("setup", task):
        trainer.callbacks.append(LambdaCallback(on_test_start=lambda trainer, module: load_checkpoint(module, path)))
