"""Signals that ask a process to stop."""

from __future__ import annotations

import signal

import pytest

from experiments.errors import Interrupted
from experiments.system import signals


def test_a_stop_that_a_library_let_go_is_still_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when an import is stopped: what it then lacks fails as an error of its own."""
    assert signals.stop_behind(AttributeError("module has no attribute")) is None
    monkeypatch.setattr(signals, "_asked", None)
    with pytest.raises(Interrupted):
        signals.stop(signal.SIGINT, None)
    stopped = signals.stop_behind(AttributeError("module has no attribute"))
    assert stopped is not None and stopped.exit_code == 130
