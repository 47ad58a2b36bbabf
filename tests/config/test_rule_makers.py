"""Rules for values."""

from __future__ import annotations

from experiments.config.rule_makers import amount, below_one, one_of, whole_number


def test_amounts() -> None:
    values = (0, 1, 500, -1, 0.0, 0.5, 1.0, 2.0, True, "val", None, float("nan"))
    assert [value for value in values if amount().holds(value)] == [1, 500, 0.5]
    assert [value for value in values if amount(whole=True).holds(value)] == [1, 500, 0.5, 1.0]
    assert [value for value in values if amount(word="val").holds(value)] == [1, 500, 0.5, "val"]
    assert not amount().holds("")


def test_words_of_rules() -> None:
    assert whole_number(2, "3", optional=True).words == "a whole number, 2 or more, or null"
    assert one_of("a", "b", "c").words == "a, b or c" and one_of("a", optional=True).words == "a or null"
    assert one_of("a", "b").cure == "a" and one_of("a", "b").choices == ("a", "b")
    assert [value for value in (0, 0.5, 1, -0.1, False, "0") if below_one(value)] == [0, 0.5]
