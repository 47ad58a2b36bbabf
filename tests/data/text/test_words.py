"""Words with labels: files of all forms, tokens aligned with words, and what is wrong with a file."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from experiments.batches import IGNORED
from experiments.data.text.conll import Conll, Conllu
from experiments.data.text.generated_entities import GeneratedEntities
from experiments.data.text.generated_homographs import CUES, write
from experiments.errors import UserError
from experiments.run.names_of_data import match_classes

LINES = "Asha\tB-per\nRao\tI-per\nlives\tO\nhere\tO\n\t\nIt\tO\nrained\tO\n\nRavi\tB-per\nleft\tO\n\n" * 4
UD = """# text = I can't go
1\tI\tI\tPRON\tPRP\t_\t4\tnsubj\t_\t_
2-3\tcan't\t_\t_\t_\t_\t_\t_\t_\t_
2\tca\tcan\tAUX\tMD\t_\t4\taux\t_\t_
3\tn't\tnot\tPART\tRB\t_\t4\tadvmod\t_\t_
3.1\tnever\t_\t_\t_\t_\t_\t_\t_\t_
4\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\t_

"""


def keys(folder: Path, **changed: Any) -> dict[str, Any]:
    tokenizer = {
        "kind": "wordpiece",
        "size": 60,
        "min_count": 1,
        "lowercase": True,
        "ends": True,
        "source": None,
        "file": str(folder / "tokenizer.json"),
    }
    plain = {"tokenizer": tokenizer, "max_length": None, "empty": "error", "validation": 2, "test": 2, "limit": None}
    plain |= {"batch_size": 4, "max_tokens": None, "bucket": True, "workers": 0, "seed": 0}
    return plain | changed


def conll(folder: Path, content: str, name: str = "words.conll", **changed: Any) -> Conll:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    more = {"validation_path": None, "test_path": None, "word": 0, "label": -1, "encoding": "utf-8"}
    return Conll(path=str(path), **more | keys(folder) | changed)


def test_a_label_stands_at_the_first_token_of_its_word(tmp_path: Path) -> None:
    data = conll(tmp_path, LINES)
    data.setup()
    assert data.spec.classes == ("O", "B-per", "I-per")
    batch, targets = data.sample("train", 3)
    for row, length, target in zip(batch.values, batch.lengths, targets, strict=True):
        pieces = data.pieces(row[:length].tolist())
        judged = [piece for piece, label in zip(pieces, target.tolist(), strict=False) if label != IGNORED]
        assert pieces[0] == "<s>" and pieces[-1] == "</s>"
        assert not any(piece.startswith("##") or piece in ("<s>", "</s>") for piece in judged)
    words = [word for words in conll(tmp_path, LINES).read_sentences()["train"].words for word in words]
    assert len(words) == 32
    assert sum(int((data.sets[part].targets != IGNORED).sum()) for part in data.sets) == 32


def test_json_lines_and_packed_files(tmp_path: Path) -> None:
    records = [{"tokens": ["नमस्ते", "दिल्ली"], "ner_tags": ["O", "B-place"]}] * 6
    data = conll(tmp_path, "\n".join(map(json.dumps, records)), "words.jsonl")
    data.setup()
    assert data.spec.classes == ("O", "B-place") and data.splits["train"] == 2
    packed = tmp_path / "words.conll.gz"
    packed.write_bytes(gzip.compress(LINES.encode()))
    more = {"validation_path": None, "test_path": None, "word": 0, "label": 1, "encoding": "utf-8"}
    assert len(Conll(path=str(packed), **more, **keys(tmp_path)).read_sentences()["train"].words) == 12


def test_conllu_leaves_out_what_is_no_word(tmp_path: Path) -> None:
    path = tmp_path / "a.conllu"
    path.write_text(UD * 6)
    rest = {"validation_path": None, "test_path": None, "encoding": "utf-8"}
    data = Conllu(path=str(path), label="upos", **rest, **keys(tmp_path))
    sentences = data.read_sentences()["train"]
    assert sentences.words[0] == ["I", "ca", "n't", "go"] and sentences.tags[0] == ["PRON", "AUX", "PART", "VERB"]
    with pytest.raises(UserError, match=r"data.label=pos.*upos"):
        Conllu(path=str(path), label="pos", **rest, **keys(tmp_path))
    path.write_text("1\tI\tPRON\n")
    with pytest.raises(UserError, match=r"a.conllu:1: 3 columns.*ten"):
        data.read_sentences()


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        ("Asha B-per\nRao\n\n", "a.conll", [":2: 1 column", "data.label=-1"]),
        ("\tB-per\tO\n\n", "a.conll", [":1: the first column is empty"]),
        (" \tB-per\tO\n\n", "a.conll", [":1: the first column is empty"]),
        ("\n\n", "a.conll", ["no sentence"]),
        ('{"tokens": ["a", "b"], "tags": ["O"]}\n', "a.jsonl", [":1: 2 words and 1 labels"]),
        ('{"text": "a"}\n', "a.jsonl", [":1", "no list of words", "text"]),
        ("[1\n", "a.jsonl", [":1: no JSON"]),
    ],
)
def test_bad_files_are_refused_with_their_line(tmp_path: Path, content: str, name: str, words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        conll(tmp_path, content, name).setup()
    assert all(word in str(caught.value) for word in words), caught.value


def test_labels_that_training_does_not_have(tmp_path: Path) -> None:
    other = tmp_path / "test.conll"
    other.write_text("Delhi\tB-place\n\n")
    with pytest.raises(UserError, match=r"test.conll:1: label B-place is none of the training split"):
        conll(tmp_path, LINES, test_path=str(other)).setup()


def test_words_without_a_token_keep_their_label(tmp_path: Path) -> None:
    data = conll(tmp_path, LINES)
    data.setup()
    from tokenizers.normalizers import BertNormalizer

    data.tokenizer.normalizer = BertNormalizer()  # takes signs away
    rows, firsts, cut = data._encode_words([["\x07", "Asha", "\x07", "left", "\x07"]], ["here"])
    assert len(firsts[0]) == 5 and firsts[0] == sorted(firsts[0]) and cut == 0
    assert [rows[0][place] for place in firsts[0]][::2] == [1, 1, 1]
    assert rows[0][-1] == 3
    with pytest.raises(UserError, match="here: nothing of the sentence"):
        data._encode_words([["\x07"]], ["here"])


def test_long_sentences_are_cut_and_counted(tmp_path: Path) -> None:
    data = conll(tmp_path, LINES, max_length=4)
    data.setup()
    assert data.splits["cut"] > 0 and data.spec.longest == 4
    assert all(row[-1] == 3 for row in data._encode_words([["Asha", "Rao", "lives", "here"]], ["x"])[0])
    prepared = data.prepare(["Asha Rao lives here."])
    assert len(prepared.words[0]) == len(prepared.firsts[0]) < 5


def test_generated_entities_are_the_same_each_time(tmp_path: Path) -> None:
    first, other = (GeneratedEntities(count=50, **keys(tmp_path, test=None)) for _ in range(2))
    assert first.read_sentences() == other.read_sentences()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "counts"),
    [("wnut17", (3394, 1009, 1287)), ("ud_english_ewt", (12544, 2001, 2077)), ("hiner", None)],
)
def test_real_files(real, tmp_path: Path, option: str, counts: tuple[int, ...] | None) -> None:
    folder = real(option)
    from experiments.config.compose import compose
    from experiments.run.build import make

    config = compose([f"data={option}", f"hydra.run.dir={tmp_path}"])
    sentences = make(config.data).read_sentences()
    assert folder.exists()
    if counts:
        assert tuple(len(sentences[part].words) for part in ("train", "validation", "test")) == counts
    else:
        assert len(sentences["train"].words) == 10851


@pytest.mark.parametrize("after", [0.0, 1.0])
def test_a_word_of_two_meanings_is_told_by_one_before_or_after_it(after: float) -> None:
    written = write(50, 0, after)
    assert written == write(50, 0, after) != write(50, 1, after)
    for words, tags in zip(written.words, written.tags, strict=True):
        (at,) = (place for place, tag in enumerate(tags) if tag != "O")
        cues = CUES[tags[at].removeprefix("B-")]
        (cue,) = (place for place, word in enumerate(words) if any(word in some for some in CUES.values()))
        assert words[cue] in cues and (cue > at) == bool(after)


def test_a_folder_names_its_parts(tmp_path: Path) -> None:
    from experiments.data.text.conll import files_of_splits

    for name in ("README.md", "en-train.conllu.gz", "en-dev.conllu", "en-test.conllu"):
        (tmp_path / name).touch()
    assert {part: Path(file).name for part, file in files_of_splits(tmp_path).items()} == {
        "train": "en-train.conllu.gz", "validation": "en-dev.conllu", "test": "en-test.conllu",
    }  # fmt: skip
    (tmp_path / "hi-train.conllu").touch()
    with pytest.raises(UserError, match="holds 2 files with train"):
        files_of_splits(tmp_path)


OTHERS = "Asha\tB-PER\nRao\tI-PER\nin\tO\nDelhi\tB-CITY\n\nIt\tO\nrained\tO\n\n" * 4


def test_labels_get_the_names_that_are_given(tmp_path: Path) -> None:
    """Of types and of whole labels; what is named as a new name stays, and `*` is all the others."""
    data = conll(tmp_path, OTHERS, rename={"PER": "per", "*": "O"})
    data.setup()
    assert data.spec.classes == ("O", "B-per", "I-per")
    data = conll(tmp_path, LINES + OTHERS, name="both.conll", rename={"I-PER": "B-per", "PER": "per", "CITY": "place"})
    data.setup()
    assert data.spec.classes == ("O", "B-per", "B-place", "I-per")
    data = conll(tmp_path, LINES + OTHERS, name="both.conll", rename={"PER": "per", "*": "O"})
    data.setup()
    assert data.spec.classes == ("O", "B-per", "I-per")
    with pytest.raises(UserError, match=r"data\.rename: PERS is no label of the data: did you mean PER"):
        conll(tmp_path, OTHERS, rename={"PERS": "per"}).setup()


def test_labels_of_a_run_are_met_by_name_where_they_are_renamed(tmp_path: Path) -> None:
    """A run on one language is tested on another, whose files write the same types otherwise."""
    trained = conll(tmp_path, LINES)
    trained.setup()
    other = conll(tmp_path, OTHERS, name="other.conll")
    other.setup()
    cure = r"rename them, as in 'data\.rename=\{PER: per, \*: O\}'"
    with pytest.raises(UserError, match=rf"has classes that the run does not know \(B-CITY, B-PER, I-PER\).*: {cure}"):
        match_classes(other, trained.spec, "data=conll")
    strange = conll(tmp_path, OTHERS.replace("PER", "GOD"), name="other.conll")
    strange.setup()
    with pytest.raises(UserError, match=r"choose data with these, or rename the classes with data\.rename"):
        match_classes(strange, trained.spec, "data=conll")
    renamed = conll(tmp_path, OTHERS, name="other.conll", rename={"PER": "per", "*": "O"})
    renamed.setup()
    match_classes(renamed, trained.spec, "data=conll")
    assert renamed.spec.classes == trained.spec.classes
