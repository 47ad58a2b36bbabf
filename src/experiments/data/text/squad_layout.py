"""Questions about passages, as files in SQuAD's layout have them, and how they are parted by article.

Rajpurkar et al., "SQuAD: 100,000+ questions for machine comprehension of text" (2016), and "Know what you don't know"
(2018), whose layout (v2) has questions without an answer too.
"""

from __future__ import annotations

import json
import logging
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.data.common.json_lines import read_object
from experiments.data.common.packed import refuse_too_large, unpacked
from experiments.errors import UserError, first_line

log = logging.getLogger(__name__)
MISPLACED = ("error", "drop", "find")


class Question(NamedTuple):
    """One question about one passage.

    Attributes:
        name: its id.
        article: title of the article that the passage is of.
        question: the text.
        passage: the text.
        answers: texts and where in the passage each begins; none where it has no answer.
        place: `file, question ID`, for messages.
    """

    name: str
    article: str
    question: str
    passage: str
    answers: list[tuple[str, int]]
    place: str


def read_questions(path: Path) -> list[Question]:
    """Return the questions of a file: JSON, also in a ZIP archive or compressed by gzip; of articles, or one by one.

    Raises:
        UserError: when it is missing or damaged, or has another layout.
    """
    try:
        if path.suffix == ".zip":
            refuse_too_large(path)
            with zipfile.ZipFile(path) as archive:
                inside = [name for name in archive.namelist() if name.endswith((".json", ".jsonl"))]
                if not inside:
                    raise UserError(f"{path} holds no .json file: name SQuAD's file")
                content = archive.read(inside[0])
        else:
            content = unpacked(path)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({first_line(error)}): name a file in SQuAD's layout") from error
    questions = _of_articles(_content(content, path), path)
    if not questions:
        raise UserError(f"{path} holds no question: name a file in SQuAD's layout")
    return questions


def _content(content: bytes, path: Path) -> list[Any]:
    """Return a file's articles, or its questions one by one."""
    try:
        text = content.decode("utf-8-sig")
        first = text.lstrip().partition("\n")[0].strip()
        if first.startswith("{") and first.endswith("}") and '"data"' not in first:  # an object a line
            lines = enumerate(text.split("\n"), 1)
            return [read_object(line, f"{path}:{number}") for number, line in lines if line.strip()]
        whole = json.loads(text)
        return list(whole if isinstance(whole, list) and whole else whole["data"])
    except UserError:
        raise
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} has not SQuAD's layout ({first_line(error)}): it is an object with a list of articles under data, or has"
            " a question, its context and its answers a line"
        ) from error


def _of_articles(articles: Sequence[Any], path: Path) -> list[Question]:
    questions: list[Question] = []
    for number, article in enumerate(articles, 1):
        try:
            if "question" in article:  # by itself, with its passage
                passage = str(article["context"])
                named = {
                    "id": article.get("id", number),
                    "question": article["question"],
                    "answers": article["answers"],
                }
                questions.append(_question(named, str(article.get("title") or passage), passage, path))
                continue
            title = str(article.get("title", f"article {number}"))
            for paragraph in article["paragraphs"]:
                questions += [_question(entry, title, paragraph["context"], path) for entry in paragraph["qas"]]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UserError(
                f"{path}, article {number}: no {error} where SQuAD's layout has it: mend the file"
            ) from error
    return questions


def _question(entry: Any, title: str, passage: str, path: Path) -> Question:
    given = [] if entry.get("is_impossible") else entry["answers"]
    if isinstance(given, dict):  # a list of texts and one of places, as tables have them
        given = [
            {"text": text, "answer_start": start}
            for text, start in zip(given["text"], given["answer_start"], strict=True)
        ]
    answers = [(str(answer["text"]), int(answer["answer_start"])) for answer in given]
    name = str(entry["id"])
    return Question(name, title, str(entry["question"]), str(passage), answers, f"{path}, question {name}")


def placed(questions: Sequence[Question], misplaced: str) -> tuple[list[Question], dict[str, int]]:
    """Return the questions whose answers stand where their offsets say, and how many were moved or left out.

    Args:
        questions: as a file has them.
        misplaced: what happens to an answer that stands elsewhere: error; drop it, and its question where it has no other;
            or find it, where it stands nearest.

    Raises:
        UserError: for a misplaced answer, where that is asked for.
    """
    if misplaced not in MISPLACED:
        raise UserError(f"data.misplaced={misplaced} is unknown: use {', '.join(MISPLACED)}")
    kept, moved, dropped, total = [], 0, 0, 0
    first: tuple[Question, str, int] | None = None
    for question in questions:
        answers = []
        total += len(question.answers)
        for text, start in question.answers:
            if text and start >= 0 and question.passage[start : start + len(text)] == text:
                answers.append((text, start))
                continue
            first = first or (question, text, start)
            nearest = _nearest(question.passage, text, start) if misplaced == "find" else -1
            moved, dropped = moved + (nearest >= 0), dropped + (nearest < 0)
            answers += [(text, nearest)] if nearest >= 0 else []
        if answers or not question.answers:
            kept.append(question._replace(answers=answers))
    if first is not None:
        question, text, start = first
        sentence = (
            f"{question.place}: its answer “{text[:40]}” is not at {start}, where the passage has "
            f"“{question.passage[max(0, start) : max(0, start) + len(text)][:40]}” ({moved + dropped} of {total} answers are so)"
        )
        if misplaced == "error":
            raise UserError(
                f"{sentence}: set data.misplaced=find to take them where they stand, or drop to leave them out"
            )
        log.warning(
            "%s; %d were found elsewhere, %d left out (data.misplaced=%s).", sentence, moved, dropped, misplaced
        )
    return kept, {"moved": moved, "dropped": dropped}


def _nearest(passage: str, text: str, start: int) -> int:
    """Where a text stands in a passage, nearest to a place; -1 where it does not."""
    best, place = -1, passage.find(text) if text else -1
    while place >= 0:
        if best < 0 or abs(place - start) < abs(best - start):
            best = place
        place = passage.find(text, place + 1)
    return best


def hold_out_articles(
    questions: Sequence[Question], amount: float, seed: int, key: str, of: int
) -> tuple[list[Question], list[Question]]:
    """Splits questions in two so that no article is on both sides: the rest, and those of some articles.

    Args:
        questions: all.
        amount: articles held out: a count, or a share of `of`.
        seed: decides which.
        key: what the user wrote, for messages.
        of: articles that a share is a share of.

    Raises:
        UserError: when nothing would be left.
    """
    titles = sorted({question.article for question in questions})
    wanted = max(1, amount if isinstance(amount, int) else round(amount * of))
    if wanted >= len(titles):
        raise UserError(f"{key}={amount} would take all of the {len(titles)} articles: hold out fewer.")
    order = np.random.default_rng([seed, zlib.crc32(key.encode())]).permutation(len(titles))
    held = {titles[place] for place in order[:wanted].tolist()}
    return [question for question in questions if question.article not in held], [
        question for question in questions if question.article in held
    ]
