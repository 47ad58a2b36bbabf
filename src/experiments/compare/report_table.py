"""The table of a report that one can work in: search, sort, choose columns, open a cell's runs. One script, no network.

The rows lie in the page as data; the script draws those that are in sight, so that thousands stay quick. Without a script the
page has its plain table.
"""

from __future__ import annotations

import json
import math
import os
import shlex
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from experiments.compare.analysis import Comparison, Field
from experiments.compare.cells import COSTS, Cell
from experiments.compare.run_records import Run
from experiments.compare.wording import cost_heads, number, short, width

STYLE = """
.work { margin-top: 1rem; } .work .tools { display: flex; flex-wrap: wrap; gap: .6rem 1rem; align-items: center; margin-bottom: .6rem; }
.work input[type=search] { font: inherit; padding: .3rem .6rem; min-width: 15rem; max-width: 100%; color: var(--ink); background: var(--back);
  border: 1px solid var(--grey); border-radius: .4rem; }
.work .rows { max-height: 34rem; overflow: auto; border: 1px solid var(--pale); border-radius: .5rem; }
.work table { width: 100%; } .work .rows thead th { position: sticky; top: 0; background: var(--card); padding: 0; z-index: 1; }
.work .runs th { padding: .38rem .8rem; }
.work thead button { all: unset; display: block; width: 100%; box-sizing: border-box; padding: .4rem .8rem; cursor: pointer; }
.work td { padding: .38rem .8rem; height: 2.2rem; } .work tbody tr[tabindex] { cursor: pointer; }
.work tbody tr[tabindex]:hover td, .work tbody tr[aria-selected=true] td { background: var(--card); }
.work :focus-visible { outline: 3px solid var(--accent); outline-offset: -3px; }
.work details label { display: inline-block; margin: .2rem 1rem .2rem 0; } .work .runs { margin-top: 1rem; }
.work code { font-size: .85rem; white-space: pre-wrap; } .work [hidden] { display: none; }
@media print { .work .tools { display: none; } .work .rows { max-height: none; overflow: visible; } }
"""

SCRIPT = r"""
"use strict";
for (const work of document.querySelectorAll(".work")) {
  const data = JSON.parse(work.querySelector("template").content.textContent);
  const make = (tag, text, attributes = {}) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };
  work.querySelector(".plain").hidden = true;
  const tools = make("div", undefined, {class: "tools"}), area = make("div", undefined, {class: "rows", tabindex: "0", role: "region", "aria-label": "cells"});
  const search = make("input", undefined, {type: "search", placeholder: "search, as in lenet5 adam", "aria-label": "search cells"});
  const count = make("span", "", {class: "quiet", role: "status"}), choose = make("details");
  choose.append(make("summary", "columns"));
  const shown = data.columns.map(() => true);
  data.columns.forEach((column, place) => {
    const label = make("label"), box = make("input", undefined, {type: "checkbox"});
    box.checked = true;
    box.addEventListener("change", () => { shown[place] = box.checked; draw(true); });
    label.append(box, " " + column.name);
    choose.append(label);
  });
  tools.append(search, count, choose);
  const table = make("table"), head = make("thead"), body = make("tbody");
  table.append(head, body); area.append(table);
  const runs = make("div", undefined, {class: "runs", "aria-live": "polite"});
  work.append(tools, area, runs);
  let order = data.rows.map((_, place) => place), sorted = -1, up = true, selected = -1, first = -1, tall = 36;
  const texts = data.rows.map(row => row.text.join(" ").toLowerCase());
  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    order = data.rows.map((_, place) => place).filter(place => words.every(word => texts[place].includes(word)));
    if (sorted >= 0) order.sort((a, b) => {
      const one = data.rows[a].value[sorted], two = data.rows[b].value[sorted];
      if (one === null || two === null) return (one === null) - (two === null);
      const less = typeof one === "number" && typeof two === "number" ? one - two : String(one).localeCompare(String(two), undefined, {numeric: true});
      return up ? less : -less;
    });
    count.textContent = order.length === data.rows.length ? `${order.length} cells` : `${order.length} of ${data.rows.length} cells`;
    area.scrollTop = 0;
    draw(true);
  }
  function heads() {
    const row = make("tr");
    data.columns.forEach((column, place) => {
      if (!shown[place]) return;
      const cell = make("th", undefined, {scope: "col", "aria-sort": place !== sorted ? "none" : up ? "ascending" : "descending"});
      const button = make("button", column.name + (place !== sorted ? "" : up ? " ▲" : " ▼"), {type: "button", title: "sort by " + column.name});
      button.addEventListener("click", () => { up = sorted === place ? !up : true; sorted = place; filter(); head.querySelectorAll("button")[shown.slice(0, place).filter(Boolean).length].focus(); });
      if (column.right) cell.className = "r";
      cell.append(button); row.append(cell);
    });
    head.replaceChildren(row);
  }
  function draw(anew) {
    const room = Math.ceil((area.clientHeight || 544) / tall) + 20;
    const start = Math.max(0, Math.min(Math.floor(area.scrollTop / tall) - 10, order.length - room));
    if (!anew && start === first) return;
    first = start;
    if (anew) heads();
    const end = Math.min(order.length, start + room), made = [], wide = shown.filter(Boolean).length;
    const gap = rows => { const row = make("tr", undefined, {"aria-hidden": "true"}), cell = make("td", "", {colspan: wide}); cell.style.height = rows * tall + "px"; cell.style.padding = "0"; row.append(cell); return row; };
    if (start) made.push(gap(start));
    for (let at = start; at < end; at++) {
      const place = order[at], row = make("tr", undefined, {tabindex: "0", "data-row": place, "aria-rowindex": at + 2, "aria-selected": place === selected});
      if (data.rows[place].best) row.className = "best";
      data.rows[place].text.forEach((text, column) => {
        if (!shown[column]) return;
        row.append(make("td", text, data.columns[column].right ? {class: "r"} : {}));
      });
      made.push(row);
    }
    if (end < order.length) made.push(gap(order.length - end));
    body.replaceChildren(...made);
    table.setAttribute("aria-rowcount", order.length + 1);
    const real = body.querySelector("tr[tabindex]");
    if (real && real.offsetHeight) tall = real.offsetHeight;
  }
  function open(place) {
    selected = place;
    for (const row of body.querySelectorAll("tr[tabindex]")) row.setAttribute("aria-selected", Number(row.dataset.row) === place);
    const row = data.rows[place], list = make("table"), top = make("tr"), title = make("h3", row.name);
    for (const name of ["seed", "status", data.metric, "folder", "repeat it"]) top.append(make("th", name, {scope: "col"}));
    const inner = make("tbody"); const upper = make("thead"); upper.append(top);
    for (const run of row.runs) {
      const line = make("tr");
      for (const text of run.slice(0, 4)) line.append(make("td", text));
      const command = make("td"); command.append(make("code", run[4])); line.append(command); inner.append(line);
    }
    list.append(upper, inner);
    const scroll = make("div", undefined, {class: "scroll", tabindex: "0", role: "region", "aria-label": "runs of the cell"}); scroll.append(list);
    runs.replaceChildren(title, make("p", row.differs), scroll);
  }
  body.addEventListener("click", event => { const row = event.target.closest("tr[tabindex]"); if (row) open(Number(row.dataset.row)); });
  body.addEventListener("keydown", event => {
    const row = event.target.closest("tr[tabindex]");
    if (!row) return;
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(Number(row.dataset.row)); }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const next = event.key === "ArrowDown" ? row.nextElementSibling : row.previousElementSibling;
      if (next && next.tabIndex === 0) { event.preventDefault(); next.focus(); }
    }
  });
  area.addEventListener("scroll", () => requestAnimationFrame(() => draw(false)));
  search.addEventListener("input", filter);
  filter();
}
"""


def work_table(field: Field, comparison: Comparison, paths: Sequence[Path], plain: str) -> str:
    """The table of a field's cells as data for the script, around the plain one.

    Args:
        field: whose cells.
        comparison: that it is of.
        paths: that were compared: folders are told from there.
        plain: HTML of the plain table.
    """
    costs = cost_heads(comparison.cells)
    names = ["rank", *comparison.columns, field.metric, "95 %", "seeds", *(COSTS[key][0] for key in costs), "remarks"]
    words = (1, 1 + len(comparison.columns))
    columns = [
        {"name": name, "right": not words[0] <= at < words[1] and name != "remarks"} for at, name in enumerate(names)
    ]
    rows = [_row(field, comparison, cell, place, costs, paths) for place, cell in enumerate(field.cells, 1)]
    content = json.dumps({"columns": columns, "metric": field.metric, "rows": rows}, ensure_ascii=True)
    return f'<div class="work"><template>{escape(content)}</template><div class="plain">{plain}</div></div>'


def _row(
    field: Field, comparison: Comparison, cell: Cell, place: int, costs: Sequence[str], paths: Sequence[Path]
) -> dict[str, Any]:
    low, high = field.interval(cell)
    mean, seeds = cell.mean(field.metric), len(cell.values(field.metric))
    levels = [cell.level(key) for key in comparison.columns]
    prices = [cell.cost(key) for key in costs]
    remarks = cell.remarks(field.metric, field.seeds)
    text = [str(place), *levels, number(mean), width(low, high, mean), str(seeds), *map(short, prices), remarks]
    half = None if math.isnan(low) else high - low
    value = [place, *map(_sortable, levels), _known(mean), half, seeds, *map(_known, prices), remarks]
    best = field.clear and cell is field.scored[0]
    others = [f"{key}={cell.level(key)}" for key in comparison.columns]
    runs = [_run(run, field.metric, paths) for run in cell.all_runs]
    return {"text": text, "value": value, "best": best, "name": field.label(cell), "differs": "What sets it apart: " + ", ".join(others), "runs": runs}  # fmt: skip


def _run(run: Run, metric: str, paths: Sequence[Path]) -> list[str]:
    """Seed, status, value, folder and the command that repeats a run; no folder of the machine it was made on is told."""
    value = number(run.metrics[metric]) if metric in run.metrics else ""
    words = [f"{key}={value}" for key, value in run.said.items()]
    for group in ("model", "data", "task", "freezing", "precision", "optimizer", "scheduler"):
        if run.choices.get(group) is not None and not any(word.startswith(f"{group}=") for word in words):
            words.append(f"{group}={run.choices[group]}")
    return [run.seed, run.status, value, from_here(run.folder, paths), shlex.join(["experiments", "train", *words, f"seed={run.seed}"])]  # fmt: skip


def from_here(folder: Path, paths: Sequence[Path]) -> str:
    """A folder as told from the one that was compared: `sweep/0_model=mlp`."""
    for path in paths:
        inner = os.path.relpath(folder, path)
        if not inner.startswith(".."):
            return path.name if inner == "." else f"{path.name or '.'}/{inner}"
    return folder.name


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _sortable(text: str) -> float | str:
    try:
        value = float(text)
    except ValueError:
        return text
    return value if math.isfinite(value) else text
