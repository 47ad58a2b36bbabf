"""Speech recognition: what is said in a recording, without being told when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MetricCollection

from experiments.batches import IGNORED, Sequences
from experiments.contracts import GivesSamples
from experiments.errors import UserError
from experiments.tasks.base import Task
from experiments.tasks.parts.ctc import BLANK, greedy, prefix_beam
from experiments.tasks.parts.spectrum import spectrum
from experiments.tasks.parts.transcripts import Transcripts
from experiments.tasks.parts.word_errors import WordErrors
from experiments.tasks.report import Report
from experiments.tasks.reports.speech_recognition import SpeechRecognitionReport
from experiments.transcript_rules import rule

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SAMPLES = 10  # transcripts that the record and TensorBoard show
DRAWN = 3  # recordings that are drawn


class SpeechRecognition(Task):
    """Connectionist temporal classification (Graves et al., 2006); word and character error rate.

    Symbol 0 is the blank, symbol n + 1 the n-th of the spec. The loss is a recording's negative log-probability,
    averaged over recordings.

    Args:
        model: reads `Sequences` of samples and gives `Sequences` of scores (B, steps, symbols + 1).
        spec: an `AudioSpec` with symbols.
        optimizer: as in `Task`.
        scheduler: as in `Task`.
        beam: prefixes that the test and predictions keep; 1 takes the best symbol at each step, as validation does.
        normalise: how texts are written before they are compared, see `transcript_rules.rule`.

    Raises:
        UserError: when the data have no symbols, or `beam` is below 1.
    """

    report_class: type[Report] = SpeechRecognitionReport
    test_keys: tuple[str, ...] = ("beam", "normalise")

    monitor = ("val/wer", "min")
    cacheable = True

    def __init__(
        self, model: nn.Module, spec: Any, optimizer: Any, scheduler: Any, *, beam: int, normalise: str = "none"
    ) -> None:
        if not spec.symbols:
            raise UserError("task=speech_recognition needs transcripts, and the data has none: choose other data")
        if beam < 1:
            raise UserError(f"task.beam={beam} must be 1 or more: try task.beam=8")
        self.write = rule(normalise, "task.normalise")
        super().__init__(model, spec, optimizer, scheduler)
        self.beam = beam
        self.transcripts = Transcripts(SAMPLES)
        self.drawn: list[tuple[Tensor, str]] = []

    @staticmethod
    def outputs(spec: Any) -> dict[str, Any]:
        return {"num_classes": len(spec.symbols) + 1, "every_step": True}

    def make_metrics(self) -> MetricCollection:
        return MetricCollection({"errors": WordErrors(self.write)}, compute_groups=False)

    def metric_names(self, split: str) -> list[str]:
        return [f"{split}/{name}" for name in ("loss", *WordErrors.names)]

    def step(self, batch: tuple[Any, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Sound (B, T) and symbols (B, S) filled up with IGNORED; the prediction is (B, steps, symbols + 1).

        Steps beyond a recording's end say blank, so that nobody after this needs to know where it ends.
        """
        inputs, target = batch
        chances, lengths = self.listen(inputs)
        counted = target != IGNORED
        losses = F.ctc_loss(
            chances.transpose(0, 1),
            (target + 1).masked_fill(~counted, 1),
            lengths,
            counted.sum(1),
            blank=BLANK,
            reduction="none",
            zero_infinity=True,  # more symbols than steps: counted below, and no reason to end the run
        )
        return losses.mean(), chances, target

    def listen(self, inputs: Any) -> tuple[Tensor, Tensor]:
        """Log-probabilities (B, steps, symbols + 1), and how many steps belong to each recording."""
        scores = self.model(inputs)
        chances = scores.values.float().log_softmax(2)
        blank = torch.full_like(chances[0, 0], float("-inf"))
        blank[BLANK] = 0.0
        return torch.where(scores.mask()[..., None], chances, blank), scores.lengths

    def train_sums(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the share of recordings with more symbols than steps, from which nothing can be learned."""
        counted = target != IGNORED
        again = (target[:, 1:] == target[:, :-1]) & counted[:, 1:]  # a blank must stand between two equal symbols
        steps = (prediction[..., BLANK] < 0).sum(1)
        return {"too_short": (counted.sum(1) + again.sum(1) > steps).sum()}

    def _evaluate(self, split: str, batch: tuple[Any, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        loss, prediction, target = self.step(batch)
        self.sums[split].add(len(target), loss=loss)
        heard = self.texts(prediction, self.beam if split == "test" else 1)
        texts = self.texts_of(target)
        self.metrics_of(split).update(heard, texts)
        if split == "test":
            self.transcripts.add(texts, heard)
            inputs = batch[0]
            if len(self.drawn) < DRAWN and isinstance(inputs, Sequences):  # and not their cached features
                self.drawn.append((inputs.values[0, : int(inputs.lengths[0])], texts[0]))
        return loss, prediction, target

    def texts(self, chances: Tensor, beam: int) -> list[str]:
        symbols = greedy(chances) if beam == 1 else prefix_beam(chances, beam)
        return [self._text([symbol - 1 for symbol in row]) for row in symbols]

    def _text(self, places: list[int]) -> str:
        return "".join(self.spec.symbols[place] for place in places)

    def on_test_start(self) -> None:
        self.drawn = []
        self.transcripts.clear()

    def _report(self, split: str) -> None:
        if (
            split == "test" and not self.drawn and isinstance(self.attached_data, GivesSamples)
        ):  # it read cached features
            sounds, target = self.attached_data.sample("test", DRAWN)
            rows = zip(sounds.values, sounds.lengths.tolist(), self.texts_of(target), strict=True)
            self.drawn = [(values[:length], text) for values, length, text in rows]
        if split == "test":
            self.transcripts.finish(self.metrics_of(split)["errors"], self.trainer)  # type: ignore[arg-type]
        super()._report(split)

    @torch.no_grad()
    def draw(self, inputs: Any, spoken: Sequence[str] | None = None) -> Figure:
        """Return what is heard when in each recording, and what was said if that is known."""
        from experiments.viz.alignment import alignment

        inputs = type(inputs)(inputs.values.to(self.device), inputs.lengths.to(self.device))
        features = spectrum(inputs, self.spec.rate)
        chances, steps = self.listen(inputs)
        panels = []
        for row, heard in enumerate(self.texts(chances, self.beam)):
            caption = f"heard: {heard}" + (f"      said: {spoken[row]}" if spoken else "")
            bands = features.values[row, : int(features.lengths[row])].cpu()
            seconds = float(inputs.lengths[row]) / self.spec.rate
            panels.append((bands, chances[row, : int(steps[row])].exp().cpu(), seconds, caption))
        return alignment(panels, ("blank", *self.spec.symbols))

    def texts_of(self, target: Tensor) -> list[str]:
        """Transcripts of symbols (B, S) filled up with IGNORED."""
        return [self._text(row[row != IGNORED].tolist()) for row in target.cpu()]
