"""Panels of autoencoders: the pictures that the task draws after its test, drawn anew, and the first layer's filters."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.commands.show.images import first_layer
from experiments.commands.show.panel import Look, NotShown, Panel, Picture


def pictures(look: Look) -> Iterator[Picture]:
    """Yield everything that the task draws, without its peers."""
    task = look.run.task
    task.data, task.peers = look.run.data, False
    test = task.sample("test", look.wanted.examples)
    if test is None:
        raise NotShown("its data cannot be looked at one by one")
    task.examine(test)
    for name, draw in task.report.figures().items():
        figure = draw()
        if figure is not None:
            yield Picture(name, name.replace("_", " ").capitalize(), "Test images, with the best weights.", figure)


PANELS = (
    Panel("codes", "Codes and what is made of them", pictures),
    Panel("filters", "First-layer filters", first_layer),
)
