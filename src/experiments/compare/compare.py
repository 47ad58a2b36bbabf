"""A comparison of runs as a table in the terminal, in Markdown or in CSV.

Reads records and nothing else; the table needs neither torch nor NumPy.
"""

from __future__ import annotations

import math
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from experiments.compare.analysis import Comparison, Field, analyse
from experiments.compare.cells import COSTS, FIELD, gather
from experiments.compare.wording import (
    answers,
    cost_heads,
    matters,
    needed,
    number,
    probability,
    short,
    signed,
    width,
)  # fmt: skip
from experiments.system.terminal import fitted
from experiments.viz.tables import comma_separated, markdown, table, without

_SHOWN_DIFFERENCES = 12  # in the terminal; files have all


def compare(
    paths: Sequence[Path],
    metric: str | None = None,
    by: Sequence[str] = (),
    *,
    against: Sequence[str] = (),
    lower: bool | None = None,
    bootstrap: bool = False,
) -> Comparison:
    """Compares all runs below some paths; records that cannot be read are named on stderr and left out.

    Raises:
        UserError: for a path, metric, choice or reference that is not there.
    """
    cells, damaged = gather(paths)
    if damaged:
        named = ", ".join(map(str, damaged[:3])) + (f" and {len(damaged) - 3} more" if len(damaged) > 3 else "")
        those = "record cannot be read and is" if len(damaged) == 1 else "records cannot be read and are"
        print(f"warning: {len(damaged)} {those} left out: {named}", file=sys.stderr)
    return analyse(cells, metric=metric, by=by, reference=against, lower=lower, bootstrap=bootstrap)


def cell_table(comparison: Comparison) -> tuple[list[str], list[list[str]], list[int], list[int]]:
    """Head and rows of all cells, the columns that align right, and the rows that are best beyond doubt."""
    costs = cost_heads(comparison.cells)
    metrics = list(dict.fromkeys(field.metric for field in comparison.fields))
    several = len(metrics) > 1
    head = [*comparison.columns, *(["metric", "mean"] if several else metrics), "95 %", "n"]
    head += [COSTS[key][0] for key in costs] + ["remarks"]
    rows: list[list[str]] = []
    bold = []
    for field in comparison.fields:
        for cell in field.cells:
            if field.clear and cell is field.scored[0]:
                bold.append(len(rows))
            low, high = field.interval(cell)
            mean = cell.mean(field.metric)
            row = [cell.level(key) for key in comparison.columns] + ([field.metric] if several else [])
            row += [number(mean), width(low, high, mean), str(len(cell.values(field.metric)))]
            row += [short(cell.cost(key)) for key in costs] + [cell.remarks(field.metric, field.seeds)]
            rows.append(row)
    if not any(row[-1] for row in rows):
        head.pop()
        rows = [row[:-1] for row in rows]
    first = len(comparison.columns) + several
    return head, rows, list(range(first, first + 3 + len(costs))), bold


def difference_table(field: Field, most: int | None = None) -> tuple[list[str], list[list[str]], list[int]]:
    """Head and rows of the cells against the reference, of the first `most`, and the columns that align right."""
    head = ["cell", "difference", "95 %", "pairs", "p", "verdict", "seeds to tell"]
    rows = []
    for verdict in field.verdicts[:most]:
        difference = verdict.difference
        pairs = str(difference.n) if difference.paired else "not paired"
        row = [
            field.label(verdict.cell),
            signed(difference.mean),
            width(difference.low, difference.high, difference.mean),
            pairs,
        ]
        rows.append([*row, probability(verdict.p), verdict.word, needed(verdict)])
    return head, rows, [1, 2, 3, 4, 6]


def effect_table(comparison: Comparison) -> tuple[list[str], list[list[str]], list[int]]:
    """Head and rows of what each choice does, and the columns that align right."""
    head = ["choice", "means over the others, best first", "best − worst", "95 %", "p", "combinations"]
    rows = []
    for effect in comparison.effects:
        if effect.difference is None:
            note = (
                "never varied alone"
                if effect.rank is None
                else f"never varied alone; rank correlation {effect.rank:+.2f}"
            )
            rows.append([effect.factor, note, "–", "–", "–", "0"])
            continue
        means = list(effect.means.items())
        parts = [f"{level} {number(mean)}" for level, mean in (means if len(means) <= 6 else [*means[:3], *means[-2:]])]
        if len(means) > 6:
            parts.insert(3, "…")
        difference = effect.difference
        row = [
            effect.factor,
            "  ".join(parts),
            signed(difference.mean),
            width(difference.low, difference.high, difference.mean),
        ]
        rows.append([*row, probability(effect.p), str(effect.contexts)])
    return head, rows, [2, 3, 4, 5]


def as_text(comparison: Comparison, terminal: bool = False) -> str:
    """Return what the terminal shows: the table, what it says, and the differences."""
    wide = shutil.get_terminal_size().columns if terminal else None
    head, rows, right, bold = cell_table(comparison)
    costs = [COSTS[key][0] for key in reversed(cost_heads(comparison.cells))]
    head, rows, right, left_out = without(head, rows, right, wide, costs)
    parts = [table(head, rows, right, bold if terminal else (), wide)]
    if left_out:
        parts[0] += f"\nin a wider terminal, or by --html FILE: {', '.join(reversed(left_out))}"
    for field in comparison.fields:
        if len(field.cells) < 2:
            continue
        title = [f"{field.name}:"] if len(comparison.fields) > 1 else []
        answered = answers(field)
        if len(comparison.fields) == 1 and comparison.effects:
            answered.append(("Matters", matters(comparison.effects, field.metric)))
        indent = max(len(word) for word, _ in answered) + 2
        parts.append("\n".join([*title, *(_hanging(word, sentence, indent) for word, sentence in answered)]))
        if field.verdicts and field.reference and (len(field.verdicts) > 1 or field.chosen):
            head, rows, right = difference_table(field, _SHOWN_DIFFERENCES)
            more = len(field.verdicts) - _SHOWN_DIFFERENCES
            name = f"{field.metric} against {field.label(field.reference)}, {field.reference.mean(field.metric):.4f}:"
            text = f"{name}\n{table(head, rows, right, wide=wide)}"
            parts.append(text + (f"\n… and {more:,} more: --csv FILE or --html FILE has them" if more > 0 else ""))
    if len(comparison.fields) > 1 and comparison.effects:  # found within each, and of none alone
        parts.append(_hanging("Matters", matters(comparison.effects, comparison.fields[0].metric), len("Matters  ")))
    folded = [fitted(note) for note in notes(comparison)] if terminal else notes(comparison)
    return "\n\n".join(parts + folded)


def _hanging(word: str, text: str, indent: int) -> str:
    wide = min(max(shutil.get_terminal_size((110, 24)).columns, 40), 120)
    lines = [
        textwrap.fill(line, wide, initial_indent=" " * indent, subsequent_indent=" " * indent, break_on_hyphens=False)
        for line in text.splitlines()
    ]
    return word + "\n".join(lines)[len(word) :]


def notes(comparison: Comparison) -> list[str]:
    """Return what a reader should know before believing the numbers."""
    lines = []
    names = ", ".join(field.name for field in comparison.fields)
    datas, tasks = ({field.cells[0].level(key) for field in comparison.fields} for key in ("data", "task"))
    if len(tasks) > 1:
        why = "tasks" if len(datas) == 1 else "data or tasks"
        lines.append(f"Cells of different {why} are not compared with each other: {names}.")
    elif len(datas) > 1:
        lines.append(f"Cells on {names} have different test sets and are not compared with each other.")
    if comparison.unclear:
        names = " and ".join(comparison.unclear)
        lines.append(
            f"Note: {names} does not say which way it improves, and the greatest is taken as the best: where less is better, "
            "add --lower-is-better."
        )
    for name, less in comparison.disputed.items():
        lines.append(
            f"Note: some of these runs chose their epoch by the least {name} and others by the greatest; the "
            f"{'least' if less else 'greatest'} is taken as the best: say --lower-is-better or --higher-is-better."
        )
    if comparison.versions > 1:
        lines.append(f"Note: these runs were made by {comparison.versions} versions of this package.")
    elif comparison.commits > 1:
        lines.append(
            f"Note: these runs were made at {comparison.commits} git commits, with the same sources of this package."
        )
    if comparison.changed:
        lines.append(f"Note: these runs were made by several versions of {', '.join(comparison.changed)}.")
    if comparison.pruned:
        many = "runs were" if comparison.pruned > 1 else "run was"
        lines.append(f"{comparison.pruned} {many} ended early by a search (pruned): no failure, and in no mean.")
    return lines


def as_markdown(comparison: Comparison) -> str:
    """Tables and findings for a README or a paper's appendix."""
    head, rows, right, bold = cell_table(comparison)
    parts = [markdown(head, rows, right, bold)]
    for field in comparison.fields:
        if len(field.cells) > 1:
            lead = f"{field.name}: " if len(comparison.fields) > 1 else ""
            answered = [(word if word.endswith("?") else f"{word}:", text) for word, text in answers(field)]
            parts.append("\n".join(f"- {lead}{_plain(word)} {_plain(text)}" for word, text in answered))
        if field.verdicts and field.reference:
            parts.append(f"{field.metric} against {_plain(field.label(field.reference))}:")
            parts.append(markdown(*difference_table(field)))
    if comparison.effects:
        parts += ["Each choice, averaged over the others:", markdown(*effect_table(comparison))]
    return "\n\n".join(parts + notes(comparison))


def _plain(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def as_csv(comparison: Comparison) -> str:
    """Return a row a cell, numbers in full."""
    columns = list(dict.fromkeys([*comparison.columns, *FIELD]))
    head = [*columns, "metric", "mean", "low", "high", "n", "seeds", "difference", "difference_low", "difference_high"]
    head += ["pairs", "p", "p_corrected", "verdict", *COSTS, "remarks"]
    rows = []
    for field in comparison.fields:
        for cell in field.cells:
            values = cell.values(field.metric)
            row = [*(cell.level(key) for key in columns), field.metric, _full(cell.mean(field.metric))]
            row += [*map(_full, field.interval(cell)), str(len(values)), " ".join(values)]
            verdict = field.verdict_of.get(id(cell))
            if verdict:
                difference = verdict.difference
                row += [
                    *map(_full, (difference.mean, difference.low, difference.high)),
                    str(difference.n if difference.paired else 0),
                ]
                row += [_full(difference.p), _full(verdict.p), verdict.word]
            else:
                row += [*[""] * 6, "reference" if cell is field.reference else ""]
            row += [_full(cell.cost(key)) for key in COSTS] + [cell.remarks(field.metric, field.seeds)]
            rows.append(row)
    return comma_separated(head, rows)


def _full(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.10g}"
