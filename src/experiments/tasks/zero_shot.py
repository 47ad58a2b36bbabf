"""Zero-shot classification: labels that a network has never been trained on, by their words alone.

Yin, Hay and Roth, "Benchmarking zero-shot text classification" (2019): a network trained on entailment judges whether
"This text is about sport." follows from a text. Of a language model is asked how much likelier that sentence becomes
behind the text (Holtzman et al., "Surface form competition", 2021).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from experiments.batches import Decoding, Sequences, pad
from experiments.contracts import GivesTails, SeesThePast, WritesTokens, positions_of
from experiments.errors import UserError
from experiments.spec import AGAINST, FOLLOWS
from experiments.tasks.classification import Classification
from experiments.tasks.report import Report
from experiments.tasks.reports.zero_shot import ZeroShotReport

log = logging.getLogger(__name__)


class ZeroShot(Classification):
    """Judges labels by their words; nothing learns. Metrics are those of `Classification`.

    Args:
        model: a causal language model, or a classifier of pairs of texts.
        spec: a spec with `classes`.
        optimizer: as in `Task`; unused.
        scheduler: as in `Task`; unused.
        by: likelihood or entailment.
        judged: the classes that a classifier of pairs makes.
        labels: a word for each class; None: the names of the classes.
        template: the sentence of a label, with {} in its place.
        calibrated: of likelihood, whether that of the sentence alone is taken away.

    Raises:
        UserError: when the data has no classes, the labels are not as many, or the model cannot judge.
    """

    scores_classes = False  # the head's rows are tokens, or the classes of another dataset
    cacheable = False
    report_class: type[Report] = ZeroShotReport
    test_keys: tuple[str, ...] = ("labels", "template", "calibrated")

    def __init__(
        self,
        model: nn.Module,
        spec: Any,
        optimizer: Any,
        scheduler: Any,
        *,
        by: str,
        judged: Sequence[str],
        labels: Sequence[str] | None,
        template: str,
        calibrated: bool,
    ) -> None:
        words = [str(word) for word in labels or spec.classes]
        if spec.num_classes < 2:
            raise UserError("task=zero_shot chooses among the classes of the data, which has none: take data=ag_news")
        if len(words) != spec.num_classes:
            raise UserError(
                f"task.labels has {len(words)} words and the data the classes {', '.join(spec.classes)}: give one word a class"
            )
        if by == "likelihood" and not (
            isinstance(model, WritesTokens) and (not isinstance(model, SeesThePast) or model.causal)
        ):
            raise UserError(
                "task=zero_shot needs a model that sees only what came before: take weights of GPT-2 or Llama, or weights=RUN "
                "of a run on data=snli"
            )
        super().__init__(model, spec, optimizer, scheduler)
        model.requires_grad_(False)
        self.by, self.judged, self.calibrated = by, list(judged), calibrated
        self.words, self.sentences = words, [template.format(word) for word in words]
        self.tails: list[list[int]] = []  # the tokens of each sentence behind a text
        self.cut = 0  # texts whose tokens did not all fit beside a sentence

    @staticmethod
    def outputs(spec: Any, by: str = "", judged: Sequence[str] = ()) -> dict[str, Any]:
        if by == FOLLOWS:
            return {"num_classes": len(judged)}
        return {"num_classes": spec.vocabulary, "every_step": True}

    def require_output(self, shape: tuple[int, ...] | None) -> None:
        """Take scores of tokens, or of the classes that a judge of pairs has."""

    def setup(self, stage: str) -> None:
        """Asks the data for the tokens of the sentences.

        Raises:
            UserError: when two sentences are the same tokens, or a word or sentence has none.
        """
        data = self.attached_data
        if isinstance(data, GivesTails):
            data.tails(self.words, pair=False)  # refuses a word that is no token, whatever stands around it
            self.tails = data.tails(self.sentences, pair=self.by == FOLLOWS)
            for place, tail in enumerate(self.tails):
                first = self.tails.index(tail)
                if first < place:
                    raise UserError(
                        f"the tokenizer makes the same tokens of '{self.sentences[first]}' and '{self.sentences[place]}', so "
                        "nothing could tell these labels apart: choose other words in task.labels"
                    )

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Does nothing: the weights stay what they are."""
        return None

    def on_train_epoch_end(self) -> None:
        """Reports nothing, as nothing was trained."""

    def step(self, batch: tuple[Any, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Texts (B, T) and labels (B,); the prediction is a logit for each label, (B, num_classes)."""
        inputs, target = batch
        scores = self.scores(inputs)
        return self._loss(scores, target), scores, target

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        if self.cut:
            log.warning("%d texts were cut so that a label's sentence fits beside them.", self.cut)
        self.cut = 0

    def scores(self, inputs: Sequences) -> Tensor:
        """Return a logit for each label, (B, num_classes)."""
        judge = self._entailment if self.by == FOLLOWS else self._likelihood
        return judge(inputs)

    def _entailment(self, inputs: Sequences) -> Tensor:
        """Tell how surely each sentence follows from a text, in logarithms."""
        rows = self._rows(inputs, keep_first=True)
        follows = self.judged.index(FOLLOWS)
        against = self.judged.index(AGAINST) if AGAINST in self.judged else None
        scores_by_label = []
        for tail in self.tails:
            both = pad([torch.cat([row, row.new_tensor(tail)]) for row in rows])
            both = Sequences(both.values.to(self.device), both.lengths.to(self.device))
            scores = self.model(both).float()  # (B, len(judged))
            if against is None:
                scores_by_label.append(scores.log_softmax(1)[:, follows])
            else:
                scores_by_label.append(scores[:, [follows, against]].log_softmax(1)[:, 0])
        return torch.stack(scores_by_label, dim=1)

    def _likelihood(self, inputs: Sequences) -> Tensor:
        """By how much the log-probability of each sentence rises behind a text."""
        batch = pad(self._rows(inputs, keep_first=False))
        batch = Sequences(batch.values.to(self.device), batch.lengths.to(self.device))
        model: Any = self.model
        scores, state = model.start(batch)  # the text is read once for all labels
        behind = torch.stack([self._continued(scores, state, tail) for tail in self.tails], dim=1)
        return behind - self._alone(batch.values.dtype) if self.calibrated else behind

    def _continued(self, scores: Tensor, state: Decoding, tail: Sequence[int]) -> Tensor:
        """Return the log-probability of some tokens behind what a state has read, (B,); `scores` are those of the next
        token.
        """
        model: Any = self.model
        total = scores.new_zeros(len(scores), dtype=torch.float32)
        for place, token in enumerate(tail):
            total = total + scores.float().log_softmax(1)[:, token]
            if place + 1 < len(tail):
                scores, state = model.advance(torch.full((len(scores),), token, device=scores.device), state)
        return total

    def _alone(self, kind: torch.dtype) -> Tensor:
        """Return the log-probability of each sentence without a text before it, (num_classes,): behind a start, or its
        first token.
        """
        start = self.spec.marks[2] if self.spec.marks else -1
        model: Any = self.model
        scores_by_label = []
        for tail in self.tails:
            begin, rest = ([start], tail) if start >= 0 else (tail[:1], tail[1:])
            values = torch.tensor([begin], dtype=kind, device=self.device)
            scores, state = model.start(Sequences(values, torch.ones(1, dtype=torch.long, device=self.device)))
            scores_by_label.append(self._continued(scores, state, rest)[0])
        return torch.stack(scores_by_label)

    def _rows(self, inputs: Sequences, keep_first: bool) -> list[Tensor]:
        """Return the tokens of each text, cut so that the longest sentence fits behind them; a language model reads no
        end of a text.

        Args:
            inputs: the texts.
            keep_first: cut before the last token, in place of from the beginning.
        """
        sees = positions_of(self.model) or self.spec.longest + max(map(len, self.tails))
        room = max(1, int(sees) - max(map(len, self.tails)))
        end = self.spec.marks[3] if self.spec.marks else -1
        rows = []
        for row in (values[:length] for values, length in zip(inputs.values, inputs.lengths.tolist(), strict=True)):
            if not keep_first and len(row) > 1 and int(row[-1]) == end:
                row = row[:-1]
            self.cut += len(row) > room
            if len(row) > room:
                row = torch.cat([row[: room - 1], row[-1:]]) if keep_first else row[-room:]
            rows.append(row)
        return rows
