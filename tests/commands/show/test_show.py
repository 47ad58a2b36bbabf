"""`experiments show` on a trained run: pictures, page, projector, and sentences for what does not exist."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Experiments = Callable[..., tuple[int, str, str]]


class Page(HTMLParser):
    """What a page refers to, and whether its tags close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "srcset", "href")]
        if tag not in ("meta", "link", "img", "source", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def shown(run: Path) -> tuple[Path, str]:
    """Everything of the run, drawn once: the folder, and what was printed."""
    import contextlib

    from experiments.cli import main

    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        assert main(["show", str(run), "--examples", "150"]) == 0
    return run / "show", text.getvalue()


@pytest.mark.slow
def test_every_panel_leaves_a_picture(shown: tuple[Path, str]) -> None:
    folder, printed = shown
    pictures = {path.name for path in folder.glob("*.png")}
    expected = {"filters.png", "features_1.png", "features_2.png", "evidence.png", "units.png"}
    assert expected | {"embedding.png", "confusion.png"} <= pictures
    assert pictures == set(re.findall(r"\w+\.png", printed))
    for path in folder.glob("*.png"):
        pixels = np.asarray(Image.open(path))
        assert pixels.std() > 5
        assert (pixels[[0, -1]] == 255).all(), f"something touches the edge of {path.name}"
    assert f"page         {folder}/index.html" in printed
    assert not list(folder.rglob(".*")), "temporary files"


@pytest.mark.slow
def test_the_page_is_whole_and_alone(shown: tuple[Path, str]) -> None:
    folder, _ = shown
    text = (folder / "index.html").read_text()
    page = Page(text)
    pictures = len(list(folder.glob("*.png")))
    drawn = [source for source in page.sources if source.startswith("data:image/webp")]
    assert len(drawn) == 2 * pictures  # for a light and a dark screen
    assert all(source.startswith(("data:", "#", "../")) for source in page.sources)  # or back to its run
    assert "default-src 'none'" in text and "script" not in text
    assert "Inside lenet5_modern" in text and "Grad-CAM" in text


def test_the_projector_files_agree(shown: tuple[Path, str]) -> None:
    folder, _ = shown
    config = (folder / "projector_config.pbtxt").read_text()
    for name in re.findall(r'_path: "(.+)"', config):
        assert (folder / name).exists()
    features = np.loadtxt(folder / "projector" / "features.tsv", delimiter="\t")
    labels = (folder / "projector" / "labels.tsv").read_text().splitlines()
    assert features.shape == (150, 84)
    assert labels[0] == "class\tpredicted\tanswer\tnumber" and len(labels) == 151
    side = int(re.findall(r"single_image_dim: (\d+)", config)[0])
    assert Image.open(folder / "projector" / "thumbnails.png").size == (13 * side, 13 * side)  # 13² ≥ 150


def test_tensorboard_reads_the_projector(shown: tuple[Path, str]) -> None:
    import json

    from tensorboard.backend.application import TensorBoardWSGI  # noqa: F401  # its plugins need the package whole
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
    from werkzeug.test import Client
    from werkzeug.wrappers import Response

    plugin = ProjectorPlugin(base_plugin.TBContext(logdir=str(shown[0]), multiplexer=None))
    routes = plugin.get_plugin_apps()
    answer = Client(routes["/info"], Response).get("/info?run=.")
    assert json.loads(answer.data)["embeddings"][0]["tensorShape"] == [150, 84]
    image = Client(routes["/sprite_image"], Response).get("/sprite_image?run=.&name=features before the head")
    assert image.status_code == 200


@pytest.mark.slow
def test_images_stage_unit_and_class(run: Path, experiments: Experiments, tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    for number in (3, 5):
        Image.fromarray((load_digits().images[number] * 15).astype(np.uint8)).save(tmp_path / f"digit{number}.png")
    words = ["digit3.png", "digit5.png", "--only", "features,evidence", "--stage", "conv1", "--class", "7"]
    code, printed, errors = experiments("show", str(run), *words, "--to", "here")
    assert code == 0, errors
    assert printed.splitlines()[-1] == "page         here/index.html"
    assert {path.name for path in Path("here").iterdir()} == {
        "features_1.png",
        "features_2.png",
        "evidence.png",
        "index.html",
    }
    code, printed, _ = experiments(
        "show", str(run), "--only", "units", "--unit", "2", "--examples", "40", "--to", "unit"
    )
    assert code == 0 and Path("unit/units.png").exists()
    code, printed, errors = experiments(
        "show", str(run), "--stage", "fc1", "--unit", "2", "--examples", "3", "--to", "fc1"
    )
    assert code == 0, errors
    assert {"filters.png", "units.png", "index.html"} <= {path.name for path in Path("fc1").iterdir()}
    for panel in ("Feature maps, shallow to deep", "Grad-CAM and saliency"):
        assert f"not shown    {panel}: --stage fc1 gives 120 and has no places: choose a stage before it." in printed


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--only", "evidense"], "--only evidense is no panel of this run: did you mean evidence?"),
        (
            ["--only", "features", "--stage", "conv9"],
            "--stage conv9 is no stage of this model: choose one of conv1, conv2",
        ),
        (
            ["--only", "evidence", "--stage", "fc1"],
            "--only evidence has nothing to show: --stage fc1 gives 120 and has no places: choose a stage before it",
        ),
        (["--stage", "conv9"], "--stage conv9 is no stage of this model: choose one of conv1, conv2"),
        (["--unit", "16"], "--unit 16 is outside 0 to 15, the units of conv2: choose one of these"),
        (["--unit", "120", "--stage", "fc1"], "--unit 120 is outside 0 to 119, the units of fc1: choose one of these"),
        (["--class", "cat"], "--class cat is no class of this run: choose from 0, 1, 2"),
        (["broken.png"], "broken.png"),
        (["--only", "units", "--unit", "99"], "--unit 99 is outside 0 to 15, the units of conv2: choose one of these"),
        (["--unit", "-1"], "--unit -1 must be 0 or more: try --unit 0"),
        (["--only", "embedding", "--class", "ten"], "--class ten is no class of this run: choose from 0, 1, 2"),
        (["--examples", "0"], "--examples 0 must be 1 or more"),
        (["photo.jpg"], "photo.jpg does not exist: name image files or folders of them"),
    ],
)
def test_mistakes_are_one_sentence(run: Path, experiments: Experiments, words: list[str], sentence: str) -> None:
    Path("broken.png").write_bytes(b"no image")
    code, _, errors = experiments("show", str(run), *words, "--to", "here")
    assert code == 2 and not list(Path().glob("here/*")), "said before anything is drawn"
    assert errors.startswith(f"error: {sentence}") and errors.count("\n") == 1


def test_not_a_run(experiments: Experiments) -> None:
    code, _, errors = experiments("show", "nowhere")
    assert code == 2 and errors.count("\n") == 1
    assert errors.startswith("error: nowhere does not exist: name the folder of a run, or a computation: convolution, ")


@pytest.mark.slow
def test_a_perceptron_whose_data_are_gone(experiments: Experiments, tmp_path: Path) -> None:
    """What needs the dataset is left out with a reason; a network without maps has no Grad-CAM but slopes."""
    random = np.random.default_rng(0)
    for number in range(24):
        path = tmp_path / "photos" / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (9, 12, 3), np.uint8)).save(path)
    words = ["data=image_folder", "data.root=photos", "data.size=8", "model=mlp", "trainer=quick"]
    code, _, errors = experiments("train", *words, "callbacks=none", "logger=none", "hydra.run.dir=run")
    assert code == 0, errors
    shutil.move("photos/class0/0.png", "kept.png")
    shutil.rmtree("photos")
    code, printed, errors = experiments("show", "run", "kept.png")
    assert code == 0, errors
    assert {"filters.png", "features_1.png", "evidence.png"} <= {path.name for path in Path("run/show").iterdir()}
    assert "not shown    Most activating images: it needs the run's dataset:" in printed
    code, _, errors = experiments("show", "run")
    assert code == 2 and "Or name image files to look at" in errors
