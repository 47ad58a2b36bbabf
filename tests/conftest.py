"""What all tests share: the command as a user types it, and folders to run it in."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

for name in ("CI", "NO_COLOR", "FORCE_COLOR"):  # which decide what a terminal shows: a test sets them itself
    os.environ.pop(name, None)
# Else every process that a test starts compiles all modules of ours anew, as each worker does with all tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing is asked of a hub: read as its libraries are imported
if "PYTEST_XDIST_WORKER" in os.environ:  # several workers with several threads each would wait for one another
    os.environ.setdefault("OMP_NUM_THREADS", "1")

PLAIN = os.environ.get("EXPERIMENTS_PLAIN", "") not in ("", "0")
if not PLAIN:
    # Lightning asks for callbacks of installed packages in every Trainer, which reads the metadata of all packages.
    importlib.metadata.entry_points = functools.cache(importlib.metadata.entry_points)

BESIDE = Path(__file__).parents[2] / "shared" / "data"
if BESIDE.is_dir():  # real datasets beside the repository are found by all tests alike, as by a run that names them
    os.environ.setdefault("EXPERIMENTS_DATA", str(BESIDE))

# Files that take longest, longest first: several workers end together if these do not come last.
LONGEST = (
    "test_benchmark", "test_experiments", "test_same_sentence", "test_clusters", "test_faults", "test_models", "test_execute",
    "test_resume", "test_ranks", "test_two_stopped", "test_search", "test_plan", "test_launch", "test_of_the_dataset", "test_contract",
    "test_detection",
    "test_cached_features", "test_check", "test_autoencoders", "test_freezing", "test_api", "test_claims", "test_lessons",
    "test_layers", "test_spawn", "test_kill_test", "test_speedups", "test_segmentation", "test_transcription",
    "test_speech_recognition", "test_detectors", "test_segmenters", "test_template_project", "test_report_in_browser",
    "test_package", "test_lightning_extras",
)  # fmt: skip

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first; within a file nothing changes."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing kept by other runs is read, nor anything left in the home folder."""
    os.environ["EXPERIMENTS_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def _disks_are_not_waited_for() -> Iterator[None]:
    """A run waits about ten times for the disk, so that a power cut loses nothing; no test cuts the power."""
    with pytest.MonkeyPatch.context() as patch:
        if not PLAIN:
            patch.setattr(os, "fsync", lambda file: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _files_read_once() -> Iterator[None]:
    """Each choice of options is read and merged once; with EXPERIMENTS_PLAIN=1 Hydra does it anew each time."""
    if PLAIN:
        yield
        return
    from tests.composed_once import files_read_once

    with files_read_once():
        yield


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Each test draws the same numbers alone, in the suite and on any worker."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Runs `experiments …` in a process of its own, in an empty folder."""

    def run(*words: str, timeout: float = 240, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "experiments", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=os.environ | (env or {}),
        )

    return run


@pytest.fixture
def experiments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs `experiments …` in this process, in an empty folder: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")  # where no terminal says otherwise

    def run(*words: str) -> tuple[int, str, str]:
        from experiments.cli import main

        capsys.readouterr()
        code = main(list(words))
        output, errors = capsys.readouterr()
        return code, output, errors

    return run


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real datasets; tests that need it skip where it is missing."""
    folder = Path(os.environ.get("EXPERIMENTS_DATA", BESIDE))
    if not folder.is_dir():
        pytest.skip(f"no datasets in {folder}: set EXPERIMENTS_DATA")
    return folder


@pytest.fixture(scope="module")  # not longer: it keeps a loop of asyncio running
def browser() -> Iterator[Any]:
    """Chromium without a window; skipped with the reason where it is absent."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if program is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()
