"""Recorded demonstrations: NumPy's .npz files, and the folders that Minari keeps."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from experiments.errors import UserError, first_line

Episode = tuple[np.ndarray, np.ndarray]  # observations (T, F) float32, and actions (T,) int64 or (T, A) float32

_NAMES = {"observations": ("observations", "obs"), "actions": ("actions", "acts")}
_ENDS = ("terminals", "timeouts", "dones", "terminations", "truncations")  # true at the last step of an episode
_PIECES = 10  # that steps are cut into where nothing says where episodes end


def read(path: Path) -> list[Episode]:
    """Return the episodes of a file or folder.

    Raises:
        UserError: when it cannot be read, or does not hold what it should.
    """
    if not path.exists():
        raise UserError(f"data.path={path} does not exist: name an .npz file or a folder of Minari")
    recordings = _minari(path) if path.is_dir() or path.suffix in (".hdf5", ".h5") else _npz(path)
    episodes = [_typed(path, *recording) for recording in recordings if len(recording[1])]
    if not episodes:
        raise UserError(f"data.path={path} holds no step: record demonstrations into it first")
    return episodes


def _npz(path: Path) -> list[tuple[Any, Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
    except (OSError, ValueError, AttributeError, EOFError) as error:
        raise UserError(f"data.path={path} is no .npz file ({first_line(error)}): save one with numpy.savez") from error
    arrays = {}
    for wanted, names in _NAMES.items():
        name = next((alias for alias in names if alias in content), None)
        if name is None:
            raise UserError(
                f"data.path={path} holds {', '.join(content) or 'nothing'} and no {wanted}: save observations and "
                "actions, a row a step, and terminals where episodes end"
            )
        arrays[wanted] = content[name]
    observations, actions = arrays["observations"], arrays["actions"]
    if len(observations) != len(actions):
        raise UserError(
            f"data.path={path} has {len(observations)} observations and {len(actions)} actions: give one of each a step"
        )
    count = len(actions)
    ends = np.zeros(count, bool)
    for name in (*_ENDS, "episode_starts"):
        if name in content and np.size(content[name]) != count:
            raise UserError(
                f"data.path={path} has {np.size(content[name])} {name} and {count} actions: give one of each a step"
            )
    for name in _ENDS:
        if name in content:
            ends |= np.asarray(content[name], bool).reshape(-1)
    if "episode_starts" in content:  # as stable-baselines3 records them
        ends[:-1] |= np.asarray(content["episode_starts"], bool).reshape(-1)[1:]
    if ends[:-1].any():
        cuts = np.flatnonzero(ends[:-1]) + 1
    else:
        cuts = np.linspace(0, count, min(_PIECES, count) + 1).astype(int)[1:-1]
    return list(zip(np.split(observations, cuts), np.split(actions, cuts), strict=True))


def _minari(path: Path) -> list[tuple[Any, Any]]:
    if find_spec("h5py") is None:
        raise UserError(
            f"data.path={path} is read with h5py, which is not installed: pip install 'lightning-experiments[control]'"
        )
    import h5py

    file = next(
        (place for place in (path / "data" / "main_data.hdf5", path / "main_data.hdf5") if place.is_file()), path
    )
    if file.is_dir():
        raise UserError(f"data.path={path} holds no data/main_data.hdf5: name a dataset's folder, as Minari keeps it")
    try:
        with h5py.File(file) as content:
            names = sorted((key for key in content if key.startswith("episode_")), key=lambda key: int(key[8:]))
            for name in names[:1]:
                for part in ("observations", "actions"):
                    if not isinstance(content[name].get(part), h5py.Dataset):
                        raise UserError(
                            f"data.path={path} has {part} of several parts, and policies here read and give one vector: "
                            "choose other demonstrations"
                        )
            # What is seen after the last action has none.
            return [
                (content[name]["observations"][: len(content[name]["actions"])], content[name]["actions"][:])
                for name in names
            ]
    except (OSError, KeyError, ValueError) as error:
        raise UserError(
            f"data.path={path} cannot be read as Minari's ({first_line(error)}): download it again"
        ) from error


def _typed(path: Path, observations: Any, actions: Any) -> Episode:
    for part, values in (("observations", observations), ("actions", actions)):
        if np.asarray(values).dtype.kind not in "biuf":
            raise UserError(f"data.path={path} has {part} that are no numbers: save numbers, a row a step")
    observations, actions = np.asarray(observations, np.float32), np.asarray(actions)
    if observations.ndim != 2:
        raise UserError(
            f"data.path={path} has observations of shape {observations.shape[1:]}, and policies here read a vector: "
            "flatten them"
        )
    if actions.ndim == 2 and actions.shape[1] == 1 and np.issubdtype(actions.dtype, np.integer):
        actions = actions[:, 0]  # a choice, as stable-baselines3 records it
    chosen = actions.ndim == 1 and np.issubdtype(actions.dtype, np.integer)
    actions = actions.astype(np.int64 if chosen else np.float32)
    if actions.ndim == 1 and not chosen:
        actions = actions[:, None]
    if not np.isfinite(observations).all() or not np.isfinite(actions).all():
        raise UserError(f"data.path={path} holds numbers that are not finite: leave those episodes out")
    return observations, actions


def check_shapes(path: Any, episodes: list[Episode], spec: Any) -> None:
    """Refuses demonstrations that are not of an environment.

    Raises:
        UserError: naming what differs.
    """
    observations, actions = episodes[0]
    env, features = spec.environment, len(spec.observations)
    cure = "name the environment that they were recorded in as data.env, or null for none"
    if observations.shape[1] != features:
        raise UserError(
            f"data.path={path} has observations of {observations.shape[1]} numbers and data.env={env} has {features}: {cure}"
        )
    discrete = actions.ndim == 1
    if discrete != spec.discrete:
        kinds = ["discrete" if is_discrete else "continuous" for is_discrete in (discrete, spec.discrete)]
        raise UserError(f"data.path={path} has {kinds[0]} actions and data.env={env} has {kinds[1]} ones: {cure}")
    count = len(spec.actions)
    if not discrete and actions.shape[1] != count:
        raise UserError(
            f"data.path={path} has actions of {actions.shape[1]} numbers and data.env={env} of {count}: {cure}"
        )
    if discrete and not all(taken.min() >= 0 and taken.max() < count for _, taken in episodes):
        other = next(int(action) for _, done in episodes for action in done if not 0 <= action < count)
        raise UserError(f"data.path={path} has action {other} and data.env={env} the actions 0 to {count - 1}: {cure}")
