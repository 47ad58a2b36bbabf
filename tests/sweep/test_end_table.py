"""What a sweep says at its end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

WORDS = ("data=digits", "data.batch_size=16", "model=mlp", "trainer.max_epochs=2", "callbacks=none", "logger=none")


@pytest.mark.slow
def test_without_validation_no_run_is_best_and_divergence_is_said(
    experiments: Callable[..., tuple[int, str, str]],
) -> None:
    words = ("trainer.limit_val_batches=0", "optimizer=sgd", "optimizer.lr=0.1,1e8", "hydra.sweep.dir=two")
    code, output, errors = experiments("train", "-m", *WORDS, *words)
    assert code == 0, errors
    assert "none is called so, as no run has a metric of validation" in output
    assert "diverged     1 run, whose loss is no finite number" in output
    assert "experiments compare two" in output
