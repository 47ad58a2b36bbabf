"""A metric is of the dataset: at three batch sizes, in two processes, and as NumPy, SciPy and scikit-learn compute it."""

from __future__ import annotations

import functools
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
from PIL import Image

from experiments import evaluate, load, train
from experiments.tasks.detection import Detection
from tests.tasks import by_hand as hand

QUICK = [
    "trainer=cpu", "trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1",
    "callbacks.figures=null", "callbacks.progress=null", "logger=none",
]  # fmt: skip


class Kind(NamedTuple):
    """A run's words, its metrics computed by hand, and those that are of a batch by their definition."""

    words: str
    by_hand: Callable[[Any, hand.Whole], dict[str, float]]
    of_batches: tuple[str, ...] = ()


PAIRS = (
    "task=similarity data.path=pairs.tsv data.validation=6 data.test=30 data.batch_size=8 model=bert_tiny model.size=16 "
    "model.inner=16 model.pooling=mean"
)
WRITER = "model=gpt_mini model.size=16 model.layers=1 model.inner=16 model.heads=2"
WEIGHTS = "task.class_weights=[10,1,1,1,1,1,1,1,1,0.1] task.label_smoothing=0.1"
KINDS = {
    "weighted, smoothed classes": Kind(f"data=digits model=mlp model.hidden=[8] {WEIGHTS}", hand.of_classes),
    "texts": Kind("data=generated_reviews data.count=203 model=gru model.hidden=8 task.class_weights=[3,1]", hand.of_classes),
    "texts of a transformer": Kind("data=generated_reviews data.count=203 model=text_transformer", hand.of_classes),
    "sounds": Kind("data=generated_tones data.count=52", hand.of_classes),
    "steps": Kind("data=delayed_recall model.hidden=8", hand.of_classes),
    "entities": Kind("data=generated_entities data.count=60 model=gru model.hidden=8", hand.of_entities),
    "numbers": Kind("data=adding data.count=100 model.hidden=8", hand.of_numbers),
    "quantiles by blocks": Kind("data=generated_series task.quantiles=[0.1,0.5,0.9] task.block=5", hand.of_forecasts),
    "hidden words": Kind("data=generated_reviews data.count=203 task=masked_language_modelling model=bert_tiny", hand.of_tokens),
    "pieces of a text": Kind("data=generated_text data.count=200 model=gpt_mini", hand.of_tokens),
    "questions": Kind("data=generated_questions data.count=45 data.unanswerable=0.3 model=bert_tiny", hand.of_answers),
    "weighted masks": Kind(
        "data=generated_masks data.count=22 data.side=32 model=unet model.width=8 model.depth=2 task.peers=false "
        "task.loss=cross_entropy+dice task.class_weights=[0.2,1,2,3,1]", hand.of_masks
    ),
    "translations": Kind("data=generated_pairs data.count=153 model.embedding=8 model.hidden=8 task.search.beams=1", hand.of_tokens),
    "speech": Kind("data=generated_words data.count=28 task.beam=1", hand.of_speech),
    "actions": Kind("data=demonstrations model.hidden=[8] data.environments=2 data.test_episodes=5", hand.of_actions),
    "reconstructions": Kind("data=digits data.limit=60 model=autoencoder task.peers=false", hand.of_images),
    "noise": Kind("data=digits data.limit=60 task=denoising task.peers=false", hand.of_images),
    "anomalies": Kind("data=digits data.limit=60 task=anomaly_detection task.peers=false", hand.of_images),
    "a code": Kind("data=digits data.limit=60 task=compression task.peers=false", hand.of_images),
    "a bound": Kind("data=digits data.limit=60 model=vae task.importance_samples=2 task.peers=false", hand.of_a_bound),
    "windows": Kind("data=generated_series task=reconstruction model=autoencoder task.peers=false", hand.of_numbers),
    "boxes": Kind("data=generated_boxes data.count=40 data.side=64 model=ssdlite model.size=64", hand.of_objects),
    "masks of objects": Kind(
        "data=generated_boxes task=instance_segmentation data.count=40 data.side=64 data.batch_size=4 model.backbone=resnet18 "
        "model.min_size=64 model.max_size=64 model.samples=16 model.detections=20", hand.of_objects
    ),
    "colours": Kind("data=image_folder data.root=pictures task=colourisation task.peers=false", hand.of_colours),
    "graded pairs": Kind(
        f"data=text_table data.text=first data.second=second data.label=score data.numbers=true {PAIRS}", hand.of_grades
    ),
    "pairs": Kind(f"data=sentence_pairs {PAIRS}", hand.of_partners, ("test/loss",)),
    "labels never seen": Kind(
        "task=zero_shot data=generated_reviews data.count=203 task.labels=[bad,good] weights=writer "
        f"{WRITER}", hand.of_labels_never_seen
    ),
    "transcripts": Kind(
        "data=generated_words data.count=28 model=whisper_tiny model.window=2 model.hidden=16 model.layers=1 model.heads=2 "
        "model.inner=32 model.bands=16 model.longest_text=40 model.projection=8", hand.of_transcripts
    ),
    "a policy": Kind(
        "data=control data.environments=2 data.steps=16 data.rollouts=1 data.validation_episodes=2 data.test_episodes=5 "
        "model.hidden=[8]", hand.of_episodes
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pairs of texts and their grades, and with pictures in colour."""
    place = tmp_path_factory.mktemp("kinds")
    draw = np.random.default_rng(0)
    words = draw.choice(["good", "bad", "long", "new", "old", "odd", "अच्छी", "film"], (60, 2, 4))
    rows = [f"{' '.join(first)}\t{' '.join(second)}\t{number % 11 / 2}" for number, (first, second) in enumerate(words)]
    (place / "pairs.tsv").write_text("\n".join(["first\tsecond\tscore", *rows]) + "\n", encoding="utf-8")
    for number in range(60):
        folder = place / "pictures" / f"class {number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = draw.integers(0, 256, (4, 4, 3), np.uint8).repeat(3, 0).repeat(3, 1)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return place


@pytest.fixture(autouse=True)
def _here(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


@functools.cache
def measured(name: str, place: Path) -> tuple[str, dict[str, float]]:
    """Trains a kind of run for two batches, once for all tests; its folder, and what its record says of the test."""
    if "weights=writer" in KINDS[name].words:  # whose labels are judged by a language model
        train("data=generated_text", "data.count=200", "hydra.run.dir=writer", *WRITER.split(), *QUICK)
    metrics = train(
        *KINDS[name].words.split(), *QUICK, f"hydra.run.dir={place / name.replace(' ', '_').replace(',', '')}"
    )
    of_test = {key: value for key, value in metrics["metrics"].items() if key.startswith("test/")}
    return str(metrics["dir"]), {key: float("nan") if value is None else value for key, value in of_test.items()}


def assert_same(actual: dict[str, float], right: dict[str, float]) -> None:
    assert actual.keys() == right.keys()
    for name, value in right.items():
        assert actual[name] == pytest.approx(value, rel=2e-5, abs=2e-6, nan_ok=True), name


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_no_batch_size_changes_a_metric(place: Path, name: str) -> None:
    folder, recorded = measured(name, place)
    of_batches = KINDS[name].of_batches
    wanted = {key: value for key, value in recorded.items() if key not in of_batches}
    for size in (7, 26, 400):
        metrics = evaluate(folder, f"data.batch_size={size}")
        assert_same({key: value for key, value in metrics.items() if key not in of_batches}, wanted)
    run = load(folder)
    if hasattr(run.data, "in_pieces") and not hasattr(run.model, "carry"):
        run.data.in_pieces = True
    with torch.inference_mode():
        whole = []
        for batch in run.data.test_dataloader():
            if isinstance(batch, torch.Tensor):  # of episodes that the policy plays
                continue
            batch = run.data.transfer_batch_to_device(batch, torch.device("cpu"), 0)
            batch = run.data.on_after_batch_transfer(batch, 0)
            stepped = not isinstance(run.task, Detection)  # which computes no loss in a test
            whole.append((batch, *(run.task.step(batch)[1:] if stepped else ())))
        run.task.data = run.data
        right = KINDS[name].by_hand(run.task, whole)
    judged = {f"test/{key}": value for key, value in right.items() if f"test/{key}" in recorded}
    assert judged and (not {"loss", "mse"} & right.keys() or {"test/loss", "test/mse"} & judged.keys())
    for key, value in judged.items():
        assert recorded[key] == pytest.approx(float(value), rel=1e-4, abs=1e-5, nan_ok=True), key


RANK = """
import json, sys
from experiments import evaluate
found = {folder: evaluate(folder, "trainer=cpu_2", "data.batch_size=26") for folder in sys.argv[1:]}
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_processes_find_the_same(place: Path) -> None:
    """Both begin once, and test all kinds of runs one after another."""
    folders, left_out = {}, {}
    for name, kind in KINDS.items():
        folder, recorded = measured(name, place)
        left_out[folder] = kind.of_batches
        folders[folder] = recorded
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "NODE_RANK": "0"}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, *folders], env=shared | {"LOCAL_RANK": rank, "RANK": rank}, cwd=place,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in ("0", "1")
    ]  # fmt: skip
    try:
        outputs = [rank.communicate(timeout=600) for rank in ranks]
    finally:
        for rank in ranks:  # one waits for the other for ever where that has failed
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], outputs[0][1] + outputs[1][1]
    for output, _ in outputs:
        for folder, together in json.loads(output.splitlines()[-1]).items():
            of_batches = left_out[folder]
            assert_same(
                *(
                    {key: value for key, value in metrics.items() if key not in of_batches}
                    for metrics in (together, folders[folder])
                )
            )
