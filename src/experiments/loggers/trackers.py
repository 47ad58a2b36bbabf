"""Experiment trackers as one word, `logger=wandb`: Lightning's loggers, told what a run says of itself.

Every function makes one logger. `options` holds further keywords of Lightning's class, whatever it takes. A resumed run
goes on in the tracker's own run, whose name stands in the file `trackers.json` of the run folder.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from experiments.contracts import TakesPictures, TakesTexts
from experiments.errors import UserError
from experiments.system.bounded_files import read_json, read_yaml
from experiments.system.files import write_json
from experiments.system.processes import is_first_of_run

PACKAGES = {"wandb": "wandb", "mlflow": "mlflow", "comet": "comet_ml", "aim": "aim"}  # a tracker, and its package


def problems(config: Any) -> list[str]:
    """Return one sentence for each tracker of a config whose package is not installed."""
    chosen = [str((node or {}).get("_target_", "")) for node in (config.get("logger") or {}).values()]
    named = [target.rpartition(".")[2] for target in chosen if target.startswith(f"{__name__}.")]
    return [_missing(name) for name in named if not find_spec(PACKAGES[name])]


def _missing(name: str) -> str:
    return f"logger={name} needs the package {PACKAGES[name]}, which is not installed: pip install 'lightning-experiments[{name}]'"


def wandb(dir: str, project: str, offline: bool, log_model: bool | str, options: Mapping[str, Any]) -> Any:
    """Weights & Biases.

    Args:
        dir: the run folder; its name is the run's, that of a sweep around it the group, its choices are the tags.
        project: under which the runs stand.
        offline: write to the run folder alone; `wandb sync` sends it later. Also by WANDB_MODE=offline.
        log_model: whether checkpoints are sent too: false, true (at the end), or "all".
        options: further keywords of `WandbLogger` and `wandb.init`.

    Raises:
        UserError: when the package is not installed.
    """
    _require("wandb")
    from lightning.pytorch.loggers import WandbLogger

    run = _Said(dir)
    return WandbLogger(
        **{
            "project": project,
            "name": run.name,
            "group": run.sweep,
            "tags": run.tags,
            "id": run.kept("wandb") or run.keep("wandb", secrets.token_hex(4)),
            "resume": "allow",
            "save_dir": dir,
            "offline": offline or os.environ.get("WANDB_MODE") == "offline",
            "log_model": log_model,
            **options,
        }
    )


def mlflow(dir: str, project: str, uri: str | None, log_model: bool | str, options: Mapping[str, Any]) -> Any:
    """MLflow.

    Args:
        dir: the run folder; its name is the run's, that of a sweep around it and its choices are tags.
        project: the name of MLflow's experiment.
        uri: the tracking server or a database; None takes MLFLOW_TRACKING_URI, else the file mlflow.db.
        log_model: whether checkpoints are stored too: false, true (at the end), or "all".
        options: further keywords of `MLFlowLogger`.

    Raises:
        UserError: when the package is not installed.
    """
    _require("mlflow")
    from lightning.pytorch.loggers import MLFlowLogger

    run = _Said(dir)
    logger = MLFlowLogger(
        **{
            "experiment_name": project,
            "run_name": run.name,
            "tracking_uri": uri or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db",
            "tags": run.choices | ({"sweep": run.sweep} if run.sweep else {}),
            "run_id": run.kept("mlflow"),
            "log_model": log_model,
            **options,
        }
    )
    if logger.run_id is not None:  # None in all processes but the first
        run.keep("mlflow", logger.run_id)
    return logger


def comet(dir: str, project: str, offline: bool, options: Mapping[str, Any]) -> Any:
    """Comet.

    Args:
        dir: the run folder; its name is the run's.
        project: under which the runs stand.
        offline: write to the run folder alone; `comet upload` sends it later.
        options: further keywords of `CometLogger`.

    Raises:
        UserError: when the package is not installed.
    """
    _require("comet")
    from lightning.pytorch.loggers import CometLogger

    run = _Said(dir)
    with _started_offline() if offline else nullcontext():
        logger = CometLogger(**{"project": project, "name": run.name, "offline_directory": dir, **options})
    if run.tags:
        logger.experiment.add_tags([*run.tags, *([f"sweep={run.sweep}"] if run.sweep else [])])
    return logger


@contextmanager
def _started_offline() -> Iterator[None]:
    """Say it by Comet's own variable, which stays what it was for later runs of this process: Lightning's `online=False` makes
    an experiment that keeps nothing.
    """
    before = os.environ.get("COMET_START_ONLINE")
    os.environ["COMET_START_ONLINE"] = "0"
    try:
        yield
    finally:
        del os.environ["COMET_START_ONLINE"]
        if before is not None:
            os.environ["COMET_START_ONLINE"] = before


def aim(dir: str, project: str, repo: str | None, options: Mapping[str, Any]) -> Any:
    """Aim.

    Args:
        dir: the run folder; its name is the run's.
        project: the name of Aim's experiment.
        repo: the folder or server of the repository; None takes Aim's own rule.
        options: further keywords of `AimLogger`.

    Raises:
        UserError: when the package is not installed.
    """
    _require("aim")
    from aim.pytorch_lightning import AimLogger  # type: ignore[import-not-found,unused-ignore]

    run = _Said(dir)
    return AimLogger(**({"experiment": project, "repo": repo, "run_name": run.name} | dict(options)))


def _require(name: str) -> None:
    if not find_spec(PACKAGES[name]):
        raise UserError(_missing(name))


class _Said:
    """Reads from a run folder what a tracker is told of the run."""

    def __init__(self, dir: str) -> None:
        self.folder = Path(dir)
        self.name = self.folder.name
        parent = self.folder.parent
        self.sweep = parent.name if (parent / "sweep.json").exists() else None
        choices = (config_of(self.folder).get("run") or {}).get("choices") or {}
        self.choices = {key: str(value) for key, value in choices.items() if value is not None}
        self.tags = [f"{key}={value}" for key, value in self.choices.items()]
        self._file = self.folder / "trackers.json"

    def kept(self, name: str) -> str | None:
        """Return the tracker's name for this run, where it is known."""
        return self._names().get(name)

    def keep(self, name: str, value: str) -> str:
        """Keeps the tracker's name for this run, and gives it back."""
        if is_first_of_run() and self.folder.is_dir():
            write_json(self._file, self._names() | {name: value})
        return value

    def _names(self) -> dict[str, str]:
        return read_json(self._file) if self._file.exists() else {}


def config_of(folder: Path) -> dict[str, Any]:
    """Return the resolved config of a run folder, plain; empty without one."""
    file = folder / "config.yaml"
    return (read_yaml(file) or {}) if file.exists() else {}


def hyperparameters(logger: Any, choices: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Chooses what a logger of Lightning's is told: all of the config, or only the choices where each becomes a column of a table."""
    few = kinds(logger) & {"TensorBoardLogger", "CSVLogger"}
    return dict(choices) if few else dict(choices) | {"config": config_of(folder)}


def finish(logger: Any, well: bool) -> None:
    """Ends a tracker's own run; a command and a job of a sweep leave no time for what a library does when Python exits."""
    class_names = kinds(logger)
    if not is_first_of_run():
        return
    if "WandbLogger" in class_names:
        logger.experiment.finish(exit_code=0 if well else 1)
    elif "CometLogger" in class_names:
        logger.experiment.end()  # which writes the archive of an offline run
    elif "AimLogger" in class_names:
        logger.finalize("success")


def kinds(logger: Any) -> set[str]:
    """Return the names of a logger's class and of those it is made of."""
    return {base.__name__ for base in type(logger).__mro__}


def log_picture(loggers: Iterable[Any], name: str, png: bytes, step: int) -> None:
    """Gives a picture to every logger that takes one.

    Args:
        loggers: ours and Lightning's.
        name: such as `figures/curves`.
        png: a PNG file.
        step: of the optimizer.
    """
    for logger in loggers:
        if isinstance(logger, TakesPictures):
            logger.log_picture(name, png, step)
            continue
        class_names = kinds(logger)
        if "WandbLogger" in class_names:
            logger.log_image(name, [_opened(png)])
        elif "MLFlowLogger" in class_names:
            logger.experiment.log_image(logger.run_id, _opened(png), artifact_file=f"{name}.png")
        elif "CometLogger" in class_names:
            logger.experiment.log_image(_opened(png), name=name, step=step)
        elif "TensorBoardLogger" in class_names:
            import numpy as np

            logger.experiment.add_image(name, np.asarray(_opened(png)), step, dataformats="HWC")


def log_text(loggers: Iterable[Any], name: str, markdown: str, step: int) -> None:
    """Gives a text (Markdown) to every logger that takes one; see `log_picture`."""
    for logger in loggers:
        class_names = kinds(logger)
        if "RunLogger" in class_names:
            if isinstance(logger, TakesTexts):
                logger.log_text(name, markdown, step)
        elif "WandbLogger" in class_names:
            import html

            import wandb as library

            logger.experiment.log({name: library.Html(f"<pre>{html.escape(markdown)}</pre>")})
        elif "MLFlowLogger" in class_names:
            logger.experiment.log_text(logger.run_id, markdown, f"{name}.md")
        elif "CometLogger" in class_names:
            logger.experiment.log_text(markdown, step=step, metadata={"name": name})
        elif "TensorBoardLogger" in class_names:
            logger.experiment.add_text(name, markdown, step)


def _opened(png: bytes) -> Any:
    import io

    from PIL import Image

    return Image.open(io.BytesIO(png)).convert("RGB")
