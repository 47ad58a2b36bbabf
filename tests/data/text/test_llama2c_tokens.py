"""Tokenizers in llama2.c's binary form: merges by score, bytes for what is unknown, and text back."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from experiments.data.text import tokens
from experiments.errors import UserError


def write(path: Path, pieces: list[tuple[bytes, float]]) -> Path:
    path.write_bytes(
        struct.pack("<i", 7) + b"".join(struct.pack("<fi", score, len(piece)) + piece for piece, score in pieces)
    )
    return path


def test_the_highest_score_is_merged_first(tmp_path: Path) -> None:
    special = [
        (b"<unk>", 0.0),
        (b"\n<s>\n", 0.0),
        (b"\n</s>\n", 0.0),
        *((f"<0x{number:02X}>".encode(), 0.0) for number in range(256)),
    ]
    own = [
        (b"ab", -1.0),
        (b"bc", -0.5),
        (b" abc", -3.0),
        (b" a", -2.0),
        (b" ", -9.0),
        (b"a", -9.0),
        (b"b", -9.0),
        (b"c", -9.0),
    ]
    tokenizer = tokens.borrow(write(tmp_path / "tok.bin", special + own))
    row = tokens.encode(tokenizer, ["abc abé"])[0]
    merged = [tokenizer.id_to_token(number) for number in row]
    assert merged == ["<s>", "▁abc", "▁", "ab", "<0xC3>", "<0xA9>"]  # bc before ▁a, then the whole word
    assert tokens.decode(tokenizer, [row]) == ["abc abé"]
    for broken in (b"", b"\0\0\0\0ab", (tmp_path / "tok.bin").read_bytes()[:-1]):
        (tmp_path / "broken.bin").write_bytes(broken)
        with pytest.raises(UserError, match=r"no tokenizer of llama2\.c"):
            tokens.borrow(tmp_path / "broken.bin")


STORIES = Path(os.environ.get("EXPERIMENTS_DATA", "data")) / "weights" / "stories260K"


@pytest.mark.slow
@pytest.mark.skipif(not (STORIES / "tok512.bin").is_file(), reason="stories260K is not here")
def test_published_weights_bring_it(experiments) -> None:
    tokenizer = tokens.borrow(STORIES / "tok512.bin")
    row = tokens.encode(tokenizer, ["Once upon a time, there was a little girl."])[0]
    assert tokens.decode(tokenizer, [row]) == ["Once upon a time, there was a little girl."]
    assert row[0] == 1 and len(row) < 20
    words = ("model=transformers", f"weights={STORIES}", "data=generated_reviews", "task=zero_shot")
    code, output, errors = experiments("check", *words)
    assert code == 0 and "can run" in output, errors
