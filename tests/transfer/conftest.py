"""A small network with everything that must not change when frozen, as a user-defined package."""

from __future__ import annotations

from pathlib import Path

import pytest

NET = """
from collections import OrderedDict
from torch import nn


def block(inside, outside, dropout):
    return nn.Sequential(nn.Conv2d(inside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU(), nn.Dropout(dropout))


class Net(nn.Sequential):
    def __init__(self, in_channels, image_size, num_classes, *, dropout):
        super().__init__(OrderedDict(
            one=block(in_channels, 4, dropout),
            shake=nn.Dropout(dropout),
            two=block(4, 6, dropout),
            three=block(6, 8, dropout),
            pool=nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten()),
            head=nn.Linear(32, num_classes),
        ))
"""
YAML = """
_target_: {module}.Net
dropout: 0.3
about: {{title: for tests}}
reads: {{kind: image, size: null, min_size: 4}}
"""


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Writes the network and its config into the folder where commands run; gives the words that choose it."""
    module = f"net_{abs(hash(tmp_path))}"  # imported once a process, so a name of its own
    (tmp_path / f"{module}.py").write_text(NET)
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "net.yaml").write_text(YAML.format(module=module))
    monkeypatch.syspath_prepend(tmp_path)
    return ["--config-dir", "conf", "model=net"]
