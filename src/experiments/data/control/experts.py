"""Experts written by hand, for environments whose solution is short: whom demonstrations can be taken from."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.data.control.environments import make
from experiments.data.control.simulation import seed_of
from experiments.errors import UserError

DEMONSTRATIONS = 3  # whose seeds: neither those of training nor of validation or test


def cart_pole(seen: np.ndarray) -> int:
    """Pushes to where the pole falls, and a little to where the cart is, so that the pole leans back."""
    position, velocity, angle, turning = seen
    return int(angle + 0.25 * turning + 0.02 * position + 0.05 * velocity > 0)


def pendulum(seen: np.ndarray) -> np.ndarray:
    """Swings with the motion until there is energy enough to reach the top, and holds it there."""
    cos, sin, turning = seen
    angle = math.atan2(sin, cos)  # 0 is upright
    if cos > 0.8 and abs(turning) < 4:
        torque = -12.0 * angle - 3.0 * turning
    else:
        missing = 10.0 * (1.0 - cos) - turning**2 / 3  # of the energy at the top, over m·l²/2
        torque = 2.0 * math.copysign(1.0, turning) * (1 if missing > 0 else -1)
    return np.array([min(2.0, max(-2.0, torque))], np.float32)


def mountain_car(seen: np.ndarray) -> int:
    """Pushes the way it moves."""
    return 2 if seen[1] >= 0 else 0


def mountain_car_continuous(seen: np.ndarray) -> np.ndarray:
    """Pushes the way it moves."""
    return np.array([1.0 if seen[1] >= 0 else -1.0], np.float32)


def acrobot(seen: np.ndarray) -> int:
    """Turns the lower link the way the upper one moves."""
    return 0 if seen[4] > 0 else 2


EXPERTS: dict[str, Callable[[np.ndarray], Any]] = {
    "CartPole": cart_pole,
    "Pendulum": pendulum,
    "MountainCar": mountain_car,
    "MountainCarContinuous": mountain_car_continuous,
    "Acrobot": acrobot,
}


def demonstrate(env: str, options: dict[str, Any], physics: dict[str, float], episodes: int) -> list[Any]:
    """Observations (T, F) and actions (T,) or (T, A) of some episodes that the expert of an environment plays.

    Raises:
        UserError: when nobody wrote one.
    """
    expert = EXPERTS.get(str(env).rpartition("/")[2].partition("-v")[0])
    if expert is None:
        raise UserError(
            f"nobody wrote an expert for data.env={env}: name recorded demonstrations in data.path, or choose from "
            f"{', '.join(EXPERTS)}"
        )
    world = make(env, options)
    world.fixed = physics
    played = []
    for number in range(episodes):
        seen, _ = world.reset(seed=seed_of(DEMONSTRATIONS, number))
        observations, actions, over = [], [], False
        while not over:
            observations.append(np.asarray(seen, np.float32))
            actions.append(expert(seen))
            seen, _, terminated, truncated, _ = world.step(actions[-1])
            over = terminated or truncated
        played.append((np.stack(observations), np.asarray(actions)))
    world.close()
    return played
