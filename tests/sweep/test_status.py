"""How a sweep stands, from the files of its runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from experiments.errors import UserError
from experiments.sweep.folder import Entry, Sweep, read_sweep, require_own
from experiments.sweep.status import last_line

RECORD = {
    "status": "finished", "identity": "abc", "overrides": ["seed=1"], "choices": {"task": "some", "data": "digits"},
    "metrics": {"val/accuracy": 0.5}, "cost": {"seconds": 1.0}, "environment": {},
}  # fmt: skip
ODD = (None, [], "x", -1, True, {"a": {"b": 1}}, float("inf"), float("nan"), 10**400)


def test_a_running_job_is_shown_by_where_it_stands(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    assert last_line(log) == ""
    log.write_text("epoch 1/2  train/loss 0.5\nresume       experiments train resume=run\n\n")
    assert last_line(log) == "epoch 1/2  train/loss 0.5"
    log.write_text("warning: slow\nmodel        mlp: 10 parameters, all learn\nrun          sweep/0_it\n")
    assert last_line(log) == "warning: slow"


def swept(folder: Path) -> Path:
    """The folder of the one run of a sweep."""
    Sweep(folder, [Entry(0, "0_seed=1", "abc", {"seed": "1"}, ["seed=1"])]).write()
    run = folder / "0_seed=1"
    run.mkdir()
    (run / "record.json").write_text(json.dumps(RECORD))
    return run


@pytest.mark.parametrize("command", ["status", "compare"])
@pytest.mark.parametrize("key", ["choices", "metrics", "cost", "cost.seconds", "metrics.val/accuracy", "environment"])
def test_damaged_records_are_no_internal_errors(experiments: Any, tmp_path: Path, key: str, command: str) -> None:
    run = swept(tmp_path)
    for odd in ODD:
        record = json.loads(json.dumps(RECORD))
        group, _, name = key.partition(".")
        place = record[group] if name else record
        place[name or group] = odd
        (run / "record.json").write_text(json.dumps(record))
        code, _, errors = experiments(command, str(tmp_path))
        assert code in (0, 2) and len(errors.splitlines()) <= 2, (odd, errors)


def test_a_list_of_a_sweep_with_odd_values_is_made_again(experiments: Any, tmp_path: Path) -> None:
    swept(tmp_path)
    content = json.loads((tmp_path / "sweep.json").read_text())
    for key in ("jobs", "runs", "host", "pid", "settings"):
        for odd in (None, "x", -1, {"a": 1}, [[1]], [-0.5], 10**400):
            (tmp_path / "sweep.json").write_text(json.dumps(content | {key: odd}))
            code, output, errors = experiments("status", str(tmp_path))
            assert code == 0 and "1 done" in output, (key, odd, errors)
            require_own(tmp_path)  # which `resume` looks at before
    (tmp_path / "sweep.json").write_text(json.dumps(content | {"runs": [content["runs"][0] | {"words": [1]}]}))
    code, output, _ = experiments("status", str(tmp_path))
    assert code == 0 and "1 done" in output


def test_a_list_of_an_earlier_version_is_read_and_judged(tmp_path: Path) -> None:
    """Earlier versions called its runs cells."""
    swept(tmp_path)
    listing = tmp_path / "sweep.json"
    entries = read_sweep(tmp_path).entries
    content = json.loads(listing.read_text())
    content["cells"] = content.pop("runs")
    content.pop("signature", None)
    listing.write_text(json.dumps(content))
    assert read_sweep(tmp_path).entries == entries
    content["cells"][0]["words"].append("model._target_=os.system")
    listing.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"was not written here and says model\._target_=os\.system"):
        require_own(tmp_path)


@pytest.mark.parametrize("content", [None, "", "{}", '{"runs": [{"num', "[" * 100_000, "\xff"])
def test_a_lost_list_is_said(experiments: Any, tmp_path: Path, content: str | None) -> None:
    """Runs that had not begun stood in it alone."""
    swept(tmp_path / "sweep")
    listing = tmp_path / "sweep" / "sweep.json"
    listing.unlink()
    if content is not None:
        listing.write_text(content, encoding="latin-1")
    code, output, errors = experiments("status", "sweep")
    assert code == 0 and "1 done" in output
    assert errors.count("warning") == 1 and "repeat the sweep's command with hydra.sweep.dir=sweep" in errors, errors


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.parametrize("kind", ["pipe", "link", "folder", "endless"])
def test_a_lock_that_is_no_file(experiments: Any, tmp_path: Path, kind: str) -> None:
    swept(tmp_path / "sweep")
    lock, victim = tmp_path / "sweep" / ".lock", tmp_path / "victim"
    victim.write_text("mine")
    if kind == "pipe":
        os.mkfifo(lock)
    elif kind == "folder":
        lock.mkdir()
    else:
        lock.symlink_to(victim if kind == "link" else "/dev/zero")
    code, output, errors = experiments("status", "sweep")
    assert code == 0 and "1 done" in output, errors
    words = ("train", "-m", "data=digits", "model=mlp", "trainer=quick", "seed=1", "hydra.sweep.dir=sweep")
    code, _, errors = experiments(*words)
    assert code == 2 and "remove" in errors and f"{lock}" in errors, errors
    assert victim.read_text() == "mine"


def test_a_sweep_from_elsewhere_writes_through_no_link(experiments: Any, tmp_path: Path) -> None:
    run, victim = swept(tmp_path / "sweep"), tmp_path / "victim"
    content = json.loads((tmp_path / "sweep" / "sweep.json").read_text())
    (tmp_path / "sweep" / "sweep.json").write_text(json.dumps(content | {"jobs": 2}))  # the signature fits no more
    victim.write_text("mine")
    for place in (tmp_path / "sweep" / "launcher.log", run / "job.log"):
        place.symlink_to(victim)
        code, _, errors = experiments("train", "-m", "resume=sweep")
        assert code == 2 and f"{place.name} is a link to" in errors, errors
        assert victim.read_text() == "mine"
        place.unlink()
