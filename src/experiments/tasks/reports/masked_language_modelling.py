"""Masked language modelling: details for the record, pictures of the test, and answers for single inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from experiments.batches import Sequences, Tokens
from experiments.errors import UserError
from experiments.tasks.report import Report

if TYPE_CHECKING:
    from experiments.tasks.masked_language_modelling import MaskedLanguageModelling


class MaskedLanguageModellingReport(Report):
    """Tells of a run of `MaskedLanguageModelling`."""

    task: MaskedLanguageModelling

    def predict(self, inputs: Sequences) -> list[Tokens]:
        """Return the texts with their masks filled."""
        places = self._masks(inputs)
        values = inputs.values.clone()
        values[places] = self.task.words[self.task.scores(inputs, places)[:, self.task.words].argmax(1)]
        return [Tokens(row[:length]) for row, length in zip(values.tolist(), inputs.lengths.tolist(), strict=True)]

    def answers(self, inputs: Sequences, top: int) -> list[dict[str, Any]]:
        """Return the likeliest words for each mask of each text, with their probabilities."""
        places = self._masks(inputs)
        chances, best_words = (
            self.task.scores(inputs, places).float().softmax(1)[:, self.task.words].topk(min(top, len(self.task.words)))
        )
        answers: list[dict[str, Any]] = [{"candidates": []} for _ in inputs.values]
        rows = places.nonzero()[:, 0].tolist()
        for number, (row, best, words) in enumerate(
            zip(rows, chances.tolist(), self.task.words[best_words].tolist(), strict=True)
        ):
            mask = number - rows.index(row) + 1
            answers[row]["candidates"] += [
                {"mask": mask, "word": Tokens([word]), "probability": chance}
                for word, chance in zip(words, best, strict=True)
            ]
        return answers

    def _masks(self, inputs: Sequences) -> Tensor:
        """(B, T) bool: where the masks are.

        Raises:
            UserError: when a text has none.
        """
        places = (inputs.values == self.task.spec.mask) & inputs.mask()
        for number, some in enumerate(places.any(1).tolist(), 1):
            if not some:
                raise UserError(f"text {number} hides no word: write [MASK] where one is to be found")
        return places
