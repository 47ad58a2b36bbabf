"""Style and script of the table of a report: they search, sort and open a cell's runs in the browser, and ask no network."""

from __future__ import annotations

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
.work .curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: 1rem; margin-top: 1rem; }
.work h4 { margin: 0 0 .4rem; font-size: .95rem; } .work a { color: var(--accent); } .contents { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; margin: 1rem 0 0; }
.contents a { color: var(--accent); }
.work .runs td:last-child { white-space: normal; overflow-wrap: anywhere; } .work .runs .below td { padding-top: 0; } .work .runs .below a { display: inline-block; margin-right: .6rem; } .work .runs tr:has(+ .below) td { border-bottom: 0; }
.work code { font-size: .85rem; white-space: pre-wrap; } .work [hidden] { display: none; }
@media print { .work .tools, .work .rows, .contents { display: none; } .work .plain[hidden] { display: block; }
  .work table { width: auto; } .work td { padding: .3em .6em .3em 0; height: auto; }
  figure.wide svg { min-width: 0; } }
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
  const cells = document.querySelectorAll(".work").length > 1 ? `cells of ${data.of}` : "cells";
  const tools = make("div", undefined, {class: "tools"}), area = make("div", undefined, {class: "rows", tabindex: "0", role: "region", "aria-label": cells});
  const search = make("input", undefined, {type: "search", placeholder: "search, as in lenet5 adam", "aria-label": `search ${cells}`});
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
  function curve(place, name, all) {
    const lines = all.map((run, at) => [run, at, (run.curves[place] || [])]).filter(([, , points]) => points.length > 1);
    if (!lines.length) return [];
    const xs = lines.flatMap(([, , points]) => points.map(point => point[0])), ys = lines.flatMap(([, , points]) => points.map(point => point[1]));
    const [low, high, begin, end] = [Math.min(...ys), Math.max(...ys), Math.min(...xs), Math.max(...xs)], [wide, high_, left, below] = [420, 230, 64, 200];
    const x = value => left + (wide - left - 10) * (end > begin ? (value - begin) / (end - begin) : 0.5), y = value => below - (below - 12) * (high > low ? (value - low) / (high - low) : 0.5);
    const draw_ = (tag, attributes, text) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      if (text !== undefined) made.textContent = text;
      return made;
    };
    const svg = draw_("svg", {viewBox: `0 0 ${wide} ${high_}`, role: "img", "aria-label": `${name} over the epochs of ${lines.length} runs, from ${low.toPrecision(4)} to ${high.toPrecision(4)}`});
    for (const value of [low, high]) svg.append(draw_("line", {x1: left, x2: wide - 10, y1: y(value), y2: y(value), class: "l pale"}), draw_("text", {x: left - 6, y: y(value) + 4, "text-anchor": "end", class: "f grey", "font-size": 12}, value.toPrecision(3)));
    for (const value of new Set([begin, end])) svg.append(draw_("text", {x: x(value), y: below + 18, "text-anchor": value === begin ? "start" : "end", class: "f grey", "font-size": 12}, `epoch ${value}`));
    for (const [run, at, points] of lines) {
      const line = draw_("polyline", {points: points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" "), class: `l c${at % 8}`, "stroke-width": 2, "stroke-dasharray": ["none", "6 3", "2 3", "8 3 2 3"][at % 4]});
      line.append(draw_("title", {}, `seed ${run.told[0]}`));
      svg.append(line);
    }
    const card = make("figure"); card.append(make("h4", name), svg, make("figcaption", "a line a run: " + lines.map(([run, at]) => `seed ${run.told[0]} ${["solid", "dashed", "dotted", "dash and dot"][at % 4]}`).slice(0, 8).join(", ") + (lines.length > 8 ? " …" : "")));
    return [card];
  }
  function open(place) {
    selected = place;
    for (const row of body.querySelectorAll("tr[tabindex]")) row.setAttribute("aria-selected", Number(row.dataset.row) === place);
    const row = data.rows[place], list = make("table"), top = make("tr"), title = make("h3", row.name);
    for (const name of ["seed", "status", data.metric, "folder"]) top.append(make("th", name, {scope: "col"}));
    const inner = make("tbody"); const upper = make("thead"); upper.append(top);
    for (const run of row.runs) {
      const line = make("tr"), below = make("tr", undefined, {class: "below"}), links = make("div");
      const command = make("td", undefined, {colspan: String(run.told.length)});
      for (const text of run.told) line.append(make("td", text));
      for (const [name, place] of run.links) links.append(make("a", name, {href: place}), " ");
      command.append(links, "repeat it: ", make("code", run.command)); below.append(command); inner.append(line, below);
    }
    list.append(upper, inner);
    const scroll = make("div", undefined, {class: "scroll", tabindex: "0", role: "region", "aria-label": "runs of the cell"}); scroll.append(list);
    const curves = make("div", undefined, {class: "curves"});
    data.curves.forEach((name, place) => curves.append(...curve(place, name, row.runs)));
    runs.replaceChildren(title, make("p", row.differs), scroll, curves);
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
