"""Environments: physics that really change the system, names and values that are refused, episodes that follow from seeds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.data.control.environments import describe, examine, make
from experiments.data.control.physics import check_ranges, draw
from experiments.data.control.rollouts import stretches
from experiments.errors import UserError

pytest.importorskip("gymnasium")
CART, PENDULUM = "CartPole-v1", "Pendulum-v1"


def path(env: str, physics: dict[str, float], steps: int = 12) -> np.ndarray:
    """Observations of an episode whose actions alternate, two steps each, so that late ones show."""
    world = make(env)
    world.fixed = physics
    world.reset(seed=3)
    space = world.action_space
    ends = (0, int(space.n) - 1) if hasattr(space, "n") else (0.3 * space.low, 0.3 * space.high)
    return np.stack([world.step(ends[step // 2 % 2])[0] for step in range(steps)])


@pytest.mark.parametrize(
    ("env", "factors"),
    [
        (CART, ("gravity", "length", "mass")),
        (PENDULUM, ("gravity", "length", "mass")),
        ("Acrobot-v1", ("length", "mass")),
        ("MountainCar-v0", ("gravity",)),
        ("Hopper-v5", ("gravity", "mass", "friction")),
        ("InvertedPendulum-v5", ("gravity", "mass")),  # in which nothing touches
    ],
)
def test_every_key_changes_the_dynamics(env: str, factors: tuple[str, ...]) -> None:
    if env in ("Hopper-v5", "InvertedPendulum-v5"):
        pytest.importorskip("mujoco")
    assert make(env).physics.keys == (*factors, "delay", "noise")
    plain = path(env, {})
    for key in (*factors, "delay", "noise"):
        assert not np.allclose(path(env, {key: 2}), plain, atol=1e-6), key
        neutral = {key: 0 if key in ("delay", "noise") else 1}
        assert np.array_equal(path(env, neutral), plain), key


def test_mujoco_writes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mujoco")
    monkeypatch.chdir(tmp_path)
    make("HalfCheetah-v5").close()  # whose file has what this version calls deprecated
    assert not list(tmp_path.iterdir())


def test_the_camera_follows_a_robot() -> None:
    pytest.importorskip("mujoco")
    # gymnasium's own choice stays where the robot began, which leaves the picture
    assert make("Hopper-v5", render=True).unwrapped.camera_name == "track"
    assert make("Hopper-v5", {"camera_id": 0}, render=True).unwrapped.camera_name is None


def test_cart_pole_s_derived_values_follow() -> None:
    world = make(CART)
    world.fixed = {"length": 2.0, "mass": 3.0}
    for _ in range(2):  # factors are of the original, however often they are set
        world.reset(seed=0)
    cart = world.unwrapped
    assert (cart.length, cart.masspole, cart.masscart) == pytest.approx((1.0, 0.3, 3.0))
    assert cart.polemass_length == pytest.approx(0.3)
    assert cart.total_mass == pytest.approx(3.3)


def test_a_delayed_action_comes_later() -> None:
    world, late = make(CART), make(CART)
    late.fixed = {"delay": 2}
    actions = [0, 1, 1, 0, 1, 0]
    world.reset(seed=0), late.reset(seed=0)
    plain = [world.step(action)[0] for action in [0, 0, *actions[:-2]]]
    seen = [late.step(action)[0] for action in actions]
    assert np.array_equal(plain, seen)


def test_physics_are_drawn_anew_and_follow_from_the_seed() -> None:
    world = make(CART)
    world.ranges = {"mass": (0.5, 2.0), "delay": (0, 3), "noise": (0.0, 0.1)}
    drawn = []
    for seed in (1, 2, 1):
        world.reset(seed=seed)
        drawn.append(dict(world.values))
    assert drawn[0] == drawn[2] != drawn[1]
    assert all(0.5 <= draw["mass"] <= 2 and draw["delay"] in range(4) and 0 <= draw["noise"] <= 0.1 for draw in drawn)
    factors = [draw(np.random.default_rng(n), {"mass": (0.5, 2.0)})["mass"] for n in range(300)]
    assert 0.4 < np.mean(np.array(factors) < 1) < 0.6  # half and twice are equally far


def test_replay_brings_an_episode_back() -> None:
    world = make(PENDULUM)
    world.ranges, world.fixed = {"mass": (0.5, 2.0)}, {"noise": 0.1, "delay": 1}
    world.reset(seed=5)
    actions = [np.array([action], np.float32) for action in (0.5, -1.0, 2.0)]
    for action in actions:
        seen, *_ = world.step(action)
    following = world.step(actions[0])[0]
    again = make(PENDULUM)
    again.ranges, again.fixed = world.ranges, world.fixed
    brought, _ = again.reset(seed=5, options={"replay": actions})
    assert np.array_equal(brought, seen)
    assert np.array_equal(again.step(actions[0])[0], following)


def test_specs_tell_observations_actions_and_limits() -> None:
    spec = describe(make(CART), CART)
    assert spec.observations[2] == "angle" and spec.actions == ("left", "right")
    assert (spec.discrete, spec.threshold, spec.longest, spec.low) == (True, 475.0, 500, ())
    spec = describe(make(PENDULUM), PENDULUM)
    assert (spec.discrete, spec.low, spec.high, spec.threshold) == (False, (-2.0,), (2.0,), None)


@pytest.mark.parametrize(
    ("env", "physics", "randomise", "words"),
    [
        ("CartPol-v1", {}, None, ["data.env=CartPol-v1", "did you mean CartPole-v1"]),
        ("Nonsense", {}, None, ["data.env=Nonsense", "such as CartPole-v1"]),
        (CART, {"friction": 2}, None, ["data.physics.friction=2", "data.env=CartPole-v1", "gravity, length, mass"]),
        (CART, {"mass": 0}, None, ["data.physics.mass=0", "above 0"]),
        (CART, {"delay": 1.5}, None, ["data.physics.delay=1.5", "whole steps"]),
        (CART, {"delay": float("nan")}, None, ["data.physics.delay=nan", "whole steps"]),
        (CART, {"delay": float("inf")}, None, ["data.physics.delay=inf", "whole steps"]),
        (CART, {"noise": -1}, None, ["data.physics.noise=-1", "from 0 to 1000"]),
        (CART, {"mass": float("nan")}, None, ["data.physics.mass=nan", "above 0"]),
        (CART, {"mass": 1e300}, None, ["data.physics.mass=1e+300", "up to 1000"]),
        (CART, {"mass": "heavy"}, None, ["data.physics.mass=heavy", "above 0"]),
        (CART, 2, None, ["data.physics=2", "data.physics.gravity=2"]),
        (CART, {}, 100, ["data.randomise=100", "up to 9"]),
        (CART, {}, {"mass": [0.5, None]}, ["data.randomise.mass=[0.5,null]", "factors above 0"]),
        (CART, {}, {"mass": ["a", "b"]}, ["data.randomise.mass=[a,b]", "factors above 0"]),
        (CART, {}, {"delay": [0, 1.5]}, ["data.randomise.delay=[0,1.5]", "whole steps"]),
        (CART, {}, {"mass": 2}, ["data.randomise.mass=2", "[0.5,2]"]),
        (CART, {}, {"mass": [2, 1]}, ["data.randomise.mass=[2,1]", "from low to high"]),
        (CART, {}, {"friction": [1, 2]}, ["data.randomise.friction=[1,2]", "does not have"]),
        (CART, {}, -1, ["data.randomise=-1", "above 0"]),
        ("MountainCarContinuous-v0", {}, True, ["data.randomise=true", "data.randomise.noise"]),
    ],
)
def test_what_cannot_be_is_refused(env: str, physics: object, randomise: object, words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        examine(env, {}, physics, {}, randomise)
    assert all(word in str(caught.value) for word in words), caught.value


def test_missing_mujoco_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.data.control import environments

    monkeypatch.setattr(environments, "find_spec", lambda name: None if name == "mujoco" else True)
    with pytest.raises(UserError, match=r"Hopper-v5 needs mujoco.*experiments\[control\]"):
        make("Hopper-v5")
    monkeypatch.setattr(environments, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"gymnasium.*experiments\[control\]"):
        make(CART)


def test_a_spread_changes_every_factor() -> None:
    assert check_ranges(1.0, CART, make(CART).physics.keys) == dict.fromkeys(("gravity", "length", "mass"), (0.5, 2.0))
    assert check_ranges(None, CART, ()) == check_ranges(False, CART, ()) == {}


def test_stretches_end_where_episodes_do() -> None:
    ended = np.zeros((6, 2), bool)
    ended[2, 0] = True
    places, mask = stretches(ended, 4)
    pieces = [row[inside].tolist() for row, inside in zip(places, mask, strict=True)]
    assert pieces == [[0, 2, 4], [6, 8, 10], [1, 3, 5, 7], [9, 11]]
