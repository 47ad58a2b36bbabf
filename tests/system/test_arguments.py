"""Options of a command that are wrong: one sentence each."""

from __future__ import annotations

import pytest

from experiments.errors import UserError
from experiments.system.arguments import Parser


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["RUN", "--steps", "x"], "--steps x must be a whole number: see experiments try --help"),
        (["RUN", "--kind", "median"], "--kind median is no choice: choose from max, average"),
        (["RUN", "--step"], "--steps needs a value: see experiments try --help"),
        (["RUN", "--stesp", "3"], "--stesp is no option of experiments try: did you mean --steps?"),
        ([], "experiments try needs RUN: see experiments try --help"),
    ],
)
def test_one_sentence(words: list[str], said: str) -> None:
    parser = Parser("experiments try")
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("inputs", nargs="*", metavar="INPUT")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--kind", choices=["max", "average"])
    with pytest.raises(UserError) as error:
        parser.parse_args(words)
    assert str(error.value) == said
