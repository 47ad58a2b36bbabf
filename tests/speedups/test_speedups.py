"""One switch turns all stand-ins off; results stay, and the record says which were on."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any

import pytest

from experiments import speedups
from tests.conftest import Command

WORDS = (
    "train",
    "data=digits",
    "model=logistic_regression",
    "trainer=cpu",
    "trainer.max_epochs=2",
    "hydra.run.dir=run",
)


@pytest.mark.slow
def test_the_switch_turns_all_off_and_changes_no_result(
    command: Command, experiments: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("EXPERIMENTS_PLAIN", raising=False)
    monkeypatch.setattr(speedups, "_used", set())  # not what earlier tests of this process turned on
    code, _, errors = experiments(*WORDS[:-1], "hydra.run.dir=run0")
    assert code == 0, errors
    done = command(*WORDS[:-1], "hydra.run.dir=run1", env={"EXPERIMENTS_PLAIN": "1"})
    assert done.returncode == 0, done.stderr
    records = {plain: json.loads((tmp_path / f"run{plain}" / "record.json").read_text()) for plain in ("0", "1")}
    assert records["1"]["environment"]["speedups"] == []
    assert "training_loop" in records["0"]["environment"]["speedups"]
    assert records["0"]["metrics"] == records["1"]["metrics"]


@pytest.mark.slow
def test_the_record_lists_what_was_on_to_the_end(command: Command, tmp_path: Path) -> None:
    """Also what draws the pictures, after training, and what ends the process."""
    done = command(*WORDS, env={"EXPERIMENTS_PLAIN": "0"})
    assert done.returncode == 0, done.stderr
    in_use = json.loads((tmp_path / "run" / "record.json").read_text())["environment"]["speedups"]
    assert {"lean_imports", "training_loop", "png", "process_exit"} <= set(in_use)


@pytest.fixture
def sentences(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Any:
    """What stand-ins say in this test, whatever was said before."""
    monkeypatch.delenv("EXPERIMENTS_PLAIN", raising=False)
    monkeypatch.setattr(speedups, "_unknown", set())
    return lambda: [record.getMessage() for record in caplog.records if record.name == speedups.__name__]


def test_an_unknown_lightning_is_said_once(monkeypatch: pytest.MonkeyPatch, sentences: Any) -> None:
    from lightning.pytorch import Trainer

    from experiments.speedups import training_loop

    monkeypatch.setattr(training_loop, "_KNOWN", {})
    trainer = Trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu")
    assert not training_loop.install(trainer)
    assert not training_loop.install(trainer)
    (sentence,) = sentences()
    assert "Lightning's own loop runs" in sentence


@pytest.mark.parametrize(
    "change",
    [
        ("hydra._internal.config_loader_impl.ConfigLoaderImpl._parse_overrides_and_create_caching_repo", None),
        ("hydra._internal.defaults_list.create_defaults_list", lambda repo: None),
    ],
)
def test_an_unknown_hydra_is_said_once_and_composes_itself(
    monkeypatch: pytest.MonkeyPatch, experiments: Any, sentences: Any, change: tuple[str, Any]
) -> None:
    """Hydra's own composition goes on under the names that it has then."""
    place, instead = change
    from experiments.speedups import option_files

    class Renamed:
        """Hydra's loader without the private name."""

        def __init__(self, loader: Any) -> None:
            self._loader = loader

        def __getattr__(self, name: str) -> Any:
            if instead is None and name == place.rpartition(".")[2]:
                raise AttributeError(f"no {name}")
            return getattr(self._loader, name)

    opened = option_files.OptionFiles.__init__

    def changed(self: Any, loader: Any, *rest: Any) -> None:
        opened(self, Renamed(loader), *rest)
        if instead is not None:
            self._defaults_list = types.SimpleNamespace(create_defaults_list=instead)

    monkeypatch.setattr(option_files.OptionFiles, "__init__", changed)
    code, _, errors = experiments("check", "-m", "data=digits", "model=lenet5,mlp", "seed=0,1")
    assert code == 0, errors
    (sentence,) = sentences()
    assert sentence.startswith("the speed-up option_files is off"), sentence


def test_an_unknown_torchvision_is_said_once(monkeypatch: pytest.MonkeyPatch, sentences: Any) -> None:
    from torchvision.ops import poolers

    from experiments.speedups import roi_align

    monkeypatch.delattr(poolers, "roi_align")
    assert not roi_align.install()
    assert not roi_align.install()
    (sentence,) = sentences()
    assert sentence.startswith("the speed-up roi_align is off"), sentence
