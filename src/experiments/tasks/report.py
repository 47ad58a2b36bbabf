"""What a run tells beyond numbers, apart from the objective: details, pictures, points, and answers for single inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from experiments.errors import UserError

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule
    from matplotlib.figure import Figure
    from torch import Tensor


class Attachment(NamedTuple):
    """Content of a file that `experiments predict` writes for one input, such as a picture; `suffix` with its dot."""

    suffix: str
    content: bytes


class Report:
    """The companion of a task. A task names the class of its own: `report_class = MyReport`.

    Args:
        task: whose test and whose model it tells of.

    Attributes:
        top: how many of a ranked list `experiments predict` tells where nobody says.
        gathers: whether `answers` keeps what `together` will tell; a server that answers for days keeps nothing.
        mixed: whether single inputs are answered in the mixed precision of the config; else in 32 bits.
        panels: modules of your own whose `PANELS` `experiments show` draws besides ours: see `commands.show.panel`.
    """

    top = 3
    gathers = False
    mixed = False
    panels: tuple[str, ...] = ()

    def __init__(self, task: Any) -> None:
        self.task = task

    def details(self) -> dict[str, Any]:
        """Give what the record keeps of the test beyond single numbers; plain Python."""
        return {}

    def recall(self, record: Mapping[str, Any]) -> None:
        """Take from the record of a finished run what its test found (see `details`) and `answers` need; here nothing."""

    def figures(self) -> dict[str, Callable[[], Figure | None]]:
        """Give pictures of the test, by name; each is drawn when it is called, after the test, and imports `viz` only then."""
        return {}

    def embedding(self) -> tuple[Tensor, list[str], Tensor | None] | None:
        """Give TensorBoard's projector, after the test: vectors (N, D), a label for each, and pictures (N, C, H, W) or None."""
        return None

    def predict(self, inputs: Any) -> Any:
        """Give what `Loaded.predict` gives for inputs as the model gets them; here what the task's forward makes of them."""
        return self.task(inputs)

    def answers(self, inputs: Any, top: int) -> list[dict[str, Any]]:
        """Give what `experiments predict` says: a dictionary for each input, all with the same keys.

        A value is plain Python; an `Attachment`, which is written to a file and replaced by its path; or a list of
        dictionaries, best first, which takes a row each in a table.

        Args:
            inputs: as the model gets them.
            top: how many of a ranked list are wanted.
        """
        raise UserError(f"{type(self.task).__name__} has no answer for single inputs: use experiments evaluate")

    def together(self, names: Sequence[str]) -> dict[str, bytes]:
        """Give files, by name, that `experiments predict` writes of all inputs together, once `answers` has told of each
        while `gathers` was set.

        Args:
            names: of the inputs, in the order of the answers.
        """
        return {}


def report_of(task: LightningModule) -> Report:
    """Give the companion of a task of ours, or for any other LightningModule one that tells nothing."""
    report = getattr(task, "report", None)
    return report if isinstance(report, Report) else Report(task)
