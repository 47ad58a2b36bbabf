"""A sweep folder made a good TensorBoard logdir: mean curves with their bands, and the columns of the HPARAMS tab."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from experiments.compare.cells import Cell, differing, gather
from experiments.compare.learning_curves import curves
from experiments.compare.run_records import GROUPS, RecordedRun, shown
from experiments.config.metric_names import split_of
from experiments.loggers.event_file import record

FOLDER = "seeds"  # below the sweep: mean, low and high of each cell
_SUMMARY = "events.out.tfevents.{}.columns"
_NUMBERS = {
    "seed": "seed",
    "optimizer.lr": "lr",
    "data.batch_size": "batch_size",
    "data.limit": "limit",
}  # as runs log them
_MOST_VALUES = 50  # of a choice, beyond which the tab offers no tick boxes


def write_aggregates(sweep: Path) -> int:
    """Writes the curves of every cell below a folder, over its seeds, and the columns of the HPARAMS tab.

    A cell gives three runs, `seeds/CELL/mean`, `low` and `high` (the lowest and highest seed), with the tags and steps
    of the runs themselves, so that they lie in the same chart. What an earlier call wrote is replaced.

    Returns:
        How many cells were written.

    Raises:
        OSError: when the folder cannot be written to.
        UserError: when no run is there.
    """
    cells, _ = gather([sweep])
    shutil.rmtree(sweep / FOLDER, ignore_errors=True)
    columns = differing(cells) or ["model"]
    names: dict[str, int] = {}
    count = 0
    for cell in cells:
        by_tag = curves(cell)
        if not by_tag:
            continue
        name = _name(cell, columns)
        names[name] = names.get(name, 0) + 1
        folder = sweep / FOLDER / (name if names[name] == 1 else f"{name}-{names[name]}")
        for part in ("mean", "low", "high"):
            with Events(folder / part) as events:
                for tag, points in by_tag.items():
                    for point in points:
                        events.scalar(tag, getattr(point, part), point.step)
        count += 1
    write_columns(sweep, [run for cell in cells for run in cell.runs])
    return count


def refresh_columns(sweep: Path) -> None:
    """Writes the columns of the HPARAMS tab for the runs below a folder, where they log to TensorBoard.

    Raises:
        OSError: when the folder cannot be written to.
        UserError: when no run is there.
    """
    if any(sweep.glob("*/events.out.tfevents.*")):
        write_columns(sweep, [run for cell in gather([sweep])[0] for run in cell.runs])


def _name(cell: Cell, columns: Sequence[str]) -> str:
    words = [f"{key.rpartition('.')[2]}={cell.level(key)}" for key in columns]
    return "".join(letter if letter.isalnum() or letter in "=,.-+_" else "_" for letter in ",".join(words))[:120].strip(
        "."
    )


def write_columns(sweep: Path, runs: Iterable[RecordedRun]) -> None:
    """Writes the one summary from which the HPARAMS tab takes its columns: all choices and final metrics of all runs.

    Without it the tab has every choice too, but every metric of every epoch beside the final ones.
    """
    from tensorboard.plugins.hparams import api_pb2 as api
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    values: dict[str, set[str]] = {name: set() for name in _NUMBERS.values()}
    metrics: set[str] = set()
    for run in runs:
        for key, value in (run.choices | {"seed": run.seed}).items():
            if value is not None and key in (*GROUPS, *_NUMBERS):
                values.setdefault(_NUMBERS.get(key, key), set()).add(shown(value))
        metrics |= {name for name in run.metrics if split_of(name) == "test"}
    experiment = api.Experiment(description="All runs of this folder", time_created_secs=time.time())
    for key, levels in values.items():
        info = experiment.hparam_infos.add(name=key, differs=len(levels) > 1)  # those that differ come first
        if key in _NUMBERS.values():
            info.type = api.DATA_TYPE_FLOAT64
            continue
        info.type = api.DATA_TYPE_STRING
        if len(levels) <= _MOST_VALUES:
            info.domain_discrete.extend(sorted(levels))
    for tag in sorted(metrics):
        experiment.metric_infos.add(name=api.MetricName(tag=tag))
    for old in sweep.glob(_SUMMARY.format("*")):
        old.unlink()
    with Events(sweep, _SUMMARY.format(time.time_ns())) as events:
        events.hparams("experiment", HParamsPluginData(experiment=experiment))


class Events:
    """An event file, written event by event.

    Args:
        folder: of the run, made where it is missing.
        name: of the file; None takes a fresh one.
    """

    def __init__(self, folder: Path, name: str | None = None) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        folder.mkdir(parents=True, exist_ok=True)
        self._event = Event
        self._file = (folder / (name or f"events.out.tfevents.{time.time_ns()}")).open("wb")
        self._file.write(record(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString()))

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def scalar(self, tag: str, value: float, step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._write(Summary(value=[Summary.Value(tag=tag, simple_value=value)]), step)

    def hparams(self, tag: str, content: Any) -> None:
        from tensorboard.compat.proto import summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2

        plugin = summary_pb2.SummaryMetadata.PluginData(plugin_name="hparams", content=content.SerializeToString())
        nothing = tensor_pb2.TensorProto(  # all is in the metadata, but a value without a tensor is not read
            dtype=types_pb2.DT_FLOAT,
            float_val=[0.0],
            tensor_shape=tensor_shape_pb2.TensorShapeProto(dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=1)]),
        )
        metadata = summary_pb2.SummaryMetadata(plugin_data=plugin)
        value = summary_pb2.Summary.Value(tag=f"_hparams_/{tag}", metadata=metadata, tensor=nothing)
        self._write(summary_pb2.Summary(value=[value]), 0)

    def _write(self, summary: Any, step: int) -> None:
        event = self._event(wall_time=time.time(), step=step, summary=summary)
        self._file.write(record(event.SerializeToString()))
