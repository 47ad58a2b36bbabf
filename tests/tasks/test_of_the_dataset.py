"""A metric is of the dataset: at three batch sizes, in two processes, and as NumPy, SciPy and scikit-learn compute it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.special import log_softmax

from experiments import evaluate, load, train

QUICK = [
    "trainer=cpu", "trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1",
    "callbacks.figures=null", "callbacks.progress=null", "logger=none",
]  # fmt: skip
Whole = list[tuple[Any, ...]]  # of each batch: what the data gave, prediction, target


def judged(whole: Whole) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n, classes) and truth (n,) of all that `step` judges."""
    return tuple(torch.cat([row[place] for row in whole]).double().numpy() for place in (1, 2))  # type: ignore[return-value]


def nll(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return -np.take_along_axis(log_softmax(scores, -1), truth[:, None].astype(int), -1)[:, 0]


def of_classes(task: Any, whole: Whole) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, matthews_corrcoef, precision_recall_fscore_support

    scores, truth = judged(whole)
    guess, truth = scores.argmax(1), truth.astype(int)
    weights = np.ones(scores.shape[1]) if getattr(task, "class_weights", None) is None else task.class_weights.numpy()
    smooth = getattr(task, "label_smoothing", 0.0)
    each = (1 - smooth) * weights[truth] * nll(scores, truth) - smooth * (log_softmax(scores, 1) * weights).mean(1)
    precision, recall, f1, _ = precision_recall_fscore_support(truth, guess, average="macro", zero_division=0)
    best = np.argsort(-scores, 1)[:, :5]
    return {
        "loss": each.sum() / weights[truth].sum(), "accuracy": accuracy_score(truth, guess), "precision": precision,
        "recall": recall, "f1": f1, "top5": (best == truth[:, None]).any(1).mean(), "matthews": matthews_corrcoef(truth, guess),
    }  # fmt: skip


def of_entities(task: Any, whole: Whole) -> dict[str, float]:
    seqeval = pytest.importorskip("seqeval.metrics")

    scores, truth = judged(whole)
    names, said, true = task.spec.classes, [], []
    for (inputs, labels), _, _ in whole:
        for guess, right in zip(task.model(inputs).argmax(-1), labels, strict=True):
            seen = right >= 0
            said.append([names[one] for one in guess[seen]])
            true.append([names[one] for one in right[seen]])
    found = {"precision": seqeval.precision_score, "recall": seqeval.recall_score, "f1": seqeval.f1_score}
    return {name: one(true, said, zero_division=0) for name, one in found.items()} | {
        "loss": nll(scores, truth).mean(),
        "accuracy": (scores.argmax(1) == truth).mean(),
    }


def of_tokens(task: Any, whole: Whole) -> dict[str, float]:
    scores, truth = judged(whole)
    loss = nll(scores, truth).mean()
    return {"loss": loss, "perplexity": np.exp(loss), "accuracy": (scores.argmax(1) == truth).mean()}


def of_numbers(task: Any, whole: Whole) -> dict[str, float]:
    guess, truth = judged(whole)
    error = guess - truth
    return {"loss": (error**2).mean(), "mse": (error**2).mean(), "mae": np.abs(error).mean()}


def of_forecasts(task: Any, whole: Whole) -> dict[str, float]:
    guess, truth = judged(whole)  # (N, horizon, C, Q), (N, horizon, C)
    levels, error, middle = np.array(task.quantiles), truth[..., None] - guess, truth - guess[..., task.middle]
    inside = (guess[..., 0] <= truth) & (truth <= guess[..., -1])
    return {
        "loss": np.maximum(levels * error, (levels - 1) * error).mean(), "mse": (middle**2).mean(),
        "mae": np.abs(middle).mean(), "coverage": inside.mean(),
    }  # fmt: skip


def of_masks(task: Any, whole: Whole) -> dict[str, float]:
    from sklearn.metrics import confusion_matrix

    scores, truth = (torch.cat([row[place] for row in whole]) for place in (1, 2))
    count = scores.shape[1]
    counts = confusion_matrix(truth.flatten(), scores.argmax(1).flatten(), labels=range(count)).astype(float)
    right, total = counts.diagonal(), counts.sum(0) + counts.sum(1)
    chances, true = scores.softmax(1).double(), F.one_hot(truth, count).permute(0, 3, 1, 2).double()
    dice = 1 - 2 * (chances * true).sum((2, 3)) / (chances + true).sum((2, 3))
    there = true.sum((2, 3)) > 0
    with np.errstate(invalid="ignore"):
        return {
            "loss": float(F.cross_entropy(scores, truth, weight=task.class_weights))
            + float(((dice * there).sum(1) / there.sum(1)).mean()),
            "mean_iou": np.nanmean(right / (total - right)), "dice": np.nanmean(2 * right / total),
            "pixel_accuracy": right.sum() / counts.sum(),
        }  # fmt: skip


def of_speech(task: Any, whole: Whole) -> dict[str, float]:
    from torchmetrics.text import CharErrorRate, WordErrorRate

    losses, said, heard = [], [], []
    for (inputs, target), _, _ in whole:
        scores = task.model(inputs)
        for row, length, symbols in zip(scores.values, scores.lengths, target, strict=True):
            symbols = symbols[symbols >= 0] + 1
            losses.append(F.ctc_loss(row[:length, None].log_softmax(2), symbols[None], length[None], torch.tensor([len(symbols)]), reduction="sum"))  # fmt: skip
        said += task.texts_of(target)
        heard += task.report.predict(inputs)
    return {"loss": float(torch.stack(losses).mean()), "wer": WordErrorRate()(heard, said), "cer": CharErrorRate()(heard, said)}  # fmt: skip


def of_images(task: Any, whole: Whole) -> dict[str, float]:
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    guess, truth = (torch.cat([row[place] for row in whole]).numpy()[:, 0] for place in (1, 2))
    pairs = list(zip(truth, guess, strict=True))
    return {
        "mse": ((guess - truth) ** 2).mean(),
        "psnr": np.mean([peak_signal_noise_ratio(*pair, data_range=1) for pair in pairs]),
        "ssim": np.mean([structural_similarity(*pair, data_range=1, win_size=7) for pair in pairs]),
    }


class Kind(NamedTuple):
    words: str
    by_hand: Callable[[Any, Whole], dict[str, float]] | None = None


WEIGHTS = "task.class_weights=[10,1,1,1,1,1,1,1,1,0.1] task.label_smoothing=0.1"
KINDS = {
    "weighted, smoothed classes": Kind(f"data=digits model=mlp model.hidden=[8] {WEIGHTS}", of_classes),
    "texts": Kind("data=generated_reviews data.count=203 model=gru model.hidden=8 task.class_weights=[3,1]", of_classes),
    "texts of a transformer": Kind("data=generated_reviews data.count=203 model=text_transformer", of_classes),
    "sounds": Kind("data=generated_tones data.count=52", of_classes),
    "steps": Kind("data=delayed_recall model.hidden=8", of_classes),
    "entities": Kind("data=generated_entities data.count=60 model=gru model.hidden=8", of_entities),
    "numbers": Kind("data=adding data.count=100 model.hidden=8", of_numbers),
    "quantiles by blocks": Kind("data=generated_series task.quantiles=[0.1,0.5,0.9] task.block=5", of_forecasts),
    "hidden words": Kind("data=generated_reviews data.count=203 task=masked_language_modelling model=bert_tiny", of_tokens),
    "pieces of a text": Kind("data=generated_text data.count=200 model=gpt_mini", of_tokens),
    "questions": Kind("data=generated_questions data.count=45 data.unanswerable=0.3 model=bert_tiny"),
    "weighted masks": Kind(
        "data=generated_masks data.count=22 data.side=32 model=unet model.width=8 model.depth=2 task.peers=false "
        "task.loss=cross_entropy+dice task.class_weights=[0.2,1,2,3,1]", of_masks
    ),
    "translations": Kind("data=generated_pairs data.count=153 model.embedding=8 model.hidden=8 task.search.beams=1", of_tokens),
    "speech": Kind("data=generated_words data.count=28 task.beam=1", of_speech),
    "actions": Kind("data=demonstrations model.hidden=[8]", of_tokens),
    "reconstructions": Kind("data=digits data.limit=60 model=autoencoder task.peers=false", of_images),
    "noise": Kind("data=digits data.limit=60 task=denoising task.peers=false", of_images),
    "anomalies": Kind("data=digits data.limit=60 task=anomaly_detection task.peers=false", of_images),
    "a code": Kind("data=digits data.limit=60 task=compression task.peers=false", of_images),
    "a bound": Kind("data=digits data.limit=60 model=vae task.importance_samples=2 task.peers=false"),
    "windows": Kind("data=generated_series task=reconstruction model=autoencoder task.peers=false", of_numbers),
}  # fmt: skip
SLOW = ("anomalies", "a code", "windows", "texts of a transformer", "a bound", "questions", "pieces of a text", "steps")


def measured(name: str, folder: Path) -> dict[str, float]:
    """Trains a kind of run for two batches; what its record says of the test."""
    folder.mkdir(parents=True, exist_ok=True)
    metrics = train(
        *KINDS[name].words.split(), *QUICK, f"hydra.run.dir={folder / name.replace(' ', '_').replace(',', '')}"
    )
    return {key: value for key, value in metrics["metrics"].items() if key.startswith("test/")} | {
        "dir": metrics["dir"]
    }


def assert_same(found: dict[str, float], right: dict[str, float]) -> None:
    assert found.keys() == right.keys()
    for name, value in right.items():
        assert found[name] == pytest.approx(value, rel=2e-5, abs=2e-6, nan_ok=True), name


@pytest.mark.parametrize("name", [pytest.param(one, marks=[pytest.mark.slow] if one in SLOW else []) for one in KINDS])
def test_no_batch_size_changes_a_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    recorded = measured(name, tmp_path)
    folder = recorded.pop("dir")
    for size in (7, 26, 400):
        assert_same(evaluate(folder, f"data.batch_size={size}"), recorded)
    by_hand = KINDS[name].by_hand
    if by_hand is None:
        return
    run = load(folder)
    if hasattr(run.data, "in_pieces") and not hasattr(run.model, "carry"):
        run.data.in_pieces = True
    with torch.inference_mode():
        whole = []
        for batch in run.data.test_dataloader():
            if isinstance(batch, torch.Tensor):  # of episodes that the policy plays
                continue
            if hasattr(run.data, "on_after_batch_transfer"):
                batch = run.data.on_after_batch_transfer(batch, 0)
            whole.append((batch, *run.task.step(batch)[1:]))
        right = by_hand(run.task, whole)
    known = {f"test/{key}": value for key, value in right.items() if f"test/{key}" in recorded}
    assert "test/loss" in known or "test/mse" in known
    for key, value in known.items():
        assert recorded[key] == pytest.approx(float(value), rel=1e-4, abs=1e-5), key


RANK = """
import json, sys
from experiments import evaluate
found = {folder: evaluate(folder, "trainer=cpu_2", "data.batch_size=26") for folder in sys.argv[1:]}
print(json.dumps(found))
"""


@pytest.mark.slow
def test_two_processes_find_the_same(tmp_path: Path) -> None:
    """Both begin once, and test all kinds of runs one after another."""
    folders = {}
    for name in KINDS:
        recorded = measured(name, tmp_path)
        folders[recorded.pop("dir")] = recorded
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "NODE_RANK": "0"}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, *folders], env=shared | {"LOCAL_RANK": rank, "RANK": rank}, cwd=tmp_path,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in ("0", "1")
    ]  # fmt: skip
    said = [rank.communicate(timeout=600) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], said[0][1] + said[1][1]
    for output, _ in said:
        for folder, found in json.loads(output.splitlines()[-1]).items():
            assert_same(found, folders[folder])
