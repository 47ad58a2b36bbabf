"""Whether model, data and task of a config fit together, by what their options say they read, give and make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omegaconf import ListConfig

from experiments.config.fitting_task import OVERRIDE, fitting_data, fitting_tasks, inherited
from experiments.config.foreign_modules import has_own_network
from experiments.config.preprocessing import writes_every_character


def pair_problems(config: Any) -> list[str]:
    choices = config.run.choices
    model, data, task = (choices.get(group) for group in ("model", "data", "task"))
    gives, reads = config.data.get("gives") or {}, config.model.get("reads") or {}
    wanted = config.task.get("reads")
    kind = gives.get("kind")
    silent = has_own_network(config) and "makes" not in config.model  # its first batch tells
    problems = []
    if kind and wanted and kind not in wanted:
        problems.append(
            f"task={task} reads {' or '.join(wanted)} and data={data} gives {kind}: choose another task or other data"
            + _as_data(fitting_data(None, task, wanted, config.run.config_dirs))
        )
    elif sentence := _answers_problem(config):
        problems.append(sentence)
    elif not silent and (asked := config.task.get("makes") or "classes") not in (
        makes := listed(config.model.get("makes") or "classes")
    ):
        fitting = fitting_tasks(model, makes, kind, config.run.config_dirs)
        if not fitting and model == "transformers" and kind in SOUND:
            cure = _other_model(model, kind, None)
        elif fitting:
            cure = f"add task={' or task='.join(fitting[:3])}, or another model"
        else:
            other = _other_data(model, kind, reads.get("kind"), config.run.config_dirs)
            cure = f"choose another task, or another model{other}"
        problems.append(
            f"task={task} learns from a model that makes {asked} and model={model} makes {' or '.join(map(str, makes))}: {cure}"
        )
    elif kind and reads.get("kind") and kind not in listed(reads["kind"]):
        problems.append(
            f"model={model} reads {' or '.join(listed(reads['kind']))} and data={data} gives {kind}: "
            + _other_model(model, kind, fitting_data(model, None, listed(reads["kind"]), config.run.config_dirs))
        )
    elif kind in SOUND:
        if config.data.get("unknown") == "keep" and not writes_every_character(config):
            problems.append(
                f"data.unknown=keep is for published weights that write every character, and task={task} takes its symbols "
                "from the training transcripts here: set data.unknown=drop"
            )
        given, wanted = config.data.get("rate") or gives.get("rate"), reads.get("rate")
        if given and wanted and given != wanted:
            problems.append(
                f"model={model} reads {wanted} samples a second and data={data} gives {given}: set data.rate={wanted}"
            )
    elif kind in ("image", "masks"):
        size = config.data.get("size") or gives.get("size")
        size = min(size) if isinstance(size, (list, ListConfig)) else size  # height and width, of images with masks
        size = None if config.data.get("transform") else size  # which only building tells
        exact, least = reads.get("size"), reads.get("min_size")
        batch, together = config.data.get("batch_size"), reads.get("min_batch")
        if isinstance(batch, int) and together and batch < together:
            problems.append(
                f"model={model} learns from {together} images a step or more and data.batch_size={batch}: set data.batch_size={together} or more"
            )
        if size and exact and size != exact:
            problems.append(
                f"model={model} reads {exact}×{exact} images and data={data} gives {size}×{size}: set data.size={exact}"
            )
        elif size and least and size < least:
            problems.append(
                f"model={model} reads images of {least}×{least} or more and data={data} gives {size}×{size}: set data.size={least} or more"
            )
    return problems


SOUND = ("audio", "speech")

_ANSWERS = {
    "class": "one class each",
    "step": "a class for each step",
    "number": "numbers",
    "next": "nothing but the text",
}
_LEARNT = _ANSWERS | {"next": "what follows in one long text"}


def _answers_problem(config: Any) -> str | None:
    """Say that data give other answers than a task learns: a class in place of a number, or images without colours."""
    task, data, gives = config.run.choices.get("task"), config.run.choices.get("data"), config.data.get("gives") or {}
    there, wanted = gives.get("answers"), config.task.get("answers")
    there = "number" if there == "class" and config.data.get("numbers") is True else there
    if there and wanted and there != wanted:
        usual = inherited("data", str(data), OVERRIDE, config.run.config_dirs)
        cure = f"choose task={usual}, or other data" if usual and usual != task else "choose another task"
        if wanted == "number" and "numbers" in config.data:
            cure = "set data.numbers=true"
        elif there == "number" and config.data.get("numbers") is True:
            cure = "set data.numbers=false, or choose task=regression"
        return f"task={task} learns {_LEARNT[wanted]} and data={data} gives {_ANSWERS[there]}: {cure}"
    channels = config.task.get("needs_channels")
    if channels == 3 and gives.get("channels") == 1:
        return f"task={task} needs colour images, and these are grey: choose data=cifar10 or image_folder"
    return None


def _other_data(model: str, kind: str | None, reads: Any, config_dirs: Sequence[str]) -> str:
    """Data that suit the model, where these do not."""
    name = fitting_data(model, None, listed(reads), config_dirs) if reads and kind not in listed(reads) else None
    return f", or other data{_as_data(name)}" if name else ""


def _other_model(model: Any, kind: Any, fitting: str | None) -> str:
    """Return what to do about a model that reads something else than the data give."""
    if model == "transformers" and kind in SOUND:
        return "name a network of sound, as model.name=hubert or its weights=FOLDER, or take model=whisper_base"
    return "choose another model or other data" + _as_data(fitting)


def _as_data(name: str | None) -> str:
    return f", as data={name}" if name else ""


def sight_problems(config: Any) -> list[str]:
    """Pieces of a text that are longer than what a model sees at once."""
    steps, sees = (
        number if type(number) is int else None for number in (config.data.get("steps"), config.model.get("positions"))
    )
    if steps is None or sees is None or steps <= sees:
        return []
    return [f"data.steps={steps} is more than the model sees at once, model.positions={sees}: set data.steps={sees}"]


def listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, ListConfig)) else [value]
