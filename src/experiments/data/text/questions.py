"""Questions about passages: what every such dataset shares, from questions to windows of tokens."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from experiments.batches import Sequences, pad
from experiments.config.value_rules import require_amount
from experiments.data.common.loading import whole
from experiments.data.common.sequence_data import SequenceData, Store
from experiments.data.common.split_names import SPLITS
from experiments.data.common.splits import fingerprint
from experiments.data.text import tokens
from experiments.data.text.question_windows import Window, windows_of
from experiments.data.text.squad_layout import Question, hold_out_articles, placed
from experiments.errors import UserError
from experiments.spec import QuestionSpec

log = logging.getLogger(__name__)


class Asked(NamedTuple):
    """New questions, in the windows that a model reads.

    Attributes:
        inputs: the windows.
        places: (W, 2) int64: number of the passage's first token in each window, and of the question.
        windows: the same, with where their tokens stand.
        passages: of each question.
    """

    inputs: Sequences
    places: torch.Tensor
    windows: list[Window]
    passages: list[str]


class QuestionData(SequenceData):
    """Base of the questions about passages: a subclass says how to `read` its files.

    A batch is windows and (B, 5) int64: first and last token of the answer (0 and 0: not in this window), the passage's first
    token, and the numbers of the question and of the window in their split.

    Args:
        tokenizer: as in `TextData`; it puts tokens around a question and a passage.
        max_length: tokens of a window, of question and passage together.
        stride: tokens that a window of a long passage shares with the one before.
        question_length: tokens that a question is cut to.
        misplaced: what happens to answers that are not where their offsets say: error, drop or find.
        validation: articles held out from the training split, a share or a count, where there is no such split.
        test: likewise.
        limit: training questions, the first of an order drawn once: a count or a share; None: all.
        batch_size: as in `SequenceData`, and so are the others.
        max_tokens: as there.
        bucket: as there.
        workers: as there.
        seed: as there.
        split_seed: decides which articles are held out and which questions are kept by `limit`.

    Raises:
        UserError: a value is out of range, a file is missing or damaged, an answer is misplaced, a split is empty.
    """

    name = "questions"

    def __init__(
        self,
        *,
        tokenizer: Mapping[str, Any],
        max_length: int,
        stride: int,
        question_length: int,
        misplaced: str,
        validation: float,
        test: float,
        limit: float | None,
        batch_size: int,
        max_tokens: int | None,
        bucket: bool,
        workers: int,
        seed: int,
        split_seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, max_tokens=max_tokens, bucket=bucket, workers=workers, seed=seed)
        self.rule = tokens.Rule.of(tokenizer)
        self.file, self.source = Path(tokenizer["file"]), tokenizer.get("source")
        for key, value, least in (("stride", stride, 0), ("question_length", question_length, 1), ("max_length", max_length, 8)):  # fmt: skip
            whole(f"data.{key}", value, least)
        self.longest, self.stride, self.question_length = max_length, stride, question_length
        self.misplaced, self.limit, self.split_seed = misplaced, limit, split_seed
        self.amounts = {"test": test, "validation": validation}
        for key, amount in self.amounts.items():
            require_amount(f"data.{key}", amount)
        require_amount("data.limit", limit)
        self.questions: dict[str, list[Question]] = {}
        self.windows: dict[str, list[Window]] = {}
        self._tokenizer: Any = None

    def read(self) -> dict[str, list[Question]]:
        """Return the splits: `train`, and `validation` and `test` where the dataset has them."""
        raise NotImplementedError

    def load(self) -> None:
        by_split, counts = self.read(), {"moved": 0, "dropped": 0}
        for split, every in by_split.items():
            by_split[split], counted = placed(every, self.misplaced)
            counts = {key: counts[key] + counted[key] for key in counts}
        articles = len({question.article for question in by_split["train"]})
        for split, amount in self.amounts.items():
            if split not in by_split:
                by_split["train"], by_split[split] = hold_out_articles(
                    by_split["train"], amount, self.split_seed, f"data.{split}", articles
                )
        if self.limit is not None:
            train = by_split["train"]
            kept = round(self.limit * len(train)) if isinstance(self.limit, float) else self.limit
            if kept > len(train):
                raise UserError(f"data.limit={self.limit} is more than the {len(train)} training questions; null takes all.")  # fmt: skip
            order = np.random.default_rng(self.split_seed).permutation(len(train))[: max(1, kept)]
            by_split["train"] = [train[place] for place in sorted(order.tolist())]
        self.questions = {split: by_split[split] for split in SPLITS}
        for split, questions in self.questions.items():
            for question in questions:
                if not question.question.strip() or not question.passage.strip():
                    raise UserError(f"{question.place}: its question or passage is empty: mend or remove it")
            self.windows[split], cut = self._windows(questions)
            counts["cut"] = counts.get("cut", 0) + cut
            rows = [
                [*window.answer, window.begins, window.row, number] for number, window in enumerate(self.windows[split])
            ]
            self.sets[split] = Store.of([window.tokens for window in self.windows[split]], np.array(rows, np.int64))
        lengths = np.concatenate([store.lengths for store in self.sets.values()])
        marks, hides = tokens.marks(self.tokenizer), tokens.mask(self.tokenizer)
        self.spec = QuestionSpec(
            vocabulary=self.tokenizer.get_vocab_size(),
            length=int(np.median(self.sets["train"].lengths)),
            longest=int(lengths.max()),
            mask=hides,
            special=tuple(sorted({*marks, *(() if hides is None else (hides,))} - {-1})),
            marks=marks,
            unanswerable=any(not asked.answers for asked in self.questions["train"]),
        )
        self.splits = {split: len(self.questions[split]) for split in SPLITS}
        names = {split: np.array(sorted({hash_of(asked) for asked in self.questions[split]})) for split in SPLITS}
        self.splits["fingerprint"] = fingerprint(names.items())
        self.splits |= {f"{split}_windows": len(self.windows[split]) for split in SPLITS}
        self.splits |= {
            "misplaced_moved": counts["moved"],
            "misplaced_dropped": counts["dropped"],
            "cut": counts["cut"],
        }
        if counts["cut"]:
            log.warning("%s: questions of more than %d tokens were cut: %d.", self.name, self.question_length, counts["cut"])  # fmt: skip

    def _windows(self, questions: Sequence[Question]) -> tuple[list[Window], int]:
        answers = [(question.answers[0][1], question.answers[0][1] + len(question.answers[0][0])) if question.answers else None for question in questions]  # fmt: skip
        return windows_of(
            self.tokenizer, [question.question for question in questions], [question.passage for question in questions], answers,
            longest=self.longest, stride=self.stride, question_length=self.question_length,
        )  # fmt: skip

    @property
    def tokenizer(self) -> Any:
        """The run's tokenizer; taken from elsewhere, or fitted on the training split, if the run has none yet."""
        if self._tokenizer is None:
            if self.file.is_file():
                self._tokenizer = tokens.read(self.file)
            elif self.source:
                self._tokenizer = tokens.borrow(self.source)
            elif self.questions:
                train = self.questions["train"]
                texts = [
                    *dict.fromkeys(question.passage for question in train),
                    *(question.question for question in train),
                ]
                self._tokenizer = tokens.fit(replace(self.rule, ends=True), texts)
            else:
                raise UserError(f"{self.file} is missing: restore it, or train again")
        return self._tokenizer

    def keep(self, folder: Path) -> None:
        """Write what a later prediction needs into the run's folder."""
        tokens.keep(self.tokenizer, folder / self.file.name)

    def prepare(self, texts: Sequence[str]) -> Asked:
        """Return new questions with their passages, `question ||| passage` or with a tab between them.

        Raises:
            UserError: when one lacks its passage.
        """
        questions, passages = [], []
        for number, text in enumerate(texts, 1):
            question, between, passage = text.partition("\t" if "\t" in text else "|||")
            if not between or not question.strip() or not passage.strip():
                raise UserError(f"text {number} is no question with a passage: write the two with ||| between them")
            questions.append(question.strip())
            passages.append(passage.strip())
        windows, _ = windows_of(
            self.tokenizer, questions, passages, [None] * len(questions),
            longest=self.longest, stride=self.stride, question_length=self.question_length,
        )  # fmt: skip
        places = torch.tensor([[window.begins, window.row] for window in windows])
        return Asked(pad([window.tokens for window in windows]), places, windows, passages)

    def pieces(self, row: Sequence[int]) -> list[str]:
        """Return the tokens of a text, one by one, for pictures."""
        return [self.tokenizer.id_to_token(token) for token in row]


def hash_of(question: Question) -> int:
    """Return a number that differs with the question, its passage and its answers."""
    return zlib.crc32(repr((question.name, question.question, question.passage, question.answers)).encode())
