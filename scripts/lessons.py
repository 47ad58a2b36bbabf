"""Writes the lessons, their pictures and the page of all keys; or with --check runs every command of every lesson, small.

python scripts/lessons.py            # make lessons
python scripts/lessons.py --check    # make docs-test
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
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LONGEST = 45  # lines of output on a page
SMALL = ("trainer=quick", "callbacks.figures=null", "hydra.run.dir=run")
WORDS = {
    "en": {"idea": "The idea", "code": "The code", "see": "See it", "train": "Train it", "claims": "What was measured",
           "questions": "Questions", "more": "lines more", "none": "not tested yet", "other": "हिन्दी में"},
    "hi": {"idea": "विचार", "code": "Code", "see": "देखें", "train": "Train करें", "claims": "क्या मापा गया",
           "questions": "प्रश्न", "more": "पंक्तियाँ और", "none": "अभी जाँचा नहीं गया", "other": "In English"},
}  # fmt: skip


def lessons() -> list[dict[str, Any]]:
    """All lessons, in order."""
    found: list[dict[str, Any]] = yaml.safe_load((DOCS / "lessons" / "lessons.yaml").read_text(encoding="utf-8"))
    return found


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
        words += SMALL
    before, said = Path.cwd(), io.StringIO()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main(words)
    finally:
        os.chdir(before)
    return code, said.getvalue()


def check() -> int:
    """Runs every command of every lesson once; the number of those that fail."""
    commands = dict.fromkeys(
        command
        for lesson in lessons()
        for command in [*(one["run"] for one in [*lesson["see"], *lesson["questions"]]), lesson["train"]]
    )
    failed = 0
    for command in commands:
        with tempfile.TemporaryDirectory() as folder:
            code, said = run(command, Path(folder), small=True)
        print(f"{'ok    ' if code == 0 else 'FAILED'} {command}", flush=True)
        if code:
            failed += 1
            print(said)
    return failed


def source(file: str, name: str) -> str:
    """The text of a class, function or method, from its file, indented as there."""
    text = (ROOT / file).read_text(encoding="utf-8")
    node: Any = ast.parse(text)
    for part in name.split("."):
        node = next(one for one in node.body if getattr(one, "name", "") == part)
    return "\n".join(text.splitlines()[node.lineno - 1 : node.end_lineno])


def verdicts() -> dict[str, str]:
    """The verdict of each tested claim, as docs/claims.md has it."""
    text = (DOCS / "claims.md").read_text(encoding="utf-8") if (DOCS / "claims.md").exists() else ""
    found = re.findall(r"^\| \[(\w+)\]\(#\w+\) \| (.+?) \| (.+?) \|", text, re.MULTILINE)
    return {name: f"{statement} **{verdict}**" for name, statement, verdict in found}


def write() -> None:
    """Writes both languages of every lesson, with the output and the pictures of its commands."""
    known = verdicts()
    (DOCS / "images" / "lessons").mkdir(parents=True, exist_ok=True)
    for lesson in lessons():
        shown = []
        for number, one in enumerate(lesson["see"], 1):
            with tempfile.TemporaryDirectory() as folder:
                code, said = run(one["run"], Path(folder))
                if code:
                    raise SystemExit(f"{one['run']} failed:\n{said}")
                picture = ""
                if "picture" in one:
                    picture = f"{lesson['name']}_{number}.png"
                    shutil.copy(Path(folder) / one["picture"], DOCS / "images" / "lessons" / picture)
            print(f"{lesson['name']}: {one['run']}", flush=True)
            shown.append((one["run"], said, picture))
        for language in WORDS:
            page = DOCS / "lessons" / language / f"{lesson['name']}.md"
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(_page(lesson, language, shown, known), encoding="utf-8")


def _page(lesson: dict[str, Any], language: str, shown: list[tuple[str, str, str]], known: dict[str, str]) -> str:
    words, other = WORDS[language], "hi" if language == "en" else "en"
    number = int(lesson["name"][:2])
    title, file = lesson["title"][language], lesson["code"]["file"]
    parts = [f"# {number} · {title}", f"[{words['other']}](../{other}/{lesson['name']}.md)"]
    parts += [f"## {words['idea']}", _wrapped(lesson["idea"][language])]
    parts += [f"## {words['see']}"]
    for command, said, picture in shown:
        lines = [line for line in said.rstrip().splitlines() if not re.match(r"(picture|page|png|svg) {2,}", line)]
        rest = len(lines) - LONGEST
        lines = lines[:LONGEST] + ([f"… {rest} {words['more']}"] if rest > 0 else [])
        parts.append("```\n" + "\n".join([f"$ {command}", *lines]).rstrip() + "\n```")
        if picture:
            parts.append(f"![{command}](../../images/lessons/{picture})")
    parts += [f"## {words['code']}", f"`{file}`", f"```python\n{source(file, lesson['code']['object'])}\n```"]
    parts += [f"## {words['train']}", f"```\n{lesson['train']}\n```"]
    if tested := [name for name in lesson["claims"] if name in known]:
        parts.append(f"## {words['claims']}")
        parts.append("\n".join(f"- [{name}](../../claims.md#{name}): {known[name]}" for name in tested))
    parts.append(f"## {words['questions']}")
    parts.append(
        "\n\n".join(
            f"{place}. {one[language]}\n\n    ```\n    {one['run']}\n    ```"
            for place, one in enumerate(lesson["questions"], 1)
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
            found = {f"{group}.{key}": said for key, said in comments(path).items() if not key.startswith("about")}
            if found:
                parts += [
                    f"### {group}={name}" if not name.startswith("_") else f"### every {group} of {name[1:]}",
                    describe(path)["title"],
                    _table(found),
                ]
    (DOCS / "keys.md").write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")


def _table(found: dict[str, str]) -> str:
    rows = [f"| `{key}` | {said.replace('|', chr(92) + '|').replace('<', '&lt;')} |" for key, said in found.items()]
    return "\n".join(["| key | meaning |", "| --- | --- |", *rows])


def main() -> int:
    """Writes the pages, or checks their commands."""
    os.environ.setdefault("COLUMNS", "120")
    if "--check" in sys.argv:
        failed = check()
        print(f"{failed} commands failed" if failed else "every command of the lessons runs")
        return int(failed > 0)
    write_keys()
    if "--keys" not in sys.argv:
        write()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
