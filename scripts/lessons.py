"""Writes the lessons, their notebooks and pictures, the gallery, the glossary and the page of all keys; or runs their commands, small.

python scripts/lessons.py            # make lessons
python scripts/lessons.py --keep     # the same without running a command: outputs and pictures stay as they are
python scripts/lessons.py --keys     # the page of all keys alone
python scripts/lessons.py --check    # make docs-test: every command of every lesson
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import shlex
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parent))
from lesson_notebooks import MORE, notebook  # noqa: F401
from lesson_pictures import hindi_picture

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LONGEST = 45  # lines of output on a page
SMALL = ("trainer=quick", "callbacks.figures=null", "hydra.run.dir=run")
WORDS = {
    "en": {"idea": "The idea", "code": "The code", "see": "See it", "train": "Train it", "tables": "Side by side", "claims": "What was measured",
           "questions": "Questions", "more": "lines more", "other": "हिन्दी में", "notebook": "as a notebook",
           "head": "comparison | quantity | of | against | effect | 95 % | verdict", "verdict": "Verdict", "stop": ".",
           "where": "Where it holds:", "measured": "measured", "literature": "literature"},
    "hi": {"idea": "विचार", "code": "Code", "see": "देखें", "train": "Train करें", "tables": "तुलना", "claims": "क्या मापा गया",
           "questions": "प्रश्न", "more": "पंक्तियाँ और", "other": "In English", "notebook": "notebook के रूप में",
           "head": "तुलना | राशि | किसकी | किसके सामने | असर | 95 % | निर्णय", "verdict": "निर्णय", "stop": "।",
           "where": "जहाँ यह सही है:", "measured": "मापा गया", "literature": "साहित्य से"},
}  # fmt: skip


def lessons() -> list[dict[str, Any]]:
    """All lessons, in order."""
    listed: list[dict[str, Any]] = yaml.safe_load((DOCS / "lessons" / "lessons.yaml").read_text(encoding="utf-8"))
    return listed


@cache
def hindi() -> dict[str, Any]:
    """What the claims say, in Hindi."""
    claims: dict[str, Any] = yaml.safe_load((DOCS / "lessons" / "claims_hi.yaml").read_text(encoding="utf-8"))
    return claims


def run(command: str, folder: Path, small: bool = False) -> tuple[int, str]:
    """Runs `experiments …` in this process, in a folder; its exit code and what it prints.

    Args:
        command: as it stands on the page.
        folder: where it writes.
        small: a training makes two steps.
    """
    from experiments.cli import main

    words = shlex.split(command)[1:]
    if small and words[0] == "train":
        words += SMALL if not any(word.startswith("hydra.run.dir=") for word in words) else SMALL[:-1]
    before, screen = Path.cwd(), io.StringIO()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(screen), contextlib.redirect_stderr(screen):
            code = main(words)
    finally:
        os.chdir(before)
    return code, screen.getvalue()


def check() -> int:
    """Runs every command of every lesson once; the number of those that fail."""
    commands: dict[str, str] = {}  # of each, the one that comes before it
    for lesson in lessons():
        commands |= dict.fromkeys((step["run"] for step in [*lesson["see"], *lesson["questions"]]), "")
        commands[lesson["train"]] = lesson.get("first", "")
    failed = 0
    for command, first in commands.items():
        with tempfile.TemporaryDirectory() as folder:
            code, output = run(first, Path(folder), small=True) if first else (0, "")
            if not code:
                code, output = run(command, Path(folder), small=True)
        print(f"{'ok    ' if code == 0 else 'FAILED'} {command}", flush=True)
        if code:
            failed += 1
            print(output)
    return failed


def source(file: str, name: str) -> str:
    """The text of a class, function or method, from its file, indented as there."""
    text = (ROOT / file).read_text(encoding="utf-8")
    node: Any = ast.parse(text)
    for part in name.split("."):
        node = next(child for child in node.body if getattr(child, "name", "") == part)
    return "\n".join(text.splitlines()[node.lineno - 1 : node.end_lineno])


def measured(claim: str, language: str) -> str:
    """What was measured of a claim, as docs/claims.md has it: statement, verdict, table and picture."""
    from experiments.claims import wording
    from experiments.claims.board import measured_dir
    from experiments.claims.claim import read_claim
    from experiments.claims.verdict import read_verdict

    claimed, verdict, words = read_claim(claim), read_verdict(measured_dir() / f"{claim}_small.json"), WORDS[language]
    texts = {
        "statement": claimed.statement,
        "conditions": claimed.conditions,
        "say": [finding.say for finding in verdict.findings],
    }
    texts["holds_where"] = [condition.when for condition in claimed.holds_where]
    verdicts: dict[str, str] = {}
    image = f"claims/{claim}.png"
    if language == "hi":
        texts, verdicts, image = hindi()[claim], hindi()["verdicts"], f"claims/hi/{claim}.png"
    head = words["head"].split(" | ")
    rows = [
        [
            say,
            finding.quantity,
            wording.figure(finding.of.mean),
            wording.figure(finding.against.mean),
            wording.effect(finding),
            wording.interval(finding),
            verdicts.get(finding.verdict, finding.verdict),
        ]
        for say, finding in zip(texts["say"], verdict.findings, strict=True)
    ]
    table = [f"| {' | '.join(row)} |" for row in [head, ["---"] * 2 + ["---:"] * 4 + ["---"], *rows]]
    parts = [
        f"### [{texts['statement']}](../../claims.md#{claim})",
        f"{words['verdict']}: **{verdicts.get(verdict.verdict, verdict.verdict)}**{words['stop']} {texts['conditions']}".rstrip(),
        "\n".join(table),
        f"![{texts['statement']}](../../{image})",
    ]
    if claimed.holds_where:
        conditions = [
            f"- {when.rstrip('.।')} ({words[condition.by]}: {condition.source}){words['stop']}"
            for when, condition in zip(texts["holds_where"], claimed.holds_where, strict=True)
        ]
        parts.append(f"{words['where']}\n\n" + "\n".join(conditions))
    return "\n\n".join(parts)


def shown_now(lesson: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Runs the commands that a lesson shows: of each the command, what it prints, and the name of its picture.

    Raises:
        SystemExit: when a command fails.
    """
    shown = []
    for number, step in enumerate(lesson["see"], 1):
        with tempfile.TemporaryDirectory() as folder:
            code, output = run(step["run"], Path(folder))
            if code:
                raise SystemExit(f"{step['run']} failed:\n{output}")
            picture = f"{lesson['name']}_{number}.png" if "picture" in step else ""
            if picture:
                shutil.copy(Path(folder) / step["picture"], DOCS / "images" / "lessons" / picture)
        print(f"{lesson['name']}: {step['run']}", flush=True)
        lines = [line for line in output.rstrip().splitlines() if not re.match(r"(picture|page|png|svg) {2,}", line)]
        shown.append((step["run"], "\n".join(lines), picture))
    return shown


def shown_before(lesson: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The same as the English page has it.

    Raises:
        SystemExit: when the page lacks a command.
    """
    text = (DOCS / "lessons" / "en" / f"{lesson['name']}.md").read_text(encoding="utf-8")
    shown = []
    for number, step in enumerate(lesson["see"], 1):
        block = re.search(rf"^```\n\$ {re.escape(step['run'])}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        if block is None:
            raise SystemExit(f"{lesson['name']} lacks {step['run']}: run make lessons")
        output = block[1].rstrip()
        if cut := re.search(r"\n… (\d+) lines more$", output):
            output = output[: cut.start()] + "\n " * int(cut[1])  # as many lines as there were
        shown.append((step["run"], output, f"{lesson['name']}_{number}.png" if "picture" in step else ""))
    return shown


def write(keep: bool = False) -> None:
    """Writes both languages and the notebook of every lesson, and the gallery of their pictures.

    Args:
        keep: takes outputs and pictures from the pages that are there.
    """
    (DOCS / "images" / "lessons").mkdir(parents=True, exist_ok=True)
    pictures = []
    for lesson in lessons():
        shown = (shown_before if keep else shown_now)(lesson)
        for language in WORDS:
            page = DOCS / "lessons" / language / f"{lesson['name']}.md"
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(_page(lesson, language, shown), encoding="utf-8")
        for claim in lesson["claims"]:
            hindi_picture(claim, hindi()[claim], hindi()["verdicts"], DOCS / "claims" / "hi" / f"{claim}.png", keep)
        notebook(lesson).write(DOCS / "lessons" / "notebooks" / f"{lesson['name']}.ipynb")
        pictures += [(lesson, command, picture) for command, _, picture in shown if picture]
    (DOCS / "gallery.md").write_text(_gallery(pictures), encoding="utf-8")


def _gallery(pictures: list[tuple[dict[str, Any], str, str]]) -> str:
    from experiments.claims.claim import claim_names, read_claim

    cards = [
        f"- ![{command}](images/lessons/{picture})\n\n    `{command}`\n\n"
        f"    [{lesson['title']['en']}](lessons/en/{lesson['name']}.md)"
        for lesson, command, picture in pictures
    ]
    claims = [
        f"- ![{read_claim(name).statement}](claims/{name}.png)\n\n    `experiments claim {name}`\n\n"
        f"    [{read_claim(name).statement}](claims.md#{name})"
        for name in claim_names()
        if (DOCS / "claims" / f"{name}.png").exists()
    ]
    parts = ["# Gallery", "Each picture with the command that draws it. Written by `make lessons`."]
    for title, group in (("Steps and networks", cards), ("Claims", claims)):
        parts += [f"## {title}", '<div class="grid cards" markdown>', "\n\n".join(group), "</div>"]
    return "\n\n".join(parts) + "\n"


def _page(lesson: dict[str, Any], language: str, shown: list[tuple[str, str, str]]) -> str:
    from experiments.claims.course_tables import as_markdown, read_table, table_names

    words, other = WORDS[language], "hi" if language == "en" else "en"
    number = int(lesson["name"][:2])
    title, file = lesson["title"][language], lesson["code"]["file"]
    elsewhere = [f"[{words['other']}](../{other}/{lesson['name']}.md)"]
    elsewhere.append(f"[{words['notebook']}](../notebooks/{lesson['name']}.ipynb)")
    parts = [f"# {number} · {title}", " · ".join(elsewhere)]
    parts += [f"## {words['idea']}", _wrapped(lesson["idea"][language])]
    parts += [f"## {words['see']}"]
    for command, output, picture in shown:
        lines = output.splitlines()
        rest = len(lines) - LONGEST
        lines = lines[:LONGEST] + ([f"… {rest} {words['more']}"] if rest > 0 else [])
        parts.append("```\n" + "\n".join([f"$ {command}", *lines]).rstrip() + "\n```")
        if picture:
            parts.append(f"![{command}](../../images/lessons/{picture})")
    parts += [f"## {words['code']}", f"`{file}`", f"```python\n{source(file, lesson['code']['object'])}\n```"]
    trained = "\n".join(filter(None, [lesson.get("first"), lesson["train"]]))
    parts += [f"## {words['train']}", f"```\n{trained}\n```"]
    tables = [table for table in map(read_table, table_names()) if table.lesson == number]
    parts += [f"## {words['tables']}"] if tables else []
    for table in tables:
        command = f"experiments list tables {table.name}{' --language hi' if language == 'hi' else ''}"
        parts += [f"### {table.title[language]}", as_markdown(table, language), f"```\n{command}\n```"]
    parts.append(f"## {words['claims']}")
    parts += [measured(claim, language) for claim in lesson["claims"]]
    parts.append(f"## {words['questions']}")
    parts.append(
        "\n\n".join(
            f"{place}. {question[language]}\n\n    ```\n    {question['run']}\n    ```\n\n    {question['answer'][language]}"
            for place, question in enumerate(lesson["questions"], 1)
        )
    )
    return "\n\n".join(parts) + "\n"


def _wrapped(text: str, width: int = 100) -> str:
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + len(word) >= width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return "\n".join([*lines, line])


def write_keys() -> None:
    """Writes docs/keys.md: what the YAML files say of every key."""
    from experiments.config.comments import comments
    from experiments.config.compose import GROUPS
    from experiments.config.options import conf_dir, describe, option_files

    parts = [
        "# Keys",
        "Written from the comments of the YAML files by `make lessons`. `experiments explain KEY` tells the same with its default and range.",
    ]
    parts += ["## Outside of the groups", _table(comments(conf_dir() / "train.yaml"))]
    for group in GROUPS:
        if group in ("experiment", "sweep"):
            continue
        parts.append(f"## {group}")
        for name, path in option_files(group, bases=True).items():
            documented = {
                f"{group}.{key}": comment for key, comment in comments(path).items() if not key.startswith("about")
            }
            if documented:
                parts += [
                    f"### {group}={name}" if not name.startswith("_") else f"### every {group} of {name[1:]}",
                    describe(path)["title"],
                    _table(documented),
                ]
    (DOCS / "keys.md").write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")


def _table(documented: dict[str, str]) -> str:
    rows = [
        f"| `{key}` | {comment.replace('|', chr(92) + '|').replace('<', '&lt;')} |"
        for key, comment in documented.items()
    ]
    return "\n".join(["| key | meaning |", "| --- | --- |", *rows])


def main() -> int:
    """Writes the pages, or checks their commands."""
    os.environ.setdefault("COLUMNS", "120")
    if "--check" in sys.argv:
        failed = check()
        print(f"{failed} commands failed" if failed else "every command of the lessons runs")
        return int(failed > 0)
    from experiments.config.glossary import glossary_page

    (DOCS / "glossary.md").write_text(glossary_page(), encoding="utf-8")
    write_keys()
    if "--keys" not in sys.argv:
        write(keep="--keep" in sys.argv)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
