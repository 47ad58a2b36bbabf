"""Language modelling: details for the record, pictures of the test, and answers for single inputs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from experiments.batches import Sequences, Tokens
from experiments.tasks.parts.generation import longer_than
from experiments.tasks.report import Report

if TYPE_CHECKING:
    from experiments.tasks.language_modelling import LanguageModelling


log = logging.getLogger(__name__)


class LanguageModellingReport(Report):
    """Tells of a run of `LanguageModelling`."""

    task: LanguageModelling

    def predict(self, inputs: Sequences) -> list[Tokens]:
        """Return how the model continues each text."""
        return self.task.generate(inputs)

    def answers(self, inputs: Sequences, top: int) -> list[dict[str, Any]]:
        """Return the tokens that the model writes after each beginning."""
        cut = longer_than(inputs, self.task.model)
        if cut:
            log.warning(
                "%d of %d beginnings are longer than the %d tokens that the model sees: the end of each is read.",
                cut, len(inputs.values), self.task.model.positions,
            )  # fmt: skip
        return [{"continuation": written} for written in self.task.generate(inputs)]
