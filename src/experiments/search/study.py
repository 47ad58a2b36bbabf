"""What a search knows, in Optuna's storage: the study of a folder, and who proposes its next trial."""

from __future__ import annotations

import importlib
import random
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

from experiments.errors import UserError, first_line
from experiments.search.settings import SearchSettings
from experiments.search.space import Space
from experiments.sweep.objective import STORAGE

_NAME = "search"  # of the study; Hyperband's brackets depend on it
_LISTED = "the listed values"  # whether a study keeps those that are numbers as numbers
_INSTALL = {"optuna": "pip install 'optuna>=4'", "cmaes": "pip install cmaes"}


def import_package(name: str) -> ModuleType:
    warnings.filterwarnings("ignore", message="IProgress not found")  # of tqdm in a notebook, which draws nothing here
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"a search needs {name}, which is not installed: {_INSTALL[name]}") from error
    if name == "optuna":
        if int(module.__version__.split(".")[0]) < 4:
            raise UserError(f"a search needs Optuna 4 or newer and {module.__version__} is installed: {_INSTALL[name]}")
        module.logging.set_verbosity(module.logging.ERROR)
        warnings.filterwarnings("ignore", module="optuna")
        warnings.filterwarnings("ignore", category=module.exceptions.ExperimentalWarning)
    return module


def open_study(optuna: ModuleType, folder: Path, settings: SearchSettings, space: Space) -> Any:
    """Return the search's study in a folder, made where it is not there.

    Raises:
        UserError: when the folder holds another search, or its storage is damaged.
    """
    about = {
        "search.metric": [objective.name for objective in settings.objectives],
        "search.direction": ["min" if objective.lower else "max" for objective in settings.objectives],
        "the space": [str(key) for key in space.keys],
        "the shared values": sorted(space.fixed),
    }
    path = folder / STORAGE
    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}})
        studies = [kept for kept in storage.get_all_studies() if kept.study_name == _NAME]
        if studies:
            study = optuna.load_study(study_name=_NAME, storage=storage)
            different = [key for key, value in about.items() if study.user_attrs.get(key) != value]
            if not different:
                return study
            if any(trial.state.is_finished() for trial in study.get_trials(deepcopy=False)):
                key = different[0]
                there, here = (", ".join(words) for words in (study.user_attrs.get(key) or ["nothing"], about[key]))
                raise UserError(
                    f"hydra.sweep.dir={folder} holds a search in which {key} is {there} and not {here}: take that, or another folder"
                )
            optuna.delete_study(study_name=_NAME, storage=storage)  # nothing came of it
        directions = ["minimize" if objective.lower else "maximize" for objective in settings.objectives]
        study = optuna.create_study(study_name=_NAME, storage=storage, directions=directions)
        study.set_metric_names(about["search.metric"])  # which Optuna's dashboard shows
        for key, value in (about | {_LISTED: "numbers"}).items():
            study.set_user_attr(key, value)
    except UserError:
        raise
    except Exception as error:  # of SQLite, of SQLAlchemy, of Optuna: whatever a damaged file leads to
        raise UserError(
            f"{path} cannot be read ({first_line(error)}): move it away; the runs beside it are taken up again"
        ) from error
    return study


def keeps_text(study: Any) -> bool:
    """Tell whether a study comes from a version that kept listed numbers as text."""
    return study.user_attrs.get(_LISTED) != "numbers"


def make_sampler(optuna: ModuleType, settings: SearchSettings, number: int, jobs: int) -> Any:
    """Return the sampler for one trial, which depends on the seed and the trial's number alone: a search taken up goes
    on as it would have.
    """
    seed = random.Random(f"{settings.seed},{number}").getrandbits(32)
    if settings.sampler == "tpe":
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=settings.startup or 10, constant_liar=jobs > 1)
    if settings.sampler == "cmaes":
        return optuna.samplers.CmaEsSampler(
            seed=seed, n_startup_trials=settings.startup or 1, warn_independent_sampling=False
        )
    return optuna.samplers.RandomSampler(seed=seed)
