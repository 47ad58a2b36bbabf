"""Scalars, pictures, texts and the HPARAMS entry of a run, as an event file of TensorBoard."""

from __future__ import annotations

import io
import logging
import os
import re
import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only

from experiments.config.metric_names import split_and_quantity, split_of
from experiments.errors import first_line
from experiments.loggers.base import RunLogger, flat
from experiments.loggers.event_file import record, records
from experiments.loggers.made_when_used import MadeWhenUsed
from experiments.loggers.network_graph import traceable, traced

log = logging.getLogger(__name__)
_OF_A_MODULE = "experiment"
_ALIKE = ("figures/training_batch", "figures/filters", "figures/most_wrong")  # the run's folder has them
_PAIR = "^(train|val|valid|validation)[/_]{}(_epoch)?$"  # tags of one quantity, as TensorBoard takes them


class TensorBoard(RunLogger):
    """Scalars, pictures, texts and the HPARAMS entry, in one event file in the run folder.

    The events are written here and not through SummaryWriter: that import takes half a second, its thread
    and queue serve nobody, and a resumed run would show its curves twice and its first attempt's end. A
    call of `log_metrics` is one event and one write to the operating system, so there is nothing to flush.

    Args:
        dir: the run folder.
        graph: whether the GRAPHS tab shows the network, which takes a trace of it; of images alone, and of a foreign module
            with an `example_input_array`.
    """

    def __init__(self, dir: str, graph: bool = False) -> None:
        super().__init__(dir)
        self._graph = graph
        self._file: io.FileIO | None = None
        self._earlier: list[Path] = []  # event files of attempts before this one
        self._once: set[str] = set()  # tags that this attempt has written for the whole run
        self._given: set[tuple[str, int]] = set()  # values that came with hyperparameters, and their step
        self._latest: dict[str, int] = {}  # the step of each scalar's last value
        self._writer = MadeWhenUsed(self._torch_writer)
        self._held: list[Any] = []  # events of a module that wait for those of earlier attempts
        self._fitting = False
        self._tested = False
        self._choices: dict[str, Any] = {}  # what the HPARAMS tab shows
        self._final: list[str] = []  # tags of scalars that say how the run ended; the tab reads their last values

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """Return a SummaryWriter of torch that writes into this file, as `self.logger.experiment` of Lightning's logger.

        Lightning asks every logger for it before a fit, so that torch's class, which takes 25 ms in a job of a sweep and half a
        second else, is imported where something of the writer is used.
        """
        return self._writer

    def _torch_writer(self) -> Any:
        from experiments.loggers.summary_writer import RunSummaryWriter

        return RunSummaryWriter(str(self._dir), self._marked)

    def announce(self, choices: Mapping[str, Any], metrics: Sequence[str], texts: Mapping[str, str]) -> None:
        """Writes the texts, and holds the HPARAMS entry until the first values are logged."""
        self._choices |= choices
        self._final += metrics
        for name, text in texts.items():
            self.log_text(name, text)

    @rank_zero_only
    def log_hyperparams(
        self, params: Any, metrics: Mapping[str, Any] | Sequence[str] | float | None = None, *args: Any, **kwargs: Any
    ) -> None:
        """Adds to the entry in the HPARAMS tab, which is written with the run's first values; what comes later is a text.

        Args:
            params: as Lightning's logger takes them.
            metrics: values that say how the run ended, or the tags of scalars that will; a number alone is `hp_metric`.
        """
        given = flat(params)
        # Lightning gives those of `save_hyperparameters` before each fit and test.
        fresh = not given.items() <= self.told.items()
        self.told |= given
        named: Any = {"hp_metric": metrics} if isinstance(metrics, (int, float)) else metrics or ()
        for name in named if isinstance(named, Mapping) else ():
            self._write_once(name, float(named[name]))
        if "_hparams_/session_start_info" not in self._once:
            self._choices |= given
            self._final += [name for name in named if name not in self._final]
            return
        if not fresh:
            return
        rows = [f"| {name} | {value} |" for name, value in self.told.items()]
        self.log_text("hyperparameters", "\n".join(["| name | value |", "| --- | --- |", *rows]))

    def _write_once(self, name: str, value: float) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._given.add((name, 0))
        self._write(Summary(value=[Summary.Value(tag=name, simple_value=value)]), 0)

    def _enter(self) -> None:
        """Writes the entry in the HPARAMS tab, once."""
        if not self._choices or "_hparams_/session_start_info" in self._once:
            return
        from tensorboard.plugins.hparams import api_pb2 as api
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

        experiment, start = api.Experiment(), SessionStartInfo(start_time_secs=time.time())
        for name, value in self._choices.items():
            info = experiment.hparam_infos.add(name=name)
            if isinstance(value, bool):
                info.type, start.hparams[name].bool_value = api.DATA_TYPE_BOOL, value
            elif isinstance(value, (int, float)):
                info.type, start.hparams[name].number_value = api.DATA_TYPE_FLOAT64, value
            else:
                text = "none" if value is None else str(value)
                info.type, start.hparams[name].string_value = api.DATA_TYPE_STRING, text
        for tag in self._final:
            experiment.metric_infos.add(name=api.MetricName(tag=tag))
        # Of several such summaries TensorBoard takes any one for the columns of all runs. In a sweep none is written, so
        # that it collects the columns itself, or takes those that `experiments compare --tensorboard` writes.
        if not (self._dir.parent / "sweep.json").exists():
            self._hparams("experiment", HParamsPluginData(experiment=experiment))
        self._hparams("session_start_info", HParamsPluginData(session_start_info=start))
        self._lay_out_pairs(self._final)

    def _lay_out_pairs(self, metrics: Sequence[str]) -> None:
        """Lays training and validation over each other in the CUSTOM SCALARS tab, the loss first."""
        from tensorboard.compat.proto import summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
        from tensorboard.plugins.custom_scalar.layout_pb2 import Category, Chart, Layout, MultilineChartContent

        names = dict.fromkeys(["loss", *(split_and_quantity(name)[1] for name in metrics if split_of(name))])
        charts = [
            Chart(title=name, multiline=MultilineChartContent(tag=[_PAIR.format(re.escape(name))])) for name in names
        ]
        layout = Layout(category=[Category(title="training and validation", chart=charts)])
        plugin = summary_pb2.SummaryMetadata.PluginData(plugin_name="custom_scalars")
        value = summary_pb2.Summary.Value(
            tag="custom_scalars__config__",
            metadata=summary_pb2.SummaryMetadata(plugin_data=plugin),
            tensor=tensor_pb2.TensorProto(
                dtype=types_pb2.DT_STRING,
                string_val=[layout.SerializeToString()],
                tensor_shape=tensor_shape_pb2.TensorShapeProto(),
            ),
        )
        self._once.add(value.tag)
        self._write(summary_pb2.Summary(value=[value]), 0)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        step = step or 0
        scalars = {k: v for k, v in metrics.items() if k != "epoch" and self._latest.get(k) != step}
        if not scalars:
            return
        self._latest |= dict.fromkeys(scalars, step)
        self._enter()
        tested = any(split_of(k) == "test" for k in scalars)
        self._tested |= tested
        self._open()
        if not self._fitting and not tested:
            self._fitting = True
            self._take_over(step)
        self._write(Summary(value=[Summary.Value(tag=k, simple_value=v) for k, v in scalars.items()]), step)

    @rank_zero_only
    def log_text(self, name: str, markdown: str, step: int = 0) -> None:
        """A text (Markdown) for the text tab, as it was after some steps."""
        from tensorboard.compat.proto import summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2

        plugin = summary_pb2.SummaryMetadata.PluginData(plugin_name="text")
        value = summary_pb2.Summary.Value(
            tag=f"{name}/text_summary",
            metadata=summary_pb2.SummaryMetadata(plugin_data=plugin),
            tensor=tensor_pb2.TensorProto(
                dtype=types_pb2.DT_STRING,
                string_val=[markdown.encode()],
                tensor_shape=tensor_shape_pb2.TensorShapeProto(dim=[{"size": 1}]),
            ),
        )
        if step == 0:
            self._once.add(value.tag)
        self._write(summary_pb2.Summary(value=[value]), step)

    @rank_zero_only
    def log_pr_curve(self, name: str, rows: Sequence[Sequence[float]], step: int) -> None:
        """A curve for the PR CURVES tab: true and false positives, true and false negatives, precision and recall."""
        from tensorboard.compat.proto import summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
        from tensorboard.plugins.pr_curve.plugin_data_pb2 import PrCurvePluginData

        content = PrCurvePluginData(version=0, num_thresholds=len(rows[0])).SerializeToString()
        plugin = summary_pb2.SummaryMetadata.PluginData(plugin_name="pr_curves", content=content)
        value = summary_pb2.Summary.Value(
            tag=f"{name}/pr_curves",
            metadata=summary_pb2.SummaryMetadata(display_name=name, plugin_data=plugin),
            tensor=tensor_pb2.TensorProto(
                dtype=types_pb2.DT_FLOAT,
                float_val=[number for row in rows for number in row],
                tensor_shape=tensor_shape_pb2.TensorShapeProto(dim=[{"size": len(rows)}, {"size": len(rows[0])}]),
            ),
        )
        self._write(summary_pb2.Summary(value=[value]), step)

    @rank_zero_only
    def log_graph(self, model: Any, input_array: Any = None) -> None:
        """The network for the GRAPHS tab, once, where that is asked for; Lightning calls this before it fits."""
        if not self._graph:
            return
        self._graph = False
        from tensorboard.compat.proto.event_pb2 import Event

        network, example = traceable(model, input_array)
        if example is None:
            log.warning("logger.tensorboard.graph=true shows networks of images, and this one reads others: no graph")
            return
        try:
            graph = traced(network, example)
        except Exception as error:  # the run is worth more than its picture
            log.warning("logger.tensorboard.graph=true: this network cannot be traced (%s)", first_line(error))
            return
        self._event(Event(wall_time=time.time(), graph_def=graph))

    @rank_zero_only
    def log_picture(self, name: str, png: bytes, step: int) -> None:
        """A picture that is already a PNG file; in a sweep not those that look alike in all of its runs."""
        if name in _ALIKE and (self._dir.parent / "sweep.json").exists():
            return
        from tensorboard.compat.proto.summary_pb2 import Summary

        width, height = struct.unpack(">II", png[16:24])  # a PNG begins with its signature and then its size
        image = Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=png)
        self._write(Summary(value=[Summary.Value(tag=name, image=image)]), step)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Lightning says `success` after fit too; the run has ended well only when it has been tested."""
        if status == "failed" or (status == "success" and self._tested):
            self._end(status)

    @rank_zero_only
    def close(self, status: str) -> None:
        """Write how the run ended, unless that was written before, and close the file."""
        self._enter()
        self._release()
        self._end("success" if status == "finished" else "failed")
        if self._file is not None:
            self._file.close()
            self._file = None

    def _end(self, status: str) -> None:
        # TensorBoard believes the first end it reads, so there must never be a second.
        if self._file is None or "_hparams_/session_end_info" in self._once:
            return
        from tensorboard.plugins.hparams import api_pb2 as api
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

        code = api.STATUS_SUCCESS if status == "success" else api.STATUS_FAILURE
        end = SessionEndInfo(status=code, end_time_secs=time.time())
        self._hparams("session_end_info", HParamsPluginData(session_end_info=end))

    def _hparams(self, tag: str, content: Any) -> None:
        from tensorboard.compat.proto import summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2

        plugin = summary_pb2.SummaryMetadata.PluginData(plugin_name="hparams", content=content.SerializeToString())
        nothing = tensor_pb2.TensorProto(  # all is in the metadata, but a value without a tensor is not read
            dtype=types_pb2.DT_FLOAT,
            float_val=[0.0],
            tensor_shape=tensor_shape_pb2.TensorShapeProto(dim=[{"size": 1}]),
        )
        value = summary_pb2.Summary.Value(
            tag=f"_hparams_/{tag}", metadata=summary_pb2.SummaryMetadata(plugin_data=plugin), tensor=nothing
        )
        self._once.add(value.tag)
        self._write(summary_pb2.Summary(value=[value]), 0)

    def _open(self) -> None:
        if self._file is not None:
            return
        from tensorboard.compat.proto.event_pb2 import Event

        self._dir.mkdir(parents=True, exist_ok=True)
        self._earlier = sorted(self._dir.glob("events.out.tfevents.*"))
        name = f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"
        self._file = open(self._dir / name, "xb", buffering=0)  # noqa: SIM115, open for the whole run
        self._file.write(record(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString()))

    def _write(self, summary: Any, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._event(Event(wall_time=time.time(), step=step, summary=summary))

    def _marked(self, event: Any) -> None:
        """Write an event of the module's own, whose steps may count anything: so that a resumed run tells it from ours."""
        event.source_metadata.writer = _OF_A_MODULE
        self._open()
        if self._earlier:  # which come first
            self._held.append(event)
        else:
            self._event(event)

    def _event(self, event: Any) -> None:
        self._open()
        assert self._file is not None
        self._file.write(record(event.SerializeToString()))

    def _take_over(self, step: int) -> None:
        """Copy what earlier attempts logged before this step, and remove their files.

        What a module wrote itself, whose steps may count anything, is copied where something of ours that is copied came later.
        """
        from tensorboard.compat.proto.event_pb2 import Event

        assert self._file is not None
        over = self._once | {"_hparams_/session_end_info"}
        seen = set(self._given)  # others stand twice where a copy like this one was itself interrupted
        for path in self._earlier:
            waiting: list[bytes] = []  # of a module
            for data in records(path):
                event = Event.FromString(data)
                if event.source_metadata.writer == _OF_A_MODULE:
                    waiting.append(data)
                    continue
                tags = {(v.tag, event.step) for v in event.summary.value}
                new = tags and event.step < step and not tags <= seen
                if new and not any(tag in over for tag, _ in tags):
                    seen |= tags
                    self._file.write(b"".join(map(record, [*waiting, data])))
                    waiting = []
        for path in self._earlier:
            path.unlink()
        self._earlier = []
        self._release()

    def _release(self) -> None:
        for event in self._held:
            self._event(event)
        self._held = []
