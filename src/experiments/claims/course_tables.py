"""The tables that the course draws, with what was measured of their rows: `experiments list tables`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from experiments.claims.board import verdict_of
from experiments.config.command_words import option, split_words
from experiments.config.options import conf_dir, option_files
from experiments.config.suggestions import near_names
from experiments.errors import UserError, unknown
from experiments.system.bounded_files import read_yaml
from experiments.system.terminal import terminal_width
from experiments.viz.tables import markdown, table

LANGUAGES = "en", "hi"
MEASURED = {"en": "measured", "hi": "मापा गया"}


@dataclass(frozen=True)
class CourseTable:
    """Holds one table.

    Attributes:
        lesson: number of the lesson that draws it.
        title: by language, and so are the others.
        head: names of the columns.
        rows: cells of each row.
        claims: of each row the name of the claim that tests it; empty where none does.
        parts: of each row the number of the claim's comparison that does, from 1; 0 where all count.
        see: commands that show more.
    """

    name: str
    lesson: int
    title: dict[str, str]
    head: dict[str, list[str]]
    rows: dict[str, list[list[str]]]
    claims: list[str]
    parts: list[int]
    see: list[str]

    def measured(
        self, verdicts: dict[str, str] | None = None, language: str = "en"
    ) -> tuple[list[str], list[list[str]]]:
        """Return head and rows, with the verdict on the claim of each row where one has a claim.

        Args:
            verdicts: their words in another language.
            language: en or hi.
        """
        head, rows = self.head[language], self.rows[language]
        if not any(self.claims):
            return head, rows
        verdict_words = [_verdict(claim, part) for claim, part in zip(self.claims, self.parts, strict=True)]
        verdict_words = [(verdicts or {}).get(word, word) for word in verdict_words]
        return [*head, MEASURED[language]], [[*row, word] for row, word in zip(rows, verdict_words, strict=True)]


def _verdict(claim: str, part: int) -> str:
    measured = verdict_of(claim) if claim else None
    if measured is None:
        return "not run" if claim else "–"
    return measured[0].findings[part - 1].verdict if part else measured[0].verdict


def table_names() -> list[str]:
    """Names of all tables, in the order of the lessons."""
    return sorted(option_files("course_table"), key=lambda name: (read_table(name).lesson, name))


def read_table(name: str) -> CourseTable:
    """Return the table of a name."""
    content: dict[str, Any] = read_yaml(conf_dir() / "course_table" / f"{name}.yaml")
    return CourseTable(
        name=name,
        lesson=content["lesson"],
        title=content["title"],
        head={language: _cells(content["head"][language]) for language in LANGUAGES},
        rows={language: [_cells(row[language]) for row in content["rows"]] for language in LANGUAGES},
        claims=[row.get("claim", "") for row in content["rows"]],
        parts=[row.get("part", 0) for row in content["rows"]],
        see=content["see"],
    )


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.split("|")]


def list_tables(words: list[str]) -> int:
    """`experiments list tables [WORD…] [--language en|hi]`: all tables, or those with some words in full.

    Raises:
        UserError: for a wrong switch or language, and where no table has the words.
    """
    language, words = option("--language", words)
    names, _, switches = split_words(words)
    language = language or "en"
    if switches:
        raise UserError(f"experiments list tables does not know {switches[0]}: give words to look for, or --language")
    if language not in LANGUAGES:
        raise UserError(unknown(f"--language {language}", "no language of the tables", language, LANGUAGES))
    tables = [read_table(name) for name in table_names()]
    if not names:
        rows = [[course_table.name, str(course_table.lesson), course_table.title[language]] for course_table in tables]
        print(table(["table", "lesson", "title"], rows, right=[1], wide=terminal_width()))
        print("\nexperiments list tables NAME prints one; --language hi in Hindi")
        return 0
    chosen = [
        course_table for course_table in tables if " ".join(names) in (course_table.name, course_table.title[language])
    ]
    chosen = chosen or [course_table for course_table in tables if all(_has(course_table, word) for word in names)]
    if not chosen:
        near = near_names(names[0].lower(), [course_table.name for course_table in tables])
        cure = f"did you mean {' or '.join(near)}?" if near else "see experiments list tables"
        raise UserError(f"no table of the course has {' and '.join(names)}: {cure}")
    print("\n\n".join(_text(course_table, language) for course_table in chosen))
    return 0


def _has(course_table: CourseTable, word: str) -> bool:
    return word.lower() in " ".join([course_table.name, *course_table.title.values()]).lower()


def _text(course_table: CourseTable, language: str) -> str:
    """Return a table as the terminal shows it, with its claims and commands below."""
    lines = [
        course_table.title[language],
        "",
        table(*course_table.measured(hindi_verdicts() if language == "hi" else None, language), wide=terminal_width()),
        "",
    ]
    lines += [f"measured  experiments claim {claim}" for claim in dict.fromkeys(filter(None, course_table.claims))]
    lines += [f"see       {command}" for command in course_table.see]
    return "\n".join(lines)


def hindi_verdicts() -> dict[str, str]:
    """Return the verdicts in Hindi."""
    return {"holds": "सही निकला", "does not hold": "सही नहीं निकला", "cannot be told": "तय नहीं हो सका"}


def as_markdown(course_table: CourseTable, language: str) -> str:
    """Return a table as the lessons have it, with links to the claims."""
    head, rows = course_table.measured(hindi_verdicts() if language == "hi" else None, language)
    linked = [
        [*row[:-1], f"[{row[-1]}](../../claims.md#{claim})"] if claim else row
        for row, claim in zip(rows, course_table.claims, strict=True)
    ]
    return markdown(head, linked)
