"""Every picture has a sane size and something on it."""

import io
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from experiments.speedups.png import as_png
from experiments.viz import fonts as writing
from experiments.viz import sequence
from experiments.viz.canvas import INK, png, recolour
from experiments.viz.charts import bars
from experiments.viz.confusion import _rounded, confusion
from experiments.viz.curves import curves
from experiments.viz.embedding import embedding
from experiments.viz.filters import filters, first_filters
from experiments.viz.images import grid, to_pixels, wrong
from experiments.viz.maps import MapRow, feature_maps, stage_maps
from experiments.viz.network_panels import Item, Stage
from experiments.viz.network_picture import network_picture
from experiments.viz.raster import TextArtist, text_width
from experiments.viz.saliency import Unit, evidence, overlay, units


def check(figure: object, width: tuple[int, int] = (400, 1500), height: tuple[int, int] = (60, 1500)) -> np.ndarray:
    data = png(figure)  # type: ignore[arg-type]
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    assert pixels.shape[2] == 3
    assert len(data) < 600_000
    assert width[0] <= pixels.shape[1] <= width[1]
    assert height[0] <= pixels.shape[0] <= height[1]
    assert pixels.std() > 5
    assert (pixels[[0, -1]] == 255).all(), "something touches the edge"
    return pixels


def test_a_png_file_holds_the_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 4), dtype=np.uint8)[..., :3]
    opened = Image.open(io.BytesIO(as_png(pixels)))
    opened.load()  # checks every part's checksum
    assert (opened.format, opened.mode) == ("PNG", "RGB")
    assert (np.asarray(opened) == pixels).all()


@pytest.mark.parametrize(("channels", "size", "count"), [(1, 28, 16), (3, 32, 8), (3, 224, 3), (1, 8, 1), (4, 16, 17)])
def test_grid(channels: int, size: int, count: int) -> None:
    check(grid(torch.randn(count, channels, size, size), ["a long class name\nanother 30%"] * count, title="Batch"))


def test_pixels_are_those_before_normalisation() -> None:
    images = torch.rand(2, 3, 4, 5)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    normalised = (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    assert np.allclose(to_pixels(normalised, mean, std), images.permute(0, 2, 3, 1), atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 5, 16])
def test_wrong(count: int) -> None:
    check(wrong(torch.randn(count, 1, 28, 28), ["cat"] * count, [0.999] * count, ["dog"] * count))


@pytest.mark.parametrize("classes", [2, 3, 10, 20, 21, 100])
def test_confusion(classes: int) -> None:
    counts = torch.randint(0, 9, (classes, classes)) + torch.eye(classes, dtype=torch.long) * 90
    counts[0] = 0  # a class without examples
    check(confusion(counts, [f"a long class name {i}" for i in range(classes)]))


@pytest.mark.parametrize(("classes", "names"), [(3, "a"), (10, "7"), (12, "a long class name")])
def test_counts_in_the_list_stand_beside_the_matrix(classes: int, names: str) -> None:
    drawn = confusion(np.arange(classes**2).reshape(classes, classes), [names] * classes)
    texts = [text for artist in drawn.findobj(TextArtist) for text in artist.items]  # type: ignore[attr-defined]
    begins = next(text.x for text in texts if text.text.startswith("most often"))
    amounts = [text.x - text_width(text.text, text.size) for text in texts if " · " in text.text]
    assert amounts and min(amounts) > begins - 0.1


def test_confusion_of_nothing() -> None:
    check(confusion(np.zeros((2, 2), int), ["a", "b"]))


def test_counts_that_fit_no_cell_are_rounded() -> None:
    """As of pixels; a cell of eleven classes takes five digits."""
    counts = (950, 9960, 398283, 999_600, 1_269_605)
    assert [_rounded(count) for count in counts] == ["950", "10k", "398k", "1.0M", "1.3M"]


@pytest.mark.parametrize("epochs", [0, 1, 20, 300])
def test_curves(epochs: int) -> None:
    history = [{"epoch": e, "train/loss": 1 / (e + 1), "val/loss": 2 / (e + 1), "val/f1": 0.5} for e in range(epochs)]
    check(curves(history, lambda name: name == "loss"))


def test_curves_with_gaps_and_divergence() -> None:
    diverged = [{"epoch": 0, "train/loss": float("nan")}, {"epoch": 2, "train/loss": 1e30}]
    check(curves([*diverged, {"epoch": 1, "val/accuracy": 0.5}], lambda name: name == "loss"))


@pytest.mark.parametrize("shape", [(6, 1, 5, 5), (64, 3, 7, 7), (13, 16, 3, 3), (300, 1, 28, 28), (2, 1, 1, 1)])
def test_filters(shape: tuple[int, ...]) -> None:
    check(filters(torch.randn(shape)))


def test_filters_with_names_and_of_zeros() -> None:
    check(filters(torch.zeros(3, 1, 8, 8), ("a", "b", "c")))


def test_first_filters() -> None:
    convolution, dense = nn.Conv2d(3, 8, 5), nn.Linear(3 * 4 * 5, 7)
    assert first_filters(nn.Sequential(convolution, dense), 3, (4, 5)).shape == (8, 3, 5, 5)  # type: ignore[union-attr]
    assert first_filters(nn.Sequential(nn.Flatten(), dense), 3, (4, 5)).shape == (7, 3, 4, 5)  # type: ignore[union-attr]
    assert first_filters(dense, 1, (28, 28)) is None
    assert first_filters(nn.LSTM(3, 3), 1, (28, 28)) is None


@pytest.mark.parametrize(("size", "channels"), [(32, 3), (224, 8), (8, 1)])
def test_feature_maps(size: int, channels: int) -> None:
    maps = np.random.default_rng(0).normal(size=(channels, size // 4, size // 4))
    rows = [
        MapRow("conv1", "8 × 4 × 4", maps, range(channels)),
        MapRow("a long stage name", "64", maps.reshape(-1)[:64], ()),
    ]
    image = np.random.default_rng(1).random((size, size, 3))
    check(feature_maps(image, rows), height=(60, 1700))
    check(stage_maps(MapRow("conv1", "", np.repeat(maps, 63 // channels, 0), range(63)), image, title="One stage"))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_evidence(count: int) -> None:
    images, heat = np.random.default_rng(0).random((count, 16, 16)), np.random.default_rng(1).random((count, 16, 16))
    captions = [("a long class name · 99 %", "is another long class name")] * count
    check(evidence(images, [("Grad-CAM", heat), ("saliency", heat)], captions, wrong=[0]))
    check(evidence(images, [("saliency", heat)], captions))


def test_overlay_leaves_an_image_without_heat_grey_and_colours_the_hottest_red() -> None:
    shown = overlay(np.full((2, 2), 0.5), np.array([[0.0, 1.0], [0.0, 0.2]]))
    assert np.ptp(shown[0, 0]) == 0
    assert shown[0, 1, 0] > 0.8 and shown[0, 1, 1] < 0.2


def test_units() -> None:
    images = np.random.default_rng(0).random((8, 16, 16, 3))
    rows = [Unit("unit 7", "up to 3", images, [(1, 2, 5, 5)] * 4 + [None] * 4, ["a long class name"] * 8)] * 3
    check(units(rows))


@pytest.mark.parametrize("classes", [2, 10, 15, 100])
@pytest.mark.parametrize("highlight", [None, 1])
def test_embedding(classes: int, highlight: int | None) -> None:
    points = np.random.default_rng(0).normal(size=(200, 2))
    names = [f"class {number}" for number in range(classes)]
    check(embedding({"PCA": points, "t-SNE": points**3}, np.arange(200) % classes, names, highlight=highlight))


@pytest.mark.parametrize("count", [1, 2, 40])
def test_bars_are_numbered_in_whole_numbers(count: int) -> None:
    figure = bars(list(range(1, count + 1)), "rank", "nats", title="Divergence")
    check(figure)
    assert all(float(tick).is_integer() for tick in figure.axes[0].get_xticks())


@pytest.mark.parametrize("draw", ["gates", "importance"])
def test_words_of_another_script_are_never_empty_boxes(draw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_font_with", lambda codes: None)
    words, random = ["good", "नमस्ते", "🦜"], np.random.default_rng(0)
    if draw == "gates":
        figure = sequence.gates(words, {"hidden": random.normal(size=(3, 4))}, title="Unrolled", note="good, 98%")
        labels = figure.axes[0].get_xticklabels()
    else:
        figure = sequence.importance(words, [0.1, -0.2, 0.3], title="Words for good, 98%")
        labels = figure.axes[0].get_yticklabels()
    check(figure)
    assert [label.get_text() for label in labels] == ["good", "namaste", "□"]
    written = [item.text for texts in figure.findobj(TextArtist) for item in texts.items]
    assert any(text.endswith("in Latin letters") for text in written)
    assert writing.writing(["🦜"]).note == "no font on this machine has U+1F99C: □ instead"


def test_recolour_takes_a_picture_to_a_dark_page_and_leaves_photographs() -> None:
    red = torch.zeros(1, 3, 8, 8)
    red[:, 0] = 1
    drawn = grid(red, ["cat"], title="A title")
    light = np.asarray(Image.open(io.BytesIO(png(drawn))))
    recolour(drawn, {"white": "#101010", INK: "#f0f0f0"})
    dark = np.asarray(Image.open(io.BytesIO(png(drawn))))
    assert (light[0] == 255).all() and (dark[0] == 16).all()
    assert (dark == 240).all(axis=2).any() and not (dark == 255).all(axis=2).any()
    photo = (light == (255, 0, 0)).all(axis=2)
    assert photo.sum() > 5000 and (dark[photo] == (255, 0, 0)).all()


def test_pyplot_is_not_imported() -> None:
    import subprocess

    code = "import experiments.viz, sys; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}).returncode == 0


def test_texts_and_tiles_are_drawn_in_place_at_every_resolution() -> None:
    from PIL import Image

    from experiments.viz.canvas import figure
    from experiments.viz.raster import put, text_width, write

    fig = figure(2, 1)
    put(fig, np.array([[1.0, 0.0], [0.0, 1.0]]), 1.0, 0.2, 0.4)
    write(fig, 0.1, 0.5, "mm", size=12, colour="#ff0000", bold=True)
    write(fig, 1.9, 0.5, "mm", size=12, colour="#0000ff", align="right", upright=True)
    for dpi in (100, 150):
        pixels = np.asarray(Image.open(io.BytesIO(png(fig, dpi))).convert("RGB")).astype(int)
        assert pixels.shape == (dpi, 2 * dpi, 3)
        part = pixels[dpi * 2 // 10 : dpi * 6 // 10, dpi : dpi * 14 // 10]
        half = len(part) // 2
        assert (part[: half - 1, half + 1 :] == 0).all() and (part[: half - 1, : half - 1] == 255).all()
        rows, columns = np.nonzero((pixels[..., 0] > 200) & (pixels[..., 1] < 60))
        assert abs(columns.min() - 0.1 * dpi) < 3
        assert abs(columns.max() - (0.1 + text_width("mm", 12, bold=True)) * dpi) < 4
        assert abs(rows.mean() - 0.5 * dpi) < 5
        rows, columns = np.nonzero((pixels[..., 2] > 200) & (pixels[..., 1] < 60))
        assert abs(rows.min() - 0.5 * dpi) < 4, "it ends there, read from below"
        assert rows.max() - rows.min() > columns.max() - columns.min()


def test_letters_of_other_scripts_are_drawn_everywhere() -> None:
    """Titles, ticks, labels and what is written into the figure; or put into Latin letters where no font has them."""
    import warnings

    from experiments.viz.canvas import add_axes, figure, png
    from experiments.viz.fonts import pieces
    from experiments.viz.raster import text_width, write

    fig = figure(6, 3, "कुत्ता और बिल्ली", "हिन्दी 12")
    ax = add_axes(fig, 1, 0.5, 4, 1.2)
    ax.set_title("कुत्ता, dog")
    ax.set_xticks([0, 1], ["कुत्ता", "बिल्ली"])
    write(fig, 0.5, 2.9, "दूसरा", size=12, colour="#222222", upright=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert png(fig)
        images = np.zeros((1, 8, 8))
        assert png(evidence(images, [("heat", images)], [("कुत्ता · 99 %", "is बिल्ली")]))
    assert text_width("हिन्दी", 12) > 0 and pieces("dog 0.9") == [("dog 0.9", None)]
    assert "".join(piece for piece, _ in pieces("कुत्ता 0.9 dog")) in ("कुत्ता 0.9 dog", "kuttā 0.9 dog")


def test_a_shortcut_in_a_stage_that_reads_an_earlier_one() -> None:
    sources = {0: (), 1: (0,), 2: (0,), 3: (2,)}
    items = {place: Item(["conv", "8 × 8"], "layer", "learns", frozenset(read)) for place, read in sources.items()}
    items[4] = Item(["+"], "operator", "learns", frozenset({0, 3}))
    stages = [Stage((name, "", ""), "learns", boxes) for name, boxes in (("a", [0]), ("b", [1]), ("c", [2, 3, 4]))]
    check(network_picture("net", "", stages, items))
