"""Lines of JSON."""

from __future__ import annotations

import pytest

from experiments.data.common.json_lines import read_object, text_in
from experiments.errors import UserError


def test_an_object_is_read() -> None:
    assert read_object('{"a": 1, "b": [null]}\n', "a.jsonl, line 1") == {"a": 1, "b": [None]}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "no JSON"),
        ("[1]", "is no object"),
        ('{"a": 1, "a": 2}', "a stands twice"),
        ("[" * 100_000, "lie too deep"),
        ('{"a": ' + "9" * 5000 + "}", "a number is too long"),
    ],
    ids=["broken", "list", "twice", "deep", "long"],
)
def test_other_lines_are_named(line: str, sentence: str) -> None:
    with pytest.raises(UserError, match=f"a.jsonl, line 7: .*{sentence}"):
        read_object(line, "a.jsonl, line 7")


def test_gaps_are_empty() -> None:
    assert [text_in(value) for value in (None, float("nan"), 0, "x", False)] == ["", "", "0", "x", "False"]
