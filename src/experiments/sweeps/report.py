"""The comparison as one HTML file: no network, no script, readable on a phone and on a projector, light and dark.

Everything that comes from records is escaped.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from html import escape
from pathlib import Path

from experiments.sweeps.analysis import BETTER, UNCLEAR, WORSE, Comparison, Field
from experiments.sweeps.cells import shown
from experiments.sweeps.charts import WIDTH, all_charts
from experiments.sweeps.compare import cell_table, difference_table, effect_table, notes
from experiments.sweeps.words import answers, heading, many, matters

_ROWS = 200  # of a table; more is for CSV

_STYLE = """
:root { color-scheme: light dark;
  --back: #ffffff; --card: #f6f8fa; --ink: #1f2328; --grey: #59636e; --pale: #d8dee4; --accent: #0072b2; --mark: #c4500b;
  --c0: #c4500b; --c1: #0072b2; --c2: #00845f; --c3: #b5578f; --c4: #8a6a00; --c5: #2b94cf; --c6: #7a5195; --c7: #6e7781; }
@media (prefers-color-scheme: dark) { :root {
  --back: #0f141a; --card: #171d25; --ink: #e6edf3; --grey: #9aa4af; --pale: #2d3640; --accent: #4fb3f0; --mark: #ff9a57;
  --c0: #ff9a57; --c1: #4fb3f0; --c2: #3ecf9f; --c3: #ef9fcb; --c4: #e3c44c; --c5: #9bd5ff; --c6: #bda2e8; --c7: #8b949e; } }
* { box-sizing: border-box; }
html { font-size: clamp(16px, 0.5vw + 11.5px, 26px); -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 1.5rem clamp(1rem, 4vw, 4rem) 3rem; max-width: 100rem; background: var(--back); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .2rem; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .7rem; }
h3 { font-size: 1rem; margin: 0 0 .5rem; }
p { margin: .3rem 0 .8rem; max-width: 75ch; }
.quiet, figcaption, footer { color: var(--grey); font-size: .875rem; }
.answers { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); gap: 1rem; margin: 1.4rem 0 0; }
.answers div, figure { background: var(--card); border: 1px solid var(--pale); border-radius: .6rem; padding: 1rem 1.1rem; margin: 0; }
dt { color: var(--grey); font-size: .875rem; margin-bottom: .2rem; }
dd { margin: 0; white-space: pre-line; }
.answers div:first-child dd { font-size: 1.15rem; font-weight: 600; line-height: 1.4; }
.scroll { overflow-x: auto; -webkit-overflow-scrolling: touch; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .38rem .8rem .38rem 0; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--pale); vertical-align: top; }
th { color: var(--grey); font-weight: 500; font-size: .875rem; border-bottom-width: 2px; }
th.r, td.r { text-align: right; }
th.r:not(:first-child), td.r:not(:first-child) { padding-left: .6rem; }
tr.best td { font-weight: 700; }
td.better { color: var(--c2); font-weight: 600; }
td.worse { color: var(--mark); font-weight: 600; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); gap: 1rem; }
figure.wide { grid-column: 1 / -1; }
figcaption { margin-top: .6rem; }
svg { display: block; width: 100%; height: auto; font-family: inherit; }
figure.wide svg { min-width: 32rem; max-width: 42rem; }
figure.wide text { paint-order: stroke; stroke: var(--card); stroke-width: 4px; }
.l { fill: none; stroke-linejoin: round; stroke-linecap: round; }
.h { stroke-width: 1.5; fill: var(--back); }
@media print { body { font-size: 10pt; } figure, .answers div { break-inside: avoid; } }
"""
_COLOURS = ("back", "ink", "grey", "pale", "accent", "mark", *(f"c{place}" for place in range(8)))
_CLASSES = "".join(
    f".f.{name} {{ fill: var(--{name}); }} .l.{name}, .h.{name} {{ stroke: var(--{name}); }}\n" for name in _COLOURS
)


def report(comparison: Comparison, paths: Sequence[Path] = ()) -> str:
    """The whole page."""
    first = comparison.fields[0]
    metrics = list(dict.fromkeys(field.metric for field in comparison.fields))
    names = [field.name for field in comparison.fields]
    title = f"{', '.join(metrics)} on {', '.join(names[:4])}{' …' if len(names) > 4 else ''}"
    by = f", averaged over all but {', '.join(comparison.by)}" if comparison.by else ""
    parts = [f"<h1>{escape(title)}</h1>", f'<p class="quiet">{escape(heading(comparison) + by)}</p>']
    parts += [f"<p>{escape(note)}</p>" for note in notes(comparison)]
    head, rows, right, bold = cell_table(comparison)
    start = 0
    for field in comparison.fields:
        end = start + len(field.cells)
        parts += _field(
            field, comparison, (head, rows[start:end], right, [row - start for row in bold]), len(names) > 1
        )
        start = end
    if comparison.effects:
        parts.append("<h2>What each choice does</h2>")
        parts.append(
            "<p>Averaged over all combinations of the other choices that have every level of it, on equal seeds.</p>"
        )
        parts.append(_table(*effect_table(comparison)))
    parts += _reading(first)
    where = ", ".join(map(shown, paths))
    parts.append(f"<footer>experiments compare {escape(where)} · {datetime.now():%Y-%m-%d %H:%M}</footer>")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
        f'<link rel="icon" href="data:,"><title>{escape(title)}</title><style>{_STYLE}{_CLASSES}</style></head>\n<body><main>\n'
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def _field(
    field: Field, comparison: Comparison, rows: tuple[list[str], list[list[str]], list[int], list[int]], several: bool
) -> list[str]:
    parts = [f"<h2>{escape(field.name)}</h2>"] if several else []
    said = answers(field)
    if comparison.effects and field is comparison.fields[0]:
        said.append(("Which choice matters", matters(comparison.effects, field.metric)))
    ask = {"Best": "Best cell", "Certain?": "Can it be told from the next?", "Cost": "What it costs"}
    cards = "".join(f"<div><dt>{escape(ask.get(word, word))}</dt><dd>{escape(text)}</dd></div>" for word, text in said)
    parts.append(f'<dl class="answers">{cards}</dl>')
    head, body, right, bold = rows
    parts.append("<h2>All cells</h2>" if not several else "<h3>All cells</h3>")
    ranked = [[str(place), *row] for place, row in enumerate(body, 1)]
    parts.append(_table(["", *head], ranked, [0, *(column + 1 for column in right)], bold))
    charts = [
        _figure(title, caption, drawing.svg(), drawing.width > WIDTH)
        for _, title, caption, drawing in all_charts(field, comparison.effects)
    ]
    if charts:
        parts += ["<h2>Charts</h2>" if not several else "", f'<div class="charts">{"".join(charts)}</div>']
    if field.verdicts and field.reference:
        name = f"Against {field.label(field.reference)}"
        parts += [
            f"<h2>{escape(name)}</h2>" if not several else f"<h3>{escape(name)}</h3>",
            _table(*difference_table(field)),
        ]
    return parts


def _figure(title: str, caption: str, svg: str, wide: bool) -> str:
    kind = ' class="wide"' if wide else ""
    inner = f'<div class="scroll">{svg}</div>' if wide else svg
    return f"<figure{kind}><h3>{escape(title)}</h3>{inner}<figcaption>{escape(caption)}</figcaption></figure>"


def _table(
    head: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = (), bold: Collection[int] = ()
) -> str:
    def line(cells: Sequence[str], tag: str, kind: str = "") -> str:
        made = []
        for column, cell in enumerate(cells):
            names = (["r"] if column in right else []) + ([cell] if tag == "td" and cell in (BETTER, WORSE) else [])
            made.append(
                f"<{tag}{f' class={chr(34)}{chr(32).join(names)}{chr(34)}' if names else ''}>{escape(cell)}</{tag}>"
            )
        return f"<tr{kind}>{''.join(made)}</tr>"

    body = "".join(line(row, "td", ' class="best"' if place in bold else "") for place, row in enumerate(rows[:_ROWS]))
    more = f'<p class="quiet">… and {len(rows) - _ROWS:,} more; --csv has all.</p>' if len(rows) > _ROWS else ""
    return f'<div class="scroll"><table><thead>{line(head, "th")}</thead><tbody>{body}</tbody></table></div>{more}'


def _reading(field: Field) -> list[str]:
    """How to read it, in plain words."""
    how = (
        "by drawing seeds anew 2,000 times; with fewer than about ten seeds it comes out too narrow"
        if field.bootstrap
        else "from Student’s t, which allows for the seeds being few"
    )
    test = "by flipping the signs of the differences" if field.bootstrap else "by a paired t test"
    family = (
        f"The cell to compare with was named beforehand, so p is corrected (Holm) for {many(len(field.verdicts), 'comparison')}."
        if field.chosen
        else "The best was picked by these same numbers, so p is corrected (Holm) for all pairs of cells, not only those shown."
    )
    lines = [
        f"A cell is all runs that differ in nothing but the seed. ± is the 95 % confidence interval of their mean, {how}.",
        f"Differences are taken seed by seed on equal splits and tested {test}. {family}",
        "A cell is in bold when it can be told from the next after that correction.",
        f"“{UNCLEAR.capitalize()}” does not mean equal: it means that these seeds do not show it. “Seeds to tell” is how many seeds "
        "each cell would need for a difference of the size seen, to be found four times in five: an order of magnitude.",
    ]
    if field.metric.startswith("test/"):
        lines.append(
            "Picking the best by its test score makes that score a little too good: choose with --metric val/…, then report the test score."
        )
    return ["<h2>How to read this</h2>", *(f"<p>{escape(line)}</p>" for line in lines)]
