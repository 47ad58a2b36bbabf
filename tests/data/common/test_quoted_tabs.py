"""Tab-separated files with quotation marks around their fields, and those where a mark means itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.data.audio.transcripts import _table as transcripts
from experiments.data.common.quoted_tabs import is_quoted
from experiments.data.pairs.pair_files import table
from experiments.data.text.text_table import _table as labelled_texts

QUOTED = [
    ('"He said ""no"" to me"\tnein\nplain\teinfach\n', ['He said "no" to me', "plain"]),
    ('"a\tb ""c"""\tx\nplain\ty\n"d ""e"""\tz\n', ['a\tb "c"', "plain", 'd "e"']),
    ('"one"\t"eins"\r\n"two"\t"zwei"\r\n', ["one", "two"]),
    ('"one\tfold"\teins\ntwo\tzwei\n', ["one\tfold", "two"]),
]
PLAIN = [
    ('"Hello" he said "again"\t"Hallo"\nb\tc\n', ['"Hello" he said "again"', "b"]),
    ('5" wide\tbreit\n"Hello"\tc\n', ['5" wide', '"Hello"']),
    ('"open ""x"" \tb\nc"\td\n', ['"open ""x""', 'c"']),
]


def test_columns_of_text_in_marks_beside_numbers() -> None:
    """As pandas writes them with QUOTE_NONNUMERIC."""
    assert is_quoted('"one"\t"eins"\n   \n"two"\t"zwei"\n'), "a blank line is of neither kind"
    assert is_quoted('"text"\t"label"\n"good film"\t1\n"bad film"\t0\n')
    assert not is_quoted('text\tlabel\n"good film"\t1\nbad film\t0\n')


def test_no_text_takes_longer_than_its_length() -> None:
    """A cell of JSON over two lines took 41 s."""
    assert is_quoted('"{' + '""k"": 1, ' * 8000 + '\n}"\tx\n')


@pytest.mark.parametrize(("text", "first"), [*QUOTED, *PLAIN])
def test_all_readers_read_marks_alike(tmp_path: Path, text: str, first: list[str]) -> None:
    assert is_quoted(text) == ((text, first) in QUOTED)
    path = tmp_path / "a.tsv"
    path.write_text(text, newline="")
    assert table(path, (1, 2), "utf-8").source == first
    headed = ('"a"\t"b"\n' if text.startswith('"one"') else "a\tb\n") + text
    assert [row["a"].strip() for _, row in labelled_texts(path, headed, "\t", {})] == first
    path.write_text(headed, newline="")
    assert [row["a"].strip() for _, row in transcripts(path)] == first
