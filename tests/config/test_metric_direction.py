"""Which way a metric improves: by its name, alike for checkpoints, early stopping, schedules and comparisons."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from experiments.config.metric_direction import direction, improves
from experiments.errors import UserError


@pytest.mark.parametrize(
    ("names", "way"),
    [
        (
            "val/loss val_loss valid/loss_epoch testloss val/mape val/smape test/rmse top1_error MeanAbsoluteError",
            "min",
        ),
        ("test/wer test/nll negative_log_likelihood neg_f1 val/perplexity bits_per_pixel brier_score_loss", "min"),
        (
            "val/accuracy valacc val/map50 mask_map_small f1 val/r2 MulticlassAUROC test/top5 val/elbo test/return",
            "max",
        ),
        ("val/mean_iou dice val/spearman exact_match psnr ssim error_free_score", "max"),
        ("brier_score fid_score TweedieDevianceScore KLDivergence MSELoss neg_mean_iou", "min"),
        ("val/mIoU val/mAP nDCG@10 BLEUScore recall_negative val/negative/recall neg_mean_squared_error", "max"),
        ("val/accuracy_gap val/loss_reduction test/f1_std val/loss_scale accuracy_difference", None),
        ("val/explained_variance val/gain_of_accuracy", "max"),
        ("val/colourfulness val/sharpness val/power val/overlay lr-Adam", None),
    ],
)
def test_a_name_says_which_way(names: str, way: str | None) -> None:
    assert {name: improves(name) for name in names.split()} == dict.fromkeys(names.split(), way)


def test_a_name_that_does_not_say_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"callbacks\.checkpoint\.monitor=val/x does not say .*: add callbacks\.checkpoint\.mode="
    ):
        direction("val/x", "callbacks.checkpoint")


def test_names_agree_with_what_tasks_say_of_themselves() -> None:
    directions = {}
    for path in Path(import_module("experiments.tasks").__file__ or "").parent.glob("*.py"):
        module = import_module(f"experiments.tasks.{path.stem}")
        for member in vars(module).values():
            monitor = getattr(member, "monitor", None)
            if isinstance(member, type) and isinstance(monitor, tuple):
                directions[monitor[0]] = monitor[1]
    assert len(directions) > 10
    assert {name: improves(name) for name in directions} == directions


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "metric", "mode"),
    [
        ([], "val/accuracy", "max"),
        (["callbacks.checkpoint.monitor=val/loss"], "val/loss", "min"),
        (["callbacks.checkpoint.monitor=val/loss", "callbacks.checkpoint.mode=max"], "val/loss", "max"),
        (["callbacks.checkpoint.monitor=val/accuracy"], "val/accuracy", "max"),
    ],
)
def test_the_best_epoch_is_the_best(
    experiments: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    words: list[str], metric: str, mode: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code, _, errors = experiments(
        "train", "data=digits", "model=mlp", "trainer=cpu", "trainer.max_epochs=2", *words, "hydra.run.dir=run"
    )
    assert code == 0, errors
    record = json.loads(Path("run/record.json").read_text())
    assert record["judged"] == {"metric": metric, "mode": mode}
    values = [float(row[metric]) for row in csv.DictReader(Path("run/metrics.csv").read_text().splitlines())]
    assert record["best_epoch"] == 1 + values.index(max(values) if mode == "max" else min(values))


@pytest.mark.slow
def test_early_stopping_and_schedules_follow_their_metric(
    experiments: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Watching an accuracy that rises stops nothing; watching a loss that falls lowers no rate."""
    monkeypatch.chdir(tmp_path)
    words = [
        "data=digits",
        "model=mlp",
        "trainer=cpu",
        "trainer.max_epochs=4",
        "callbacks=early_stopping",
        "hydra.run.dir=run",
    ]
    words += ["callbacks.early_stopping.monitor=val/accuracy", "callbacks.early_stopping.patience=1"]
    words += ["scheduler=plateau", "+scheduler.monitor=val/loss", "scheduler.patience=0"]
    code, _, errors = experiments("train", *words)
    assert code == 0, errors
    rows = list(csv.DictReader(Path("run/metrics.csv").read_text().splitlines()))
    assert len(rows) == 4 and {row["train/learning_rate"] for row in rows} == {"0.001"}


def test_early_stopping_made_from_lightning_s_follows_its_metric_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from experiments.run.trainer import callbacks_of

    (tmp_path / "patient.py").write_text(
        "from lightning.pytorch.callbacks import EarlyStopping\nclass Patient(EarlyStopping): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    node = {"_target_": "patient.Patient", "monitor": "val/accuracy", "mode": None}
    assert [callback.mode for callback in callbacks_of(OmegaConf.create({"early_stopping": node, "other": node}))] == [
        "max"
    ] * 2


@pytest.mark.slow
@pytest.mark.parametrize("words", ["callbacks.checkpoint.monitor=val/x", "scheduler=plateau +scheduler.monitor=val/x"])
def test_check_refuses_what_does_not_say(experiments: Callable[..., tuple[int, str, str]], words: str) -> None:
    for command in ("check", "train"):
        code, output, errors = experiments(command, "data=digits", "model=mlp", *words.split())
        assert code == 2 and "monitor=val/x does not say which way it improves: add " in output + errors
