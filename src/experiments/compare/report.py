"""The comparison as one HTML file: no network, readable on a phone and on a projector, light and dark; with one script to work in.

Everything that comes from records is escaped.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from html import escape
from pathlib import Path

from experiments.compare.analysis import BETTER, UNCLEAR, WORSE, Comparison, Field
from experiments.compare.axes import WIDTH
from experiments.compare.charts import all_charts
from experiments.compare.compare import cell_table, difference_table, effect_table, notes
from experiments.compare.report_script import SCRIPT, STYLE
from experiments.compare.report_table import work_table
from experiments.compare.run_records import shown
from experiments.compare.wording import answers, heading, many, matters, probability
from experiments.config.metric_names import split_of
from experiments.viz.page import figure, page

_ROWS = 200  # of a table; more is for CSV


def report(comparison: Comparison, paths: Sequence[Path] = (), work: bool = False, target: Path | None = None) -> str:
    """Return the whole page.

    Args:
        comparison: what it tells.
        paths: that were compared.
        work: whether its table can be searched and sorted, and opens a cell's runs, which needs a script.
        target: the file that the page becomes; runs below its folder are linked to.
    """
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
            field,
            comparison,
            (head, rows[start:end], right, [row - start for row in bold]),
            len(names) > 1,
            paths,
            work,
            target,
        )
        start = end
    if comparison.effects:
        parts.append("<h2>What each choice does</h2>")
        parts.append(
            "<p>Averaged over all combinations of the other choices that have every level of it, on equal seeds.</p>"
        )
        parts.append(_table(*effect_table(comparison)))
    parts += _reading(first)
    where = ", ".join(shown(path if not path.is_absolute() else path.name) for path in paths)
    parts.append(f"<footer>experiments compare {escape(where)} · {datetime.now():%Y-%m-%d %H:%M}</footer>")
    return page(
        title, _with_contents(parts) if work else parts, style=STYLE if work else "", script=SCRIPT if work else ""
    )


def _field(
    field: Field,
    comparison: Comparison,
    rows: tuple[list[str], list[list[str]], list[int], list[int]],
    several: bool,
    paths: Sequence[Path],
    work: bool,
    target: Path | None,
) -> list[str]:
    parts = [f"<h2>{escape(field.name)}</h2>"] if several else []
    answered = answers(field)
    if comparison.effects and not several:  # of several fields together they have a section of their own
        answered.append(("Which choice matters", matters(comparison.effects, field.metric)))
    ask = {"Best": "Best cell", "Certain?": "Is the difference significant?", "Cost": "What it costs"}
    cards = "".join(
        f"<div><dt>{escape(ask.get(word, word))}</dt><dd>{escape(text)}</dd></div>" for word, text in answered
    )
    parts.append(f'<dl class="answers">{cards}</dl>')
    charts = [
        figure(title, caption, drawing.svg(), drawing.width > WIDTH)
        for _, title, caption, drawing in all_charts(field, comparison.effects)
    ]
    if charts:
        parts += ["<h2>Charts</h2>" if not several else "", f'<div class="charts">{"".join(charts)}</div>']
    head, body, right, bold = rows
    parts.append("<h2>All cells</h2>" if not several else "<h3>All cells</h3>")
    ranked = [[str(place), *row] for place, row in enumerate(body, 1)]
    plain = _table(["", *head], ranked, [0, *(column + 1 for column in right)], bold)
    parts.append(work_table(field, comparison, paths, plain, target) if work else plain)
    if field.verdicts and field.reference:
        name = f"Against {field.label(field.reference)}"
        parts += [
            f"<h2>{escape(name)}</h2>" if not several else f"<h3>{escape(name)}</h3>",
            _table(*_with_both_p(field)),
        ]
    return parts


def _with_both_p(field: Field) -> tuple[list[str], list[list[str]], list[int]]:
    """Return the table of differences with p of each comparison alone beside that corrected for all."""
    head, rows, right = difference_table(field)
    at = head.index("p")
    head = [*head[:at], "p alone", "p corrected", *head[at + 1 :]]
    rows = [
        [*row[:at], probability(verdict.difference.p), *row[at:]]
        for row, verdict in zip(rows, field.verdicts, strict=True)
    ]
    return head, rows, [*(column + (column > at) for column in right), at + (at in right)]


def _with_contents(parts: list[str]) -> list[str]:
    """Return the parts with an anchor for each section, and links to them below the title."""
    links: list[str] = []
    anchored: list[str] = []
    for part in parts:
        if part.startswith("<h2>"):
            links.append(f'<a href="#part{len(links) + 1}">{part[4:-5]}</a>')
            part = f'<h2 id="part{len(links)}">{part[4:]}'
        anchored.append(part)
    if len(links) < 2:
        return parts
    return [*anchored[:2], f'<nav class="contents" aria-label="contents">{"".join(links)}</nav>', *anchored[2:]]


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
    return f'<div class="scroll" tabindex="0"><table style="--wide: {_wide(head, rows):.0f}"><thead>{line(head, "th")}</thead><tbody>{body}</tbody></table></div>{more}'


def _wide(head: Sequence[str], rows: Sequence[Sequence[str]]) -> float:
    """Return about how many times its letters' height a table is wide: letters on paper are as small as it takes."""
    columns = zip(head, *rows[:_ROWS], strict=True)
    return sum(0.54 * max(map(len, column)) + 0.6 for column in columns)


def _reading(field: Field) -> list[str]:
    """Tell how to read it, in plain words."""
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
        "“p alone” is that of one comparison; “p corrected” allows for all of them, and the verdict follows it. The intervals of differences "
        "are at 95 % each, not all at once: one may leave zero out where the corrected p is above 0.05.",
        "A cell is in bold when its difference from the next is significant after that correction.",
        f"“{UNCLEAR.capitalize()}” does not mean equal: it means that these seeds do not show it. “Seeds to tell” is how many seeds "
        "each cell would need for a difference of the size seen, to be found four times in five: an order of magnitude.",
    ]
    if split_of(field.metric) == "test":
        lines.append(
            "Picking the best by its test score makes that score a little too good: choose with --metric val/…, then report the test score."
        )
    return ["<h2>How to read this</h2>", *(f"<p>{escape(line)}</p>" for line in lines)]
