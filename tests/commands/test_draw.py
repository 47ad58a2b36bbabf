"""`experiments draw`: the graph is the network's, and pictures and text of it are written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.commands.draw import _undrawn
from experiments.run.network_graph import depth, network_graph
from experiments.run.network_plan import plan
from experiments.spec import ImageSpec
from experiments.viz.network_layout import arranged
from experiments.viz.network_picture import LANE, _shares

RGB = ImageSpec(3, 8, 8, ("a", "b"), (0.5,) * 3, (0.5,) * 3)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.relu, self.b = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.b(self.relu(self.a(x)))


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.three = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.three(x)], 1)


def small() -> nn.Sequential:
    net = nn.Sequential()
    net.body = nn.Sequential(Block(), Block(), Block())
    net.mixed = Branches()
    net.head = nn.Sequential(nn.Flatten(), nn.Linear(6 * 64, 2))
    return net


def test_graph_has_shortcuts_branches_and_depth() -> None:
    nodes = network_graph(small(), RGB)
    sums = [node for node in nodes if node.kind == "+"]
    assert len(sums) == 3 and all(len(node.sources) == 2 for node in sums)
    assert nodes[0].kind == "input" and sums[0].sources[0] == 0  # the shortcut begins at the input
    (joined,) = (node for node in nodes if node.kind == "concat")
    assert [nodes[one].name for one in joined.sources] == ["mixed.one", "mixed.three"]
    assert joined.output == (6, 8, 8)
    assert depth(nodes) == 2 * 3 + 1 + 1


def test_blocks_that_repeat_are_drawn_once() -> None:
    drawn = plan(network_graph(small(), RGB))
    body = next(panel for panel in drawn.panels if panel.name == "body")
    assert [times for _, times in body.frames] == [3] and len(body.boxes) == 3
    assert body.parameters == 3 * 2 * 84
    relu = next(box for box in drawn.boxes.values() if "+ ReLU" in box.lines)
    assert relu.lines[0] == "conv 3 of 3 × 3"


class Functions(nn.Module):
    """As tutorials of torch write it: what has no weights is a function."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 8, 3, padding=1)
        self.fc1, self.head = nn.Linear(8, 16), nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.adaptive_avg_pool2d(F.avg_pool2d(self.conv2(x).tanh(), (2, 2)), 1)
        return self.head(F.gelu(self.fc1(torch.flatten(x, 1))))


def test_functions_are_drawn_as_the_layers_that_do_the_same() -> None:
    drawn = plan(network_graph(Functions(), RGB))
    panels = {panel.name: [drawn.boxes[number].lines for number in panel.boxes] for panel in drawn.panels}
    assert list(panels) == ["input", "conv1", "conv2", "fc1", "head"]
    assert panels["conv1"] == [
        ["conv 6 of 3 × 3", "+ ReLU", "6 × 8 × 8 · 168"],
        ["max pool 2 × 2, stride 2", "6 × 4 × 4"],
    ]
    assert [lines[0] for lines in panels["conv2"]] == [
        "conv 8 of 3 × 3",
        "average pool 2 × 2, stride 2",
        "global average",
    ]
    assert "+ Tanh" in panels["conv2"][0] and "+ GELU" in panels["fc1"][0]


def test_pooling_to_a_size_is_not_called_global() -> None:
    net = nn.Sequential()
    net.pool = nn.AdaptiveAvgPool2d(4)
    drawn = plan(network_graph(net, RGB))
    assert drawn.boxes[1].lines == ["average pool to 4 × 4", "3 × 4 × 4"]


def test_dense_layers_of_gpt2_are_called_dense_and_counted() -> None:
    class Conv1D(nn.Module):
        """As transformers has it."""

        def __init__(self) -> None:
            super().__init__()
            self.nf, self.weight = 4, nn.Parameter(torch.zeros(8, 4))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.weight

    net = nn.Sequential()
    net.dense = Conv1D()
    nodes = network_graph(net, RGB)
    assert plan(nodes).boxes[1].lines == ["dense 4", "3 × 8 × 4 · 32"] and depth(nodes) == 1


def test_shortcuts_run_side_by_side() -> None:
    assert _shares(1.0, 0.0, 2.0, (1.0, 1.0, 3.0)) and not _shares(1.0, 0.0, 1.0, (1.0, 1.0, 3.0))
    assert not _shares(1.0 + LANE, 0.0, 2.0, (1.0, 1.0, 3.0))


def test_what_only_training_uses_is_counted_as_not_drawn() -> None:
    net = small()
    net.aux = nn.Linear(3, 2)
    assert _undrawn(net, {"body.0", "mixed.one", "head.1"}) == ", 8 of them not drawn (aux)"
    assert _undrawn(small(), {"body.0", "mixed.one", "head.1"}) == ""


def test_branches_stand_side_by_side_and_nothing_overlaps() -> None:
    edges = {(0, 1), (0, 2), (2, 3), (1, 4), (3, 4), (0, 4), (4, 5)}
    layout = arranged(range(6), edges, dict.fromkeys(range(6), (1.0, 0.5)))
    places = layout.places
    assert places[0][1] < places[2][1] < places[3][1] < places[4][1] < places[5][1]
    assert abs(places[1][0] - places[2][0]) >= 1.0
    assert places[0][0] == places[4][0] == places[5][0]
    for a in range(6):
        for b in range(a):
            (x, y), (v, w) = places[a], places[b]
            assert abs(x - v) >= 1 or abs(y - w) >= 0.5


def test_pictures_and_text(experiments, tmp_path: Path) -> None:
    code, output, errors = experiments("draw", "model=lenet5", "freezing=feature_extraction", "--to", "out")
    assert code == 0, errors
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["lenet5.mmd", "lenet5.png", "lenet5.svg", "lenet5_dark.png", "lenet5_dark.svg"]
    light, dark = (Image.open(tmp_path / "out" / f"lenet5{shade}.png").convert("L") for shade in ("", "_dark"))
    assert light.getpixel((2, 2)) > 250 and dark.getpixel((2, 2)) < 30
    text = (tmp_path / "out" / "lenet5.mmd").read_text()
    assert text.startswith("flowchart TB") and "classDef frozen" in text and "classDef learns" in text
    assert all(str(tmp_path / "out" / name).endswith(name) and name in output for name in names)


@pytest.mark.parametrize("model", ["gru", "bert_tiny", "seq2seq", "autoencoder", "resnet20"])
def test_other_kinds(experiments, tmp_path: Path, model: str) -> None:
    code, _, errors = experiments("draw", f"model={model}", "--format", "mermaid", "--to", "out")
    assert code == 0, errors
    text = (tmp_path / "out" / f"{model}.mmd").read_text()
    if model == "bert_tiny":
        assert "layer1 to layer2 × 2" in text and "query: dense 128" in text and '(("·<br>softmax"))' in text
    if model == "resnet20":
        assert '(("+<br>ReLU"))' in text


def test_one_stage_alone(experiments, tmp_path: Path) -> None:
    code, _, errors = experiments("draw", "model=resnet20", "--stage", "stage2", "--format", "svg", "--to", "out")
    assert code == 0 or "did you mean" in errors or "no stage of model=resnet20" in errors
    code, _, errors = experiments("draw", "model=lenet5", "--stage", "conv2", "--format", "svg", "--to", "one")
    assert code == 0, errors
    assert (tmp_path / "one" / "lenet5_conv2.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model=lenet5", "--stage", "conv9"], "no stage of model=lenet5"),
        (["model=lenet5", "--format", "gif"], "--format gif"),
        (["nowhere"], "nowhere holds no config.yaml"),
    ],
)
def test_mistakes_are_one_sentence(experiments, tmp_path: Path, words: list[str], said: str) -> None:
    code, _, errors = experiments("draw", *words)
    assert code == 2 and said in errors and len(errors.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_run_is_drawn_with_what_learned(experiments, tmp_path: Path) -> None:
    code, _, errors = experiments(
        "train",
        "data=digits",
        "model=lenet5",
        "freezing=last_stage",
        "trainer=quick",
        "callbacks.figures=null",
        "hydra.run.dir=run",
    )
    assert code == 0, errors
    code, output, errors = experiments("draw", "run", "--format", "mermaid")
    assert code == 0, errors
    assert "run/drawing/lenet5.mmd" in output and "classDef frozen" in (tmp_path / "run/drawing/lenet5.mmd").read_text()
