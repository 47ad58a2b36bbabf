"""What a test of speech leaves in the record and in TensorBoard: samples, error counts, confusions; of all processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch

from experiments.loggers.trackers import log_text
from experiments.tasks.parts.word_errors import WordErrors


class Transcripts:
    """Samples of a test, a few of each batch.

    Args:
        wanted: so many.
    """

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.clear()

    def clear(self) -> None:
        """Forgets the last test."""
        self._samples: list[dict[str, str]] = []
        self._errors: dict[str, Any] = {}

    def add(self, spoken: Sequence[str], heard: Sequence[str]) -> None:
        """Keeps some of a batch."""
        if len(self._samples) < self.wanted:
            pairs = zip(spoken, heard, strict=True)
            some = [{"said": truth, "heard": other} for truth, other in pairs][: max(1, self.wanted // 4)]
            self._samples = [*self._samples, *some][: self.wanted]

    def finish(self, errors: WordErrors, trainer: Any) -> None:
        """At a test's end, before the metrics are put back: takes the counts, and tells TensorBoard."""
        confused = errors.confused
        if trainer.world_size > 1:
            gathered: list[Any] = [None] * trainer.world_size
            torch.distributed.all_gather_object(gathered, dict(confused))
            confused = sum((Counter(counts) for counts in gathered), Counter())
            errors.sync()
        self._errors = errors.details(confused)
        if trainer.world_size > 1:
            errors.unsync()
        rows = "\n".join(f"| {sample['said']} | {sample['heard']} |" for sample in self._samples)
        log_text(trainer.loggers, "transcripts", f"| said | heard |\n|---|---|\n{rows}", 0)

    def details(self) -> dict[str, Any]:
        """For the record."""
        return {"transcripts": self._samples, "errors": self._errors} if self._samples else {}
