"""Environments of gymnasium, made to be changed: named, checked, wrapped, and described by a spec."""

from __future__ import annotations

import difflib
import os
import sys
import warnings
from collections import deque
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any

from experiments.data.control.physics import NEUTRAL, Physics, check_ranges, check_values, draw
from experiments.errors import UserError, first_line
from experiments.spec import ControlSpec

# What the numbers mean, where an environment's documentation says it.
_OBSERVATIONS = {
    "CartPole": ("position", "velocity", "angle", "angular velocity"),
    "Pendulum": ("cos angle", "sin angle", "angular velocity"),
    "Acrobot": ("cos angle 1", "sin angle 1", "cos angle 2", "sin angle 2", "velocity 1", "velocity 2"),
    "MountainCar": ("position", "velocity"),
    "MountainCarContinuous": ("position", "velocity"),
    "InvertedPendulum": ("position", "angle", "velocity", "angular velocity"),
    "Hopper": (
        *("height", "torso angle", "thigh angle", "leg angle", "foot angle", "velocity x", "velocity z"),
        *("torso velocity", "thigh velocity", "leg velocity", "foot velocity"),
    ),
}
_ACTIONS = {
    "CartPole": ("left", "right"),
    "Pendulum": ("torque",),
    "Acrobot": ("torque -1", "torque 0", "torque +1"),
    "MountainCar": ("left", "nothing", "right"),
    "MountainCarContinuous": ("force",),
    "InvertedPendulum": ("force",),
    "Hopper": ("thigh torque", "leg torque", "foot torque"),
}


def gymnasium() -> Any:
    """Return the library.

    Raises:
        UserError: when it is not installed.
    """
    if find_spec("gymnasium") is None:
        raise UserError(
            "data.env needs gymnasium, which is not installed: pip install 'lightning-experiments[control]'"
        )
    import gymnasium as library

    return library


@cache
def _changeable() -> Any:
    """Return the class of a wrapper; gymnasium is not imported before it is wanted."""

    class Changeable(gymnasium().Wrapper):  # type: ignore[misc]
        """An environment whose physics can be set, whose actions can come late and whose observations can be noisy.

        `reset(seed=…)` decides all that is random in the episode; `options={"replay": actions}` plays these first.

        Attributes:
            physics: of the environment.
            fixed: values that every episode has.
            ranges: from where to where others are drawn, anew for each episode.
            values: those of this episode; empty where nothing is changed.
        """

        def __init__(self, env: Any) -> None:
            super().__init__(env)
            self.physics = Physics(env.unwrapped)
            self.fixed: Mapping[str, float] = {}
            self.ranges: Mapping[str, tuple[float, float]] = {}
            self.values: dict[str, float] = {}
            self._waiting: deque[Any] = deque()
            self._random: Any = None

        def step(self, action: Any) -> Any:
            if self.values.get("delay"):
                while len(self._waiting) < self.values["delay"]:  # at first, the first one is all there is
                    self._waiting.append(action)
                self._waiting.append(action)
                action = self._waiting.popleft()
            observation, reward, terminated, truncated, info = self.env.step(action)
            return self._seen(observation), reward, terminated, truncated, info

        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            import numpy as np

            rest = {key: value for key, value in (options or {}).items() if key != "replay"}
            if self.fixed or self.ranges or self.values:
                self._random = np.random.default_rng(None if seed is None else [seed, 1])
                self.values = {**NEUTRAL, **self.fixed, **draw(self._random, self.ranges)}
                self.physics.apply(self.values)
                self._waiting.clear()
            observation, info = self.env.reset(seed=seed, options=rest or None)
            observation = self._seen(observation)
            for action in (options or {}).get("replay", ()):
                observation, *_ = self.step(action)
            return observation, info

        def _seen(self, observation: Any) -> Any:
            noise = self.values.get("noise")
            if not noise:
                return observation
            return observation + self._random.normal(0.0, noise, observation.shape).astype(observation.dtype)

    return Changeable


@cache
def _tell_warnings_of_mujoco() -> None:
    """Has MuJoCo's warnings told here, once each; by itself it writes MUJOCO_LOG.TXT into the current folder."""
    import mujoco

    told: set[str] = set()

    def tell(text: str) -> None:
        if text not in told and "deprecated" not in text:  # of the files that gymnasium brings
            told.add(text)
            print(f"MuJoCo: {text.strip()}", file=sys.stderr)

    mujoco.set_mju_user_warning(tell)


def make(name: str, options: Mapping[str, Any] | None = None, render: bool = False) -> Any:
    """Return one environment that observes a vector and takes one choice or a vector of limited numbers.

    Args:
        name: in gymnasium's registry.
        options: keyword arguments of the environment's class.
        render: whether `render()` is to give pictures.

    Raises:
        UserError: when there is none of that name, a package is missing, or it observes or does something else.
    """
    library = gymnasium()
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):  # pictures without a screen
        os.environ.setdefault("MUJOCO_GL", "egl")
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    registered = library.registry.get(name)
    if registered is None and ":" not in str(name):
        raise UserError(f"data.env={name} is no environment of gymnasium: {_near(str(name), list(library.registry))}")
    entry = str(getattr(registered, "entry_point", ""))
    mujoco = entry.startswith("gymnasium.envs.mujoco")
    if mujoco and find_spec("mujoco") is None:
        raise UserError(
            f"data.env={name} needs mujoco, which is not installed: pip install 'lightning-experiments[control]'"
        )
    if mujoco:
        _tell_warnings_of_mujoco()
    if render and entry.startswith("gymnasium.envs.classic_control") and find_spec("pygame") is None:
        raise UserError(f"pictures of data.env={name} need pygame: pip install 'lightning-experiments[control]'")
    if options is not None and not isinstance(options, Mapping):
        raise UserError(
            f"data.options={options} is no group of keys: write those that the class of {name} takes, as in data.options={{key:1}}"
        )
    arguments = dict(options or {}) | ({"render_mode": "rgb_array"} if render else {})
    if render and mujoco and not {"camera_id", "camera_name"} & arguments.keys():
        arguments["camera_name"] = "track"  # gymnasium's own choice stays behind, and the robot leaves the picture
    try:
        env = library.make(name, disable_env_checker=True, **arguments)
    except library.error.DependencyNotInstalled as error:
        raise UserError(
            f"data.env={name} needs a package that is not installed ({first_line(error)}): install it"
        ) from error
    except (library.error.Error, ImportError, TypeError) as error:
        raise UserError(
            f"data.env={name} cannot be made ({first_line(error)}): check data.env and data.options"
        ) from error
    spaces = library.spaces
    seen, done = env.observation_space, env.action_space
    if isinstance(seen, spaces.Box) and len(seen.shape) > 1:
        raise UserError(
            f"data.env={name} observes arrays of {'×'.join(map(str, seen.shape))}, such as pictures, and policies here "
            "read a vector: choose another data.env"
        )
    if not isinstance(seen, spaces.Box):
        env = library.wrappers.FlattenObservation(env)
    if not isinstance(done, spaces.Discrete) and not (isinstance(done, spaces.Box) and len(done.shape) == 1):
        raise UserError(
            f"data.env={name} takes actions of {type(done).__name__}, and policies here choose one of several or give "
            "a vector: choose another data.env"
        )
    return _changeable()(env)


def _near(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(near)}?" if near else "take one such as CartPole-v1, Pendulum-v1 or Hopper-v5"


def describe(env: Any, name: str) -> ControlSpec:
    """Return the spec of an environment from `make`."""
    import numpy as np

    task = str(name).rpartition(":")[2].rpartition("/")[2].partition("-v")[0]
    features = int(env.observation_space.shape[0])
    discrete = hasattr(env.action_space, "n")
    count = int(env.action_space.n) if discrete else int(env.action_space.shape[0])
    observed = _OBSERVATIONS.get(task, ())
    named = _ACTIONS.get(task, ())
    low, high = ((), ()) if discrete else (env.action_space.low, env.action_space.high)
    finite = not discrete and bool(np.isfinite(low).all() and np.isfinite(high).all())
    return ControlSpec(
        environment=str(name),
        observations=observed if len(observed) == features else tuple(f"observation {n}" for n in range(features)),
        actions=named if len(named) == count else tuple(str(n) for n in range(count)),
        discrete=discrete,
        low=tuple(float(number) for number in low) if finite else (),
        high=tuple(float(number) for number in high) if finite else (),
        longest=int(env.spec.max_episode_steps or 0),
        threshold=None if env.spec.reward_threshold is None else float(env.spec.reward_threshold),
    )


def examine(
    name: str, options: Mapping[str, Any] | None, physics: Any, test_physics: Any, randomise: Any
) -> tuple[ControlSpec, dict[str, float], dict[str, float], dict[str, tuple[float, float]]]:
    """Return the spec of an environment, and the physics asked of it: everywhere, in the test alone, and the ranges
    drawn from.

    Raises:
        UserError: for whatever cannot be.
    """
    gymnasium()  # which sets filters of its own
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of an older version: the run that steps it says so
        env = make(name, options)
    try:
        available = env.physics.keys
        fixed = check_values("data.physics", physics, name, available)
        tested = check_values("data.test_physics", test_physics, name, available)
        return describe(env, name), fixed, tested, check_ranges(randomise, name, available)
    finally:
        env.close()
