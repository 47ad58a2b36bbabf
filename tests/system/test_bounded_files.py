"""Files of bounded size that are plain files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from experiments.system.bounded_files import open_plain, read_bounded


def test_a_folder_is_refused_and_leaves_no_handle_open(tmp_path: Path) -> None:
    before = len(os.listdir("/dev/fd"))
    for read in (read_bounded, open_plain):
        with pytest.raises(IsADirectoryError):
            read(tmp_path)
    assert len(os.listdir("/dev/fd")) == before


def test_what_is_too_large_or_no_file_is_refused(tmp_path: Path) -> None:
    path, pipe = tmp_path / "file", tmp_path / "pipe"
    path.write_bytes(b"one\r\n\x1atwo")
    os.mkfifo(pipe)
    with open_plain(path) as file:
        assert read_bounded(path) == file.read() == path.read_bytes()
    with pytest.raises(ValueError, match="9 bytes, and 3 are read at most"):
        read_bounded(path, 3)
    with pytest.raises(ValueError, match="no plain file"):
        read_bounded(pipe)
    with pytest.raises(OSError, match="no plain file"):
        open_plain(pipe)
