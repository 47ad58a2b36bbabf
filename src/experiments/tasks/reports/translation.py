"""Translation: details for the record, pictures of the test, and answers for single inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from experiments.batches import Sequences
from experiments.tasks.report import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from experiments.tasks.translation import Translation


DRAWN = 4  # test sentences whose attention is drawn


class TranslationReport(Report):
    """Tells of a run of `Translation`."""

    task: Translation

    def details(self) -> dict[str, Any]:
        """Samples of the test, and by what rules sacrebleu counted."""
        return (
            {"translations": self.task.shown, "sacrebleu": dict(self.task.signatures)} if self.task.signatures else {}
        )

    def figures(self) -> dict[str, Callable[[], Figure | None]]:
        """Where the words of some test translations look in their source."""
        return {"attention": self._draw_attention} if self.task.rows else {}

    def _draw_attention(self) -> Figure | None:
        data: Any = self.task.trainer.datamodule  # type: ignore[attr-defined]
        middling = sorted(
            range(len(self.task.translated_tokens)),
            key=lambda place: abs(len(self.task.translated_tokens[place]) - self.task.spec.target_length),
        )
        chosen = middling[:DRAWN]
        texts = [data.texts["test"].source[self.task.rows[place]] for place in chosen]
        sentences = data.prepare(texts)
        return self.task.draw_attention(sentences, [self.task.translated_tokens[place] for place in chosen])

    def predict(self, inputs: Any) -> list[str]:
        """Return the best translation of each sentence."""
        source = Sequences(*(tensor.to(self.task.device) for tensor in inputs.source))
        return inputs.decode([best[0].tokens for best in self.task.translate(source)])

    def answers(self, inputs: Any, top: int) -> list[dict[str, Any]]:
        """Return the best translations of each sentence with their scores, as many as there are beams and `top` allows."""
        source = Sequences(*(tensor.to(self.task.device) for tensor in inputs.source))
        hypotheses = self.task.translate(source, best=min(top, self.task.search.beams))
        return [
            {
                "translations": [
                    {"translation": text, "score": hypothesis.score}
                    for hypothesis, text in zip(best, inputs.decode([each.tokens for each in best]), strict=True)
                ]
            }
            for best in hypotheses
        ]
