"""Speech recognition: details for the record, pictures of the test, and answers for single inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from experiments.batches import pad
from experiments.tasks.parts.ctc import lines_of, word_times
from experiments.tasks.report import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from experiments.tasks.speech_recognition import SpeechRecognition


class SpeechRecognitionReport(Report):
    """Tells of a run of `SpeechRecognition`."""

    task: SpeechRecognition

    def details(self) -> dict[str, Any]:
        """Return some recordings of the last test: what was said, and what was heard; and what was confused."""
        return self.task.transcripts.details()

    def figures(self) -> dict[str, Callable[[], Figure | None]]:
        """Return the symbols' probabilities over time, below the spectrogram."""
        if not self.task.drawn:
            return {}
        clips, texts = zip(*self.task.drawn, strict=True)
        return {"alignment": lambda: self.task.draw(pad(clips), texts)}

    def predict(self, inputs: Any) -> list[str]:
        """Return what is said in each recording."""
        return self.task.texts(self.task.listen(inputs)[0], self.task.beam)

    def answers(self, inputs: Any, top: int) -> list[dict[str, Any]]:
        """Return the transcript of each recording, and its words in segments with times."""
        chances, steps = self.task.listen(inputs)
        answers = []
        for row, text in enumerate(self.task.texts(chances, self.task.beam)):
            seconds = float(inputs.lengths[row]) / self.task.spec.rate
            words = word_times(chances[row, : int(steps[row])], self.task.spec.symbols, seconds)
            answers.append({"seconds": round(seconds, 2), "transcript": text, "segments": lines_of(words)})
        return answers
