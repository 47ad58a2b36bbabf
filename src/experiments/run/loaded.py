"""A finished run, rebuilt from its folder: for prediction and work in a notebook."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments.config.preprocessing import given_keys, take_over
from experiments.errors import UserError
from experiments.run.build import build_data, build_task, prepare_process
from experiments.run.folder import read_config, reading
from experiments.run.foreign import build_foreign_task, is_ours, refuse
from experiments.run.instantiate import locate, make
from experiments.run.rebuilt_record import readable_record, require_unchanged
from experiments.run.record import checkpoint_of
from experiments.run.tested_weights import load_checkpoint
from experiments.run.trust import READING, require_trust
from experiments.spec import ImageSpec, MaskSpec, from_plain
from experiments.tasks.report import report_of


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

    def prepare(self, inputs: Any) -> Any:
        """Return new inputs as the model gets them; of images N paths, PIL images, or arrays (H, W) or (H, W, C); of
        texts N of them.
        """
        return self.reader.prepare(inputs)

    @cached_property
    def reader(self) -> Any:
        """The run's data module without its dataset, for what is new."""
        data = make(self.config.data)
        data.spec = self.spec
        return data

    def predict(self, inputs: Any) -> Any:
        """Return what the task predicts, for classification probabilities (N, num_classes), of inputs as for `prepare`; a
        path, text or image by itself is one input.
        """
        import torch

        if isinstance(inputs, (str, os.PathLike)) or type(inputs).__module__.startswith("PIL."):
            inputs = [inputs]

        with torch.inference_mode(), self._precision():
            return report_of(self.task).predict(self.prepare(inputs))

    def answers(self, inputs: Any, top: int) -> list[dict[str, Any]]:
        """Return what `experiments predict` says of inputs as for `prepare`, one dictionary each: see `Report.answers`."""
        import torch

        with torch.inference_mode(), self._precision():
            read = getattr(self.reader, "photographs", self.reader.prepare)  # whole, where every pixel has an answer
            answers = report_of(self.task).answers(read(inputs), top)
        return [self._in_words(answer) for answer in answers]

    def _precision(self) -> AbstractContextManager[Any]:
        """The config's mixed precision, where single inputs are answered in it."""
        import torch

        kinds = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
        name = str(self.config.precision.name)
        if name not in kinds or not report_of(self.task).mixed:
            return nullcontext()
        return torch.autocast(self.task.device.type, kinds[name])

    def _in_words(self, answer: Any) -> Any:
        """Return an answer with the text of what are tokens in it."""
        from experiments.batches import Tokens

        if isinstance(answer, Tokens):
            return self.reader.decode([answer])[0]
        if isinstance(answer, dict):
            return {key: self._in_words(part) for key, part in answer.items()}
        return [self._in_words(part) for part in answer] if isinstance(answer, list) else answer


class _Remembered:
    """Stands in for a run's data, by what the run's record says of it; None for what it does not say."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self._record = record

    def __getattr__(self, name: str) -> Any:
        return self._record.get(name)


def load(run_folder: str | Path, command: str | None = None, judged: Mapping[str, Any] | None = None) -> Loaded:
    """Rebuilds a run from its folder; of one that was not made here, only what `require_trust` lets pass.

    Args:
        run_folder: the run's folder.
        command: what asks for it, where it needs a task of ours; None takes any LightningModule.
        judged: keys of the task in place of the run's, of those in its `test_keys` or `predict_keys`.

    Raises:
        UserError: when the folder holds no run, one without a checkpoint, or one that the command cannot use.
    """
    folder = Path(run_folder).absolute()
    config = read_config(folder)
    require_trust(OmegaConf.to_container(config), folder, READING)
    for key, value in (judged or {}).items():
        OmegaConf.update(config, f"task.{key}", value, merge=False, force_add=True)
    record, checkpoint = tested_checkpoint(folder, config)
    from experiments.transfer.lora import merge

    with reading(folder, record.get("environment")):
        prepare_process(config)
        if not is_ours(config.task):
            if command:
                refuse(config, command, folder)
            return _load_foreign(folder, config, record, checkpoint)
        if record["spec"] is None:
            raise UserError(
                f"{folder / 'record.json'} has no spec of the data: remove it, and it is read from the rest of the run"
            )
        spec = from_plain(record["spec"])
        config.weights = None  # the checkpoint holds them all
        if "source" in config.model:  # the run's folder holds what was published beside its weights
            config.model.source = str(folder)
        for key in locate(config.task["_target_"]).runs:
            if config.task.get(key) and not Path(config.task[key]).exists():
                config.task[key] = None  # of the test alone, and it may be gone
        task = build_task(config, spec, _Remembered(record), learning=False, earlier_run=earlier_run)
    load_checkpoint(task, checkpoint)
    merge(task.model)
    report_of(task).recall(record)
    task.eval()
    return Loaded(folder, config, record, spec, task)


def earlier_run(folder: str) -> tuple[Any, Any]:
    """Return the network and the spec of a run that a task names; the network does not learn."""
    earlier = load(folder)
    return earlier.model.requires_grad_(False), earlier.spec


def tested_checkpoint(folder: Path, config: DictConfig) -> tuple[dict[str, Any], Path]:
    """Return a run's record, and the checkpoint whose weights it tested.

    Raises:
        UserError: when it has none, or it is no longer what the run wrote.
    """
    record = readable_record(folder, config)
    checkpoint = checkpoint_of(folder, record)
    if "spec" not in record or checkpoint is None:
        if record["status"] == "finished":
            if checkpoint is not None:
                raise UserError(f"{folder}/record.json has no spec of the data: restore it from a copy, or train again")
            if config.trainer.get("enable_checkpointing") is False:
                raise UserError(
                    f"{folder} was trained with trainer.enable_checkpointing=false and kept no weights: train again without it"
                )
            if (config.get("callbacks") or {}).get("checkpoint") is None:
                raise UserError(
                    f"{folder} was trained without a checkpoint callback and kept no weights: train again with one"
                )
            raise UserError(
                f"{folder} is finished and has no checkpoints/best.ckpt any more: restore it from a copy, or train again"
            )
        raise UserError(f"{folder} has no best checkpoint yet ({record['status']}): resume it with resume={folder}")
    require_unchanged(folder, checkpoint, record)
    return record, checkpoint


def _load_foreign(folder: Path, config: DictConfig, record: dict[str, Any], checkpoint: Path) -> Loaded:
    task, data = foreign_parts(config)
    task.configure_model()  # where layers are made late, as Lightning's load_from_checkpoint does
    load_checkpoint(task, checkpoint, data)
    task.eval()
    spec = None if record["spec"] is None else from_plain(record["spec"])
    return Loaded(folder, config, record, spec, task)


def foreign_parts(config: DictConfig) -> tuple[Any, Any]:
    """Return a LightningModule of its own, untrained, and its data."""
    data = build_data(config, task_is_ours=False)
    return build_foreign_task(config, data), data


def load_published(overrides: Sequence[str], config_dirs: Sequence[str] = ()) -> Loaded:
    """Return a network with weights from elsewhere, for the images and classes they were published for, for speech or for texts.

    Args:
        overrides: such as `model=resnet18` and `weights=pretrained`, or `weights=PATH` of the same file.
        config_dirs: further folders of configs.

    Raises:
        UserError: when the network has no published weights, they are not here, or do not fit.
    """
    from experiments.config.check import require
    from experiments.config.compose import compose
    from experiments.config.options import content, option_files
    from experiments.run.published_detectors import build_published_detector, is_detector
    from experiments.run.published_speech import build_published_speech, is_speech
    from experiments.run.published_texts import build_published_text, text_kind

    if is_detector(overrides, config_dirs):
        config, shown, task = build_published_detector(overrides, config_dirs)
        return Loaded(Path(config.run.dir), config, {}, shown, task)
    if is_speech(overrides, config_dirs):
        config, sound, task = build_published_speech(overrides, config_dirs)
        return Loaded(Path(config.run.dir), config, {}, sound, task)
    if kind := text_kind(overrides, config_dirs):
        config, read, task = build_published_text(kind, overrides, config_dirs)
        return Loaded(Path(config.run.dir), config, {}, read, task)
    named = next((word.removeprefix("model=") for word in overrides if word.startswith("model=")), "")
    file = option_files("model", config_dirs).get(named)
    masks = file is not None and content(file).get("makes") == "masks"
    config = compose([f"data={'mask' if masks else 'image'}_folder", "data.root=.", *overrides], config_dirs)
    model, published = config.run.choices.model, config.model.get("pretrained")
    if config.weights not in (None, "pretrained") and not published:
        raise UserError(
            f"model={model} has no published weights, so nothing names the classes of weights={config.weights}: "
            "train a run with them on data that has classes, and name that run"
        )
    if config.weights is None or not published:
        raise UserError(
            f"model={model} weights={config.weights} says no classes: name a run, or a published network and weights=pretrained"
        )
    require(config)
    prepare_process(config)
    from experiments.transfer.published import class_names, expected_images, shorter_side

    take_over(config.data, published if "size" in published else expected_images(published), given_keys(config))
    classes = tuple(class_names(published))
    data = config.data
    if masks and data.size is None:
        data.size = shorter_side(published)
    make_spec = MaskSpec if masks else ImageSpec
    spec = make_spec(len(data.mean), data.size, data.size, classes, tuple(data.mean), tuple(data.std))
    if isinstance(spec, MaskSpec):
        from experiments.data.masks.mask_values import distinct_colours

        spec = replace(spec, colours=distinct_colours(len(classes)))
    task = build_task(config, spec, with_head=True)
    task.eval()
    return Loaded(Path(config.run.dir), config, {}, spec, task)
