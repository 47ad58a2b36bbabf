"""Panel of classifiers of sound: which moments speak for the answer."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from experiments.batches import Sequences
from experiments.commands.predict_inputs import audio_files
from experiments.commands.show.panel import Look, OtherKind, Panel, Picture
from experiments.commands.show.survey import device_of, need_scores
from experiments.spec import AudioSpec

EXAMPLES, MOMENTS = 3, 12  # recordings that are drawn; equal parts of each


@torch.no_grad()
def moments(look: Look) -> Iterator[Picture]:
    """Yield what the log-probability of the answer loses when a part of the recording is silent."""
    from experiments.viz.sequence import importance as draw

    if not isinstance(look.run.spec, AudioSpec):
        raise OtherKind("this run does not read sound")
    need_scores(look)
    names, sounds = _sounds(look)
    for number, (name, sound) in enumerate(zip(names, sounds, strict=True), 1):
        count = min(MOMENTS, len(sound))
        edges = torch.linspace(0, len(sound), count + 1).long().tolist()
        every = sound.to(device_of(look)).repeat(count + 1, 1)
        for row in range(count):
            every[row + 1, edges[row] : edges[row + 1]] = 0
        lengths = torch.full((count + 1,), len(sound), device=every.device)
        chances = look.run.task.report.predict(Sequences(every, lengths)).float()
        best = int(chances[0].argmax())
        scores = chances[:, best].clamp(min=1e-12).log()
        times = [f"{edge / look.run.spec.rate:.2f}" for edge in edges]
        parts = [f"{times[place]}–{times[place + 1]} s" for place in range(count)]
        answer = f"{look.run.spec.classes[best]}, {float(chances[0, best]):.0%}"
        drawn = draw(parts, (scores[0] - scores[1:]).tolist(), title=f"Moments for {answer}", what="moment")
        caption = f"{name}: each part in turn is made silent. Blue speaks for the answer, orange against."
        yield Picture(f"moments_{number}", f"Importance of moments, recording {number}", caption, drawn)


def _sounds(look: Look) -> tuple[list[str], list[torch.Tensor]]:
    """Return names and samples of the recordings asked for, or of the first of the test split."""
    if look.wanted.inputs:
        files = audio_files(look.wanted.inputs)
        names, batch = [file.name for file in files], look.run.prepare(files)
    else:
        batch = look.once("sounds", lambda: look.run.data.sample("test", EXAMPLES)[0])
        names = [f"test recording {number}" for number in range(1, len(batch.values) + 1)]
    return names, [row[:length] for row, length in zip(batch.values, batch.lengths.tolist(), strict=True)]


PANELS = (Panel("moments", "Importance of moments", moments),)
