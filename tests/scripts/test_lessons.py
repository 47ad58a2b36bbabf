"""The lessons: their commands, code and pages go together."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import lessons as script  # noqa: E402

LESSONS = script.lessons()


def test_ten_lessons_in_order_in_both_languages() -> None:
    assert [int(one["name"][:2]) for one in LESSONS] == list(range(1, 11))
    for one in LESSONS:
        for language in ("en", "hi"):
            text = (ROOT / "docs" / "lessons" / language / f"{one['name']}.md").read_text(encoding="utf-8")
            assert text.startswith(f"# {int(one['name'][:2])} · {one['title'][language]}")
            for command in [one["train"], *(each["run"] for each in [*one["see"], *one["questions"]])]:
                assert command in text


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda one: one["name"])
def test_code_on_the_page_is_that_of_the_source(lesson) -> None:
    code = script.source(lesson["code"]["file"], lesson["code"]["object"])
    page = (ROOT / "docs" / "lessons" / "en" / f"{lesson['name']}.md").read_text(encoding="utf-8")
    assert code in page, "run make lessons"


def test_a_failing_command_is_told(tmp_path: Path) -> None:
    code, said = script.run("experiments show softmax --temperature 0", tmp_path)
    assert code == 2 and "must be above 0" in said
    code, said = script.run("experiments show pooling", tmp_path)
    assert code == 0 and "max(1, 3, 5, 6) = 6" in said and (tmp_path / "pooling" / "pooling.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda one: one["name"])
def test_questions_are_answered_by_their_commands(lesson, tmp_path: Path) -> None:
    for one in lesson["questions"]:
        code, said = script.run(one["run"], tmp_path)
        assert code == 0, said
