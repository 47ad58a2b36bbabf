"""`_target_` means here what hydra.utils.instantiate says it means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from experiments.errors import UserError
from experiments.run.instantiate import make


class Box:
    def __init__(self, *places: Any, **keys: Any) -> None:
        self.places, self.keys = places, keys


def refusing(value: int) -> None:
    raise ValueError(f"value={value} is too much: try 1")


def needing() -> None:
    raise ModuleNotFoundError("Requirement 'tracker>=1' not met. HINT: Try running `pip install tracker`")


BOX = f"{__name__}.Box"


def test_nested_targets_are_made() -> None:
    made = make({"_target_": BOX, "inner": [{"_target_": BOX, "_args_": [1, 2]}], "about": {"title": "a box"}})
    assert made.keys["inner"][0].places == (1, 2) and "about" not in made.keys


def test_partial_makes_later() -> None:
    made = make({"_target_": BOX, "later": {"_target_": BOX, "_partial_": True, "a": 1}, "_partial_": True}, extra=[3])
    box = made(b=2)
    assert box.keys["later"](c=4).keys == {"a": 1, "c": 4} and (box.keys["b"], box.keys["extra"]) == (2, [3])


def test_what_only_the_run_knows_is_passed_as_it_is() -> None:
    thing = object()
    assert make({"_target_": BOX}, thing=thing).keys["thing"] is thing


def test_arguments_are_plain_unless_convert_says_otherwise() -> None:
    node = OmegaConf.create({"_target_": BOX, "value": {"a": [1]}, "width": 3, "same": "${width}"})
    assert type(make(node).keys["value"]) is dict and make(node).keys["same"] == 3
    assert isinstance(make({**node, "_convert_": "none"}).keys["value"], DictConfig)


def test_without_recursion_nodes_stay_nodes() -> None:
    made = make({"_target_": BOX, "_recursive_": False, "inner": {"_target_": BOX}})
    assert made.keys["inner"] == {"_target_": BOX}


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        ({"_target_": "nowhere.Thing"}, "_target_=nowhere.Thing cannot be imported"),
        ({"_target_": BOX, "a": {"_target_": "torch.nn.Nothing"}}, "a: _target_=torch.nn.Nothing cannot be imported"),
        (
            {"_target_": BOX, "a": {"_target_": "torch.nn.Linear", "width": 3}},
            "a: torch.nn.*Linear: .*'width'.*check the keys",
        ),
        ({"_target_": f"{__name__}.refusing", "value": 9}, "value=9 is too much: try 1"),
        ({"_target_": BOX, "a": {"_target_": f"{__name__}.refusing", "value": 9}}, "value=9 is too much: try 1"),
        ({"_target_": f"{__name__}.needing"}, "needing needs a package that is not installed: Requirement 'tracker"),
        ({"_target_": "torch.nn.Linear", "width": 3}, "torch.nn.Linear: .*'width'.*check the keys"),
    ],
)
def test_what_does_not_fit_is_one_sentence(node: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as refused:
        make(node)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_resolvers_and_structured_configs_of_a_plugin(command: Any, tmp_path: Path) -> None:
    """As Hydra imports any module in a folder hydra_plugins."""
    (tmp_path / "hydra_plugins").mkdir()
    (tmp_path / "hydra_plugins" / "of_mine.py").write_text(
        "from dataclasses import dataclass\n"
        "from hydra.core.config_store import ConfigStore\n"
        "from omegaconf import OmegaConf\n\n\n"
        "@dataclass\nclass Rate:\n    _target_: str = 'torch.optim.SGD'\n    _partial_: bool = True\n    lr: float = 0.2\n\n\n"
        "ConfigStore.instance().store(group='optimizer', name='of_mine', node=Rate)\n"
        "OmegaConf.register_new_resolver('double', lambda value: 2 * value, replace=True)\n"
    )
    words = (
        "data=digits",
        "model=mlp",
        "optimizer=of_mine",
        "seed=${double:3}",
        "--package",
        "optimizer",
        "--cfg",
        "job",
    )
    done = command("train", *words)
    assert done.returncode == 0 and "lr: 0.2" in done.stdout, done.stderr
    assert command("check", *words[:3], "optimizer.lr=${double:0.1}").returncode == 0
    done = command("check", "data=digits", "model=mlp", "optimizer.lr=${triple:0.1}")
    assert done.returncode == 2 and "triple" in done.stderr and "hydra_plugins" in done.stderr
