"""Pairs of texts: correlations, retrieval, and runs that compare or classify pairs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from scipy import stats

from experiments.tasks.parts.correlation import Correlation, Retrieval

QUICK = ["trainer=quick", "trainer.accelerator=cpu", "logger=none", "callbacks=none", "hydra.run.dir=run"]
TINY = ["model=bert_tiny", "model.size=16", "model.inner=16", "data.validation=6", "data.test=6", "data.batch_size=4"]


def test_correlations_are_scipy_s() -> None:
    first, second = torch.randn(50), torch.randint(0, 5, (50,)).float()  # with equal values
    for ranked, theirs in ((False, stats.pearsonr), (True, stats.spearmanr)):
        metric = Correlation(ranked)
        for part in (slice(0, 20), slice(20, 50)):
            metric.update(first[part, None], second[part, None])
        assert metric.compute().item() == pytest.approx(theirs(first.numpy(), second.numpy())[0], abs=1e-6)
    still = Correlation(True)
    still.update(torch.ones(4), torch.arange(4.0))
    assert still.compute().item() == 0


def test_retrieval_counts_partners_that_are_nearest() -> None:
    vectors = torch.nn.functional.normalize(torch.eye(4), dim=1)
    metric = Retrieval()
    metric.update(torch.stack([vectors, vectors[[0, 1, 3, 2]]], 1), torch.arange(4))
    assert metric.compute().item() == 0.5


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.tsv"
    rows = [f"the {first} film\tthe {second} film\t{number % 5 / 2}" for number, (first, second) in enumerate(WORDS)]
    path.write_text("first\tsecond\tscore\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


WORDS = [
    (word, two)
    for word in ("good", "bad", "long", "अच्छी", "dull")
    for two in ("good", "bad", "new", "बुरी", "old", "odd")
]


def metrics(folder: Path) -> dict[str, float]:
    return json.loads((folder / "run" / "record.json").read_text())["metrics"]


def table(path: Path) -> list[str]:
    return ["data=text_table", f"data.path={path}", "data.text=first", "data.second=second", "data.label=score"]


@pytest.mark.slow
def test_regression_of_pairs(experiments, tmp_path: Path, pairs: Path) -> None:
    code, _, errors = experiments("train", *QUICK, *table(pairs), "data.numbers=true", "task=regression", *TINY)
    assert code == 0, errors
    assert {"test/pearson", "test/spearman", "test/mae"} <= metrics(tmp_path).keys()
    code, output, errors = experiments("predict", "run", "a good film ||| a bad film", "--format", "json")
    assert code == 0, errors
    assert isinstance(json.loads(output)[0]["number"], float)
    code, _, errors = experiments("predict", "run", "a good film")
    assert code == 2 and "|||" in errors


@pytest.mark.slow
def test_classification_of_pairs(experiments, tmp_path: Path, pairs: Path) -> None:
    code, _, errors = experiments("train", *QUICK, *table(pairs), *TINY)
    assert code == 0, errors
    assert "test/accuracy" in metrics(tmp_path)


@pytest.mark.slow
def test_similarity_reads_texts_one_by_one(experiments, tmp_path: Path, pairs: Path) -> None:
    words = [*table(pairs), "data.numbers=true", "task=similarity", *TINY, "model.pooling=mean"]
    code, _, errors = experiments("train", *QUICK, *words)
    assert code == 0, errors
    assert {"test/pearson", "test/spearman"} <= metrics(tmp_path).keys()
    code, output, errors = experiments("predict", "run", "a good film ||| a good film", "--format", "json")
    assert code == 0, errors
    assert json.loads(output)[0]["cosine"] == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_pairs_without_numbers_are_retrieved(experiments, tmp_path: Path) -> None:
    path = tmp_path / "partners.tsv"
    path.write_text(
        "\n".join(f"number {n}\tसंख्या {n}\tsource" for n in range(40)) + "\nnumber 1\tदोहराव\t-\n", encoding="utf-8"
    )
    words = [
        "data=sentence_pairs",
        f"data.path={path}",
        *TINY,
        "data.tokenizer.kind=character",
        "data.tokenizer.min_count=1",
    ]
    code, _, errors = experiments("train", *QUICK, *words)
    assert code == 0, errors
    assert 0 <= metrics(tmp_path)["test/retrieval"] <= 1
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert sum(record["data"][part] for part in ("train", "validation", "test")) == 40
    path.write_text("one column\n")
    code, _, errors = experiments("train", *QUICK, *words, "hydra.run.dir=other")
    assert code == 2 and "partners.tsv:1: 1 columns" in errors


def test_similarity_of_single_texts_is_refused(experiments, tmp_path: Path, pairs: Path) -> None:
    for command in ("check", "train"):
        code, output, errors = experiments(command, *QUICK, "data=generated_reviews", "task=similarity")
        assert code == 2 and "gives one" in output + errors
        code, output, errors = experiments(
            command, *QUICK, "data=text_table", f"data.path={pairs}", "data.label=score", "task=similarity"
        )
        assert code == 2 and "gives one" in output + errors


def test_similarity_needs_vectors(experiments) -> None:
    code, _, errors = experiments("train", *QUICK, "data=stsb", "task=similarity", "model=lstm", "data.root=.")
    assert code == 2 and "vectors" in errors and "model=lstm" in errors


def test_numbers_that_are_none(experiments, tmp_path: Path, pairs: Path) -> None:
    pairs.write_text(pairs.read_text().replace("\t0.5", "\thalf"))
    code, _, errors = experiments("train", *QUICK, *table(pairs), "data.numbers=true", "task=regression", *TINY)
    assert code == 2 and "label half is no number" in errors


@pytest.mark.slow
def test_a_sheet_of_excel(experiments, tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["Reviews", "labels"])
    for number in range(40):
        book.active.append([f"अच्छी फ़िल्म {number}" if number % 2 else f"बुरी फ़िल्म {number}", number % 2])
    book.save(tmp_path / "reviews.xlsx")
    words = ["data=text_table", "data.path=reviews.xlsx", "data.text=Reviews", "data.label=labels", "model=lstm"]
    code, _, errors = experiments("train", *QUICK, *words)
    assert code == 0, errors
    assert "test/matthews" in metrics(tmp_path)
    (tmp_path / "broken.xlsx").write_text("no sheet")
    code, _, errors = experiments("train", *QUICK, "data=text_table", "data.path=broken.xlsx", "hydra.run.dir=other")
    assert code == 2 and "no Excel file" in errors


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "train", "test", "classes"),
    [
        ("ag_news", 5400, 1600, 4),
        ("cola", 7696, 1043, 2),
        ("rte", 2241, 277, 2),
        ("stsb", 5174, 1500, 0),
        ("snli", 7972, 984, 3),
    ],
)
def test_real_files(real_data: Path, tmp_path: Path, option: str, train: int, test: int, classes: int) -> None:
    from experiments.config.compose import compose
    from experiments.run.build import build_data

    data = build_data(compose([f"data={option}", f"hydra.run.dir={tmp_path}"]))
    assert (data.splits["train"], data.splits["test"], data.spec.num_classes) == (train, test, classes)
    assert data.spec.values == (option == "stsb")
    if option in ("rte", "snli", "stsb"):
        batch, _ = data.sample("train", 4)
        assert ((batch.values == 3).sum(1) == 2).all()  # an end behind each text
