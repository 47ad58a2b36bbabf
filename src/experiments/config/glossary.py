"""The words of the course, as docs/glossary.md has them: what each means, also in Hindi, and the command that shows it."""

from __future__ import annotations

from functools import cache

from experiments.config.options import conf_dir
from experiments.system.bounded_files import read_yaml


@cache
def glossary() -> tuple[dict[str, str], ...]:
    """Return all words with `term`, `hi`, `en` and `see`, in order."""
    return tuple(read_yaml(conf_dir() / "glossary.yaml"))


def glossary_word(word: str) -> dict[str, str] | None:
    """Return what is said of a word, whatever its capitals and hyphens and in the plural too; None where it is not there."""
    asked = _plain(word)
    for entry in glossary():
        terms = [_plain(term) for term in entry["term"].split(", ")]
        if asked in terms or asked.removesuffix("s") in terms:
            return entry
    return None


def glossary_page() -> str:
    """Return docs/glossary.md."""
    rows = [
        f"| {entry['term']} | {entry['hi']} | {entry['en']} | `{entry['see'].replace('|', chr(92) + '|')}` |"
        for entry in glossary()
    ]
    return "\n".join(
        [
            "# Glossary\n",
            "The course is written in Hindi with English terms. So is this page: the term, what it means, and the\n"
            "command that shows it. `experiments explain WORD` prints one, as in `experiments explain hidden state`.\n",
            "| term | हिन्दी में | meaning | see it |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _plain(word: str) -> str:
    return " ".join(word.lower().replace("-", " ").replace("_", " ").split())
