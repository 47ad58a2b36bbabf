"""The folder of a sweep: `sweep.json` lists its runs, a lock keeps a second sweep out."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from experiments.errors import UserError, as_typed, first_line
from experiments.run.identity import identity as identity_of
from experiments.run.record import now
from experiments.run.signature import signature_of
from experiments.run.trust import require_sweep_inside, require_trusted_words, runs_listed, words_to_compose
from experiments.system.bounded_files import read_json, read_yaml
from experiments.system.files import remove_leftovers, write_json
from experiments.system.locks import lock_file, open_lock, owner_of, sign

FILE, LOCK = "sweep.json", ".lock"
_told: set[Path] = set()  # folders whose list could not be read, which was said
RUN, SKIPPED, EXCLUDED = "run", "skipped", "excluded"  # what is to become of a run


@dataclass
class Entry:
    """One run in `sweep.json`.

    Attributes:
        name: of its folder in the sweep's; empty for one that does not run.
        place: what tells it from the others, `{"model": "mlp"}`.
        words: all its overrides.
        plan: run, skipped or excluded.
        reason: why it does not run.
    """

    number: int
    name: str
    identity: str
    place: dict[str, str]
    words: list[str]
    plan: str = RUN
    reason: str | None = None


def label(entry: Entry) -> str:
    """Return a planned run by what tells it from the others."""
    return " ".join(f"{key}={value}" for key, value in entry.place.items()) or " ".join(entry.words)


def folder_name(entry: Entry) -> str:
    """Return a folder name that says what differs: `3_model=mlp,seed=1`."""
    words = [f"{key.split('.')[-1]}={value}" for key, value in entry.place.items()]
    kept = "".join(letter if letter.isalnum() or letter in "=,.-+_" else "_" for letter in ",".join(words))
    return f"{entry.number}_{kept[:80]}" if kept else str(entry.number)


@dataclass
class Sweep:
    """What `sweep.json` says."""

    folder: Path
    entries: list[Entry] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)  # words for the launcher and for Hydra
    config_dirs: list[str] = field(default_factory=list)
    jobs: int = 1
    created: str = field(default_factory=now)
    host: str = field(default_factory=platform.node)
    pid: int = field(default_factory=os.getpid)

    def write(self) -> None:
        content = asdict(self) | {
            "folder": str(self.folder),
            "host": platform.node(),
            "pid": os.getpid(),
            "updated": now(),
        }
        content["runs"] = content.pop("entries")
        if signature := signature_of(content):
            content["signature"] = signature
        write_json(self.folder / FILE, content)

    @property
    def next_number(self) -> int:
        return 1 + max((entry.number for entry in self.entries), default=-1)


def stand_in(sweep: Path) -> str:
    """Return what stands for the folder of a run of a sweep while nobody knows its name."""
    return str(sweep / "run")


def is_sweep(folder: Path) -> bool:
    """Tell whether a folder is a sweep's."""
    return (folder / FILE).is_file()


def read_sweep(folder: Path) -> Sweep:
    """Return what is known of the sweep in a folder; a list lost or damaged is made again from the records.

    Raises:
        UserError: when the folder holds neither.
    """
    try:
        content = read_json(folder / FILE)
        _require_kinds(content)
        field_names = {item.name for item in fields(Entry)}
        entries = [
            Entry(**{key: value for key, value in run.items() if key in field_names}) for run in runs_listed(content)
        ]
        kept = {
            key: content[key] for key in ("settings", "config_dirs", "jobs", "created", "host", "pid") if key in content
        }
        return Sweep(folder, entries, **kept)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        entries = _from_records(folder)
        if not entries:
            raise UserError(f"{folder} holds no {FILE}: name the folder of a sweep") from error
        _tell_lost(folder, error, len(entries))
        return Sweep(folder, entries, config_dirs=_config_dirs(folder, entries))


def _tell_lost(folder: Path, error: Exception, count: int) -> None:
    """Says that the list of a sweep could not be read: runs that had not begun stand nowhere else."""
    gone = isinstance(error, FileNotFoundError)
    reason = f"it has no {error.args[0]}" if isinstance(error, KeyError) else first_line(error)
    why = f"{folder} has no {FILE}" if gone else f"{folder / FILE} is damaged ({reason})"
    if folder not in _told:
        _told.add(folder)
        runs = f"{count} runs are" if count > 1 else "one run is"
        print(
            f"warning: {why}: {runs} read from their own folders, and runs that had not begun are in none: repeat the "
            f"sweep's command with hydra.sweep.dir={as_typed(folder)} to have them all",
            file=sys.stderr,
        )


_KINDS = {"settings": list, "config_dirs": list, "jobs": int, "created": str, "host": str, "pid": int}
_OF_ENTRIES = {"number": int, "name": str, "identity": str, "place": dict, "words": list, "plan": str}


def _require_kinds(content: Any) -> None:
    """Raises TypeError where the list of a sweep has values of other kinds than are written here."""
    for entry, kinds in ((content, _KINDS), *((run, _OF_ENTRIES) for run in runs_listed(content))):
        wrong = [key for key, kind in kinds.items() if key in entry and type(entry[key]) is not kind]
        if (
            wrong
            or not 0 < entry.get("jobs", 1) < 10**6
            or not all(isinstance(word, str) for word in entry.get("words", ()))
        ):
            raise TypeError(f"{wrong or 'a value'} is of another kind")


def require_own(folder: Path) -> None:
    """Refuses to resume a sweep from elsewhere whose words could name code, or whose links lead out of its folder.

    Raises:
        UserError: as `require_trusted_words` and `require_sweep_inside`.
    """
    try:
        content = read_json(folder / FILE)
        _require_kinds(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # what `read_sweep` takes in its place
        content = {"runs": [{"words": entry.words} for entry in _from_records(folder)]}
    require_trusted_words(folder, content)
    require_sweep_inside(folder, content)


def _from_records(folder: Path) -> list[Entry]:
    entries = []
    for run in sorted(path for path in folder.glob("[0-9]*") if path.is_dir()):
        try:
            number = int(run.name.split("_")[0])
            identity, words = _identity_and_words(run)
            entries.append(Entry(number, run.name, identity, place(words), words))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return sorted(entries, key=lambda entry: entry.number)


def _identity_and_words(run: Path) -> tuple[str, list[str]]:
    """Return what a run's record says, or where that is lost, its config."""
    try:
        record = read_json(run / "record.json")
        return str(record["identity"]), [str(word) for word in record["overrides"]]
    except (OSError, ValueError, KeyError, TypeError):
        config = read_yaml(run / "config.yaml")
        return identity_of(config), [str(word) for word in config["run"]["overrides"]]


def _config_dirs(folder: Path, entries: Sequence[Entry]) -> list[str]:
    """Return the folders of configs that the runs of a sweep were composed with, as the first that can be read says."""
    for run in (folder / entry.name for entry in entries):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return words_to_compose(read_yaml(run / "config.yaml"), run)[1]
    return []


def place(words: Sequence[str], keys: set[str] | None = None) -> dict[str, str]:
    """Key and value of some overrides; of the keys given alone, where they are."""
    pairs = (word.lstrip("+").partition("=")[::2] for word in words)
    return {key: value for key, value in pairs if keys is None or key in keys}


def varying(words: Sequence[Sequence[str]]) -> set[str]:
    """Keys that do not have the same value in all of some lists of overrides; all keys of a single list."""
    places = [place(values) for values in words]
    keys = {key for values in places for key in values}
    if len(places) < 2:
        return keys
    return {key for key in keys if len({values.get(key) for values in places}) > 1}


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps the folder to this process; the lock of a process that is gone is taken over.

    Raises:
        UserError: when another sweep is at work there.
    """
    try:
        handle = open_lock(folder / LOCK)
    except OSError as error:
        removable = error.errno != errno.EROFS and os.access(folder, os.W_OK | os.X_OK)
        if removable and os.path.lexists(folder / LOCK):
            raise UserError(
                f"hydra.sweep.dir={folder} cannot be written to (its {LOCK}: {error.strerror}): remove {folder / LOCK}"
            ) from error
        raise UserError(
            f"hydra.sweep.dir={folder} cannot be written to ({error.strerror}): experiments status and compare read it all the same"
        ) from error
    try:
        for attempt in range(5):
            try:
                lock_file(handle)
                break
            except OSError as error:
                owner = owner_of(handle)
                if attempt == 4:  # `experiments status` looks at the lock for a moment
                    raise UserError(
                        f"hydra.sweep.dir={folder} is at work in another process ({owner or 'unknown'}): wait for it, or choose another folder"
                    ) from error
                time.sleep(0.1)
        sign(handle)
        remove_leftovers(folder)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def at_work(folder: Path) -> bool:
    """Tell whether a process is running the sweep in a folder."""
    try:
        handle = open_lock(folder / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        lock_file(handle, shared=True)
        return False
    except OSError:
        return True
    finally:
        os.close(handle)


def differing(before: Any, after: Any, prefix: str = "") -> list[tuple[str, Any, Any]]:
    """Dotted keys in which two configs differ, with both values; None where a config lacks the key."""
    if isinstance(before, dict) and isinstance(after, dict):
        changes = []
        for key in dict.fromkeys([*before, *after]):
            changes += differing(before.get(key), after.get(key), f"{prefix}.{key}" if prefix else str(key))
        return changes
    return [] if before == after else [(prefix, before, after)]
