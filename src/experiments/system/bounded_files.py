"""Files that somebody else may have made, read within bounds: nothing in them runs, grows without end or hangs."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from experiments.errors import first_line

_LARGEST = 256 << 20  # bytes of a record, whose confusion matrix and answers may be long
_LARGEST_YAML = 4 << 20
_DEEPEST = 100  # levels of nesting
_MOST = 200_000  # values of a YAML file, those behind aliases counted as often as they are named


def read_bounded(path: Path, largest: int = _LARGEST) -> bytes:
    """Return the content of a plain file of bounded size.

    Raises:
        OSError: when it cannot be read.
        ValueError: when it is no file, such as a pipe, or too large.
    """
    try:
        file = open_plain(path)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise ValueError("it is no plain file") from None
        raise
    with file:
        size = os.fstat(file.fileno()).st_size
        if size > largest:
            raise ValueError(f"it has {size:,} bytes, and {largest:,} are read at most")
        return file.read(largest + 1)


def require_plain(path: Path) -> None:
    """Refuses a pipe or a device, which a library would read without end.

    Raises:
        OSError: when it is one, or is not there.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "it is no plain file", str(path))


def open_plain(path: Path) -> BinaryIO:
    """Open a file of bytes to be read piece by piece; a pipe would wait for a writer, and a device may have no end.

    Raises:
        OSError: when it cannot be opened, or is no plain file.
    """
    handle = os.open(
        path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )  # the last on Windows
    if not stat.S_ISREG(kind := os.fstat(handle).st_mode):
        os.close(handle)
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise OSError(errno.EINVAL, "it is no plain file", str(path))
    return os.fdopen(handle, "rb")


def read_json(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        OSError: when it cannot be read.
        ValueError: when it is no JSON, and as `read_bounded`.
    """
    try:
        return json.loads(read_bounded(path).decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_yaml(path: Path, loader: Any = None) -> Any:
    """Return what a YAML file holds, as plain Python.

    Raises:
        OSError: when it cannot be read.
        ValueError: when it is no YAML, nested too deeply, or its aliases stand for too much; and as `read_bounded`.
    """
    loader = loader or getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = read_bounded(path, _LARGEST_YAML).decode("utf-8")
    try:
        _refuse_depth(yaml.parse(text, loader))
        reading = loader(text)
        node = reading.get_single_node()
        if node is None:
            return None
        if _size(node, {}, set()) > _MOST:
            raise ValueError(f"its aliases stand for more than {_MOST:,} values")
        return reading.construct_document(node)
    except (yaml.YAMLError, RecursionError, OverflowError) as error:
        raise ValueError(first_line(error)) from error


def _refuse_depth(events: Iterator[Any]) -> None:
    depth = 0
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise ValueError(f"nested more than {_DEEPEST} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _size(node: Any, sizes: dict[int, int], above: set[int]) -> int:
    """Values that a node stands for; aliases make a node stand in several places."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in sizes:
        return sizes[id(node)]
    if id(node) in above:
        raise ValueError("an alias stands for what it is part of")
    above.add(id(node))
    inner = [item for pair in node.value for item in pair] if isinstance(node, yaml.MappingNode) else node.value
    sizes[id(node)] = 1 + sum(_size(item, sizes, above) for item in inner)
    above.discard(id(node))
    return sizes[id(node)]
