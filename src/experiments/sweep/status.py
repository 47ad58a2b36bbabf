"""How a sweep stands: counted from its files, or by the launcher as it goes, and shown on one screen."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from experiments.compare.cells import FIELD, USUAL_TESTS, lower_is_better
from experiments.errors import UserError, as_typed
from experiments.run.record import FAILED, FINISHED, INTERRUPTED, PRUNED, RUNNING, own_module
from experiments.sweep.backends.queued_jobs import still_queued
from experiments.sweep.folder import EXCLUDED, RUN, SKIPPED, Sweep, at_work, read_sweep
from experiments.sweep.objective import Objective, objectives_of
from experiments.sweep.run_state import NEW, state_of
from experiments.system.bounded_files import open_plain
from experiments.system.processes import alive
from experiments.system.terminal import LABEL, done_waiting, fancy, is_terminal, quiet

WAITING = "waiting"
_USUAL_JUDGES = tuple(
    Objective(name, lower_is_better(name))
    for name in ("val/accuracy", "val/f1", "val/mse", "val_acc", "val/loss", "val_loss")
)  # the first that there is, names the best run where no record says what judged it: never the test
_REDRAW = 0.5  # seconds


@dataclass
class Job:
    """One run of a sweep as it is shown."""

    name: str
    state: str = WAITING
    seconds: float = 0.0
    metrics: dict[str, Any] = field(default_factory=dict)
    cost: dict[str, Any] = field(default_factory=dict)
    test: tuple[str, ...] = ()  # task and data: values of unequal ones are not compared
    judged: Objective | None = None  # the metric of validation that chose its checkpoint
    error: str | None = None
    began: float | None = None  # seconds since the epoch, while it runs

    def take(self, record: dict[str, Any], state: str) -> None:
        self.state, self.error = state, record.get("error")
        self.metrics = record.get("metrics") or {}
        self.cost = record.get("cost") or {}
        self.seconds = self.cost.get("seconds") or 0.0
        self.judged = _judged(record)
        chosen = record.get("choices") or {}
        self.test = ("" if own_module(record) else str(chosen.get("task")), str(chosen.get("data")))


@dataclass
class Standing:
    """All runs of a sweep."""

    folder: Path
    jobs: list[Job]
    at_a_time: int = 1
    passed_over: int = 0  # skipped or excluded
    objectives: tuple[Objective, ...] | None = None  # of a search

    def count(self, *states: str) -> int:
        return sum(job.state in states for job in self.jobs)

    def seconds_left(self) -> float | None:
        """Return an estimate from what finished; None before anything has."""
        took = [job.seconds for job in self.jobs if job.state == FINISHED]
        if not took:
            return None
        mean, now = sum(took) / len(took), time.time()
        going = [max(0.0, mean - (now - job.began)) for job in self.jobs if job.state == RUNNING and job.began]
        rest = self.count(WAITING) * mean + sum(going)
        return max([rest / max(1, self.at_a_time), *going])

    def best(self) -> list[str]:
        """Return the best so far by validation: a line for each objective of a search, else for each dataset."""
        done = [job for job in self.jobs if job.state == FINISHED]
        if self.objectives is not None:
            return [line for objective in self.objectives if (line := _best(objective, done, "", ".6g"))]
        tests = list(dict.fromkeys(job.test for job in done))
        varied = [place for place in range(len(FIELD)) if len({test[place] for test in tests}) > 1]
        lines = []
        for test in tests:
            label = f" ({' '.join(test[place] for place in varied)})" if varied else ""
            those = [job for job in done if job.test == test]
            asked = dict.fromkeys(job.judged for job in those if job.judged) or dict.fromkeys(_USUAL_JUDGES)
            lines += [line for objective in asked if (line := _best(objective, those, label, ".4f"))][:1]
        return lines


def _judged(record: dict[str, Any]) -> Objective | None:
    """Return what chose the checkpoint of a run; None where its record names no metric of validation."""
    judgement = record.get("judged")
    name = str(judgement.get("metric")) if isinstance(judgement, dict) else ""
    return Objective(name, judgement.get("mode") == "min") if name.startswith("val") and judgement else None


def _best(objective: Objective, jobs: Sequence[Job], label: str, digits: str) -> str | None:
    values = [(objective.value_in({"metrics": job.metrics, "cost": job.cost}), job) for job in jobs]
    measured = [(value, job) for value, job in values if value is not None]
    if not measured:
        return None
    value, job = (min if objective.lower else max)(measured, key=lambda pair: pair[0])
    return f"best so far{label}  {objective.name} {value:{digits}}  {job.name}"


def standing(folder: Path) -> Standing:
    """Tell how the sweep in a folder stands, from its files alone.

    Raises:
        UserError: when the folder holds no sweep.
    """
    sweep = read_sweep(folder)
    working = at_work(folder)
    queued = {} if working else still_queued(folder)  # jobs of a cluster outlive their launcher
    jobs = []
    for entry in sweep.entries:
        if entry.plan != RUN:
            continue
        record, state = state_of(folder / entry.name, entry.identity)
        job = Job(entry.name)
        if record:
            job.take(record, state)
        if state == NEW:
            job.state = WAITING
        elif state == FAILED and not record:
            job.state, job.error = FAILED, "its record is damaged"
        elif record.get("status") == RUNNING and (entry.name in queued or (working and _alive(record, sweep))):
            job.state, job.began = RUNNING, _since(record)
        elif record.get("status") == RUNNING:
            job.state, job.error = INTERRUPTED, "it was killed"
        jobs.append(job)
    passed_over = sum(entry.plan in (SKIPPED, EXCLUDED) for entry in sweep.entries)
    return Standing(folder, jobs, sweep.jobs, passed_over, objectives_of(folder))


def _alive(record: dict[str, Any], sweep: Sweep) -> bool:
    if record.get("environment", {}).get("host") != platform.node():
        return True  # elsewhere: believe the record
    try:
        return alive(int(record["pid"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return True


def _since(record: dict[str, Any]) -> float | None:
    try:
        return datetime.fromisoformat(record["started"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return None


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def headline(metrics: dict[str, Any]) -> str:
    """Return the test metrics worth a line."""
    shown = [f"{name} {metrics[name]:.4f}" for name in USUAL_TESTS if metrics.get(name) is not None]
    return "  ".join(shown[:1] + [part for part in shown[1:] if part.startswith("test/loss")])


def screen(stand: Standing, width: int = 100, height: int = 24) -> list[str]:
    """Return the lines that show a sweep; at most `height` of them, none longer than `width`."""
    words = [
        f"{stand.count(state)} {name}"
        for state, name in (
            (FINISHED, "done"), (PRUNED, "pruned"), (RUNNING, "running"), (FAILED, "failed"), (INTERRUPTED, "interrupted"),
            (WAITING, "waiting"),
        )
        if stand.count(state) or state in (FINISHED, WAITING)
    ]  # fmt: skip
    if stand.passed_over:
        words.append(f"{stand.passed_over} passed over")
    left = stand.seconds_left()
    if left is not None and stand.count(WAITING, RUNNING):
        words.append(f"about {clock(left)} left")
    total = len(stand.jobs)
    done = stand.count(FINISHED, PRUNED, FAILED, INTERRUPTED)
    filled = 24 * done // total if total else 24
    lines = [f"{'━' * filled}{'─' * (24 - filled)} {done}/{total}  {', '.join(words)}"]
    best = stand.best()[: max(1, height // 4)]
    lines += _rows(stand, RUNNING, max(1, height - 5 - len(best)))
    lines += _rows(stand, FAILED, max(1, height - 2 - len(best) - len(lines)))
    lines += best
    return [line if len(line) < width else f"{line[: width - 2]}…" for line in lines]


def _rows(stand: Standing, state: str, room: int) -> list[str]:
    jobs = [job for job in stand.jobs if job.state == state]
    shown = jobs if len(jobs) <= room else jobs[: room - 1]
    lines = []
    for job in shown:
        if state == RUNNING:
            elapsed = clock(time.time() - job.began) if job.began else ""
            lines.append(f"  running  {job.name}  {elapsed}  {last_line(stand.folder / job.name / 'job.log')}".rstrip())
        else:
            lines.append(f"  failed   {job.name}  {job.error or ''}".rstrip())
    if len(shown) < len(jobs):
        lines.append(f"  … and {len(jobs) - len(shown)} more {state}")
    return lines


def last_line(path: Path) -> str:
    """Return the last line of a log, without reading the whole."""
    try:
        with open_plain(path) as file:
            file.seek(max(0, path.stat().st_size - 2000))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    # What a run is and how to resume it says nothing of where it stands.
    return next((line.strip() for line in reversed(lines) if line.strip() and not _LABELLED.match(line)), "")


_LABELLED = re.compile(rf"(?=.{{{LABEL - 2}}}  \S)[A-Za-z ]{{{LABEL}}}")  # as `labelled` writes the banner


class Display:
    """What the launcher shows: a block redrawn in place on a terminal, a line for each job that ends elsewhere."""

    def __init__(self, stand: Standing, stream: TextIO | None = None) -> None:
        self.stand, self.stream = stand, stream or sys.stdout
        self._lines = 0
        self._drawn = 0.0
        self._total = len(stand.jobs)

    @property
    def live(self) -> bool:
        return fancy(self.stream) and not quiet()

    def write_to(self, stream: TextIO) -> None:
        """Go on in another place, as the terminal is closed."""
        self.stream, self._lines = stream, 0

    def say(self, text: str) -> None:
        """A line that stays."""
        if quiet():
            return
        done_waiting()
        self._write(self._back() + text + "\n")
        self._lines = 0

    def ended(self, job: Job) -> None:
        """A job is over: one line, which on a terminal scrolls away above the block."""
        done = self.stand.count(FINISHED, FAILED, INTERRUPTED)
        outcome = headline(job.metrics) if job.state == FINISHED else f"{job.state}: {job.error}"
        self.say(f"[{done}/{self._total}] {job.name}  {outcome}  {job.seconds:.1f} s")
        self.draw(now=True)

    def draw(self, now: bool = False) -> None:
        """Redraws the block, now and then."""
        if not self.live or (not now and time.monotonic() - self._drawn < _REDRAW):
            return
        self._drawn = time.monotonic()
        size = shutil.get_terminal_size()
        lines = screen(self.stand, size.columns, min(16, size.lines - 1))
        self._write(self._back() + "\n".join(lines) + "\n")
        self._lines = len(lines)

    def close(self) -> None:
        """Takes the block away."""
        self._write(self._back())
        self._lines = 0

    def _back(self) -> str:
        return f"\x1b[{self._lines}F\x1b[J" if self._lines else ""

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError):  # the terminal is gone; the sweep goes on
            self.stream = open(os.devnull, "w")  # noqa: SIM115


def rejected(entries: Iterable[Any], plan: str) -> list[str]:
    """Return a line for each run that was passed over, with its reason."""
    return [f"  {entry.plan}  {' '.join(entry.words)}: {entry.reason}" for entry in entries if entry.plan == plan]


def main(words: Sequence[str]) -> int:
    """`experiments status SWEEP…`."""
    if not words or any(word.startswith("-") for word in words):
        raise UserError(
            "status needs a sweep: experiments status SWEEP, as in experiments status outputs/sweeps/2030-01-31_12-00-00"
        )
    for word in words:
        folder = Path(word).absolute()
        if not folder.is_dir():
            raise UserError(f"{word} does not exist: name the folder of a sweep")
        stand = standing(folder)
        print(as_typed(folder))
        size = shutil.get_terminal_size((160, 50))
        print("\n".join(screen(stand, size.columns if is_terminal(sys.stdout) else 10_000, 1_000)))
        sweep = read_sweep(folder)
        for line in rejected(sweep.entries, SKIPPED):
            print(line)
        if at_work(folder):
            print(f"at work: process {sweep.pid} on {sweep.host}")
        elif stand.count(WAITING, FAILED, INTERRUPTED, RUNNING):
            print(f"not at work; resume with: experiments train -m resume={shlex.quote(word)}")
    return 0
