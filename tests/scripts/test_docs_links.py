"""The pages: every link has its page, picture and heading, and every page stands in the menu."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [*DOCS.rglob("*.md"), ROOT / "README.md"])
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(path: Path) -> set[str]:
    """Anchors of a page's headings, as Python-Markdown makes them."""
    text = re.sub(r"^( *)```.*?^\1```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    names: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\]\([^)]*\)|[`*\[\]]", "", heading)
        ascii_ = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
        names.add(re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", ascii_).strip().lower()))
    return names


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    text = re.sub(r"^( *)```.*?^\1```|`[^`\n]*`", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in _LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), f"{page} links to {link}, which is not there"
        if path.is_relative_to(DOCS):  # the site holds the docs alone
            assert target.is_relative_to(DOCS), f"{page} links to {link}, which the site does not have: write its name"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page} links to {link}, and that page has no such heading"


def test_every_page_stands_in_the_menu() -> None:
    menu = set(re.findall(r"[\w/]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert pages == menu


def test_the_site_brings_its_devanagari() -> None:
    """Hindi pages show letters on machines without such a font; its licence lies beside it."""
    sheet = DOCS / "stylesheets" / "fonts.css"
    files = [sheet.parent / name for name in re.findall(r"url\(([^)]+)\)", sheet.read_text(encoding="utf-8"))]
    assert len(files) == 2 and all(file.read_bytes()[:4] == b"wOF2" for file in files)
    assert "SIL Open Font License" in (files[0].parent / "OFL.txt").read_text(encoding="utf-8")
