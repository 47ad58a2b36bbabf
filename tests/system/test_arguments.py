"""Options of a command that are wrong: one sentence each."""

from __future__ import annotations

import pytest

from experiments.errors import UserError
from experiments.system.arguments import Parser


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["RUN", "--steps", "x"], "--steps x must be a whole number: see experiments try --help"),
        (["RUN", "--kind", "median"], "--kind median is no choice: choose from max, average"),
        (["RUN", "--step"], "--steps needs a value: see experiments try --help"),
        (["RUN", "--stesp", "3"], "--stesp is no option of experiments try: did you mean --steps?"),
        ([], "experiments try needs RUN: see experiments try --help"),
    ],
)
def test_one_sentence(words: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        _parser().parse_args(words)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    "words",
    [
        ["RUN", "--steps", "3", "a", "b"],
        ["RUN", "a", "--steps", "3", "b"],
        ["--steps=3", "RUN", "a", "b"],
        ["RUN", "a", "b", "--steps", "3"],
    ],
)
def test_words_and_options_come_in_any_order(words: list[str]) -> None:
    options = _parser().parse_args(words)
    assert (options.run, options.inputs, options.steps, options.kind) == ("RUN", ["a", "b"], 3, None)


def test_what_looks_like_an_option_stands_behind_two_dashes() -> None:
    assert _parser().parse_args(["RUN", "--", "-a", "--steps"]).inputs == ["-a", "--steps"]


def _parser() -> Parser:
    parser = Parser("experiments try")
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("inputs", nargs="*", metavar="INPUT")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--kind", choices=["max", "average"])
    return parser
