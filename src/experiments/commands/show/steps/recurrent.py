"""One unit of an RNN, LSTM or GRU over a short sequence: every gate with its numbers."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence

from experiments.commands.show.steps import bracketed
from experiments.commands.show.steps.numbers import row
from experiments.viz.board import Board, Grid, Step, short

SEQUENCE = "1 0 0.5"
# Gate: its weight of the input, its weight of the state before, its bias.
GATES = {
    "rnn": {"state": "0.8 0.5 0"},
    "lstm": {"forget": "0.5 0.4 1", "input": "1 0.3 0", "candidate": "1 0.5 0", "output": "0.8 0.2 0.5"},
    "gru": {"reset": "0.6 0.4 0", "update": "-1 0.3 1", "candidate": "1 0.5 0"},
}
_SAYS = {
    "forget": "how much of the cell state stays",
    "input": "how much of the candidate comes in",
    "candidate": "what could be added",
    "output": "how much of the cell state is shown",
    "reset": "how much of the state the candidate sees",
    "update": "how much of the old state stays",
    "state": "the new state",
}
ABOUT = """\
Writes out one unit of a recurrent network over a sequence of numbers, gate by gate. Each gate has three numbers: the
weight of the input, the weight of the state before, and a bias. The result is torch's to the last digit.
"""

Numbers = dict[str, float]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options: one a gate of the cell that the command names."""
    name = parser.prog.split()[-1]
    parser.add_argument("--x", default=SEQUENCE, metavar="NUMBERS", help=f'the sequence; "{SEQUENCE}"')
    parser.add_argument("--h", type=float, default=0.0, metavar="X", help="the state before the first step (0)")
    if name == "lstm":
        parser.add_argument(
            "--c", type=float, default=0.0, metavar="X", help="the cell state before the first step (0)"
        )
    for gate, usual in GATES[name].items():
        parser.add_argument(f"--{gate}", default=usual, metavar='"W U B"', help=f'{_SAYS[gate]}; "{usual}"')


def board(options: argparse.Namespace) -> Board:
    """Return the computation."""
    name = options.name
    sequence = row("--x", options.x, most=8)
    gates = {gate: row(f"--{gate}", getattr(options, gate), 3, 3) for gate in GATES[name]}
    state = {"h": options.h} | ({"c": options.c} if name == "lstm" else {})
    steps, table = [], []
    weights = Grid(list(gates.values()), "", rows=list(gates), columns=("w (input)", "u (state)", "b (bias)"))
    steps.append(Step("The weights of the unit", [weights], _EQUATIONS[name]))
    for number, x in enumerate(sequence, 1):
        values, sums = _STEP[name](x, state, gates)
        shown = {"x": x} | {f"{key} before": value for key, value in state.items()} | values
        steps.append(
            Step(
                f"Step {number}: x = {short(x)}",
                [
                    Grid(
                        [list(shown.values())],
                        columns=list(shown),
                        marked={(0, place): 1 for place, key in enumerate(shown) if key in state},
                    )
                ],
                sums,
            )
        )
        table.append([x, *values.values()])
        state = {key: values[key] for key in state}
    columns = ["x", *values]
    steps.append(
        Step(
            "All steps: the unrolled cell",
            [Grid(table, rows=[f"t = {n}" for n in range(1, len(table) + 1)], columns=columns)],
        )
    )
    full = {"rnn": "a plain RNN", "lstm": "an LSTM", "gru": "a GRU"}[name]
    return Board(f"One unit of {full}", f"{len(sequence)} steps", steps)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _gate(
    name: str, sign: str, x: float, h: float, weights: Sequence[float], function: Callable[[float], float]
) -> tuple[float, str]:
    """Return a gate's value, and the sum that gives it."""
    w, u, b = weights
    value = function(w * x + u * h + b)
    squash = "σ" if function is _sigmoid else "tanh"
    inside = f"{bracketed(w)}·{bracketed(x)} + {bracketed(u)}·{bracketed(h)} + {bracketed(b)}"
    return value, f"{sign} = {squash}({inside}) = {short(value)}   ({name}: {_SAYS[name]})"


def _rnn(x: float, state: Numbers, gates: dict[str, list[float]]) -> tuple[Numbers, list[str]]:
    h, working = _gate("state", "h", x, state["h"], gates["state"], math.tanh)
    return {"h": h}, [working]


def _lstm(x: float, state: Numbers, gates: dict[str, list[float]]) -> tuple[Numbers, list[str]]:
    values, sums = {}, []
    for name, sign, function in (
        ("forget", "f", _sigmoid), ("input", "i", _sigmoid), ("candidate", "g", math.tanh), ("output", "o", _sigmoid),
    ):  # fmt: skip
        values[sign], working = _gate(name, sign, x, state["h"], gates[name], function)
        sums.append(working)
    f, i, g, o = values.values()
    c = f * state["c"] + i * g
    h = o * math.tanh(c)
    sums.append(f"c = f·c before + i·g = {short(f)}·{bracketed(state['c'])} + {short(i)}·{bracketed(g)} = {short(c)}")
    sums.append(f"h = o·tanh(c) = {short(o)}·tanh({short(c)}) = {short(h)}")
    return values | {"c": c, "h": h}, sums


def _gru(x: float, state: Numbers, gates: dict[str, list[float]]) -> tuple[Numbers, list[str]]:
    h = state["h"]
    r, first = _gate("reset", "r", x, h, gates["reset"], _sigmoid)
    z, second = _gate("update", "z", x, h, gates["update"], _sigmoid)
    w, u, b = gates["candidate"]
    n = math.tanh(w * x + r * (u * h) + b)
    after = (1 - z) * n + z * h
    sums = [
        first,
        second,
        f"n = tanh({bracketed(w)}·{bracketed(x)} + {short(r)}·{bracketed(u)}·{bracketed(h)} + {bracketed(b)}) = {short(n)}   (candidate: {_SAYS['candidate']})",
        f"h = (1 − z)·n + z·h before = {short(1 - z)}·{bracketed(n)} + {short(z)}·{bracketed(h)} = {short(after)}",
    ]
    return {"r": r, "z": z, "n": n, "h": after}, sums


_STEP: dict[str, Callable[[float, Numbers, dict[str, list[float]]], tuple[Numbers, list[str]]]] = {
    "rnn": _rnn,
    "lstm": _lstm,
    "gru": _gru,
}
_EQUATIONS = {
    "rnn": ["h = tanh(w·x + u·h before + b)"],
    "lstm": [
        "f, i, o = σ(w·x + u·h before + b), g = tanh(w·x + u·h before + b), each with its own numbers",
        "c = f·c before + i·g: old memory that stays, and new",
        "h = o·tanh(c): what is shown",
    ],
    "gru": [
        "r, z = σ(w·x + u·h before + b), each with its own numbers",
        "n = tanh(w·x + r·u·h before + b)",
        "h = (1 − z)·n + z·h before: one state, and no cell state beside it",
    ],
}
