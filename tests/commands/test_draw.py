"""`experiments draw`: the graph is the network's, and pictures and text of it are written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from matplotlib.patches import PathPatch
from matplotlib.text import Annotation
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.commands.draw import _in_viz, fitted, mermaid, picture, undrawn
from experiments.commands.layers import network, shaped
from experiments.config.options import option_files
from experiments.run.network_graph import depth, network_graph
from experiments.run.network_plan import plan
from experiments.spec import ImageSpec
from experiments.viz.network_layout import arranged
from experiments.viz.network_panels import PROJECTOR, entries, placed
from experiments.viz.network_ways import LANE, _hits, shares

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
        self.single, self.three = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.single(x), self.three(x)], 1)


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
    assert [nodes[source].name for source in joined.sources] == ["mixed.single", "mixed.three"]
    assert joined.output == (6, 8, 8)
    assert depth(nodes) == 2 * 3 + 1 + 1


def test_blocks_that_repeat_are_drawn_once() -> None:
    drawn = plan(network_graph(small(), RGB))
    body = next(panel for panel in drawn.panels if panel.name == "body")
    assert [times for _, times in body.frames] == ["× 3"] and len(body.boxes) == 3
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


def test_a_stage_alone_has_the_shortcut_that_enters_it() -> None:
    net = small()
    net.body[0].skip = nn.Identity()  # no box of its own: an arrow, as in the other blocks
    net.body[0].forward = lambda x, block=net.body[0]: block.skip(x) + block.b(block.relu(block.a(x)))
    net.head.insert(1, nn.Dropout(0.0))
    nodes = network_graph(net, RGB)
    for only in (None, "body"):
        drawn = plan(nodes, only)
        (panel,) = (panel for panel in drawn.panels if panel.name == "body")
        assert [text for _, text in panel.frames] == ["× 3"] and len(panel.boxes) == 3
        assert drawn.boxes[panel.boxes[-1]].sources > {panel.boxes[1]}  # and what enters
    assert not any("dropout" in line for box in plan(nodes).boxes.values() for line in box.lines)


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
    assert shares(1.0, 0.0, 2.0, (1.0, 1.0, 3.0)) and not shares(1.0, 0.0, 1.0, (1.0, 1.0, 3.0))
    assert not shares(1.0 + LANE, 0.0, 2.0, (1.0, 1.0, 3.0))


def test_what_nothing_reaches_is_counted_as_not_drawn() -> None:
    net = small()
    assert undrawn(net, network_graph(net, RGB)) == ""
    net.register_parameter("mask", nn.Parameter(torch.zeros(8)))
    assert undrawn(net, network_graph(net, RGB)) == ", 8 of them not drawn (mask)"


class Helped(nn.Module):
    """With a head that looks on in training, as GoogLeNet has it."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.aux = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks[0](x)
        if self.training:
            self.aux(x)
        return self.blocks[1](x)


def test_auxiliary_heads_are_drawn_and_named() -> None:
    net = nn.Sequential()
    net.body = Helped()
    net.head = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 2))
    nodes = network_graph(net, RGB)
    assert net.body.training and undrawn(net, nodes) == ""
    heads = [node.name for node in nodes if node.auxiliary]
    assert heads == ["body.aux.0", "body.aux.1"]
    drawn = plan(nodes)
    labels = [box.lines for box in drawn.boxes.values() if "auxiliary head, in training alone" in box.lines]
    assert [lines[0] for lines in labels] == ["flatten"]
    assert drawn.panels[1].output == "3 × 8 × 8"  # of the stage, not of the head


class Attending(nn.Module):
    """Attention of torch: its projections are slices of one parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = x.flatten(2)[:, :, :8], x.flatten(2)[:, :, 8:16]
        return self.attention(rows, columns, columns)[0]


def test_attention_is_one_box_between_its_projections() -> None:
    net = nn.Sequential()
    net.attend = Attending()
    drawn = plan(network_graph(net, RGB))
    lines = [box.lines for box in drawn.boxes.values()]
    assert [line[0] for line in lines] == [
        "input", "query: dense 8", "key, value: dense 16", "attention", "dense 8",
    ]  # fmt: skip
    assert [box.parameters for box in drawn.boxes.values()] == [0, 8 * 8 + 8, 16 * 8 + 16, 0, 8 * 8 + 8]


class Levels(nn.Module):
    """One layer over maps of several sizes, as a detector's head."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Conv2d(3, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return sum(self.shared(x[:, :, ::step, ::step]).mean((2, 3)) for step in (1, 2))


def test_a_layer_that_runs_on_several_maps_is_drawn_and_counted_once() -> None:
    net = nn.Sequential()
    net.levels = Levels()
    nodes = network_graph(net, RGB)
    assert sum(node.parameters for node in nodes) == 3 * 2 * 9 + 2
    boxes = [box for box in plan(nodes).boxes.values() if box.parameters]
    assert len(boxes) == 1 and "runs 2 times" in boxes[0].lines[-1]


def drawing(model: str):
    """Return the network of a model's option, its graph and its plan."""
    config, published = shaped([f"model={model}"])
    built, spec, *_ = network(config, published)
    nodes = network_graph(built, spec)
    return built, nodes, plan(nodes)


QUICK = ("lenet5", "text_transformer", "transformer_seq2seq", "googlenet", "resnet18", "gru", "unet", "vq_autoencoder")
MODELS = [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
    for name in option_files("model", ())
    if not name.startswith("_")
]


@pytest.mark.parametrize("model", MODELS)
def test_a_drawing_accounts_for_every_parameter_and_is_legible_on_a_projector(model: str) -> None:
    built, nodes, drawn = drawing(model)
    total = sum(p.numel() for p in built.parameters())
    note = undrawn(built, nodes)
    left = int(note.split()[1].replace(",", "")) if note else 0
    assert sum(panel.parameters for panel in drawn.panels) + left == total
    note, coarse = fitted(model, f"{total:,} parameters{note}", drawn)
    assert sum(panel.parameters for panel in coarse.panels) + left == total
    width, height = placed(model, note, *_in_viz(coarse), legend=False).size
    assert width <= PROJECTOR[0] and height <= PROJECTOR[1]
    assert len(coarse.boxes) <= len(drawn.boxes) and (coarse is drawn or "--stage" in note)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["transformer_seq2seq", "bart_tiny", "t5_tiny", "marian_tiny"])
def test_an_arrow_leads_from_the_encoder_to_the_attention_of_the_decoder(model: str) -> None:
    _, _, drawn = drawing(model)
    stages, items = _in_viz(drawn)
    decoder = next(stage for stage in stages if stage.lines[0] == "decoder")
    beside = entries(stages, items)
    sources = {beside[number] for number in decoder.boxes if number in beside}
    assert sources & {"from encoder", "from norm"}
    assert any(items[number].lines[0] == "attention" for number in decoder.boxes)


@pytest.mark.slow
def test_tables_of_places_are_called_positions() -> None:
    _, _, drawn = drawing("gpt2_tiny")
    assert [box.lines[0] for box in drawn.boxes.values()][1:3] == ["embedding 44", "positions 256"]


class LastOf(nn.Module):
    def forward(self, maps: list[Tensor]) -> Tensor:
        return F.max_pool2d(maps[-1], 2)


class Pyramid(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse, self.pool = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), LastOf()

    def forward(self, x: Tensor) -> Tensor:
        fine = self.fine(x)
        return self.pool([fine, self.coarse(fine)])


def test_a_layer_reads_what_it_uses_of_what_it_is_given() -> None:
    nodes = network_graph(nn.Sequential(Pyramid(), nn.Flatten(), nn.Linear(48, 2)), RGB)
    (pool,) = (node for node in nodes if node.kind == "LastOf")
    assert [nodes[source].name for source in pool.sources] == ["0.coarse"]


def test_what_is_computed_for_a_loss_alone_is_not_drawn() -> None:
    _, nodes, drawn = drawing("vq_autoencoder")
    assert any(node.kind == "mse_loss" for node in nodes)
    assert not any("loss" in line for box in drawn.boxes.values() for line in box.lines)
    read = {source for box in drawn.boxes.values() for source in box.sources}
    assert read == set(drawn.boxes) - {max(drawn.boxes)}, "each box is read but the last"


@pytest.mark.slow
def test_an_arrow_says_which_output_of_a_block_it_carries() -> None:
    _, _, drawn = drawing("t5_tiny")
    _, coarse = fitted("T5", "176,064 parameters", drawn)
    words = [word for box in coarse.boxes.values() for word in box.words.values()]
    assert words == ["relative positions"] * 2
    assert mermaid(coarse).count("-->|relative positions|") == 2
    texts = [text.get_text() for text in picture("T5", "", coarse).axes[0].texts]
    assert texts.count("relative positions") == 2


@pytest.mark.slow
@pytest.mark.parametrize("model", ["fcos_resnet50", "fasterrcnn_mobilenet"])
def test_no_arrow_runs_through_the_name_of_another_stage(model: str) -> None:
    _, _, drawn = drawing(model)
    _, coarse = fitted(model, "", drawn)
    fig = picture(model, "", coarse)
    ax = fig.axes[0]
    lines = [patch.get_path().vertices for patch in ax.patches if isinstance(patch, PathPatch)]
    lines += [[text.xy, text.xyann] for text in ax.texts if isinstance(text, Annotation)]
    names = [text for text in ax.texts if text.get_text().startswith("from ")]
    assert names
    for text in names:
        box = text.get_window_extent(fig.canvas.get_renderer()).transformed(ax.transData.inverted())
        (left, right), (top, bottom) = sorted((box.x0, box.x1)), sorted((box.y0, box.y1))
        middle, size = ((left + right) / 2, top), (right - left, bottom - top)
        assert not any(_hits([tuple(point) for point in line], [(middle, size)]) for line in lines), text


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


@pytest.mark.slow
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
        assert "layer1 to layer2 × 2" in text and "query: dense 128" in text
        assert '(("attention<br>softmax(q · k) · v"))' in text
    if model == "resnet20":
        assert '(("+<br>ReLU"))' in text


def test_one_stage_alone(experiments, tmp_path: Path) -> None:
    code, _, errors = experiments("draw", "model=resnet20", "--stage", "stage2", "--format", "svg", "--to", "out")
    assert code == 0 or "did you mean" in errors or "no stage of model=resnet20" in errors
    code, _, errors = experiments("draw", "model=lenet5", "--stage", "conv2", "--format", "svg", "--to", "one")
    assert code == 0, errors
    assert (tmp_path / "one" / "lenet5_conv2.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["model=lenet5", "--stage", "conv9"], "no stage of model=lenet5"),
        (["model=lenet5", "--format", "gif"], "--format gif"),
        (["nowhere"], "nowhere does not exist"),
    ],
)
def test_mistakes_are_one_sentence(experiments, tmp_path: Path, words: list[str], sentence: str) -> None:
    code, _, errors = experiments("draw", *words)
    assert code == 2 and sentence in errors and len(errors.splitlines()) == 1
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


def test_one_file_where_a_file_is_named(experiments, tmp_path: Path) -> None:
    code, _, errors = experiments("draw", "model=lenet5", "--to", "pictures/net.svg")
    assert code == 0, errors
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()] == ["pictures/net.svg"]
    code, _, errors = experiments("show", "softmax", "--to", "numbers.png")
    assert code == 2 and "--to numbers.png must be a folder, for several files are written" in errors
