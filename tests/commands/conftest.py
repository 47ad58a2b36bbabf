"""What tests of commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.commands.answering import Answerer
from experiments.run.loaded import Loaded


@pytest.fixture
def untrained() -> Callable[..., Answerer]:
    """Gives a run of some data that has not learned anything, for answers need no training."""

    def make(*overrides: str) -> Answerer:
        from experiments.config.compose import compose
        from experiments.run.build import build_data, build_task, prepare_process

        config = compose([*overrides, "logger=none", "trainer=cpu", "seed=0"])
        prepare_process(config)
        data = build_data(config)
        task = build_task(config, data.spec, data)
        made = Loaded(Path(config.run.dir), config, {}, data.spec, task.eval())
        made.__dict__.update(data=data, reader=data)
        return Answerer(made, "serve")

    return make
