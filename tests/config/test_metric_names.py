"""Names of metrics in every usual form."""

from __future__ import annotations

import pytest

from experiments.config.metric_names import loss_of, split_and_quantity, usual_name


@pytest.mark.parametrize(
    ("metric", "split", "quantity", "usual"),
    [
        ("val/accuracy", "val", "accuracy", "val/accuracy"),
        ("val_acc", "val", "acc", "val/acc"),
        ("valid/loss_epoch", "val", "loss_epoch", "val/loss"),
        ("validation_loss", "val", "loss", "val/loss"),
        ("train_loss_epoch", "train", "loss_epoch", "train/loss"),
        ("Loss/train", "train", "Loss", "train/Loss"),
        ("test/f1/cat", "test", "f1/cat", "test/f1/cat"),
        ("loss", "", "loss", "loss"),
        ("trained/loss", "", "trained/loss", "trained/loss"),
        ("value_loss", "", "value_loss", "value_loss"),
        ("cost.seconds", "", "cost.seconds", "cost.seconds"),
    ],
)
def test_parts_of_a_name(metric: str, split: str, quantity: str, usual: str) -> None:
    assert split_and_quantity(metric) == (split, quantity)
    assert usual_name(metric) == usual


@pytest.mark.parametrize(
    ("names", "loss"),
    [
        (("val_loss", "val/loss", "train/loss"), "val/loss"),
        (("val_acc", "valid/ctc_loss", "test_loss"), "valid/ctc_loss"),
        (("Loss/train", "Loss/val"), "Loss/val"),
        (("loss", "train_loss", "val_acc"), None),
    ],
)
def test_the_loss_of_validation(names: tuple[str, ...], loss: str | None) -> None:
    assert loss_of("val", names) == loss
