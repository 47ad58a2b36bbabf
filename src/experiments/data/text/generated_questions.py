"""Generated: who lives where and likes what, and questions about it. No file is read.

A passage tells of some people, each in two sentences; a question asks for one thing of one of them, or, where some questions
have no answer, of somebody whom the passage does not name.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.data.text.questions import QuestionData
from experiments.data.text.squad_layout import Question
from experiments.errors import UserError

PEOPLE = ("Anna", "Ravi", "Mira", "John", "Tara", "Omar", "Lena", "Paul", "Sita", "Igor", "Nora", "Amit")
PLACES = ("Delhi", "Paris", "Oslo", "New York", "Pune", "Cape Town", "Lima", "Rome", "Tokyo", "Mumbai")
THINGS = ("tea", "green apples", "old films", "chess", "long walks", "music", "mangoes", "cold rain", "maps", "trains")


class GeneratedQuestions(QuestionData):
    """Generated questions; always the same ones.

    Args:
        count: training passages, those of validation included, two questions each; the test split has a quarter as many.
        unanswerable: share of the questions that have no answer.
        rest: the keys of `QuestionData`.

    Raises:
        UserError: when there are too few.
    """

    name = "generated_questions"

    def __init__(self, *, count: int, unanswerable: float, **rest: Any) -> None:
        if count < 10:
            raise UserError(f"data.count={count} must be 10 or more: try data.count=400")
        if not 0 <= unanswerable < 1:
            raise UserError(f"data.unanswerable={unanswerable} must be a share below 1: try data.unanswerable=0.3")
        super().__init__(**rest)
        self.count, self.unanswerable = count, unanswerable

    def read(self) -> dict[str, list[Question]]:
        return {
            "train": ask(self.count, self.unanswerable, 0),
            "test": ask(max(10, self.count // 4), self.unanswerable, 1),
        }


def ask(count: int, unanswerable: float, seed: int) -> list[Question]:
    """Return two questions each about `count` passages."""
    random = np.random.default_rng(seed)
    questions = []
    for number in range(count):
        people = random.permutation(PEOPLE)[: int(random.integers(2, 5))].tolist()
        sentences, facts = [], []
        for person in people:
            place, thing = str(random.choice(PLACES)), str(random.choice(THINGS))
            sentences += [f"{person} lives in {place}.", f"{person} likes {thing}."]
            facts += [(f"Where does {person} live?", place), (f"What does {person} like?", thing)]
        passage = " ".join(sentences)
        starts = np.cumsum([0, *(len(sentence) + 1 for sentence in sentences)])
        for turn, place in enumerate(random.permutation(len(facts))[:2].tolist()):
            question, answer = facts[place]
            answers = [(answer, int(starts[place]) + sentences[place].index(answer))]
            if random.random() < unanswerable:
                stranger = next(
                    stranger_name
                    for stranger_name in random.permutation(PEOPLE).tolist()
                    if stranger_name not in people
                )
                question, answers = question.replace(people[place // 2], stranger), []
            name = f"{number}-{turn}"
            questions.append(
                Question(name, f"passage {number}", question, passage, answers, f"generated question {name}")
            )
    return questions
