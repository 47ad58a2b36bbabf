"""What `import experiments` offers in Python and notebooks: the commands as functions. Imports torch only where it is used.

Mistakes raise `UserError`, whose text is the sentence that the command prints.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.config.metric_names import split_of
from experiments.errors import UserError

if TYPE_CHECKING:
    from experiments.commands.notebook_run import Run
    from experiments.compare.data_frame import Compared

RunLike = str | os.PathLike[str] | Mapping[str, Any]  # the folder of a run, its record, or the run that `load` gives
_LOADED = ("history", "figures", "predict", "show", "model", "task", "data", "config", "record")  # of what `load` gives
_OBJECTS = ("model", "task", "data")  # keys that may be classes or objects


class TrainedRecord(dict[str, Any]):
    """The record of a run: a dictionary that a notebook or a prompt shows in two lines, and not whole."""

    def __repr__(self) -> str:
        tests = (f"{name} {value:.4g}" for name, value in self.get("metrics", {}).items()
                 if split_of(name) == "test" and isinstance(value, int | float))  # fmt: skip
        return f"Record of {self.get('dir')}, {self.get('status')}: {', '.join(tests)}\nkeys: {', '.join(self)}"

    def __getattr__(self, name: str) -> Any:
        cure = f"experiments.load(record).{name} is that of its run" if name in _LOADED else "its keys are record[KEY]"
        raise AttributeError(f"the record of a run has no attribute {name}: {cure}")

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # IPython draws dictionaries in its own way
        printer.text(repr(self))


def train(*overrides: str, config_dir: str | None = None, **choices: Any) -> dict[str, Any]:
    """Trains, tests and records one run; returns its record, with its folder under `dir`.

    Args:
        overrides: as on the command line, `"trainer.max_epochs=5"`.
        config_dir: a further folder of configs.
        choices: groups and keys, `data="mnist", seed=3`. `model` may be a `torch.nn.Module` or a LightningModule and `data` a
            LightningDataModule, as a class or an object; what is given is copied, and `load(record["dir"])` has the trained one.

    Raises:
        UserError: when the config cannot run.
    """
    from experiments.config.compose import compose
    from experiments.run.execute import run
    from experiments.run.folder import opened, relocate

    given, words = _without_objects(choices)
    words += _loaders_of_its_own(choices.get("model"), [*overrides, *words])
    config = compose([*overrides, *words], [config_dir] if config_dir else [])
    for group, name in given.items():
        config.run.choices[group] = name
        config = relocate(config, Path(str(config.run.dir).replace("_given_", f"{name}_", 1)))
    with opened(config) as folder:
        record = TrainedRecord(run(folder) | {"dir": str(folder)})
    _in_a_notebook(record, folder)
    return record


def sweep(*overrides: str, config_dir: str | None = None, **choices: Any) -> Compared:
    """Runs every combination of the values that are lists, as `experiments train -m` does; a table by validation.

    Args:
        overrides: as on the command line, `"optimizer.lr=0.1,0.01"`.
        config_dir: a further folder of configs.
        choices: groups and keys; a list is swept, `model=["lenet5", "mlp"], seed=[0, 1, 2]`.

    Raises:
        UserError: when a cell cannot run; nothing has been run then.
        RunFailed: after all runs, when some failed.
    """
    for group in _OBJECTS:
        values = choices.get(group)
        for value in values if isinstance(values, (list, tuple)) else [values]:
            if value is not None and not isinstance(value, str):
                raise UserError(
                    f"{group}={getattr(value, '__name__', type(value).__name__)} is an object of this process, and a sweep trains in "
                    "others: put its class into an option (docs/extending.md), or call train in a loop and compare the runs"
                )
    words = [*overrides, *_words(choices, swept=True)]
    return _swept(words, config_dir)


def search(*overrides: str, config_dir: str | None = None, **choices: Any) -> Compared:
    """Searches values with Optuna, as `experiments train -m hydra/sweeper=optuna` does; a table by what was searched for.

    Args:
        overrides: as on the command line, `"optimizer.lr=tag(log,interval(1e-4,1e-1))"`, `"search.trials=20"`.
        config_dir: a further folder of configs.
        choices: groups and keys; a list is a choice to search.

    Raises:
        UserError: when the space or a setting does not fit.
        RunFailed: after all trials, when some failed.
    """
    words = ["hydra/sweeper=optuna", *overrides, *_words(choices, swept=True)]
    return _swept(words, config_dir)


def evaluate(run: RunLike, *overrides: str) -> dict[str, float]:
    """Tests a run again with its best weights, also on other data; writes nothing.

    Args:
        run: its folder, its record as `train` gives it, or a loaded run.
        overrides: of data, precision or trainer, `"data=usps"`.

    Raises:
        UserError: as `load`, and when the other data has other classes or shapes.
    """
    from experiments.run.evaluation import evaluate as evaluate_run

    return evaluate_run(_folder(run), *overrides)


def compare(
    *runs: RunLike | Sequence[RunLike],
    metric: str | None = None,
    by: str | Sequence[str] = (),
    against: str | Sequence[str] = (),
    lower: bool | None = None,
    bootstrap: bool = False,
) -> Compared:
    """Return a DataFrame with a row for each cell, best first, and `.plot()`; see `experiments compare --help`.

    Args:
        runs: folders of runs, sweeps or above them, records as `train` gives them, or loaded runs, also in a list; none:
            `outputs`.
        metric: what to compare, such as `val/accuracy`; None takes test accuracy where there is one.
        by: a choice to compare, or several, averaged over the others.
        against: `key=value`, or several, of the cell to compare the others with.
        lower: whether less is better; None judges by the metric's name.
        bootstrap: intervals by resampling.

    Raises:
        UserError: for a path, metric, choice or reference that is not there, and where pandas is missing.
    """
    from experiments.compare.compare import compare as compare_runs
    from experiments.compare.data_frame import framed
    from experiments.system.arguments import flat

    paths = [_folder(run) for run in flat(runs)] if runs else [Path("outputs")]
    if not paths:
        raise UserError("the list of runs is empty: give runs, or nothing for all of outputs")
    by, against = (words.split(",") if isinstance(words, str) else words for words in (by, against))
    comparisons = compare_runs(paths, metric, by, against=against, lower=lower, bootstrap=bootstrap)
    return framed(comparisons, paths)


def load(run: RunLike, model: Any = None, data: Any = None) -> Run:
    """Return a finished run, with its best weights: `.model`, `.task`, `.data`, `.config`, `.record`, `.history`,
    `.figures`, `.predict(inputs)` and `.show()`.

    Args:
        run: its folder, its record as `train` gives it, or a loaded run.
        model: the class or object that the run was trained from in another Python process.
        data: likewise.

    Raises:
        UserError: when the folder holds no run, or one without a checkpoint.
    """
    from experiments.commands.notebook_run import open_run
    from experiments.run import python_objects

    folder = _folder(run)
    if model is not None or data is not None:
        python_objects.give_again(folder, model, data)
    return open_run(folder)


def _swept(words: list[str], config_dir: str | None) -> Compared:
    from experiments.cli import run_words
    from experiments.compare.data_frame import framed_by_validation
    from experiments.system.pandas_package import require_pandas

    require_pandas()
    named = next((word.partition("=")[2] for word in words if word.startswith("hydra.sweep.dir=")), None)
    folder = Path(named) if named else _fresh_sweep_folder()
    own = [] if named else [f"hydra.sweep.dir={folder}"]
    dirs = [f"--config-dir={config_dir}"] if config_dir else []
    run_words(["train", "-m", *dirs, *words, *own])
    return framed_by_validation(folder)


def _fresh_sweep_folder() -> Path:
    """Names a folder by the time, where no sweep is yet."""
    first = Path("outputs") / "sweeps" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    places = (first.with_name(f"{first.name}-{number}") for number in range(2, 10_000))
    return first if not first.exists() else next(place for place in places if not place.exists())


def _without_objects(choices: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """Return the names of the classes and objects among some choices, by their group, and the words for all choices."""
    named: dict[str, str] = {}
    words: list[str] = []
    for key, value in choices.items():
        if key in _OBJECTS and value is not None and not isinstance(value, str):
            from experiments.run.python_objects import give

            group, name, chosen = give(key, value)
            named[group] = name
            words += chosen
        else:
            words += _words({key: value})
    return named, words


def _loaders_of_its_own(model: Any, words: Sequence[str]) -> list[str]:
    """Return the word for no data, where a LightningModule that is given has a `train_dataloader` and no word chooses data."""
    if model is None or isinstance(model, str) or any(word.startswith("data=") for word in words):
        return []
    from lightning.pytorch import LightningModule

    kind = model if isinstance(model, type) else type(model)
    has = issubclass(kind, LightningModule) and kind.train_dataloader is not LightningModule.train_dataloader
    return ["data=none"] if has else []


def _words(choices: Mapping[str, Any], swept: bool = False) -> list[str]:
    """Return keys and values as words of a command line; `optimizer={"lr": 0.1}` is `optimizer.lr=0.1`."""
    words = []
    for key, value in choices.items():
        if isinstance(value, Mapping):
            words += _words({f"{key}.{name}": setting for name, setting in value.items()}, swept)
        else:
            words.append(_word(key, value, swept))
    return words


def _word(key: str, value: Any, swept: bool = False) -> str:
    """Return a key and its value as a word of a command line."""
    if isinstance(value, (list, tuple)):
        inner = ",".join(_word("", item)[1:] for item in value)
        return f"{key}={inner}" if swept else f"{key}=[{inner}]"
    if value is None:
        return f"{key}=null"
    if isinstance(value, (str, os.PathLike)):
        return f"{key}={_as_hydra_reads(os.fspath(value))}"
    return f"{key}={str(value).lower() if isinstance(value, bool) else value}"


def _as_hydra_reads(text: str) -> str:
    """Return a text, in quotes where Hydra could not read it, or would read a path with commas as several values."""
    from experiments.config.compose import parse
    from experiments.config.quoting import quoted

    with contextlib.suppress(UserError):
        several = parse([f"key={text}"])[0].is_sweep_override()
        if not (several and os.path.exists(text)):  # Path.exists raises for what is too long for a path
            return text
    return quoted(text)


def _folder(run: RunLike) -> Path:
    if isinstance(run, Mapping):
        if "dir" not in run:
            raise UserError("this record has no `dir`: give the folder of the run, as train returns it under dir")
        return Path(str(run["dir"]))
    return Path(run)


def _in_a_notebook(record: Mapping[str, Any], folder: Path) -> None:
    """Shows the result of a run below the cell that trained it."""
    from experiments.system.terminal import in_notebook, quiet

    if in_notebook() and not quiet():
        from IPython.display import HTML, display

        from experiments.commands.notebook_run import result_html

        display(HTML(result_html(record, folder)))
