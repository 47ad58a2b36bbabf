"""How a sweep stands, from the files of its runs."""

from __future__ import annotations

from pathlib import Path

from experiments.sweep.status import last_line


def test_a_running_job_is_shown_by_where_it_stands(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    assert last_line(log) == ""
    log.write_text("epoch 1/2  train/loss 0.5\nresume       experiments train resume=run\n\n")
    assert last_line(log) == "epoch 1/2  train/loss 0.5"
