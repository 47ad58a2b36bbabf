"""`experiments compare`: which run is best, whether the difference is significant, and what it costs; printed and written to files."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.compare.compare import as_csv, as_markdown, as_text, compare
from experiments.errors import UserError
from experiments.system.arguments import Parser
from experiments.system.files import write_text
from experiments.system.terminal import is_terminal

HELP = """\
A table of runs: a row a cell, which is all runs that differ in nothing but the seed. Best first, with the mean over
seeds, its 95 % confidence interval, and what it cost. Then: is the best significantly better than the rest, and which choice matters.
"""


def _words(texts: Sequence[str], between: str = ",") -> list[str]:
    """Return what an option lists, with commas or by being there several times."""
    return [word.strip() for text in texts for word in re.split(between, text) if word.strip()]


def _options(words: list[str]) -> argparse.Namespace:
    parser = Parser("experiments compare", HELP)
    add = parser.add_argument
    add("paths", nargs="+", type=Path, metavar="PATH", help="a run, a sweep, or a folder above them")
    add(
        "--by",
        action="append",
        default=[],
        metavar="KEYS",
        help="choices to compare, as model,freezing; averages over the others (default: all that differ)",
    )
    add("--metric", help="what to compare, such as test/f1 or val/accuracy (default: test/accuracy where there is one)")
    add(
        "--against",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="cell to compare the others with, as model=lenet5,optimizer=sgd (default: the best)",
    )
    direction = parser.add_mutually_exclusive_group()
    direction.add_argument(
        "--lower-is-better",
        dest="lower",
        action="store_true",
        default=None,
        help="the metric is an error (default: by its name)",
    )
    direction.add_argument(
        "--higher-is-better", dest="lower", action="store_false", default=None, help="the metric is a score"
    )
    add(
        "--bootstrap",
        action="store_true",
        help="intervals by resampling seeds, p-values by sign flips, instead of Student's t",
    )
    add("--html", metavar="FILE", help="write a report with charts, in one file")
    add("--figures", metavar="FOLDER", help="write the charts as PNG files, for a paper")
    add("--csv", metavar="FILE", help="write the table with all digits; - prints it")
    add("--markdown", metavar="FILE", help="write the tables as Markdown; - prints them")
    add(
        "--tensorboard",
        action="store_true",
        help="write mean curves and bands, and the columns of the HPARAMS tab, into each PATH",
    )
    return parser.parse_args(words)


def main(words: list[str]) -> int:
    """`experiments compare`.

    Raises:
        UserError: for a mistake in what was asked.
    """
    try:
        options = _options(words)
    except SystemExit as leaving:  # --help
        return int(leaving.code or 0)
    comparison = compare(
        options.paths,
        options.metric,
        _words(options.by),
        against=_words(options.against, r",(?=[\w.@/]+=)"),  # values may have commas too
        lower=options.lower,
        bootstrap=options.bootstrap,
    )
    printed = [form for form in (options.csv, options.markdown) if form == "-"]
    if not printed:
        print(as_text(comparison, terminal=is_terminal(sys.stdout)))
    written = []
    for name, target, text in (("table", options.csv, as_csv), ("table", options.markdown, as_markdown)):
        if target == "-":
            print(text(comparison))
        elif target is not None:
            _save(Path(target), text(comparison) + "\n")
            written.append((name, target))
    if options.html:
        from experiments.compare.report import report

        _save(Path(options.html), report(comparison, options.paths, work=True, target=Path(options.html)))
        written.append(("report", options.html))
    if options.figures:
        from experiments.compare.charts import save_figures

        count = _writing(options.figures, lambda: save_figures(comparison, Path(options.figures)))
        written.append(("figures", f"{options.figures} ({count} files)"))
    if options.tensorboard:
        from experiments.compare.tensorboard import write_aggregates

        for path in dict.fromkeys(path.resolve() for path in options.paths):
            if path.is_dir() and not (path / "record.json").exists():
                _writing(str(path), lambda path=path: write_aggregates(path))
                written.append(("TensorBoard", f"tensorboard --logdir {path}"))
    for name, target in written:
        print(f"{name:<12} {target}", file=sys.stderr if printed else sys.stdout)
    return 0


def _save(path: Path, text: str) -> None:
    _writing(str(path), lambda: write_text(path, text))


def _writing(target: str, write: object) -> int:
    try:
        return write()  # type: ignore[operator, no-any-return]
    except OSError as error:
        raise UserError(f"{target} cannot be written ({error.strerror}): choose another place") from error
