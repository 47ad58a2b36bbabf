"""Locks of files: one process at a time, and nothing in a file's place is waited for."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from experiments.system.locks import lock


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    order = []

    def second() -> None:
        with lock(tmp_path / "a.lock"):
            order.append("second")

    with lock(tmp_path / "a.lock"):
        waits = threading.Thread(target=second)
        waits.start()
        waits.join(0.2)
        order.append("first")
    waits.join(10)
    assert order == ["first", "second"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_what_is_no_plain_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.lock"
    if kind == "pipe":  # which would wait for a writer
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("elsewhere")
    else:
        path.mkdir()
    with pytest.raises(OSError, match=r"a\.lock"), lock(path):
        pass
    assert not (tmp_path / "elsewhere").exists()
