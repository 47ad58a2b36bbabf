"""Labelled texts: tokenizers, files in their formats, what is refused, and batches of like length."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from experiments.data.common.buckets import BucketSampler, EvalBuckets, rounded
from experiments.data.common.sequence_data import Store, StoredSequences
from experiments.data.text import tokens
from experiments.data.text.generated_reviews import GeneratedReviews
from experiments.data.text.imdb import IMDB
from experiments.data.text.letters import is_mark
from experiments.data.text.rt_polarity import RtPolarity
from experiments.data.text.sst2 import SST2
from experiments.data.text.text_table import TextTable
from experiments.errors import UserError

LINES = [f"{word} film number {number}" for number in range(20) for word in ("Dull", "Fine")]


def keys(tmp_path: Path, **given: Any) -> dict[str, Any]:
    plain = {
        "tokenizer": {"kind": "word", "size": 1000, "min_count": 1, "lowercase": True, "file": tmp_path / "tok.json"},
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


TABLE = {"text": "text", "label": "label", "test_path": None, "encoding": "utf-8"}


def table(tmp_path: Path, content: str, suffix: str = ".csv", **given: Any) -> TextTable:
    path = tmp_path / f"table{suffix}"
    path.write_bytes(content.encode(given.pop("write", "utf-8")))
    return TextTable(path=str(path), **(TABLE | keys(tmp_path) | given))


def csv_of(lines: list[str]) -> str:
    return "text,label\n" + "".join(f"{line},{line.split()[0]}\n" for line in lines)


# Tokenizers


@pytest.mark.parametrize("kind", tokens.KINDS)
def test_tokenizers_come_back_and_are_always_the_same(kind: str, tmp_path: Path) -> None:
    texts = ["the cats sat, the cat sat", "नमस्ते दुनिया", "café cats"] * 3
    rule = tokens.Rule(kind, 60, 1, True)
    first, again = tokens.fit(rule, texts), tokens.fit(rule, texts)
    assert first.to_str() == again.to_str()
    assert [first.token_to_id(mark) for mark in tokens.SPECIAL] == [0, 1, 2, 3]
    tokens.keep(first, tmp_path / "tokenizer.json")
    read = tokens.read(tmp_path / "tokenizer.json")
    rows = tokens.encode(first, ["The cat </s>", "☃"])
    assert tokens.encode(read, ["The cat </s>", "☃"]) == rows
    assert 3 not in rows[0]  # an end of a sentence that stands in a text is no end
    assert rows[1][-1] == 1
    assert tokens.decode(read, tokens.encode(read, ["the cat sat नमस्ते"]))[0] == "the cat sat नमस्ते"


def test_a_character_has_its_combining_marks_and_one_form() -> None:
    tokenizer = tokens.fit(tokens.Rule("character", 50, 1, False), ["क्षि नमस्ते", "caf\u0065\u0301"])
    assert "स्" in tokenizer.get_vocab() or "स्ते" in tokenizer.get_vocab()
    assert "\u0301" not in tokenizer.get_vocab()
    assert tokens.encode(tokenizer, ["caf\u00e9"]) == tokens.encode(tokenizer, ["cafe\u0301"])


HINDI = ["किताब मेज़ पर रखी है", "लड़का किताब पढ़ रहा है", "वह कक्षा में गाना गा रही है", "क्या तुम्हें कविता पसंद है"]


def test_bpe_never_cuts_a_letter_from_its_marks(tmp_path: Path) -> None:
    tokenizer = tokens.fit(tokens.Rule("bpe", 200, 1, False), HINDI * 3)
    tokens.keep(tokenizer, tmp_path / "tokenizer.json")
    tokenizer = tokens.read(tmp_path / "tokenizer.json")
    assert tokenizer.get_vocab_size() <= 200
    rows = tokens.encode(tokenizer, HINDI)
    pieces = [tokenizer.id_to_token(token) for row in rows for token in row]
    assert not any(is_mark(token[0]) for token in pieces)
    assert "▁किताब" in pieces  # merges were learned
    assert tokens.decode(tokenizer, rows) == HINDI
    assert not any(len(token) > 1 and is_mark(token[0]) for token in tokenizer.get_vocab())
    # A letter that the training split never had, of a base and a mark that it had, is spelled and not lost.
    assert tokens.decode(tokenizer, tokens.encode(tokenizer, ["षी"])) == ["षी"]


def test_bpe_spells_rare_letters_and_stays_within_its_size() -> None:
    for size, count in ((40, 1), (60, 2), (200, 4)):
        tokenizer = tokens.fit(tokens.Rule("bpe", size, count, False), [*HINDI * 3, "षीक"])
        assert not any(len(token) > 1 and is_mark(token[0]) for token in tokenizer.get_vocab())
        rows = tokens.encode(tokenizer, [*HINDI, "षीक"])
        assert not any(1 in row for row in rows)
        assert tokens.decode(tokenizer, rows) == [*HINDI, "षीक"]
    assert tokenizer.get_vocab_size() <= 200


def test_bpe_without_marks_is_the_usual_one() -> None:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    usual = Tokenizer(models.BPE(unk_token="<unk>"))
    usual.normalizer = normalizers.Sequence([normalizers.NFC()])
    usual.pre_tokenizer, usual.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    usual.train_from_iterator(
        LINES, trainers.BpeTrainer(vocab_size=40, special_tokens=list(tokens.SPECIAL), show_progress=False)
    )
    assert tokens.fit(tokens.Rule("bpe", 40, 1, False), LINES).get_vocab() == usual.get_vocab()


@pytest.mark.parametrize(
    ("given", "word"),
    [({"kind": "letters"}, "kind=letters"), ({"size": 4}, "size=4"), ({"min_count": 0}, "min_count=0")],
)
def test_tokenizer_keys_are_checked(given: dict[str, Any], word: str) -> None:
    with pytest.raises(UserError, match=rf"data\.tokenizer\.{word}"):
        tokens.Rule.of({"kind": "word", "size": 100, "min_count": 1, "lowercase": True} | given)


# Files


def test_a_tokenizer_knows_the_training_part_alone(tmp_path: Path) -> None:
    data = table(tmp_path, csv_of(LINES))
    data.setup()
    seen = {word for line in data.texts["train"].lines for word in line.lower().split()}
    assert set(data.tokenizer.get_vocab()) == seen | set(tokens.SPECIAL)
    assert data.spec.vocabulary == len(seen) + 4
    assert data.spec.classes == ("Dull", "Fine")
    assert data.splits["unknown"] > 0
    lines = [set(data.texts[part].lines) for part in ("train", "validation", "test")]
    assert sum(map(len, lines)) == len(set.union(*lines)) == 40
    # A later process reads what the run has kept, and does not fit another.
    data.keep(tmp_path)
    other = table(tmp_path, csv_of(LINES[:20]))
    other.setup()
    assert other.spec.vocabulary == data.spec.vocabulary


@pytest.mark.parametrize(
    ("suffix", "separator"), [(".csv", ","), (".csv", ";"), (".csv", "|"), (".tsv", "\t"), (".jsonl", "")]
)
def test_tables_in_every_form(suffix: str, separator: str, tmp_path: Path) -> None:
    if suffix == ".jsonl":
        content = "\n".join(json.dumps({"text": line, "label": index % 2}) for index, line in enumerate(LINES))
    else:
        content = csv_of(LINES).replace(",", separator)
    data = table(tmp_path, content, suffix)
    data.setup()
    assert len(data.spec.classes) == 2
    assert data.splits["train"] + data.splits["validation"] + data.splits["test"] == 40


def test_quoted_fields_and_a_test_file(tmp_path: Path) -> None:
    rest = tmp_path / "rest.csv"
    rest.write_text('text,label\n"a film, in\ntwo lines",Fine\nbad,Dull\n')
    data = table(tmp_path, csv_of(LINES), test_path=str(rest))
    data.setup()
    assert data.texts["test"].lines == ["a film, in\ntwo lines", "bad"]
    assert data.texts["test"].places == [f"{rest}:2", f"{rest}:4"]


BAD: list[tuple[str, str, dict[str, Any], list[str]]] = [
    ("text,label\na,x\n   ,y\n", ".csv", {}, [":3", "empty", "data.empty=drop"]),
    ("txt,label\na,x\n", ".csv", {}, [":1", "data.text=text", "txt"]),
    ("text,kind\na,x\n", ".csv", {}, [":1", "data.label=label", "kind"]),
    ("text,label\na,x\na,b,c\n", ".csv", {}, [":3", "3 fields", "2"]),
    ("text,label\na,x\nb,\n", ".csv", {}, [":3", "label is missing"]),
    ('text,label\n"a,x\n', ".csv", {}, ["quotation"]),
    ("", ".csv", {}, ["is empty"]),
    ("text,label\n", ".csv", {}, ["holds no row"]),
    ('{"text": "a"}\n', ".jsonl", {}, [":1", "data.label=label"]),
    ("{\n", ".jsonl", {}, [":1", "no JSON"]),
    ("[" * 100_000, ".jsonl", {}, [":1", "too deep"]),
    ("text,label\na,x\n", ".csv", {"write": "utf-16"}, [":1", "data.encoding", "utf-16"]),
    ('{"text": "a", "label": ["x", "y"]}\n', ".jsonl", {}, [":1", "not one class"]),
    ('{"text": "a", "label": 1, "label": 2}\n', ".jsonl", {}, [":1", "label stands twice"]),
    ("text,label,label\na,x,y\n", ".csv", {}, [":1", "2 columns are called label"]),
    ("text,label\ncafé,x\n", ".csv", {"write": "latin-1"}, [":2", "0xe9", "data.encoding", "latin-1"]),
    ("text,label\na,x\n", ".xls", {}, [".xls", ".csv"]),
]


@pytest.mark.parametrize(("content", "suffix", "given", "words"), BAD)
def test_bad_tables_are_refused_with_file_and_line(
    content: str, suffix: str, given: dict[str, Any], words: list[str], tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        table(tmp_path, content, suffix, **given).setup()
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)


def test_a_label_that_training_does_not_have(tmp_path: Path) -> None:
    rest = tmp_path / "rest.csv"
    rest.write_text("text,label\nodd,Strange\n")
    with pytest.raises(UserError, match=r"rest\.csv:2: label Strange"):
        table(tmp_path, csv_of(LINES), test_path=str(rest)).setup()


def test_what_is_dropped_or_cut_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = csv_of(LINES) + " ,Dull\n\u200b,Fine\n"
    data = table(tmp_path, content, empty="drop", max_length=3)
    data.setup()
    assert (data.splits["dropped"], data.splits["cut"]) == (2, 40)
    assert "texts of more than 3 tokens were cut: 40." in caplog.text
    assert "texts without a word were left out (data.empty=drop): 2." in caplog.text
    assert data.spec.longest == 3


def test_rt_polarity_splits_at_newlines_alone(tmp_path: Path) -> None:
    folder = tmp_path / "rt_polarity"
    folder.mkdir()
    for end in ("neg", "pos"):
        lines = [f"{end} caf\u00e9 {number}\x85 still the same line" for number in range(20)]
        (folder / f"rt-polarity.{end}").write_bytes("".join(f"{line}\n" for line in lines).encode("latin-1"))
    data = RtPolarity(**keys(tmp_path, root=str(tmp_path)))
    data.setup()
    assert data.splits["train"] + data.splits["validation"] + data.splits["test"] == 40
    assert data.spec.classes == ("negative", "positive")
    with pytest.raises(UserError, match=r"rt-polarity\.neg is missing"):
        RtPolarity(**keys(tmp_path, root=str(tmp_path / "elsewhere"))).setup()


def test_sst2_and_imdb_in_their_own_forms(tmp_path: Path) -> None:
    (tmp_path / "SST-2").mkdir()
    for name in ("train", "dev"):
        rows = "".join(f'a "{word} one {number}\t{number % 2}\n' for number in range(10) for word in ("tall", "wide"))
        (tmp_path / "SST-2" / f"{name}.tsv").write_text("sentence\tlabel\n" + rows)
    sst2 = SST2(**keys(tmp_path, root=str(tmp_path), test=None))
    sst2.setup()
    assert (sst2.splits["test"], sst2.spec.classes) == (20, ("negative", "positive"))
    for part in ("train", "test"):
        for end in ("neg", "pos"):
            folder = tmp_path / "aclImdb" / part / end
            folder.mkdir(parents=True)
            for number in range(5):
                (folder / f"{number}_7.txt").write_text(f"{end}<br /><br />film {number}", encoding="utf-8")
    imdb = IMDB(**keys(tmp_path, root=str(tmp_path)))
    imdb.setup()
    assert imdb.splits["test"] == 10
    assert "<br" not in "".join(imdb.texts["train"].lines)
    (tmp_path / "imdb.csv").write_text(
        "review,sentiment\n"
        + "".join(f"film {number},{'positive' if number % 2 else 'negative'}\n" for number in range(20))
    )
    held = IMDB(**keys(tmp_path, root=str(tmp_path), test=0.5))
    held.setup()
    assert held.splits["test"] == 10


@pytest.mark.slow
def test_real_reviews(real: Callable[[str], Path], tmp_path: Path) -> None:
    data = RtPolarity(**keys(tmp_path, root=str(real("rt_polarity").parent), validation=0.1, test=0.1))
    data.setup()
    assert (data.splits["train"], data.splits["validation"], data.splits["test"]) == (8636, 960, 1066)
    assert data.class_counts == [4318, 4318]


def test_generated_reviews_are_always_the_same(tmp_path: Path) -> None:
    given = keys(tmp_path, count=40)
    given.pop("test")
    first, again = GeneratedReviews(**given), GeneratedReviews(**given)
    first.setup()
    again.setup()
    assert first.texts["train"].lines == again.texts["train"].lines
    assert first.splits == again.splits


# Batches


def some_lengths(count: int = 500) -> np.ndarray:
    return np.random.default_rng(0).integers(5, 200, count)


@pytest.mark.parametrize("budget", [None, 1000])
def test_buckets_hold_everything_once_and_little_padding(budget: int | None) -> None:
    lengths = some_lengths()
    sampler = BucketSampler(lengths, 32, budget, seed=1)
    seen, orders = [], []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        batches = [picks.indices for picks in sampler]
        assert len(batches) == len(sampler)
        assert sorted(np.concatenate(batches).tolist()) == list(range(500))
        padded = sum(int(lengths[batch].max()) * len(batch) for batch in batches)
        assert padded < 1.15 * lengths.sum()
        if budget:
            assert all(rounded(lengths)[batch].max() * len(batch) <= budget for batch in batches)
        orders.append([batch.tolist() for batch in batches])
        seen.append({tuple(sorted(batch.tolist())) for batch in batches})
    assert orders[0] != orders[1]
    assert len(seen[0] & seen[1]) < len(seen[0]) / 2  # other company in another epoch
    sampler.set_epoch(1)
    sampler.start_batch = 4
    assert [picks.indices.tolist() for picks in sampler] == orders[1][4:]


def test_processes_share_each_bucket() -> None:
    lengths = some_lengths(101)
    alone = [picks.indices for picks in BucketSampler(lengths, 16, None, seed=2)]
    ranks = [[picks.indices for picks in BucketSampler(lengths, 16, None, 2, rank, 2)] for rank in range(2)]
    for whole, *shares in zip(alone, *ranks, strict=True):
        assert len(shares[0]) == len(shares[1])
        assert set(np.concatenate(shares).tolist()) == set(whole.tolist())
    tests = [np.concatenate(list(EvalBuckets(lengths, 16, None, rank, 2))) for rank in range(2)]
    assert sorted(np.concatenate(tests).tolist()) == list(range(101))


@pytest.mark.parametrize("bucket", [True, False])
def test_fewer_examples_than_processes_are_refused(tmp_path: Path, bucket: bool) -> None:
    """One of the processes would have no batch, and the others would wait for it."""
    lines = [f"word{number % 2} other" for number in range(40)]
    data: Any = table(tmp_path, csv_of(lines), bucket=bucket, validation=1)
    data.setup()
    device = SimpleNamespace(root_device=torch.device("cpu"))
    data.trainer = SimpleNamespace(global_rank=0, world_size=2, strategy=device)
    with pytest.raises(UserError, match="1 example and the run 2 processes"):
        data.val_dataloader()


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(UserError, match=r"pipe\.csv is damaged \(it is a pipe"):
        TextTable(path=str(tmp_path / "pipe.csv"), **TABLE, **keys(tmp_path)).setup()


def test_a_folder_of_tables_asks_which(tmp_path: Path) -> None:
    for name in ("train.csv", "test.tsv", "README.md"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"is a folder with test\.tsv, train\.csv: name a file"):
        TextTable(path=str(tmp_path), **TABLE, **keys(tmp_path)).setup()


def test_a_budget_below_the_longest_sequence_is_refused() -> None:
    with pytest.raises(UserError, match=r"data\.max_tokens=100.*199"):
        BucketSampler(np.array([5, 199]), 4, 100, seed=0)


@pytest.mark.parametrize("every_step", [False, True])
def test_a_store_gives_what_was_put_in(every_step: bool) -> None:
    rows = [np.arange(1, length + 1) + 10 * length for length in (3, 1, 5)]
    targets = [row * 2 for row in rows] if every_step else [7, 8, 9]
    (values, lengths), wanted = StoredSequences(Store.of(rows, targets, every_step)).__getitems__(np.array([2, 1]))
    assert lengths.tolist() == [5, 1]
    assert values.tolist() == [[51, 52, 53, 54, 55], [11, 0, 0, 0, 0]]
    expected = [[102, 104, 106, 108, 110], [22, -100, -100, -100, -100]] if every_step else [9, 8]
    assert torch.equal(wanted, torch.tensor(expected))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_numbers_that_are_equal_are_one_class(suffix: str, tmp_path: Path) -> None:
    labels = ["0", "1", "1.0", "0.0"] * 20
    if suffix == ".csv":
        content = "text,label\n" + "".join(f"w{number},{label}\n" for number, label in enumerate(labels))
    else:
        content = "".join(f'{{"text": "w{number}", "label": {label}}}\n' for number, label in enumerate(labels))
    data = table(tmp_path, content, suffix)
    data.setup()
    assert data.spec.classes == ("0", "1")
