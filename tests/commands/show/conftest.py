"""A run to look into, trained once."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LeNet-5 after one epoch on scanned digits."""
    from experiments import train

    folder = tmp_path_factory.mktemp("digits") / "run"
    train(
        "model=lenet5_modern",
        "trainer=cpu",
        "trainer.max_epochs=2",
        "optimizer.lr=0.003",
        "callbacks=none",
        "logger=none",
        f"hydra.run.dir={folder}",
        data="digits",
    )
    return folder
