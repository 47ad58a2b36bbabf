"""`experiments predict`: what a run says of inputs that it has never seen, such as image files.

The report of a task makes the answers: `answers` in `tasks/reports/`. `answer_table` makes rows of them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.commands.answer_table import as_rows, rounded, save_attachments
from experiments.commands.predict_inputs import HEADS, OF_FILES, READERS
from experiments.commands.subtitles import FORMATS, write
from experiments.config.foreign_modules import is_foreign
from experiments.contracts import ContinuesTexts, HearsTimes
from experiments.errors import UserError
from experiments.run.folder import read_config
from experiments.system.arguments import Parser
from experiments.system.files import atomic_path, write_text
from experiments.system.outside_text import clean, json_text
from experiments.system.terminal import done_waiting, terminal_width, waiting, waiting_for
from experiments.tasks.report import report_of
from experiments.viz.tables import comma_separated, table

BATCH = 64


def main(words: list[str]) -> int:
    """Prints what a run says of each input as a table, CSV or JSON, and writes the files that belong to it."""
    parser = Parser("experiments predict", "What a run says of new inputs.")
    parser.add_argument("run", metavar="RUN", help="the folder of a run, or model=NAME weights=pretrained")
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="none where the run has a LightningModule of its own, which answers what its data's predict_dataloader gives; of images and sound: files, or folders of them, and for objects and masks task.threshold=0.3, task.tile=640 or task.overlap=0.3; of texts: the text, or files with one a line; of series: CSV files; of control: observations as 0.1,0,-0.2,0, or files with one a line, or .npy files",
    )
    parser.add_argument(
        "--top",
        type=int,
        metavar="K",
        help="classes, translations or objects an input (default: 3; of objects 100); translations are at most task.search.beams",
    )
    parser.add_argument("--format", choices=("table", "csv", "json", *FORMATS), default="table")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where files (pictures and the like) and predictions.csv go; by default RUN/predictions, if there are files",
    )
    parser.add_argument(
        "--sample",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="how a language model writes, in place of task.sample: method=greedy, temperature=0.5, length=100, …",
    )
    parser.add_argument(
        "--labels",
        metavar="A,B,…",
        help="labels that the run has never seen: by entailment where it was trained on that, or by a language model",
    )
    parser.add_argument(
        "--template", metavar="TEXT", help="the sentence of such a label (default: This text is about {}.)"
    )
    # -0.1,0 is an observation and no switch.
    options = parser.parse_args([f" {word}" if re.match(r"-[\d.]+,", word) else word for word in words])
    if options.top is not None and options.top < 1:
        raise UserError(f"--top {options.top} must be 1 or more: try --top 3")
    if options.template is not None and not options.labels:
        raise UserError(f"--template {options.template!r} has no effect without --labels: add them, or leave it out")
    overrides = [options.run] if "=" in options.run and not Path(options.run).exists() else []
    published = bool(overrides)
    if published:  # no run: published weights, whose networks read images, speech or texts
        from experiments.run.published_speech import is_speech
        from experiments.run.published_texts import text_kind

        overrides += [word for word in options.inputs if re.match(r"[\w.@+~]+=", word) and not Path(word).exists()]
        kind = "speech" if is_speech(overrides) else text_kind(overrides) or "image"
    else:
        config = read_config(Path(options.run).absolute())
        if is_foreign(config):
            from experiments.commands.predict_loader import predict_loader

            given = {"--top": options.top, "--labels": options.labels, "--sample": options.sample}
            unused = [name for name, value in given.items() if value]
            if options.format in FORMATS:
                unused.append(f"--format {options.format}")
            if unused:
                raise UserError(f"{unused[0]} has no effect on a LightningModule of one's own: leave it out")
            return predict_loader(options.run, options.inputs, options.format, options.out)
        kind = (config.data.get("gives") or {}).get("kind", "input")
        if kind in OF_FILES:
            overrides = [word for word in options.inputs if word.startswith("task.") and not Path(word).exists()]
    if not options.inputs:
        raise UserError("experiments predict needs INPUT: see experiments predict --help")
    inputs = READERS.get(kind, list)([word for word in options.inputs if word not in overrides])
    with waiting("loading the network"):
        from experiments.run.loaded import load_published

        loaded = load_published(overrides) if published else _of_run(Path(options.run), overrides)
    report = report_of(loaded.task)
    report.gathers = True
    top = options.top or report.top
    if options.format in ("json", *FORMATS) and isinstance(loaded.task, HearsTimes):
        loaded.task.hear_times()
    if options.sample:
        if not isinstance(loaded.task, ContinuesTexts):
            raise UserError(
                f"--sample {options.sample[0]} is of language models, and this run writes no text: leave it out"
            )
        loaded.task.writing = loaded.task.writing.changed(options.sample, "--sample")
    answers: list[dict[str, Any]] = []
    if options.labels:
        from experiments.commands.zero_shot import TEMPLATE, zero_shot

        labels = [label.strip() for label in options.labels.split(",") if label.strip()]
        judged = zero_shot(loaded, inputs, labels, options.template or TEMPLATE, top)
        answers = [{"text": text, **answer} for text, answer in zip(inputs, judged, strict=True)]
        inputs = []
    for start in range(0, len(inputs), BATCH):
        waiting_for(f"answering {start + 1:,} to {min(start + BATCH, len(inputs)):,} of {len(inputs):,}")
        some = inputs[start : start + BATCH]
        pairs = _answered(loaded, some, top) if len(inputs) > 1 else zip(some, loaded.answers(some, top), strict=True)
        for read_from, answer in pairs:
            answers.append({HEADS.get(kind, kind): str(read_from), **answer})
    done_waiting()
    if not answers:
        raise UserError(f"none of the {len(inputs)} inputs can be read: see the lines above")
    folder = options.out or Path("." if published else options.run) / "predictions"
    if options.format in FORMATS:
        write(answers, options.format, options.out)
        return 0
    wrote = save_attachments(answers, folder)
    for name, content in report.together([str(next(iter(row.values()))) for row in answers]).items():
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(content)
        wrote += 1
    # What is said when stands in JSON and subtitles; a table has the whole transcript.
    head, rows, numeric = as_rows([{key: row[key] for key in row if key != "segments"} for row in answers])
    if wrote or options.out:
        write_text(folder / "predictions.csv", comma_separated(head, rows) + "\n")
    if options.format == "json":
        print(json_text(rounded(answers)))
    elif options.format == "csv":
        print(comma_separated(head, rows))
    else:  # where every row is a line
        print(
            table(
                head,
                [["⏎".join(cell.split("\n")) for cell in row] for row in rows],
                right=numeric,
                wide=terminal_width(),
            )
        )
    return 0


def _of_run(folder: Path, overrides: list[str]) -> Any:
    """Return a run, its task changed by overrides where they change no more than what it answers."""
    from experiments.run.evaluated_config import answering_keys
    from experiments.run.loaded import load

    return load(folder, "predict", answering_keys(read_config(folder.absolute()), overrides) if overrides else None)


def _answered(loaded: Any, some: list[Any], top: int) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield some inputs and their answers; a file that cannot be read is named and left out, and the others are not."""
    try:
        yield from zip(some, loaded.answers(some, top), strict=True)
    except UserError:
        if not isinstance(some[0], Path):
            raise
        for text in some:
            try:
                yield text, loaded.answers([text], top)[0]
            except UserError as error:
                done_waiting()
                print(f"left out: {clean(str(error))}", file=sys.stderr)
