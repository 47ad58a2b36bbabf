"""Files in another usual form are read as they are meant, or refused: as a user sees it, by `experiments check`."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

Experiments = Callable[..., tuple[int, str, str]]
SERIES = ("data=series_table", "data.path=list.csv", "data.history=4", "data.horizon=2", "data.season=2")


def refusal(experiments: Experiments, *words: str) -> str:
    """What `check` refuses; empty where the config can run."""
    code, _, errors = experiments("check", "trainer=quick", *words)
    assert code == (2 if errors else 0) and len(errors.splitlines()) <= 1, errors
    return errors


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        ("path,text,start,end", "line 3: long.wav has another transcript here than at list.csv, line 2"),
        ("path,text,Offset,Duration", "data.offset=offset is no column of list.csv, line 2: did you mean Offset?"),
        ("path,text,text,x", "two columns are called text"),
        ("path,text,offset,duration", ""),
    ],
)
def test_parts_of_recordings_by_other_names(experiments: Experiments, tmp_path: Path, head: str, sentence: str) -> None:
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "long.wav", np.random.default_rng(0).normal(0, 0.1, 80_000), 8000)
    rows = [f"long.wav,{'ab' * (1 + place)},{place},1" for place in range(10)]
    (tmp_path / "list.csv").write_text("\n".join([head, *rows]))
    errors = refusal(experiments, "data=speech_manifest", "data.path=list.csv", "data.audio=path")
    assert sentence in errors and bool(sentence) == bool(errors), errors


@pytest.mark.parametrize(
    ("form", "step"),
    [
        ("%Y%m%d%H", timedelta(hours=1)),
        ("%Y%m%d%H%M", timedelta(minutes=15)),
        ("%Y%m%d%H%M%S", timedelta(seconds=30)),
        ("%Y%m%d.0", timedelta(days=1)),
    ],
)
def test_times_written_as_one_number(experiments: Experiments, tmp_path: Path, form: str, step: timedelta) -> None:
    rows = [f"{datetime(2016, 7, 1) + step * place:{form}},{place % 3}" for place in range(80)]
    (tmp_path / "list.csv").write_text("\n".join(["time,value", *rows]))
    cure = f"data.time_format={form.removesuffix('.0')}"
    assert cure in refusal(experiments, *SERIES)
    assert refusal(experiments, *SERIES, cure) == ""


@pytest.mark.slow
def test_months_written_as_one_number_and_numbers(experiments: Experiments, tmp_path: Path) -> None:
    rows = [f"{1980 + place // 12}{place % 12 + 1:02},{place % 3}" for place in range(80)]
    (tmp_path / "list.csv").write_text("\n".join(["time,value", *rows]))
    assert "set data.time_format=%Y%m" in refusal(experiments, *SERIES)
    for first in (1, 199_900, 1_467_331_200):  # the second passes 1999 13, the third are seconds since 1970
        (tmp_path / "list.csv").write_text("\n".join(["t,value", *(f"{first + n},{n % 3}" for n in range(80))]))
        assert refusal(experiments, *SERIES) == ""


@pytest.mark.parametrize(
    ("head", "sentence"), [("EN\tde", ""), ("source\ttarget", ""), ("de\ten", "set data.columns=[2,1]"), (None, "")]
)
def test_a_head_of_a_table_of_pairs_is_no_pair(
    experiments: Experiments, tmp_path: Path, head: str | None, sentence: str
) -> None:
    words = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
    pairs = [f"{word} {two}\t{word.upper()} {two.upper()}" for word in words for two in words]
    (tmp_path / "pairs.tsv").write_text("\n".join([*([head] if head else []), *pairs]))
    errors = refusal(experiments, "data=pairs", "data.path=pairs.tsv", "data.languages=[en,de]")
    assert sentence in errors and bool(sentence) == bool(errors), errors
    if not sentence:
        from experiments.data.pairs.pair_files import table

        table_data = table(tmp_path / "pairs.tsv", (1, 2), "utf-8", (("en", "de"), ("source", "target")))
        assert len(table_data.source) == 100 and table_data.places[0] == f"{tmp_path / 'pairs.tsv'}:{2 if head else 1}"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("[" * 100_000, "lie too deep"),
        (f'{{"text": "a", "label": {"1" * 5000}}}', "too long to be read"),
        ('{"text": NaN, "label": "x"}', "empty"),
        ("[1]", "is no object"),
    ],
)
def test_lines_that_are_no_texts(experiments: Experiments, tmp_path: Path, line: str, sentence: str) -> None:
    rows = [json.dumps({"text": f"word {n}", "label": "xy"[n % 2]}) for n in range(60)]
    (tmp_path / "texts.jsonl").write_text("\n".join([*rows, line]))
    words = ("data=text_table", "data.path=texts.jsonl", "data.text=text", "data.label=label")
    errors = refusal(experiments, *words)
    assert "texts.jsonl:61" in errors and sentence in errors, errors


def yolo(root: Path, files: dict[str, str], labels: tuple[int, ...]) -> None:
    """Images with a box of each class."""
    for number in range(6):
        for folder in ("images", "labels"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (90, 120, 200)).save(root / "images" / f"{number}.png")
        (root / "labels" / f"{number}.txt").write_text("".join(f"{label} 0.5 0.5 0.5 0.5\n" for label in labels))
    for name, content in files.items():
        (root / name).write_text(content)


@pytest.mark.parametrize(
    ("files", "labels", "told"),
    [
        ({"data.yaml": "names: {1: cat, 2: dog}"}, (1, 2), ("cat", "dog")),
        ({"data.yaml": "names: {" + ", ".join(f"'{n}': c{n}" for n in range(12)) + "}"}, (2, 10), ("c2", "c10")),
        ({"data.yaml": "names: [no, 1.0]"}, (0, 1), ("no", "1.0")),
        ({"data.yaml": "names: {1: cat}"}, (0, 1), "is of class 0, and classes are 1 to 1"),
        ({"data.yaml": "names: cat"}, (0,), "give a list of class names"),
        ({"data.yaml": "names: [cat, cat]"}, (0, 1), "two classes 'cat'"),
        ({"classes.txt": "cat\n\ndog\n"}, (0, 1), "classes.txt, line 2 is empty"),
        ({"classes.txt": "cat\ndog\n\n"}, (0, 1), ("cat", "dog")),
    ],
)
def test_numbers_of_classes_stand_for_their_names(
    experiments: Experiments, tmp_path: Path, files: dict[str, str], labels: tuple[int, ...], told: object
) -> None:
    yolo(tmp_path / "boxes", files, labels)
    errors = refusal(experiments, "data=yolo", "data.root=boxes", "model=ssdlite", "model.size=64")
    if isinstance(told, str):
        assert told in errors
        return
    assert not errors, errors
    from experiments.data.boxes.yolo import YOLO

    read = YOLO.read(SimpleNamespace(name="yolo", root=str(tmp_path / "boxes"), _pictures=lambda *all: YOLO._pictures(SimpleNamespace(unannotated="refuse"), *all)))  # type: ignore[arg-type]  # fmt: skip
    assert tuple(thing.name for thing in read[1]["train"][0].objects) == told


@pytest.mark.parametrize("more", [(), ("data.colours={sky: '#000000', hut: '#ff0000', tree: '#00ff00'}",)])
def test_indices_of_colours_that_each_mask_numbers_anew(
    experiments: Experiments, tmp_path: Path, more: tuple[str, ...]
) -> None:
    for folder in ("images", "masks"):
        (tmp_path / "set" / folder).mkdir(parents=True)
    for number in range(12):
        Image.new("RGB", (32, 32), (90, 120, 200)).save(tmp_path / "set" / "images" / f"{number}.png")
        mask = Image.new("P", (32, 32))
        mask.paste(1, (4, 4, 20, 20))
        mask.paste(2, (20, 20, 30, 30))
        mask.putpalette([0, 0, 0, *([255, 0, 0, 0, 255, 0] if number % 2 else [0, 255, 0, 255, 0, 0])])
        mask.save(tmp_path / "set" / "masks" / f"{number}.png")
    errors = refusal(experiments, "data=mask_folder", "data.root=set", *more)
    assert bool(more) != ("give the index 1 several colours" in errors), errors
    if more:
        from experiments.data.masks.mask_values import packed, read_raw, understood

        colours = {"sky": packed("#000000", ""), "hut": packed("#ff0000", ""), "tree": packed("#00ff00", "")}
        meaning = understood([], None, colours, None)
        first, second = (tmp_path / "set" / "masks" / f"{number}.png" for number in (0, 1))
        assert meaning.indices(read_raw(first), first)[8, 8] == 2  # green
        assert meaning.indices(read_raw(second), second)[8, 8] == 1  # red
