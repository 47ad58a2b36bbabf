"""Questions about passages: SQuAD's layouts, windows that overlap, misplaced answers, parts by article."""

from __future__ import annotations

import gzip
import json
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from experiments.data.text import tokens
from experiments.data.text.generated_questions import GeneratedQuestions, ask
from experiments.data.text.question_windows import windows_of
from experiments.data.text.squad import Squad
from experiments.data.text.squad_layout import placed, read_questions
from experiments.errors import UserError

TOKENIZER = {"kind": "wordpiece", "size": 400, "min_count": 1, "lowercase": True, "ends": True, "source": None}


def keys(folder: Path, **given: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "tokenizer": TOKENIZER | {"file": folder / "t.json"}, "max_length": 40, "stride": 8, "question_length": 12,
        "misplaced": "error", "validation": 0.25, "test": 0.25, "limit": None, "batch_size": 4, "max_tokens": None,
        "bucket": True, "workers": 0, "seed": 0,
    }  # fmt: skip
    return settings | given


def squad(folder: Path, version: str = "1.1", articles: int = 8, shift: int = 0) -> dict[str, Any]:
    """Articles in SQuAD's layout, their answers `shift` letters from where they stand."""
    data = []
    for number in range(articles):
        paragraphs = []
        for question in ask(2, 0.5 if version == "2.0" else 0.0, number):
            answers = [{"text": text, "answer_start": start + shift} for text, start in question.answers]
            entry: dict[str, Any] = {
                "id": f"{number}-{question.name}",
                "question": question.question,
                "answers": answers,
            }
            if version == "2.0":
                entry["is_impossible"] = not answers
                entry["plausible_answers"] = [{"text": "x", "answer_start": 0}] if not answers else []
            paragraphs.append({"context": question.passage, "qas": [entry]})
        data.append({"title": f"article {number}", "paragraphs": paragraphs})
    return {"version": version, "data": data}


@pytest.mark.parametrize("form", ["plain", "zip", "gz"])
@pytest.mark.parametrize("version", ["1.1", "2.0"])
def test_both_layouts_in_every_packing(form: str, version: str, tmp_path: Path) -> None:
    text = json.dumps(squad(tmp_path, version))
    path = tmp_path / {"plain": "dev.json", "zip": "dev.json.zip", "gz": "dev.json.gz"}[form]
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("dev.json", text)
    else:
        path.write_bytes(gzip.compress(text.encode()) if form == "gz" else text.encode())
    data = Squad(path=str(path), test_path=None, **keys(tmp_path))
    data.setup()
    titles = {part: {question.article for question in some} for part, some in data.questions.items()}
    assert [len(titles[part]) for part in ("train", "validation", "test")] == [4, 2, 2]
    assert not titles["train"] & titles["test"] and not titles["validation"] & titles["test"]
    assert data.spec.unanswerable == (version == "2.0")
    again = Squad(path=str(path), test_path=None, **keys(tmp_path))
    again.setup()
    assert again.splits == data.splits


def test_the_answer_is_where_a_window_says(tmp_path: Path) -> None:
    (tmp_path / "train-v1.1.json").write_text(json.dumps(squad(tmp_path)))
    (tmp_path / "dev-v1.1.json").write_text(json.dumps(squad(tmp_path, articles=2)))
    data = Squad(path=str(tmp_path), test_path=None, **keys(tmp_path, max_length=28))
    data.setup()
    assert {question.article for question in data.questions["test"]} == {"article 0", "article 1"}
    assert data.splits["train_windows"] > data.splits["train"]
    answered = set()
    for window in data.windows["train"]:
        question = data.questions["train"][window.row]
        assert len(window.tokens) <= 28 and window.tokens[0] == 2
        if window.answer != (0, 0):
            first, last = (place - window.begins for place in window.answer)
            assert question.passage[window.spans[first][0] : window.spans[last][1]] == question.answers[0][0]
            answered.add(window.row)
    assert answered == set(range(len(data.questions["train"])))
    inputs, target = data.dataset("train").__getitems__(range(3))
    assert inputs.values.shape[0] == 3 and target.shape == (3, 5) and target.dtype.is_floating_point is False


def test_windows_overlap_and_hold_the_whole_passage() -> None:
    passage = " ".join(f"word{number}" for number in range(60)) + " मीरा दिल्ली में रहती है।"
    fitted = tokens.fit(tokens.Rule("word", 500, 1, False, True), [passage, "which one ?"])
    answer = passage.index("दिल्ली")
    windows, cut = windows_of(fitted, ["which one ?"], [passage], [(answer, answer + 6)], longest=20, stride=5, question_length=2)  # fmt: skip
    assert cut == 1
    spans = [span for window in windows for span in window.spans]
    assert {passage[a:b] for a, b in spans} >= set(passage[:-1].split())
    for earlier, other in pairwise(windows):
        assert earlier.spans[-5:] == other.spans[:5]
    last = next(window for window in windows if window.answer != (0, 0))
    first, end = last.answer
    assert passage[last.spans[first - last.begins][0] : last.spans[end - last.begins][1]] == "दिल्ली"


def test_answers_that_are_not_where_their_offsets_say(tmp_path: Path) -> None:
    path = tmp_path / "moved.json"
    path.write_text(json.dumps(squad(tmp_path, shift=2)))
    questions = read_questions(path)
    with pytest.raises(UserError, match=r"question 0-0-0: its answer “.*” is not at \d+, .*32 of 32 answers are so.*data.misplaced=find"):  # fmt: skip
        placed(questions, "error")
    kept, counts = placed(questions, "find")
    assert counts == {"moved": 32, "dropped": 0} and len(kept) == len(questions)
    assert all(
        question.passage[start : start + len(text)] == text for question in kept for text, start in question.answers
    )
    assert placed(questions, "drop") == ([], {"moved": 0, "dropped": 32})
    broken = [question._replace(answers=[("nowhere to be found", 0)]) for question in questions]
    assert placed(broken, "find")[1] == {"moved": 0, "dropped": 32}
    data = Squad(path=str(path), test_path=None, **keys(tmp_path, misplaced="find"))
    data.setup()
    assert data.splits["misplaced_moved"] == 32


def test_questions_may_stand_one_by_one(tmp_path: Path) -> None:
    """A line each, in a list, or below data; with lists of answers and of their places."""
    rows = [
        {"id": str(number), "title": "cats", "context": "A cat sat.", "question": question, "answers": answers}
        for number, (question, answers) in enumerate(
            [("Who?", {"text": ["cat"], "answer_start": [2]}), ("What?", [{"text": "sat", "answer_start": 6}]), ("Why?", {"text": [], "answer_start": []})]
        )
    ]  # fmt: skip
    texts = {
        "a.jsonl": "\n".join(map(json.dumps, rows)),
        "b.json": json.dumps(rows),
        "c.json": json.dumps({"data": rows}),
    }
    read = []
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        read.append([question._replace(place="") for question in read_questions(tmp_path / name)])
    assert read[0] == read[1] == read[2]
    assert [question.answers for question in read[0]] == [[("cat", 2)], [("sat", 6)], []]
    (tmp_path / "d.jsonl").write_text(json.dumps(rows[0]) + "\n{")
    with pytest.raises(UserError, match=r"d.jsonl:2: no JSON"):
        read_questions(tmp_path / "d.jsonl")


@pytest.mark.parametrize(
    ("content", "given", "sentence"),
    [
        (b"[]", {}, "has not SQuAD's layout"),
        (b'{"data": []}', {}, "holds no question"),
        (b'{"data": [{"title": "a", "paragraphs": [{"qas": [{"id": 1}]}]}]}', {}, r"article 1: no 'context'"),
        (None, {}, "cannot be read"),
        (b"", {"misplaced": "move"}, "data.misplaced=move is unknown"),
        (b"", {"max_length": 12}, "data.max_length=12 leaves"),
        (b"", {"test": 0.99}, "would take all of the 8 articles"),
        (b"", {"stride": -1}, "data.stride=-1 must be a whole number"),
        (b"", {"limit": 500}, "data.limit=500 is more than"),
    ],
)
def test_what_cannot_be_used(content: bytes | None, given: dict, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "dev.json"
    if content is not None:
        path.write_bytes(content or json.dumps(squad(tmp_path)).encode())
    with pytest.raises(UserError, match=sentence):
        Squad(path=str(path), test_path=None, **keys(tmp_path, **given)).setup()


def test_two_files_of_one_part_are_not_guessed_between(tmp_path: Path) -> None:
    for name in ("dev-v1.1.json", "dev-v2.0.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(UserError, match=r"dev-v1.1.json and dev-v2.0.json: name one with data.path"):
        Squad(path=str(tmp_path), test_path=None, **keys(tmp_path)).setup()


def test_generated_questions_have_their_answers(tmp_path: Path) -> None:
    data = GeneratedQuestions(count=40, unanswerable=0.3, **keys(tmp_path, max_length=64))
    data.setup()
    shares = [not question.answers for question in data.questions["train"]]
    assert 0.1 < sum(shares) / len(shares) < 0.5
    asked = data.prepare(["Where does Anna live? ||| Anna lives in Oslo.", "Who?\tNobody."])
    assert asked.passages == ["Anna lives in Oslo.", "Nobody."] and asked.places[:, 1].tolist() == [0, 1]
    with pytest.raises(UserError, match="text 1 is no question with a passage"):
        data.prepare(["Where does Anna live?"])


@pytest.mark.slow
def test_the_published_file(real_data: Path, tmp_path: Path) -> None:
    path = real_data / "squad" / "dev-v1.1.json.zip"
    if not path.is_file():
        pytest.skip(f"no {path}")
    questions = read_questions(path)
    assert len(questions) == 10_570 and len({question.article for question in questions}) == 48
    assert placed(questions, "error")[1] == {"moved": 0, "dropped": 0}
