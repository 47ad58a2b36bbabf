"""config.yaml holds every value as it was, whatever it looks like."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from experiments.config.compose import compose
from experiments.run.folder import read_config, write_config

VALUES = [
    1e-3, 1e20, 0.1, 5, -7, True, None, "1e-3", "1e3", "12", "0x10", "null", "true", "~", "", " ", "a: b", "# no", "x\ny",
    "2026-01-01", "हिन्दी", "é", "yes", "1_000", ".5", "-.inf", "+1.5", float("inf"), [1, "1"], {"a": {"b": "0.1"}}, "1:30",
]  # fmt: skip


def whole(folder: Path) -> dict[str, object]:
    """A config with every group that one must have."""
    return OmegaConf.to_container(compose([f"hydra.run.dir={folder}"]))  # type: ignore[return-value]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_is_read_as_it_was_written(value: object, tmp_path: Path) -> None:
    config = whole(tmp_path) | {"value": value}
    write_config(config, tmp_path)
    values = OmegaConf.to_container(read_config(tmp_path))
    assert values["value"] == value and type(values["value"]) is type(value)
    assert OmegaConf.to_container(OmegaConf.load(tmp_path / "config.yaml"))["value"] == value, (
        "OmegaConf reads it alike"
    )


def test_exponents_without_a_dot_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.dump(whole(tmp_path)) + "lr: 1e-3\nday: 2026-01-01\n")
    config = read_config(tmp_path)
    assert config.lr == 0.001 and config.day == "2026-01-01"
