"""Sentence pairs: files in their formats, what is refused, what never crosses the splits, and batches."""

from __future__ import annotations

import gzip
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.batches import END, IGNORED, START
from experiments.data.pairs.en_hi import EnglishHindi
from experiments.data.pairs.generated_pairs import GeneratedPairs, write
from experiments.data.pairs.pair_files import PairFiles
from experiments.data.pairs.pair_texts import PairTexts, hold_out_pairs, same
from experiments.errors import UserError

LINES = [f"the dog number {number}\tकुत्ता नंबर {number}" for number in range(40)]


def keys(tmp_path: Path, kind: str = "word", **given: Any) -> dict[str, Any]:
    rule = {"kind": kind, "size": 1000, "min_count": 1, "lowercase": False}
    plain = {
        "tokenizers": {
            "shared": given.pop("shared", False),
            "source": rule | {"file": tmp_path / "source.json"},
            "target": rule | {"file": tmp_path / "target.json"},
        },
        "max_length": None,
        "empty": "error",
        "validation": 0.2,
        "test": 0.2,
        "limit": None,
        "batch_size": 8,
        "max_tokens": None,
        "bucket": True,
        "workers": 0,
        "seed": 3,
    }
    return plain | given


FILES = {"target_path": None, "test_path": None, "languages": None, "columns": [1, 2], "encoding": "utf-8"}


def table(tmp_path: Path, lines: list[str], **given: Any) -> PairFiles:
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    own = {key: given.pop(key) for key in list(given) if key in FILES}
    return PairFiles(path=str(path), **(FILES | own), **keys(tmp_path, **given))


@pytest.mark.parametrize("kind", ["word", "character", "bpe"])
def test_tokenizers_know_the_training_part_alone_and_come_back(kind: str, tmp_path: Path) -> None:
    data = table(tmp_path, LINES, kind=kind)
    data.setup()
    assert data.spec.vocabulary != 4
    decomposed = unicodedata.normalize("NFD", data.texts["train"].target[0])
    rows = [data.tokenizers[1].encode(text).ids for text in (data.texts["train"].target[0], decomposed)]
    assert rows[0] == rows[1]
    assert data.decode(rows[:1]) == [data.texts["train"].target[0]]
    if kind == "word":
        seen = {word for line in data.texts["train"].source for word in line.split()}
        assert set(data.tokenizers[0].get_vocab()) == seen | {"<pad>", "<unk>", "<s>", "</s>"}
        assert data.splits["unknown"] > 0
    if kind == "character":
        marks = [token for token in data.tokenizers[1].get_vocab() if unicodedata.category(token[0])[0] == "M"]
        assert not marks  # none stands alone
    data.keep(tmp_path)
    other = table(tmp_path, LINES[:20], kind=kind)
    other.setup()
    assert other.spec.vocabulary == data.spec.vocabulary
    assert other.prepare(["the dog"]).source.lengths.tolist() == data.prepare(["the dog"]).source.lengths.tolist()
    with pytest.raises(UserError, match="sentence 2 is empty"):
        other.prepare(["the dog", " "])


def test_one_tokenizer_for_both_sides(tmp_path: Path) -> None:
    data = table(tmp_path, LINES, shared=True)
    data.setup()
    assert data.spec.shared
    assert data.spec.vocabulary == data.spec.target_vocabulary
    assert {"dog", "कुत्ता"} <= set(data.tokenizers[0].get_vocab())


def test_a_batch_holds_what_was_read(tmp_path: Path) -> None:
    data = table(tmp_path, ["a\tx y z", "b c d e\tw", *LINES])
    data.setup()
    for pairs, labels in data.train_dataloader():
        for row, number in enumerate(labels.rows.tolist()):
            source, target = data.texts["train"].source[number], data.texts["train"].target[number]
            taken = pairs.source.values[row, : pairs.source.lengths[row]]
            assert [data.tokenizers[0].id_to_token(token) for token in taken.tolist()] == source.split()
            length = int(pairs.target.lengths[row])
            read, aim = pairs.target.values[row, :length], labels.values[row]
            assert read[0] == START
            assert torch.equal(read[1:], aim[: length - 1])
            assert aim[length - 1] == END
            assert (aim[length:] == IGNORED).all()
            assert data.decode([aim[: length - 1].tolist()]) == [target]


BAD: list[tuple[list[str], dict[str, Any], list[str]]] = [
    (["a\tb", "no tab here"], {}, ["pairs.tsv:2", "no tab"]),
    (["a\tb", "c\t \u200b"], {}, ["pairs.tsv:2", "target side is empty", "data.empty=drop"]),
    (["a\tb", "", "c\td"], {}, ["pairs.tsv:2", "source side is empty", "data.empty=drop"]),
    (["a\tb"] * 40, {}, ["every group of pairs that share a sentence", "give pairs of other sentences"]),
    (["a\tb"] * 20 + ["c\td"] * 20, {}, ["every group of pairs that share a sentence", "hold out 20 or more"]),
    (["a\tb", "\td"], {"languages": ["en", "hi"]}, ["pairs.tsv:2", "en side is empty"]),
    (["a\tb"], {"columns": [1, 3]}, ["pairs.tsv:1", "2 columns", "columns 1 and 3"]),
    (["a\tb"], {"columns": [0, 1]}, ["data.columns=[0, 1]"]),
    ([], {}, ["is empty"]),
    (LINES, {"limit": 1000}, ["data.limit=1000"]),
    (LINES, {"max_length": 1}, ["data.max_length=1"]),
    (LINES, {"empty": "keep"}, ["data.empty=keep"]),
    (LINES, {"languages": ["en"]}, ["data.languages"]),
    (LINES, {"target_path": "nowhere.de"}, ["nowhere.de cannot be read"]),
    (["id\tEnglish sentence\thindi_text", *LINES], {}, ["English sentence (column 2)", "set data.columns=[2,3]"]),
    (["hindi\tenglish", *LINES], {"languages": ["en", "hi"]}, ["hindi (column 1)", "set data.columns=[2,1]"]),
    (["English\tHindi", *LINES], {"languages": ["en", "de"]}, ["data.languages=[en,de]", "name those that are there"]),
]


@pytest.mark.parametrize(
    ("first", "given", "is_head"),
    [
        ("English\tHindi", {}, True),
        ("en\thi", {}, True),
        ("text_en\ttext_hi", {}, True),
        ("English sentences\tHindi translation", {"languages": ["en", "hi"]}, True),
        ("he\tel", {}, False),
        ("id\tno", {}, False),
        ("German\tGerman", {}, False),
        ("English is hard\tHindi", {}, False),
    ],
)
def test_a_first_line_that_names_languages_is_no_pair(
    first: str, given: dict[str, Any], is_head: bool, tmp_path: Path
) -> None:
    read = table(tmp_path, [first, *LINES], **given).read()["train"]
    assert read.source[0] == (LINES[0].split("\t")[0] if is_head else first.split("\t")[0])
    assert read.places[0].endswith(":2" if is_head else ":1")


@pytest.mark.parametrize(("lines", "given", "words"), BAD)
def test_bad_input_is_named_with_file_and_line(
    lines: list[str], given: dict[str, Any], words: list[str], tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        table(tmp_path, lines, **given).setup()
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)


def test_what_is_left_out_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    long = "one two three four five six seven"
    data = table(tmp_path, [*LINES, "a\t", f"{long}\tसात"], empty="drop", max_length=6)
    data.setup()
    assert data.splits["dropped"] == 1
    left = data.splits["train"] + data.splits["validation"] + data.splits["test"]
    assert left + data.splits["too_long"] == 41
    assert "1 pairs were left out" in caplog.text


def test_a_sentence_stands_in_one_part_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = [f"Source {rng.integers(60)}.\tziel {rng.integers(60)}" for _ in range(60)]
    data = table(tmp_path, lines)
    data.setup()
    for side in (0, 1):
        parts = [set(map(same, data.texts[part][side])) for part in ("train", "validation", "test")]
        assert sum(map(len, parts)) == len(set.union(*parts))
    # A test file of its own takes its sentences from the training split.
    rest = tmp_path / "test.tsv"
    rest.write_text("THE DOG  number 3!\tetwas\nneu\tकुत्ता नंबर 5\n", encoding="utf-8")
    held = table(tmp_path, LINES, test_path=str(rest))
    held.setup()
    assert (held.splits["test"], held.splits["repeated"]) == (2, 2)
    assert held.splits["train"] + held.splits["validation"] == 38
    texts = PairTexts(["a", "a", "b", "c"], ["x", "y", "y", "z"], ["1", "2", "3", "4"])
    remaining, taken = hold_out_pairs(texts, 1, 0, "data.test")
    assert (taken.source, remaining.source) == (["c"], ["a", "a", "b"])


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_in_the_layout_of_multi30k(packed: bool, tmp_path: Path) -> None:
    folder = tmp_path / "multi30k"
    folder.mkdir()
    for name, count in (("train", 20), ("val", 5), ("test_2016_flickr", 4)):
        for language in ("en", "de"):
            text = "".join(f"{name} {language} {number}\n" for number in range(count)).encode()
            path = folder / f"{name}.{language}{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(text) if packed else text)
    given = keys(tmp_path)
    data = PairFiles(path=str(folder), **(FILES | {"languages": ["de", "en"]}), **given)
    data.setup()
    assert [data.splits[part] for part in ("train", "validation", "test")] == [20, 5, 4]
    assert data.texts["test"].source[0] == "test_2016_flickr de 0"
    with pytest.raises(UserError, match=r"data\.languages.*de, en"):
        PairFiles(path=str(folder), **FILES, **given).setup()
    lost = folder / f"val.en{'.gz' if packed else ''}"
    lost.unlink()
    with pytest.raises(UserError, match=r"val\.en is missing"):
        PairFiles(path=str(folder), **(FILES | {"languages": ["de", "en"]}), **given).setup()


def test_parallel_files_have_equally_many_lines(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text("one\ntwo\nthree\n")
    (tmp_path / "a.de").write_text("eins\nzwei\n")
    given = FILES | {"target_path": str(tmp_path / "a.de")}
    with pytest.raises(UserError, match=r"a\.en:3: the line has no counterpart"):
        PairFiles(path=str(tmp_path / "a.en"), **given, **keys(tmp_path)).setup()
    (tmp_path / "a.en").write_text("".join(f"one {number}\n" for number in range(20)))
    (tmp_path / "a.de").write_text("".join(f"eins {number}\n" for number in range(20)))
    data = PairFiles(path=str(tmp_path / "a.en"), **given, **keys(tmp_path))
    data.setup()
    assert (data.splits["train"], data.splits["test"]) == (13, 4)  # 0.2 of 20, and of the 16 left


def test_english_and_hindi_in_their_own_formats(tmp_path: Path) -> None:
    root = tmp_path / "en_hi"
    (root / "tatoeba").mkdir(parents=True)
    (root / "hindi_visual_genome").mkdir()
    lines = [f"Sentence {number}.\tवाक्य {number}।\tCC-BY" for number in range(20)]
    (root / "tatoeba" / "hin.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    for name, first in (("train", 0), ("val", 100), ("test", 200), ("challenge_test_set", 300)):
        rows = [f"7\t1\t2\t3\t4\timage {number}\tचित्र {number}\n" for number in range(first, first + 10)]
        (root / "hindi_visual_genome" / f"{name}.txt").write_text("".join(rows), encoding="utf-8")
    given = {"test_set": "test", "reverse": False, "root": str(tmp_path)}
    data = EnglishHindi(collections=["tatoeba", "visual_genome"], **given, **keys(tmp_path))
    data.setup()
    assert [data.splits[part] for part in ("train", "validation", "test")] == [23, 13, 14]
    assert data.texts["test"].source[0] == "image 200"
    other = EnglishHindi(
        collections=["visual_genome"], **(given | {"reverse": True, "test_set": "challenge"}), **keys(tmp_path)
    )
    other.setup()
    assert other.texts["test"].source[0] == "चित्र 300"
    assert other.spec.languages == ("Hindi", "English")
    with pytest.raises(UserError, match=r"data\.collections"):
        EnglishHindi(collections=["bible"], **given, **keys(tmp_path))
    (root / "tatoeba" / "hin.txt").unlink()
    with pytest.raises(UserError, match=r"hin\.txt is missing"):
        EnglishHindi(collections=["tatoeba"], **given, **keys(tmp_path)).setup()


def test_real_english_and_hindi(real: Callable[[str], Path], tmp_path: Path) -> None:
    given = {"test_set": "test", "reverse": False, "root": str(real("en_hi").parent)}
    data = EnglishHindi(collections=["tatoeba"], **given, **keys(tmp_path, "character"))
    data.setup()
    counted = sum(data.splits[part] for part in ("train", "validation", "test", "repeated", "dropped"))
    assert counted == 3116
    alone = [token for token in data.tokenizers[1].get_vocab() if unicodedata.category(token[0]) in ("Mn", "Mc")]
    assert not alone


def test_generated_pairs_are_always_the_same(tmp_path: Path) -> None:
    assert write(30) == write(30)
    data = GeneratedPairs(count=100, **keys(tmp_path))
    data.setup()
    assert data.splits["train"] > data.splits["test"] > 0
    assert data.texts["train"].source[0].endswith(".")


def test_a_prefix_stands_before_every_source(tmp_path: Path) -> None:
    data = table(tmp_path, LINES, prefix="translate to French:")
    data.setup()
    begin = data.tokenizers[0].encode("translate to French:").ids
    assert len(begin) == 4 and 1 not in begin  # its words are known
    batch, _ = next(iter(data.train_dataloader()))
    assert all(row[:4].tolist() == begin for row in batch.source.values)
    prepared = data.prepare([data.texts["test"].source[0]])
    assert prepared.source.values[0][:4].tolist() == begin and not data.texts["test"].source[0].startswith("translate")
