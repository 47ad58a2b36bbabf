"""torch's SummaryWriter on a run's own event file: `self.logger.experiment.add_image(…)` of a LightningModule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.utils.tensorboard import FileWriter, SummaryWriter  # half a second, so only where somebody asks


class RunSummaryWriter(SummaryWriter):
    """Write every event through a function, into the one event file that a resumed run continues.

    Args:
        dir: the run folder.
        write: takes an event.
    """

    def __init__(self, dir: str, write: Callable[[Any], None]) -> None:
        self._write = write
        super().__init__(dir)

    def _get_file_writer(self) -> Any:
        own: Any = self  # whose attributes torch declares as None
        if own.all_writers is None or own.file_writer is None:
            own.file_writer = _Bridge(str(self.log_dir), self._write)
            own.all_writers = {own.file_writer.get_logdir(): own.file_writer}
        return own.file_writer


class _Bridge(FileWriter):
    def __init__(self, dir: str, write: Callable[[Any], None]) -> None:
        self.event_writer = _Events(dir, write)


class _Events:
    """Stands for the file of events that FileWriter has."""

    def __init__(self, dir: str, write: Callable[[Any], None]) -> None:
        self._dir, self.add_event = dir, write

    def get_logdir(self) -> str:
        return self._dir

    def flush(self) -> None:
        """Nothing waits: each event is written at once."""

    def close(self) -> None:
        """The run closes its file itself."""

    reopen = close
