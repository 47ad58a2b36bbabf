"""Labelling: one class for every step of a sequence that asks for one, such as the entities or parts of speech of words."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
)

from experiments.batches import IGNORED, Sequences, Words
from experiments.errors import UserError
from experiments.tasks.base import Task
from experiments.tasks.parts.entities import EntityScore, entities, is_scheme, scores


class Labelling(Task):
    """Cross-entropy over the steps that have a label; accuracy over them, all steps of all sequences counted alike.

    Where the labels mark entities (`O`, `B-person`, `I-person`), precision, recall and F1 are those of whole entities, as
    seqeval counts them; of other labels of words their means over the classes.

    Args:
        model: gives logits a step, `Sequences` -> (B, T, num_classes).
        spec: a spec with `classes`.
        optimizer: as in `Task`.
        scheduler: as in `Task`.

    Raises:
        UserError: when there are fewer than two classes.
    """

    monitor = ("val/accuracy", "max")
    shows: tuple[str, ...] = ("experiments.commands.show.words",)

    def __init__(self, model: nn.Module, spec: Any, optimizer: Any, scheduler: Any) -> None:
        if spec.num_classes < 2:
            raise UserError(f"labelling needs two classes or more, the data has {list(spec.classes)}: add a class")
        self.entities = is_scheme(spec.classes)
        self.of_words = bool(getattr(spec, "special", ()))  # else generated symbols, of which accuracy says all
        self.shows = type(self).shows if self.of_words else ()
        super().__init__(model, spec, optimizer, scheduler)
        if self.entities:
            self.monitor = ("val/f1", "max")
            self.counts = EntityScore(spec.classes, "f1")
        elif self.of_words:
            self.matrix = MulticlassConfusionMatrix(spec.num_classes, validate_args=False)
        self.found: Tensor | None = None
        self.starts: Tensor | None = None

    @staticmethod
    def outputs(spec: Any) -> dict[str, Any]:
        return {"num_classes": spec.num_classes, "every_step": True}

    def make_metrics(self) -> MetricCollection:
        classes = self.spec.num_classes
        metrics: dict[str, Any] = {"accuracy": MulticlassAccuracy(classes, average="micro", validate_args=False)}
        if self.entities:
            metrics |= {which: EntityScore(self.spec.classes, which) for which in ("precision", "recall", "f1")}
        elif self.of_words:
            macro = {"num_classes": classes, "average": "macro", "validate_args": False}
            metrics |= {
                "precision": MulticlassPrecision(**macro),
                "recall": MulticlassRecall(**macro),
                "f1": MulticlassF1Score(**macro),
            }
        rest = [name for name in metrics if name != "accuracy"]
        return MetricCollection(metrics, compute_groups=[["accuracy"], *([rest] if rest else [])])

    def step(self, batch: tuple[Sequences, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """`Sequences` and labels (B, T), -100 where none is asked; gives those of the n judged steps, one after another."""
        inputs, target = batch
        judged = target != IGNORED
        logits, labels = self.model(inputs)[judged], target[judged]  # (n, num_classes), (n,)
        if self.entities:
            self.starts = (judged.cumsum(1) == 1)[judged]  # (n,) where a sentence begins
        return F.cross_entropy(logits, labels), logits, labels

    def train_sums(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"accuracy": prediction.argmax(1).eq(target).sum()}

    def _evaluate(self, part: str, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
        if not self.entities:
            return super()._evaluate(part, batch)
        loss, logits, labels = self.step(batch)
        self.sums[part].add(len(labels), loss=loss)
        self.metrics_of(part).update(logits, labels, starts=self.starts)
        return loss, logits, labels

    def test_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        result = super().test_step(batch, batch_idx)
        if self.starts is not None:
            self.counts.update(result["prediction"], result["target"], self.starts)
        elif self.of_words:
            self.matrix.update(result["prediction"], result["target"])
        return result

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        if self.entities:
            self.counts.compute()
            with self.counts.sync_context(should_sync=self.trainer.world_size > 1):
                self.found = self.counts.counts.cpu()
        elif self.of_words:
            self.found = self.matrix.compute().cpu()

    def details(self) -> dict[str, Any]:
        """Per type of entity, or per class: precision, recall, F1 and the number of test examples."""
        if self.found is None:
            return {}
        if self.entities:
            names, counts = self.counts.types, self.found
        else:
            names, counts = self.spec.classes, self.found.new_empty(3, len(self.found))
            counts[0], counts[1], counts[2] = self.found.diag(), self.found.sum(0), self.found.sum(1)
        columns = scores(counts)
        per_class = {
            name: {key: round(column[place].item(), 6) for key, column in columns.items()}
            | {"examples": int(counts[2, place])}
            for place, name in enumerate(names)
        }
        return {"per_class": per_class} | ({} if self.entities else {"confusion": self.found.tolist()})

    def predict(self, inputs: Any) -> Tensor:
        """Class probabilities of each step (B, T, num_classes)."""
        plain = Sequences(inputs.values, inputs.lengths) if isinstance(inputs, Words) else inputs
        return self.model(plain).softmax(-1)

    def answers(self, inputs: Any, top: int) -> list[dict[str, Any]]:
        """The label of each word, and where they mark entities the entities.

        Raises:
            UserError: when the inputs have no words.
        """
        if not isinstance(inputs, Words):
            raise UserError("single inputs of generated symbols have no words: use experiments evaluate")
        probabilities, best = self.predict(inputs).float().max(-1)
        answers = []
        for row, (firsts, words) in enumerate(zip(inputs.firsts, inputs.words, strict=True)):
            labels = [self.spec.classes[one] for one in best[row, firsts].tolist()]
            sure = probabilities[row, firsts].tolist()
            answer: dict[str, Any] = {}
            if self.entities:
                named = [f"{' '.join(words[first:end])} ({kind})" for kind, first, end in entities(labels)]
                answer["entities"] = ", ".join(named)
            answer["labels"] = [
                {"word": word, "label": label, "probability": one}
                for word, label, one in zip(words, labels, sure, strict=True)
            ]
            answers.append(answer)
        return answers
