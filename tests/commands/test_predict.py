"""Files that a run is asked about: by name, hidden ones left out, a broken one named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Experiments = Callable[..., tuple[int, str, str]]
COLOURS = {"blue": 2, "green": 1, "red": 0}


def colours(root: Path, names: dict[str, int], count: int) -> None:
    """Folders of small pictures, a class each, bright in one channel."""
    random = np.random.default_rng(0)
    for name, channel in names.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = random.integers(0, 60, (16, 16, 3)).astype(np.uint8)
            pixels[..., channel] += 180
            Image.fromarray(pixels).save(root / name / f"{number:03d}.png")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A perceptron that tells blue, green and red."""
    from experiments import train

    folder = tmp_path_factory.mktemp("colours")
    colours(folder / "three", COLOURS, 20)
    words = [f"data.root={folder / 'three'}", "data.size=16", "data.batch_size=8", "trainer.max_epochs=4"]
    train(
        *words, "trainer=cpu", "callbacks=none", "logger=none", f"hydra.run.dir={folder / 'run'}",
        data="image_folder", model="mlp",
    )  # fmt: skip
    return folder / "run"


@pytest.mark.slow
def test_hidden_files_are_left_out(run: Path, tmp_path: Path, experiments: Experiments) -> None:
    colours(tmp_path / "photos", {"": 0}, 3)
    (tmp_path / "photos" / "._000.png").write_bytes(b"Mac OS X")
    (tmp_path / "photos" / "Thumbs.db").write_bytes(b"Windows")
    colours(tmp_path / "photos" / ".ipynb_checkpoints", {"": 0}, 1)
    colours(tmp_path / "photos" / "__MACOSX", {"": 0}, 1)
    code, output, errors = experiments("predict", str(run), "photos", "--format", "csv", "--top", "1")
    assert code == 0, errors
    assert output.count("photos") == 3 and not errors


@pytest.mark.slow
def test_files_of_other_endings_are_counted(run: Path, tmp_path: Path, experiments: Experiments) -> None:
    colours(tmp_path / "photos", {"": 0}, 1)
    (tmp_path / "photos" / "a.heic").write_bytes(b"ftypheic")
    (tmp_path / "photos" / "notes.txt").write_text("sunny")
    code, _, errors = experiments("predict", str(run), "photos", "--top", "1")
    assert code == 0
    assert errors == "left out: 2 files that end like no image (.heic, .txt)\n"
    code, _, errors = experiments("predict", str(run), "photos/a.heic")
    assert code == 2 and "its format is unknown: save it as PNG or JPEG" in errors


def test_a_broken_file_is_named_and_stops_no_other(run: Path, tmp_path: Path, experiments: Experiments) -> None:
    colours(tmp_path / "photos", {"": 1}, 2)
    (tmp_path / "photos" / "broken.png").write_bytes(b"no picture")
    code, output, errors = experiments("predict", str(run), "photos", "--format", "csv", "--top", "1")
    assert code == 0
    assert "left out: photos/broken.png is no readable image" in errors
    assert output.count("green") == 2
    code, _, errors = experiments("predict", str(run), "photos/broken.png")
    assert code == 2 and errors.startswith("error: photos/broken.png")


@pytest.mark.slow
def test_labels_are_matched_by_name(run: Path, tmp_path: Path, experiments: Experiments) -> None:
    colours(tmp_path / "two", {"blue": 2, "red": 0}, 10)
    code, output, errors = experiments("evaluate", str(run), "data.root=two")
    assert code == 0, errors
    assert "accuracy" in output and "1.0000" in output
    colours(tmp_path / "other", {"green": 1, "red": 0, "teal": 2}, 10)
    code, _, errors = experiments("evaluate", str(run), "data=image_folder", "data.root=other")
    assert code == 2
    assert "(teal)" in errors and "data.classes=[green,red]" in errors
    code, output, errors = experiments("evaluate", str(run), "data.root=other", "data.classes=[red,green]")
    assert code == 0, errors
    assert "1.0000" in output


def test_places_and_options_that_cannot_be(run: Path, tmp_path: Path, experiments: Experiments) -> None:
    colours(tmp_path / "photos", {"": 1}, 1)
    for words, sentence in (
        (["--out", "photos/000.png"], "photos/000.png cannot be read or written (File exists): name another place"),
        (["--out", ""], "was given an empty word"),
        (["--out="], "was given an empty word"),
        (["--template", "About {}."], "--template 'About {}.' has no effect without --labels"),
    ):
        code, _, errors = experiments("predict", str(run), "photos", *words)
        assert code == 2 and sentence in errors and len(errors.splitlines()) == 1, errors
