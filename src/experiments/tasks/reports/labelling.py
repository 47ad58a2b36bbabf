"""Labelling: details for the record, pictures of the test, and answers for single inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from experiments.batches import Sequences, Words
from experiments.errors import UserError
from experiments.tasks.parts.entities import entities, scores
from experiments.tasks.report import Report

if TYPE_CHECKING:
    from experiments.tasks.labelling import Labelling


class LabellingReport(Report):
    """Tells of a run of `Labelling`."""

    task: Labelling

    def details(self) -> dict[str, Any]:
        """Per type of entity, or per class: precision, recall, F1 and the number of test examples."""
        if self.task.test_counts is None:
            return {}
        if self.task.entities:
            names, counts = self.task.counts.types, self.task.test_counts
        else:
            names, counts = self.task.spec.classes, self.task.test_counts.new_empty(3, len(self.task.test_counts))
            counts[0], counts[1], counts[2] = (
                self.task.test_counts.diag(),
                self.task.test_counts.sum(0),
                self.task.test_counts.sum(1),
            )
        columns = scores(counts)
        per_class = {
            name: {key: round(column[place].item(), 6) for key, column in columns.items()}
            | {"examples": int(counts[2, place])}
            for place, name in enumerate(names)
        }
        return {"per_class": per_class} | ({} if self.task.entities else {"confusion": self.task.test_counts.tolist()})

    def predict(self, inputs: Any) -> Tensor:
        """Class probabilities of each step (B, T, num_classes)."""
        plain = Sequences(inputs.values, inputs.lengths) if isinstance(inputs, Words) else inputs
        return self.task.model(plain).softmax(-1)

    def answers(self, inputs: Any, top: int) -> list[dict[str, Any]]:
        """Return the label of each word, and where they mark entities the entities.

        Raises:
            UserError: when the inputs have no words.
        """
        if not isinstance(inputs, Words):
            raise UserError("single inputs of generated symbols have no words: use experiments evaluate")
        probabilities, best = self.predict(inputs).float().max(-1)
        answers = []
        for row, (firsts, words) in enumerate(zip(inputs.firsts, inputs.words, strict=True)):
            labels = [self.task.spec.classes[label] for label in best[row, firsts].tolist()]
            sure = probabilities[row, firsts].tolist()
            answer: dict[str, Any] = {}
            if self.task.entities:
                named = [f"{' '.join(words[first:end])} ({kind})" for kind, first, end in entities(labels)]
                answer["entities"] = ", ".join(named)
            answer["labels"] = [
                {"word": word, "label": label, "probability": probability}
                for word, label, probability in zip(words, labels, sure, strict=True)
            ]
            answers.append(answer)
        return answers
