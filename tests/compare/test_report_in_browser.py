"""The report in a browser: found, sorted, searched and opened by mouse and keyboard, on a phone too."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from experiments.compare.compare import compare
from experiments.compare.report import report
from experiments.compare.report_table import from_here
from tests.compare.records import make_run


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 cells of two seeds."""
    root = tmp_path_factory.mktemp("many") / "sweep"
    for place in range(120):
        for seed in range(2):
            make_run(
                root / f"{place}_{seed}", 0.5 + (place % 37) / 100 + seed / 500, seed, model=f"m{place % 4}",
                overrides=(f"optimizer.lr={0.001 * (place + 1):.3f}",), cost={"parameters": 100 + place}, epochs=5 * (place > 100),
            )  # fmt: skip
    path = root.parent / "report.html"
    (root / "119_0" / "show").mkdir()
    (root / "119_0" / "show" / "index.html").write_text("<p>inside</p>")
    path.write_text(report(compare([root]), [root], work=True, target=path))
    return path


def test_the_page_tells_no_folder_of_its_author(page_file: Path) -> None:
    text = page_file.read_text()
    assert str(page_file.parent) not in text and "sweep/0_0" in text and text.count("<script>") == 1
    assert from_here(Path("/a/b/c"), [Path("/a/b")]) == "b/c" and from_here(Path("/x/y"), [Path("/a")]) == "y"


def test_charts_come_first_and_both_ps_are_told(page_file: Path) -> None:
    text = page_file.read_text()
    places = [text.index(f">{name}</h2>") for name in ("Charts", "All cells", "How to read this")]
    assert places == sorted(places) and text.index('aria-label="contents"') < places[0]
    assert '<th class="r">p alone</th>' in text and '<th class="r">p corrected</th>' in text
    assert text.count('href="#part') == text.count('id="part')


def test_runs_that_lie_elsewhere_are_not_linked(page_file: Path, tmp_path: Path) -> None:
    root = page_file.parent / "sweep"
    text = report(compare([root]), [root], work=True, target=tmp_path / "report.html")
    assert "index.html" not in text and str(tmp_path) not in text


@pytest.mark.slow
def test_the_table_can_be_worked_in(browser: Any, page_file: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(page_file.as_uri())
    rows = page.locator(".work tbody tr[tabindex]")
    assert page.get_by_role("status").inner_text() == "120 cells"
    assert rows.count() < 60, "rows out of sight are not drawn"
    page.get_by_label("search cells").fill("m3 0.004")
    assert page.get_by_role("status").inner_text() == "1 of 120 cells"
    page.get_by_label("search cells").fill("")
    page.get_by_role("button", name="parameters").click()
    assert "0.001" in rows.first.inner_text()
    page.get_by_role("button", name="parameters").click()
    assert "0.120" in rows.first.inner_text()
    assert page.locator("th[aria-sort=descending]").count() == 1
    rows.first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    runs = page.locator(".runs")
    assert "sweep/118_0" in runs.inner_text() and "experiments train" in runs.inner_text()
    rows.first.click()
    assert "sweep/119_1" in runs.inner_text() and "seed=1" in runs.inner_text()
    assert runs.get_by_role("link", name="inside").get_attribute("href") == "sweep/119_0/show/index.html"
    curves = runs.get_by_role("img")
    assert curves.count() == 3 and curves.first.locator("polyline").count() == 2
    page.get_by_text("columns", exact=True).click()
    page.get_by_role("checkbox", name="parameters").uncheck()
    assert page.get_by_role("button", name="parameters").count() == 0
    page.locator(".rows").evaluate("area => area.scrollTop = area.scrollHeight")
    page.wait_for_function("() => document.querySelector('.work tbody').innerText.includes('0.001')")
    assert not wrong, wrong
    page.close()


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_serious(browser: Any, page_file: Path, dark: bool) -> None:
    axe = importlib.util.find_spec("axe_playwright_python")
    if axe is None or not axe.submodule_search_locations:
        pytest.skip("axe-playwright-python is not installed")
    page = browser.new_page(color_scheme="dark" if dark else "light")
    page.goto(page_file.as_uri())
    page.locator(".work tbody tr[tabindex]").first.click()
    page.evaluate((Path(axe.submodule_search_locations[0]) / "axe.min.js").read_text(encoding="utf-8"))
    result = page.evaluate("axe.run()")
    serious = [violation for violation in result["violations"] if violation["impact"] in ("serious", "critical")]
    assert not serious, [(violation["id"], violation["nodes"][0]["html"][:200]) for violation in serious]
    page.close()


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_the_command_of_a_run_is_in_view_beside_a_long_name(browser: Any, tmp_path: Path, width: int) -> None:
    root = tmp_path / "a_rather_long_name_of_a_sweep"
    for place in range(2):
        make_run(
            root / f"{place}_optimizer.lr=0.00{place},model.hidden=[128,64]", 0.5 + place / 10, model=f"net{place}"
        )
    path = tmp_path / "report.html"
    path.write_text(report(compare([root]), [root], work=True, target=path))
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(path.as_uri())
    page.click(".work .rows tbody tr[tabindex] >> nth=0")
    assert page.locator(".work .runs code").first.inner_text().startswith("experiments train")
    assert page.evaluate(
        "() => { const at = document.querySelector('.work .runs .scroll'); return at.scrollWidth <= at.clientWidth; }"
    )
    page.close()


@pytest.mark.slow
def test_on_paper_all_cells_are_there(browser: Any, page_file: Path) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto(page_file.as_uri())
    page.emulate_media(media="print")
    colours = page.evaluate(
        "() => { const at = getComputedStyle(document.body); return [at.color, at.backgroundColor]; }"
    )
    assert colours == ["rgb(31, 35, 40)", "rgb(255, 255, 255)"], "dark on white, whatever the screen's scheme"
    assert page.locator(".plain tbody tr").count() == 120 and page.locator(".plain").is_visible()
    assert not page.locator(".work .rows").is_visible()
    page.set_viewport_size({"width": 680, "height": 1000})  # of a sheet of A4
    lines = page.locator(".plain td.r").evaluate_all(
        "cells => cells.map(cell => cell.getClientRects().length && cell.scrollHeight)"
    )
    assert max(lines) <= 1.5 * min(lines), "no number is broken in two"
    page.close()


@pytest.mark.slow
def test_a_table_of_many_columns_fits_on_a_sheet(browser: Any, tmp_path: Path) -> None:
    root = tmp_path / "sweep"
    for place in range(12):
        keys = ("optimizer.lr", "optimizer.weight_decay", "data.batch_size", "model.dropout", "task.label_smoothing")
        make_run(
            root / str(place), 0.5 + place / 100, model=f"mobilenet_v3_large_{place % 3}", freezing=f"kind_{place % 2}",
            precision=("32-true", "bf16-mixed")[place % 2], optimizer=("adam", "sgd")[place % 2], overrides=[f"{key}=0.{place + 1}" for key in keys],
        )  # fmt: skip
    path = tmp_path / "report.html"
    path.write_text(report(compare([root]), [root], work=True, target=path))
    page = browser.new_page()
    page.goto(path.as_uri())
    box = re.search(rb"/MediaBox \[0 0 ([0-9.]+) ([0-9.]+)\]", page.pdf(format="A4", prefer_css_page_size=True))
    assert box and float(box[1]) > float(box[2]), "on its side"
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 1032, "height": 700})  # of a sheet of A4 between its margins
    table = page.locator(".plain table")
    assert table.locator("th").count() > 15
    assert table.evaluate("table => table.getBoundingClientRect().right") <= 1032
    heights = table.locator("tbody tr").evaluate_all("rows => rows.map(row => row.getBoundingClientRect().height)")
    assert max(heights) < 1.5 * min(heights) < 36, "a line each"
    page.close()


@pytest.mark.slow
def test_on_a_phone_nothing_sticks_out(browser: Any, page_file: Path) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.goto(page_file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input')].filter(one => !(one.innerText || one.ariaLabel || one.labels?.length)).length"
    )
    assert unnamed == 0 and page.locator("main").count() == 1 and page.evaluate("document.documentElement.lang") == "en"
    page.close()
