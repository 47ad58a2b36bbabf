"""What a panel of `experiments show` is, and what it gets: one more kind of picture is one function and one line.

A module of the task's package, say `mine.pictures`, has

    def gates(look: Look) -> Iterator[Picture]: ...

    PANELS = (Panel("gates", "Gates over a sequence", gates),)

and the report of the task names it: `panels = ("mine.pictures",)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from experiments.run.loaded import Loaded


class NotShown(Exception):
    """A panel has nothing to draw for this run; the message says why, in half a sentence."""


class OtherKind(NotShown):
    """A panel is for runs of another kind, as one of texts for a run of images: told only where it was asked for."""


@dataclass(frozen=True)
class Wanted:
    """What was asked for on the command line.

    Attributes:
        inputs: image files, or whatever the task reads; empty for the run's own test examples.
        stage: name of a stage, or None for what is usual.
        unit: number of a channel, or None.
        label: name of a class, or None.
        examples: test examples to look at, where many are.
    """

    inputs: tuple[str, ...] = ()
    stage: str | None = None
    unit: int | None = None
    label: str | None = None
    examples: int = 1000


@dataclass(frozen=True)
class Look:
    """What a panel gets.

    Attributes:
        run: the run with its best weights, in evaluation mode.
        wanted: what was asked for.
        folder: where pictures go; a panel may write further files there.
        kept: what panels share, so that it is computed once.
    """

    run: Loaded
    wanted: Wanted
    folder: Path
    kept: dict[str, Any]

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what `make` gives, computed for the first panel that asks for it."""
        if name not in self.kept:
            self.kept[name] = make()
        return self.kept[name]

    def recorded(self, *keys: str, shape: tuple[int, ...] | None = None) -> Any:
        """Return what the run's record has below some keys, where it is a list or a table of numbers; None where it has none.

        Args:
            keys: from the top of the record, as in `"per_step", "mse"`.
            shape: of the table; None where any list will do.

        Raises:
            NotShown: it is something else.
        """
        import numpy as np

        value: Any = self.run.record
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else "damaged" if value else None
        if value is None:
            return None
        try:
            table = np.asarray(value, np.float64)
        except (TypeError, ValueError):
            table = np.empty(0)
        if table.size and not np.isfinite(table).all():
            raise NotShown(f"{'.'.join(keys)} of its record is not finite: the run diverged")
        if not table.size or (table.shape != shape if shape else table.ndim != 1):
            raise NotShown(f"{'.'.join(keys)} of its record is damaged")
        return table


@dataclass(frozen=True)
class Picture:
    """One picture: `name.png` in the folder, and a card with title and caption on the page.

    In place of the figure an animation may stand, the content of a GIF: then it is `name.gif`.
    """

    name: str
    title: str
    caption: str
    figure: Figure | bytes

    @property
    def file(self) -> str:
        return f"{self.name}.{'gif' if isinstance(self.figure, bytes) else 'png'}"


@dataclass(frozen=True)
class Panel:
    """One kind of picture.

    Attributes:
        name: as --only takes it.
        title: of its section on the page.
        draw: gives its pictures; raises NotShown where the run has nothing of the kind, UserError where what was asked
            for does not exist.
    """

    name: str
    title: str
    draw: Callable[[Look], Iterator[Picture]]
