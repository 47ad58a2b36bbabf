"""What can be changed in an environment's physics, and how: a changed system stands in for the real one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from experiments.errors import UserError

FACTORS = ("gravity", "length", "mass", "friction")  # times the environment's own
KEYS = (*FACTORS, "delay", "noise")
NEUTRAL = {**dict.fromkeys(FACTORS, 1.0), "delay": 0, "noise": 0.0}
MOST = 1000  # of a factor, and of the deviation of noise: beyond, numbers overflow
MOST_SPREAD = 9
SPREAD = 0.5  # of `data.randomise=true`: from 1/1.5 to 1.5 times


class Physics:
    """The physics of one environment, set again and again from what they were when it was made.

    Args:
        env: the environment without its wrappers.
    """

    def __init__(self, env: Any) -> None:
        self.env = env
        self._set: dict[str, Callable[[float], None]] = {}
        name = type(env).__name__
        if hasattr(env, "polemass_length"):
            self._cart_pole(env)
        elif name == "PendulumEnv":
            self._scale(gravity=["g"], mass=["m"], length=["l"])
        elif name == "AcrobotEnv":
            self._acrobot(env)
        elif name == "MountainCarEnv":
            self._scale(gravity=["gravity"])
        elif hasattr(env, "model") and hasattr(env.model, "body_mass"):
            self._mujoco(env)

    @property
    def keys(self) -> tuple[str, ...]:
        """What can be changed here; a delay of actions and noise on observations always can."""
        return (*(key for key in FACTORS if key in self._set), "delay", "noise")

    def apply(self, values: Mapping[str, float]) -> None:
        """Sets the factors among some values; to be followed by a reset."""
        for key, set_it in self._set.items():
            set_it(float(values.get(key, 1.0)))
        if self._settle is not None:
            self._settle()

    _settle: Callable[[], None] | None = None  # what follows from the values set

    def _scale(self, **names: list[str]) -> None:
        for key, attributes in names.items():
            own = {attribute: getattr(self.env, attribute) for attribute in attributes}

            def set_it(factor: float, own: dict[str, float] = own) -> None:
                for attribute, value in own.items():
                    setattr(self.env, attribute, value * factor)

            self._set[key] = set_it

    def _cart_pole(self, env: Any) -> None:
        self._scale(gravity=["gravity"], length=["length"], mass=["masscart", "masspole"])

        def settle() -> None:  # the environment computed these two when it was made
            env.total_mass = env.masscart + env.masspole
            env.polemass_length = env.masspole * env.length

        self._settle = settle

    def _acrobot(self, env: Any) -> None:
        masses, lengths = ["LINK_MASS_1", "LINK_MASS_2"], ["LINK_LENGTH_1", "LINK_LENGTH_2"]
        self._scale(mass=masses, length=[*lengths, "LINK_COM_POS_1", "LINK_COM_POS_2"])
        inertia, mass, length = env.LINK_MOI, env.LINK_MASS_1, env.LINK_LENGTH_1

        def settle() -> None:
            env.LINK_MOI = inertia * (env.LINK_MASS_1 / mass) * (env.LINK_LENGTH_1 / length) ** 2

        self._settle = settle

    def _mujoco(self, env: Any) -> None:
        import mujoco

        model = env.model
        arrays = {"gravity": [model.opt.gravity], "mass": [model.body_mass, model.body_inertia]}
        if (model.geom_contype != 0).any() and (model.geom_conaffinity != 0).any():  # else nothing ever touches
            arrays["friction"] = [model.geom_friction]
        for key, several in arrays.items():
            own = [(array, array.copy()) for array in several]

            def set_it(factor: float, own: list[Any] = own) -> None:
                for array, value in own:
                    array[:] = value * factor

            self._set[key] = set_it
        self._settle = lambda: mujoco.mj_setConst(model, env.data)


def check_values(key: str, values: Mapping[str, Any] | None, env: str, available: tuple[str, ...]) -> dict[str, float]:
    """Return what is set among some physics, checked.

    Args:
        key: of the config, for messages: `data.physics`.
        values: by name; null leaves it as it is.
        env: the environment's name, for messages.
        available: what the environment has.

    Raises:
        UserError: for a name that the environment does not have, or a value out of range.
    """
    if values is not None and not isinstance(values, Mapping):
        raise UserError(f"{key}={_shown(values)} must be a group of keys: try {key}.{available[0]}=2")
    given = {name: value for name, value in (values or {}).items() if value is not None}
    for name, value in given.items():
        _available(f"{key}.{name}={_shown(value)}", name, env, available)
        _check_value(f"{key}.{name}", name, value)
    return given


def _check_value(key: str, name: str, value: Any, whole: str = "") -> None:
    """Refuses one value out of range; `whole` is the range that it is an end of, as text."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    beginning = f"{key}={whole or _shown(value)} must {'hold' if whole else 'be'}"
    if name == "delay":
        if not number or not 0 <= value <= 100 or value != int(value):
            raise UserError(f"{beginning} whole steps from 0 to 100: try {key}={'[0,3]' if whole else 2}")
    elif name == "noise":
        if not number or not 0 <= value <= MOST:
            kind = "standard deviations" if whole else "a standard deviation"
            raise UserError(f"{beginning} {kind} from 0 to {MOST}: try {key}={'[0,0.1]' if whole else 0.05}")
    elif not number or not 0 < value <= MOST:
        kind = "factors" if whole else "a factor"
        raise UserError(
            f"{beginning} {kind} above 0, up to {MOST}, and 1 changes nothing: try {key}={'[0.5,2]' if whole else 2}"
        )


def check_ranges(randomise: Any, env: str, available: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    """From where to where each is drawn: `randomise` is null, true, a spread, or a range for each name.

    Raises:
        UserError: for a name that the environment does not have, or what is no range.
    """
    if randomise is None or randomise is False:
        return {}
    if isinstance(randomise, (int, float)):
        spread = SPREAD if randomise is True else float(randomise)
        if not 0 < spread <= MOST_SPREAD:
            raise UserError(
                f"data.randomise={randomise} must be a number above 0, up to {MOST_SPREAD}: 0.5 draws from 1/1.5 to 1.5 times"
            )
        names = [name for name in available if name in FACTORS]
        if not names:
            raise UserError(
                f"data.randomise={_shown(randomise)} finds no physics to change in data.env={env}: "
                "name a range, as in data.randomise.noise=[0,0.1]"
            )
        return dict.fromkeys(names, (1 / (1 + spread), 1 + spread))
    if not isinstance(randomise, Mapping):
        raise UserError(f"data.randomise={randomise} must be true, a number, or ranges: data.randomise.mass=[0.5,2]")
    ranges: dict[str, tuple[float, float]] = {}
    for name, ends in randomise.items():
        if ends is None:
            continue
        _available(f"data.randomise.{name}={_shown(ends)}", name, env, available)
        key, pair = f"data.randomise.{name}", not isinstance(ends, str) and hasattr(ends, "__len__") and len(ends) == 2
        for end in ends if pair else ():
            _check_value(key, name, end, whole=_shown(ends))
        if not pair or ends[0] > ends[1]:
            raise UserError(
                f"{key}={_shown(ends)} must be a range from low to high: try {key}="
                f"{'[0,3]' if name == 'delay' else '[0,0.1]' if name == 'noise' else '[0.5,2]'}"
            )
        ranges[name] = (ends[0], ends[1])
    return ranges


def _available(word: str, name: str, env: str, available: tuple[str, ...]) -> None:
    if name not in available:
        raise UserError(f"{word} changes what data.env={env} does not have: choose from {', '.join(available)}")


def _shown(value: Any) -> str:
    """Return a value as it is written on the command line."""
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_shown, value)) + "]"
    return str(value) if isinstance(value, (str, float)) else json.dumps(value, default=str)


def draw(random: Any, ranges: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Return one value from each range: factors evenly in their logarithm, whole numbers for a delay."""
    drawn: dict[str, float] = {}
    for name, (low, high) in ranges.items():
        if name == "delay":
            drawn[name] = int(random.integers(int(low), int(high) + 1))
        elif name == "noise":
            drawn[name] = float(random.uniform(low, high))
        else:
            drawn[name] = float(low * (high / low) ** random.uniform())
    return drawn
