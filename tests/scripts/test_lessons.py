"""The lessons: their commands, code and pages go together."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import lessons as script  # noqa: E402

LESSONS = script.lessons()
QUESTIONS = """What does the hidden state do? How is an RNN unrolled? What are its limits? Why 3 × 3? What does a shortcut gain? How does one train 100 layers?
How does one get class probabilities? What is a feature map? Max against average pooling? Why flatten? Why share parameters? What do padding and stride do to the shape?
What is the latent space good for? Vanilla against denoising? VGG against ResNet? What is the Inception module for? How does BERT read context? When to avoid fine-tuning?
How does one see which layers are frozen? Which technique costs more? What does the forget gate do? Why has a GRU no cell state?"""


def test_ten_lessons_in_order_in_both_languages() -> None:
    assert [int(lesson["name"][:2]) for lesson in LESSONS] == list(range(1, 11))
    for lesson in LESSONS:
        for language in ("en", "hi"):
            text = (ROOT / "docs" / "lessons" / language / f"{lesson['name']}.md").read_text(encoding="utf-8")
            assert text.startswith(f"# {int(lesson['name'][:2])} · {lesson['title'][language]}")
            for command in [lesson["train"], *(each["run"] for each in [*lesson["see"], *lesson["questions"]])]:
                assert command in text


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda each_lesson: each_lesson["name"])
def test_code_on_the_page_is_that_of_the_source(lesson) -> None:
    code = script.source(lesson["code"]["file"], lesson["code"]["object"])
    page = (ROOT / "docs" / "lessons" / "en" / f"{lesson['name']}.md").read_text(encoding="utf-8")
    assert code in page, "run make lessons"


def test_every_question_of_the_course_is_asked() -> None:
    asked = {question["en"] for lesson in LESSONS for question in lesson["questions"]}
    assert set(re.findall(r"[^?\n]+\?", QUESTIONS.replace("? ", "?\n"))) <= asked


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda each_lesson: each_lesson["name"])
def test_verdicts_and_notebook_are_those_of_the_lesson(lesson, tmp_path: Path) -> None:
    for language in ("en", "hi"):
        page = (ROOT / "docs" / "lessons" / language / f"{lesson['name']}.md").read_text(encoding="utf-8")
        for claim in lesson["claims"]:
            assert script.measured(claim, language) in page, "run scripts/lessons.py --keep"
    script.notebook(lesson).write(tmp_path / "new.ipynb")
    kept = ROOT / "docs" / "lessons" / "notebooks" / f"{lesson['name']}.ipynb"
    assert kept.read_text(encoding="utf-8") == (tmp_path / "new.ipynb").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "lessons" / "notebooks" / "05_convolution.ipynb").read_text(encoding="utf-8")
    small = json.dumps('more = ["trainer=quick", "callbacks.figures=null"]')[1:-1]
    text = text.replace(json.dumps(script.MORE)[1:-1], small)
    assert small in text
    book = nbformat.reads(text, as_version=4)
    nbformat.validate(book)
    nbclient.NotebookClient(book, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [part.get("text", "") for cell in book.cells for part in cell.get("outputs", ())]
    assert outputs and not any("error:" in text for text in outputs)


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda each_lesson: each_lesson["name"])
def test_cells_of_a_notebook_run_in_order(lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, the training small; what answers the questions is run by another test."""
    pytest.importorskip("IPython")
    monkeypatch.chdir(tmp_path)
    asked = {question["run"] for question in lesson["questions"]} - {item["run"] for item in lesson["see"]}
    names: dict[str, Any] = {}
    for cell in script.notebook(lesson).cells:
        text = "".join(cell["source"])
        if cell["cell_type"] != "code":
            continue
        if not text.startswith("!"):
            exec(text, names)
            names["more"] = ["trainer=quick", "callbacks.figures=null"]
        elif (command := text.removeprefix("!{sys.executable} -m ")) not in asked:
            code, output = script.run(command, tmp_path)
            assert code == 0, output
    assert len(names["run"].history) == 1


def test_claims_of_hindi_lessons_are_hindi() -> None:
    named = {claim for lesson in LESSONS for claim in lesson["claims"]}
    assert named <= set(script.hindi())
    for claim in named:
        text = script.measured(claim, "hi")
        for english in ("against", "Verdict", *script.hindi()["verdicts"]):
            assert not re.search(rf"\b{english}\b", re.sub(r"\(.*?\)", "", text)), f"{claim}: {english}"


def test_pictures_of_claims_have_the_words_of_hindi_lessons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.compare.vector_drawing import Drawing

    written: list[str] = []
    text = Drawing.text
    monkeypatch.setattr(Drawing, "text", lambda self, x, y, words, *more, **how: (written.append(words), text(self, x, y, words, *more, **how)))  # fmt: skip
    monkeypatch.setattr("experiments.viz.fonts.FontWriting.latin", False)
    told = script.hindi()["rnn_forgets"]
    script.hindi_picture(
        "rnn_forgets", told, script.hindi()["verdicts"], tmp_path / "hi" / "rnn_forgets.png", keep=False
    )
    assert (tmp_path / "hi" / "rnn_forgets.png").stat().st_size < 60_000
    assert set(told["say"]) <= set(written) and not any("holds" in words or "spaces" in words for words in written)
    for claim in {claim for lesson in LESSONS for claim in lesson["claims"]}:
        assert (ROOT / "docs" / "claims" / "hi" / f"{claim}.png").exists()


def test_the_site_fetches_nothing_and_is_searched_from_a_folder() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "font: false" in text and "- offline" in text and "polyfills: [javascripts/iframe-worker.js]" in text
    assert "Permission is hereby granted" in (ROOT / "docs" / "javascripts" / "iframe-worker.js").read_text()


def test_a_failing_command_is_told(tmp_path: Path) -> None:
    code, output = script.run("experiments show softmax --temperature 0", tmp_path)
    assert code == 2 and "must be above 0" in output
    code, output = script.run("experiments show pooling", tmp_path)
    assert code == 0 and "max(1, 3, 5, 6) = 6" in output and (tmp_path / "pooling" / "pooling.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda each_lesson: each_lesson["name"])
def test_questions_are_answered_by_their_commands(lesson, tmp_path: Path) -> None:
    for number, question in enumerate(lesson["questions"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        code, output = script.run(question["run"], folder, small=True)
        assert code == 0, output


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda each_lesson: each_lesson["name"])
def test_outputs_on_the_pages_are_what_the_commands_print(
    lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    for command, output, _ in script.shown_before(lesson):
        shown = [line for line in output.rstrip().splitlines() if not line.startswith("… ")]
        code, now = script.run(command, tmp_path)
        assert code == 0 and [line.rstrip() for line in now.rstrip().splitlines()[: len(shown)]] == shown, command
