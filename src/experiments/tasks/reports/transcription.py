"""Transcription: details for the record, pictures of the test, and answers for single inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.batches import Sequences
from experiments.tasks.report import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from experiments.tasks.transcription import Said, Transcription

AT_ONCE = 8  # recordings


class TranscriptionReport(Report):
    """Tells of a run of `Transcription`."""

    task: Transcription
    mixed = True

    def details(self) -> dict[str, Any]:
        """Return some recordings of the last test: what was said, and what was heard; and what was confused."""
        return self.task.transcripts.details()

    def predict(self, inputs: Any) -> list[str]:
        """Return what is said in each recording."""
        return [recording.text for recording in self._heard(inputs)]

    def _heard(self, inputs: Any) -> list[Said]:
        """Return what is said in each recording, heard in batches of like length."""
        by_row: dict[int, Said] = {}
        for rows in inputs.lengths.argsort(stable=True).split(AT_ONCE):
            lengths = inputs.lengths[rows]
            some = Sequences(inputs.values[rows, : int(lengths.max())], lengths)
            by_row |= dict(zip(rows.tolist(), self.task.transcribe(some), strict=True))
        return [by_row[row] for row in range(len(by_row))]

    def answers(self, inputs: Any, top: int) -> list[dict[str, Any]]:
        """Return the transcript of each recording, and its segments."""
        seconds = (inputs.lengths / self.task.spec.rate).tolist()
        return [
            {
                "seconds": round(length, 2),
                "transcript": recording.text,
                "segments": [
                    {"start": round(start, 2), "end": round(min(end, length), 2), "text": text}
                    for start, end, text in recording.segments
                ],
            }
            for length, recording in zip(seconds, self._heard(inputs), strict=True)
        ]

    def figures(self) -> dict[str, Callable[[], Figure | None]]:
        """Where the tokens of some test recordings look in the sound."""
        return {"attention": lambda: self.draw([item for item, _ in self.task.drawn])} if self.task.drawn else {}

    @torch.no_grad()
    def draw(self, clips: Sequence[Tensor]) -> Figure:
        """Return a map a recording: where the tokens of what is heard look in it, darkest where any looks most."""
        from experiments.viz.attention import attention

        task = self.task
        maps, columns, rows = [], [], []
        for clip in clips:
            sound = Sequences(clip[None].to(task.device), torch.tensor([len(clip)], device=task.device))
            sound = sound._replace(values=sound.values[:, : round(task.window * task.spec.rate)])
            sound = sound._replace(lengths=sound.lengths.clamp(max=sound.values.shape[1]))
            state = task.model.listen(sound)  # type: ignore[operator, union-attr]
            tokens = task.hear(task.model, [sound.values[0]], False, state)[0]
            prompt = task.prompts(task.model, state, 1, False)[0].tolist()
            whole = torch.tensor([[*prompt, *tokens]], device=task.device)
            steps = max(1, min(50, int(sound.lengths[0]) * 50 // task.spec.rate))
            looks = task.model.attention(sound, whole)[0, len(prompt) - 1 : -1]  # type: ignore[operator, union-attr]
            heard = int(float(sound.lengths[0]) / task.spec.rate * 50) or 1
            part = F.adaptive_avg_pool1d(looks[None, :, :heard].float(), steps)[0].cpu()
            maps.append(part / part.max().clamp(min=1e-9))  # heads look at many places, so all shares are small
            columns.append([f"{(place + 0.5) * heard / 50 / steps:.1f}" for place in range(steps)])
            rows.append([task.words.decode([token]) or "·" for token in tokens])
        return attention(maps, columns, rows, ("seconds", "tokens"))
