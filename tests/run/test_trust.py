"""What a run folder from elsewhere may name: all that our own options name, and no function beside it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from experiments.run import trust
from experiments.system.fresh_python import look_here_last

CONF = Path(__file__).parents[2] / "conf"
GROUPS = ("model", "task", "data", "optimizer", "scheduler", "freezing", "precision", "trainer")
TARGETS = sorted(
    {
        (key, value)
        for group in GROUPS
        for file in (CONF / group).glob("[!_]*.yaml")
        for key, name, value in trust._nodes({group: yaml.safe_load(file.read_text("utf-8")) or {}})
        if name == "_target_" and "$" not in value
    }
)


@pytest.mark.parametrize(("key", "target"), TARGETS, ids=[f"{key}-{target}" for key, target in TARGETS])
def test_what_our_own_options_name_is_taken_from_a_received_run(key: str, target: str) -> None:
    assert trust._unknown(target) is None and trust._unlike(key, target) is None


@pytest.mark.parametrize(
    "target",
    [
        "experiments.models.library.published_config.keep_published",  # which copies files
        "experiments.models.library.wav2vec2.sizes",
        "torch.load",
        "torch.hub.load",
        "experiments.tasks.parts.schedules.inspect.os.system",  # which a module of ours happens to know
        "experiments.transfer.strategies.re.enum.bltns.exec",
        "torchvision.models._api.get_weight",
    ],
)
def test_other_functions_are_not(target: str) -> None:
    assert trust._unlike("model._target_", target) == "which is no Module"
    assert trust._unlike("model.inner._target_", target) == "which is nothing that a run is made of"


def test_helpers_of_timm_are_not_but_its_networks_are() -> None:
    pytest.importorskip("timm")
    for target in ("timm.models.load_state_dict", "timm.models.load_checkpoint"):  # which unpickle if they are told to
        assert trust._unlike("model._target_", target) == "which is no Module"
    for target in ("timm.create_model", "timm.models.resnet18", "timm.optim.create_optimizer_v2"):
        assert trust._unlike("model._target_", target) is None


@pytest.mark.parametrize(
    "name", ["os.system", "evil.x", "experiments.config.check.import_module", "experiments.api.train", 3]
)
def test_what_checks_a_config_is_ours(name: object) -> None:
    assert not trust._is_check(name)
    assert trust._is_check("experiments.config.labels_never_seen.problems")


@pytest.mark.parametrize("first", ["", "HERE"])
def test_the_current_folder_stands_for_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str) -> None:
    """As `python -m experiments` puts it in front of all others."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path) if first else "", "installed"])
    look_here_last()
    assert sys.path == ["installed", str(tmp_path)]
    trust._leave_out_this_folder()
    assert sys.path == ["installed"]


def test_nothing_is_imported_while_the_current_folder_may_stand_for_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EXPERIMENTS_TRUST", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    seen = []

    def check(name: object) -> bool:
        seen.append(str(tmp_path) in sys.path)
        return True

    monkeypatch.setattr(trust, "_is_check", check)
    trust.require_trust({"data": {"checked_by": "experiments.data.control.check.problems"}}, tmp_path, ("data",))
    assert seen == [False]


def test_a_package_that_a_class_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(name="soundfile")

    monkeypatch.setattr(trust, "import_module", absent)
    assert trust._unlike("data._target_", "experiments.data.audio.fsdd.FSDD") == (
        "which needs the package soundfile, which is not installed here"
    )
    assert trust._unlike("data._target_", "soundfile.SoundFile") == "which cannot be imported here"
