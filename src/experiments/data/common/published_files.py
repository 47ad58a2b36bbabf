"""Files of published datasets: where they belong, and fetching them safely."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from experiments.errors import UserError
from experiments.system.locks import lock

OFFLINE = "digits and shapes need no network"


def require(name: str, folder: Path, missing: Callable[[], Iterable[str]], download: Callable[[], None] | None) -> None:
    """Make sure that a dataset's files are there.

    Args:
        name: the data option.
        folder: where the files belong.
        missing: names the files that are not there.
        download: fetches them all; None: not wanted.

    Raises:
        UserError: a file is missing and is not to be, or could not be, downloaded.
    """
    absent = list(missing())
    if not absent:
        return
    place = f"{absent[0]} is missing and belongs in {folder} (data.root or the variable EXPERIMENTS_DATA say where)"
    if download is None:
        raise UserError(f"data={name}: {place}; data.download=true fetches it, while {OFFLINE}.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with lock(folder.parent / f".{folder.name}.lock"):
            if list(missing()):  # another process may have fetched them while this one waited
                download()
    except (OSError, RuntimeError) as error:
        raise UserError(f"data={name}: {place}; downloading failed ({_first_line(error)}), while {OFFLINE}.") from error
    if absent := list(missing()):
        raise UserError(f"data={name}: the download did not bring {absent[0]} to {folder}; {OFFLINE}.")


def data_root(name: str, root: str | None) -> Path:
    if not root:
        raise UserError(f"data={name} needs a folder: set data.root or the variable EXPERIMENTS_DATA.")
    return Path(os.path.expanduser(root))


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
