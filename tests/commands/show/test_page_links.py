"""The page of `experiments show` leads back to its run and to a report of comparison, and names no folder."""

from __future__ import annotations

from pathlib import Path

from experiments.commands.show.page import show_page
from experiments.commands.show.run import _back


def test_links_back_are_told_from_the_page(tmp_path: Path) -> None:
    run = tmp_path / "sweep" / "0_model=mlp"
    (run / "show").mkdir(parents=True)
    for path in (run / "config.yaml", run / "record.json", tmp_path / "report.html"):
        path.touch()
    back = _back(run, run / "show")
    assert back == [("comparison", "../../../report.html"), ("config", "../config.yaml"), ("record", "../record.json")]
    text = show_page("Inside mlp", "mlp on digits", [], [], back)
    assert 'href="../../../report.html">comparison</a>' in text and str(tmp_path) not in text


def test_a_page_elsewhere_has_none(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    assert _back(tmp_path / "run", tmp_path / "elsewhere") == [] == _back(None, tmp_path)
