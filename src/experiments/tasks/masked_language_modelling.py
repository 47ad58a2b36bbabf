"""Masked language modelling: which word is hidden here?

Devlin et al., "BERT" (2019): of every text some tokens are chosen, anew in every epoch; most of them are hidden, some
replaced by others, and some left as they are. Liu et al., "RoBERTa" (2019) showed that masks drawn anew are better than
fixed ones. Whole words at a time: the same authors' later code.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MetricCollection

from experiments.batches import Sequences
from experiments.contracts import ComesInPieces, SeesThePast, TellsWordStarts
from experiments.errors import UserError
from experiments.tasks.base import Task
from experiments.tasks.language_modelling import Perplexity
from experiments.tasks.report import Report
from experiments.tasks.reports.masked_language_modelling import MaskedLanguageModellingReport


class MaskedLanguageModelling(Task):
    """Cross-entropy of the hidden tokens, their perplexity, and the share that is found.

    In training, masks are drawn anew at every step. In validation and test, a mask follows from the text alone, so that
    neither the size of a batch nor the order of texts changes a metric.

    Args:
        model: gives scores of all tokens at each place, `Sequences` -> (B, T, vocabulary).
        spec: a spec with a `vocabulary` and a `mask`.
        optimizer: as in `Task`.
        scheduler: as in `Task`.
        share: of the tokens that are asked for.
        hidden: share of these in whose place the mask stands.
        replaced: share of these in whose place another token stands; the rest stays.
        whole_words: whether all tokens of a word are asked for together.

    Raises:
        UserError: when the data has no mask, the model sees only what came before, or a share is out of its range.
    """

    report_class: type[Report] = MaskedLanguageModellingReport
    test_keys: tuple[str, ...] = ("share", "hidden", "replaced", "whole_words")

    monitor = ("val/perplexity", "min")
    changes_inputs = "other words are masked in every epoch"
    is_word: Tensor
    words: Tensor
    starts: Tensor

    def __init__(
        self, model: nn.Module, spec: Any, optimizer: Any, scheduler: Any, *,
        share: float, hidden: float, replaced: float, whole_words: bool
    ) -> None:  # fmt: skip
        if spec.mask is None:
            raise UserError(
                "task=masked_language_modelling needs a token that hides words, and the data's tokenizer has none: set "
                "data.tokenizer.ends=true where one is fitted, or take a tokenizer with [MASK] or <mask>"
            )
        if isinstance(model, SeesThePast) and model.causal:
            raise UserError(
                "task=masked_language_modelling needs a model that sees what comes before and after: take model=bert_mini, "
                "or model.bidirectional=true of a recurrent network"
            )
        if not 0 < share < 1:
            raise UserError(f"task.share={share} must lie above 0 and below 1: try task.share=0.15")
        for key, value in (("hidden", hidden), ("replaced", replaced)):
            if not 0 <= value <= 1 or hidden + replaced > 1:
                raise UserError(
                    f"task.{key}={value} must lie from 0 to 1, and task.hidden and task.replaced together: try 0.8 and 0.1"
                )
        super().__init__(model, spec, optimizer, scheduler)
        self.share, self.hidden, self.replaced, self.whole_words = share, hidden, replaced, whole_words
        words = torch.ones(spec.vocabulary, dtype=torch.bool)
        words[list(spec.special)] = False
        self.register_buffer("is_word", words, persistent=False)  # (vocabulary,)
        self.register_buffer("words", words.nonzero()[:, 0], persistent=False)  # tokens to replace others by
        self.register_buffer("starts", torch.ones(2, spec.vocabulary, dtype=torch.bool), persistent=False)
        # Scores are computed where they are asked for: of all places they cost several times the rest of a small model.
        stages = list(model.children())
        self._chain = isinstance(model, nn.Sequential) and len(stages) > 1

    @staticmethod
    def outputs(spec: Any) -> dict[str, Any]:
        return {"masked": True}

    def make_metrics(self) -> MetricCollection:
        return MetricCollection({"perplexity": Perplexity(), "accuracy": HiddenTokenAccuracy()})

    def setup(self, stage: str) -> None:
        """Lets long texts come in pieces, and asks the data where words begin, before any loader is made."""
        data = self.attached_data
        if isinstance(data, ComesInPieces):
            data.in_pieces = True
        if self.whole_words:
            if not isinstance(data, TellsWordStarts):
                raise UserError(
                    "task.whole_words=true needs data that tell where words begin: set task.whole_words=false"
                )
            self.starts = torch.tensor(data.word_starts(), device=self.starts.device)

    def step(self, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
        """`Sequences` (B, T), whatever comes with them; gives scores (n, vocabulary) and truth (n,) of the chosen tokens."""
        inputs = batch[0]
        values = inputs.values
        draws = torch.rand(3, *values.shape, device=values.device) if self.training else settled(inputs)
        candidates = inputs.mask() & self.is_word[values]
        chosen = self.chosen(values, candidates, draws[0])
        shown = torch.where(chosen & (draws[1] < self.hidden), self.spec.mask, values)
        swapped = chosen & (draws[1] >= self.hidden) & (draws[1] < self.hidden + self.replaced)
        other = self.words[(draws[2] * len(self.words)).long().clamp(max=len(self.words) - 1)]
        logits = self.scores(inputs._replace(values=torch.where(swapped, other, shown)), chosen)
        truth = values[chosen]
        if not len(truth):  # a batch of texts without a word
            return logits.sum() * 0.0, logits, truth
        return F.cross_entropy(logits, truth), logits, truth

    def chosen(self, values: Tensor, candidates: Tensor, draws: Tensor) -> Tensor:
        """(B, T) bool: the tokens that are asked for, at least one of each text that has a word.

        Args:
            values: (B, T) tokens.
            candidates: (B, T) bool, those that may be asked for.
            draws: (B, T) numbers from 0 to 1; a word goes by the first of its own.
        """
        if self.whole_words:
            starts = self.starts[0][values]
            starts[:, 1:] |= self.starts[1][values[:, :-1]]
            starts[:, 0] = True
            places = torch.arange(values.shape[1], device=values.device)
            draws = draws.gather(1, torch.where(starts, places, 0).cummax(1).values)
        draws = torch.where(candidates, draws, 2.0)
        least = draws.amin(1, keepdim=True)
        return (draws < self.share) | ((draws == least) & candidates)

    def scores(self, inputs: Any, places: Tensor) -> Tensor:
        """Scores of all tokens at some places of the inputs: (B, T) bool -> (n, vocabulary)."""
        if not self._chain:
            return self.model(inputs)[places]
        *body, head = self.model.children()
        states = inputs
        for stage in body:
            states = stage(states)
        return head((states.values if isinstance(states, Sequences) else states)[places])


def settled(inputs: Any) -> Tensor:
    """(3, B, T) numbers from 0 to 1 that follow from the tokens of each text alone."""
    values = inputs.values * inputs.mask()
    places = torch.arange(1, values.shape[1] + 1, device=values.device)
    key = (values * mixed(places)).sum(1, keepdim=True)  # (B, 1); what fills up adds nothing
    salts = torch.arange(1, 4, device=values.device)[:, None, None]
    return (mixed(mixed(key + places) + salts) & 0xFFFFFF).double().div(2**24).float()


def mixed(x: Tensor) -> Tensor:
    """Integers to integers that look random (Steele et al., "Fast splittable pseudorandom number generators", 2014)."""
    x = (x ^ (x >> 30)) * -4658895280553007687
    x = (x ^ (x >> 27)) * -7723592293110705685
    return x ^ (x >> 31)


class HiddenTokenAccuracy(Perplexity):
    """Share of the tokens whose likeliest candidate is right."""

    def update(self, logits: Tensor, target: Tensor) -> None:
        """(n, vocabulary) and (n,)."""
        self.total += logits.argmax(1).eq(target).sum()
        self.count += len(target)

    def compute(self) -> Tensor:
        return (self.total / self.count).float()
