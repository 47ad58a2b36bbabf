"""The training loop of Lightning's Trainer, without what a usual step does not use.

In each step the stock loop asks every callback for every hook, formats a debug message and enters a profiler
context for each, inspects the signature of `training_step`, searches classes for overridden transfer hooks
and fills dictionaries with metrics nobody logged. All that has one answer an epoch, so it is looked up once
an epoch (`_Step`), and a step calls only what someone wrote. Order of calls, counters, the name `self.log`
goes by and checkpoints are those of the stock loop; whatever is out of the ordinary (`_unusual`) runs in the
stock loop itself. Callbacks added, or hooks replaced, within an epoch are seen from the next epoch on.

    install(trainer)    # after Trainer(...), before fit

Private names: some thirty of lightning.pytorch, all in the files of `_REPLACED`. Gain, over a bare loop with our task on
one thread: +187 µs a step instead of +568 µs (`scripts/benchmark.py --only step`). Where the text of these files is not one that
was tried, Lightning's own loop runs, and a sentence says so.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.core.hooks import DataHooks
from lightning.pytorch.core.optimizer import LightningOptimizer, do_nothing_closure
from lightning.pytorch.loops.fetchers import _DataFetcher, _PrefetchDataFetcher
from lightning.pytorch.loops.optimization.automatic import Closure, ClosureResult, _AutomaticOptimization
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.plugins.precision import DoublePrecision, HalfPrecision, MixedPrecision, Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy, Strategy
from lightning.pytorch.trainer import call
from lightning.pytorch.trainer.connectors.logger_connector.logger_connector import _LoggerConnector
from lightning.pytorch.trainer.connectors.logger_connector.result import _ResultMetric
from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature
from torch import Tensor

from experiments import speedups

log = logging.getLogger(__name__)

_HOOKS = ("on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_after_backward",
          "on_before_optimizer_step", "on_train_batch_end")  # fmt: skip
_TRANSFERS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")


def _overrides(instance: Any, base: type, name: str) -> bool:
    """Tell whether `instance` brings its own `name`, in its class or (LambdaCallback, mocks) on itself."""
    method = getattr(instance, name)
    return callable(method) and getattr(method, "__func__", None) is not getattr(base, name)


def _unusual(loop: _TrainingEpochLoop, fetcher: _DataFetcher) -> str | None:
    """Tell why this epoch belongs to the stock loop, or None."""
    trainer: Any = loop.trainer
    strategy, module = trainer.strategy, trainer.lightning_module
    precisions = (Precision, MixedPrecision, HalfPrecision, DoublePrecision)
    wrapped = strategy._lightning_optimizers
    around_step = {hook for optimizer in wrapped for hook in (optimizer._on_before_step, optimizer._on_after_step)}
    reasons = {
        "manual optimization": not module.automatic_optimization,
        "accumulated gradients": trainer.accumulate_grad_batches != 1,
        "no backward": loop.automatic_optimization._skip_backward,
        "a strategy of its own": type(strategy) not in (SingleDeviceStrategy, DDPStrategy),
        "averaged models": getattr(strategy, "_model_averager", None) is not None,
        "a precision of its own": type(strategy.precision_plugin) not in precisions,
        "a profiler": type(trainer.profiler) is not PassThroughProfiler,
        "debug messages": call.log.isEnabledFor(logging.DEBUG),
        "training_step reads the loader": type(fetcher) is not _PrefetchDataFetcher,
        "an optimizer_step of its own": _overrides(module, LightningModule, "optimizer_step"),
        "a wrapped optimizer": [w._optimizer for w in wrapped] != strategy.optimizers,
        "something around the optimizer's step": around_step != {do_nothing_closure},
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


class _Step:
    """What one step of this epoch calls, looked up once. Not a `_Loop`: nothing of it enters a checkpoint."""

    def __init__(self, loop: _TrainingEpochLoop, fetcher: _DataFetcher) -> None:
        trainer: Any = loop.trainer
        self.trainer, self.strategy, self.module = trainer, trainer.strategy, trainer.lightning_module
        self.precision, self.optimizer = self.strategy.precision_plugin, self.strategy.optimizers[0]
        self.progress = loop.automatic_optimization.optim_progress.optimizer
        self.results, self.connector = loop._results, trainer._logger_connector
        # past nn.Module.__setattr__, which looks for parameters and submodules first: 100 µs a step in all
        self.names: dict[str, Any] = self.module.__dict__
        self.hooks = {name: self._find(name) for name in _HOOKS}
        self.closure = Closure(self._training_step, self._backward, self._zero_grad)
        self.arguments: tuple[Any, ...] = ()
        self.wants_index = is_param_in_hook_signature(self.module.training_step, "batch_idx", min_args=2)
        self.direct = type(self.precision) is Precision and self.strategy.model is self.module
        self.scaler = getattr(self.precision, "scaler", None)
        self.clips = any(_overrides(self.module, LightningModule, name)
                         for name in ("configure_gradient_clipping", "clip_gradients"))  # fmt: skip
        self.converts = type(self.precision) in (HalfPrecision, DoublePrecision)
        owners = map(trainer._data_connector._datahook_selector.get_instance, _TRANSFERS)
        self.transfers = [
            getattr(owner, name) if _overrides(owner, DataHooks, name) else None
            for owner, name in zip(owners, _TRANSFERS, strict=True)
        ]
        self.step_schedulers = any(c.interval == "step" for c in trainer.lr_scheduler_configs)
        # Where validation is not due at every n-th batch, each batch (1) or none (0) asks the stock loop.
        every = trainer.val_check_batch
        endless = every == float("inf") and not isinstance(trainer.limit_train_batches, int)
        self.validate_every = every if isinstance(every, int) else 0 if endless else 1
        if self.strategy.root_device.type == "cpu":
            # Before each update torch looks whether a GPU records a graph of it, and under Lightning that loads the
            # driver's library anew: 90 µs where there is none.
            self.optimizer._accelerator_graph_capture_health_check = do_nothing_closure
        progress = loop.batch_progress
        self.batches = progress.total if trainer.check_val_every_n_epoch is None else progress.current
        # Lightning tells all processes of a SIGTERM by a broadcast in each step, and one more in its handler.
        # Where another handler took that place, its owner lets all end together: nothing to tell.
        handlers = getattr(signal.getsignal(signal.SIGTERM), "signal_handlers", [])
        notifier = trainer._signal_connector._sigterm_notifier_fn
        self.broadcasts = trainer.world_size > 1 and notifier in handlers
        fetcher._start_profiler = fetcher._stop_profiler = do_nothing_closure

    def _find(self, name: str) -> tuple[list[Callable], Callable | None]:
        callbacks = [c for c in self.trainer.callbacks if _overrides(c, Callback, name)]
        own = getattr(self.module, name) if _overrides(self.module, LightningModule, name) else None
        return [partial(getattr(c, name), self.trainer, self.module) for c in callbacks], own

    def named(self, name: str, function: Callable, *arguments: Any) -> Any:
        """Call `function` as hook `name`: `self.log` reads the name."""
        names = self.names
        outer, names["_current_fx_name"] = names["_current_fx_name"], name
        output = function(*arguments)
        names["_current_fx_name"] = outer
        return output

    def hook(self, name: str, *arguments: Any) -> Any:
        """Callbacks first, then the module, whose answer is returned."""
        callbacks, own = self.hooks[name]
        for callback in callbacks:
            self.named(name, callback, *arguments)
        return self.named(name, own, *arguments) if own is not None else None

    def to_device(self, batch: Any) -> Any:
        if self.converts:
            batch = self.precision.convert_input(batch)
        (before, transfer, after), device = self.transfers, self.strategy.root_device
        if before is not None:
            batch = self.named("on_before_batch_transfer", before, batch, 0)
        # a flat batch of tensors that are there already needs no walk through it
        flat = type(batch) in (tuple, list) and all(type(x) is Tensor and x.device == device for x in batch)
        if transfer is not None or not flat:
            transfer = transfer or self.module.transfer_batch_to_device
            batch = self.named("transfer_batch_to_device", transfer, batch, device, 0)
        if after is not None:
            batch = self.named("on_after_batch_transfer", after, batch, 0)
        return batch

    def optimize(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        """Forward, zero_grad and backward in the optimizer's closure, then its update; the step's outputs."""
        self.arguments, self.index = ((batch, batch_idx) if self.wants_index else (batch,)), batch_idx
        self.progress.step.increment_ready()
        if self.scaler is None:
            step = partial(self.optimizer.step, closure=self._closure_and_after)
        else:  # the scaler unscales, looks for infinities and may leave the update out: its own code
            step = partial(self.precision.optimizer_step, self.optimizer, self.module, self.closure)
        self.named("optimizer_step", step)
        self.progress.step.increment_completed()
        self.arguments = ()  # let go of the batch
        result = self.closure.consume_result()
        return {} if result.loss is None else result.asdict()

    def _closure_and_after(self) -> Any:
        """`Precision._wrap_closure`: inside the optimizer's step, after backward, before the update."""
        loss = self.closure()
        self.hook("on_before_optimizer_step", self.optimizer)
        value, algorithm = self.trainer.gradient_clip_val, self.trainer.gradient_clip_algorithm
        if value or self.clips:
            self.precision._clip_gradients(self.module, self.optimizer, value, algorithm)
        return loss

    def _training_step(self) -> ClosureResult:
        # without autocast or a wrapper around the module, the strategy adds nothing to the call
        function = self.module.training_step if self.direct else self.strategy.training_step
        output = self.named("training_step", function, *self.arguments)
        if type(output) is Tensor:
            return ClosureResult(output)  # stock divides by accumulate_grad_batches, which is 1
        if output is None and self.trainer.world_size > 1:
            raise RuntimeError("training_step returned None: with several processes no step can be left out.")
        return ClosureResult.from_training_step_output(output)

    def _zero_grad(self) -> None:
        progress = self.progress.zero_grad
        progress.increment_ready()
        self.hook("on_before_zero_grad", self.optimizer)
        progress.increment_started()
        epoch = self.trainer.current_epoch
        self.named("optimizer_zero_grad", self.module.optimizer_zero_grad, epoch, self.index, self.optimizer)
        progress.increment_completed()

    def _backward(self, loss: Tensor) -> None:
        self.named("backward", self._plain_backward if self.scaler is None else self._scaled_backward, loss)

    def _plain_backward(self, loss: Tensor) -> None:
        self.hook("on_before_backward", loss)
        self.module.backward(loss)
        self.hook("on_after_backward")

    def _scaled_backward(self, loss: Tensor) -> None:
        self.strategy.backward(loss, self.optimizer)


class EpochLoop(_TrainingEpochLoop):
    """The stock loop, with `_Step` in place of its per-step lookups wherever the epoch is a usual one."""

    _step: _Step | None = None

    def on_run_start(self, data_fetcher: _DataFetcher) -> None:
        super().on_run_start(data_fetcher)
        reason = _unusual(self, data_fetcher)
        log.debug("this epoch runs in %s", f"the stock loop: {reason}" if reason else "the short loop")
        self._step = None if reason else _Step(self, data_fetcher)

    def run(self, data_fetcher: _DataFetcher) -> None:
        try:
            super().run(data_fetcher)
        finally:
            self._step = None

    def advance(self, data_fetcher: _DataFetcher) -> None:
        step, progress = self._step, self.batch_progress
        if step is None or self._restarting:  # the first step after a resume has to find its place
            return super().advance(data_fetcher)
        if self.val_loop._restarting:
            self.val_loop.restarting = False
        if step.broadcasts:
            self._broadcast_sigterm_tensor()
        batch, _, _ = next(data_fetcher)
        batch_idx = progress.current.ready
        progress.is_last_batch = data_fetcher.done
        batch = step.to_device(batch)

        progress.increment_ready()
        connector, results = step.connector, step.results  # _LoggerConnector.on_batch_start
        connector._first_loop_iter = connector._first_loop_iter is None
        results.batch, results.batch_size, results.dataloader_idx = batch, None, None

        output, skip = None, False
        if batch is None:
            self._warning_cache.warn("The training loader gave None for a batch: a step without training.")
        elif skip := step.hook("on_train_batch_start", batch, batch_idx) == -1:
            progress.increment_by(0, is_last_batch=True)
        else:
            progress.increment_started()
            output = step.optimize(batch, batch_idx)
        progress.increment_processed()

        if step.step_schedulers:
            self.update_lr_schedulers("step", update_plateau_schedulers=False)
        if self._num_ready_batches_reached():
            self.update_lr_schedulers("epoch", update_plateau_schedulers=False)
        if skip:
            raise StopIteration

        step.hook("on_train_batch_end", output, batch, batch_idx)
        logged = any(not metric.has_reset for metric in results.values())
        if logged:
            connector.on_batch_end()
        else:  # nothing to collect, only the batch to let go of
            results.batch = results.batch_size = None
        progress.increment_completed()
        if logged:
            connector.update_train_step_metrics()

    def on_advance_end(self, data_fetcher: _DataFetcher) -> None:
        step = self._step
        if step is None or self._skip_next_val or self._leaves_the_usual(step):
            return super().on_advance_end(data_fetcher)
        if step.step_schedulers:
            self.update_lr_schedulers("step", update_plateau_schedulers=True)
        self._batches_that_stepped += 1

    def _leaves_the_usual(self, step: _Step) -> bool:
        """Validation may be due, or someone asked for an end."""
        due = step.validate_every and step.batches.ready % step.validate_every == 0
        asked = step.trainer.should_stop or step.trainer.received_sigterm
        return bool(due or asked or self.batch_progress.is_last_batch)

    @property
    def done(self) -> bool:
        step = self._step
        if step is None or self._restarting or step.trainer.should_stop:
            return super().done
        stepped = self.automatic_optimization.optim_progress.optimizer_steps
        return self._num_ready_batches_reached() or -1 != self.max_steps <= stepped


_move = _ResultMetric.to


def _move_unless_there(metric: _ResultMetric, device: Any = None, *args: Any, **kwargs: Any) -> _ResultMetric:
    """`_ResultMetric.to`, whose values move together: a millisecond less where there is nothing to do."""
    there = metric.is_tensor and isinstance(device, torch.device) and not (args or kwargs)
    return metric if there and metric.value.device == device else _move(metric, device, *args, **kwargs)


# The files this one stands in for: where the installed Lightning reads differently, its own loop runs.
_REPLACED = (
    _TrainingEpochLoop, _AutomaticOptimization, Closure, _DataFetcher, _LoggerConnector, LightningModule,
    DataHooks, LightningOptimizer, Precision, MixedPrecision, Strategy, SingleDeviceStrategy, DDPStrategy,
    call._interrupt, _ResultMetric,
)  # fmt: skip
_KNOWN = {"ec501bd24dc6c0cb": "lightning 2.6.4, 2.6.5 and 2.6.6"}


def _digest() -> str:
    """Of the sources in `_REPLACED`, 16 hexadecimal digits."""
    files = [Path(inspect.getfile(item)) for item in _REPLACED]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def install(trainer: Trainer) -> bool:
    """Lets `trainer.fit` use the short loop. False, and nothing changed, where Lightning is not known."""
    loop = trainer.fit_loop.epoch_loop
    if not speedups.wanted() or type(loop) is not _TrainingEpochLoop:
        return False
    if _digest() not in _KNOWN:
        speedups.unknown(
            "training_loop",
            f"Lightning {lightning.__version__} is not known to the short training loop, so Lightning's own loop runs and "
            "small networks train slower",
        )
        return False
    _ResultMetric.to = _move_unless_there  # type: ignore[assignment, method-assign]
    loop.__class__ = EpochLoop  # the same object: limits, validation loop and counters stay as they are
    speedups.used("training_loop")
    return True
