"""`experiments show convolution`: the numbers are torch's, all of them are on the page, and mistakes are one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.patches import Rectangle
from PIL import Image
from torch.nn import functional as F

from experiments.commands.show.convolution import FILTER, IMAGE, output_size, slide
from experiments.commands.show.steps.numbers import matrix
from experiments.viz.convolution import convolution, number, sum_of_products

Experiments = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("stride", "padding", "dilation"), [(1, 0, 1), (2, 0, 1), (1, 1, 1), (2, 1, 1), (1, 0, 2), (3, 2, 2)]
)
@pytest.mark.parametrize("rows", [FILTER, "-1 0 1; -2 0 2; -1 0 1", "1 2"])
def test_the_numbers_are_those_of_torch(stride: int, padding: int, dilation: int, rows: str) -> None:
    image, weights = matrix("--image", IMAGE), matrix("--filter", rows)
    _, steps = slide(image, weights, stride, padding, dilation, 0.5)
    expected = F.conv2d(
        torch.tensor(image)[None, None], torch.tensor(weights)[None, None], torch.tensor([0.5]).double(), stride, padding, dilation
    )[0, 0]  # fmt: skip
    assert [step.value for step in steps] == expected.flatten().tolist()
    sizes = [output_size(a, b, stride, padding, dilation, "") for a, b in zip(image.shape, weights.shape, strict=True)]
    assert sizes == list(expected.shape) == [steps[-1].row + 1, steps[-1].column + 1]


def test_the_known_example() -> None:
    padded, steps = slide(matrix("--image", IMAGE), matrix("--filter", FILTER), 1, 0, 1, 0)
    assert [step.value for step in steps] == [4, 3, 4, 2, 4, 3, 2, 3, 4]
    text = sum_of_products(padded, matrix("--filter", FILTER), 0, steps[0])
    assert text == "1·1 + 1·0 + 1·1 + 0·0 + 1·1 + 1·0 + 0·1 + 0·0 + 1·1 = 4"
    assert sum_of_products(np.array([[2.0]]), np.array([[-1.5]]), 1, steps[0]._replace(rows=(0,), columns=(0,))) == (
        "2·(−1.5) + 1 = 4"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1018, "1018"),
        (-123456, "−123456"),
        (0.1 + 0.2, "0.3"),
        (1018.25, "1018.25"),
        (-1 / 3, "≈−0.333333"),
        (1e-5, "1e−05"),
        (123456789, "≈1.23e+08"),
    ],
)
def test_numbers_are_exact_or_marked(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.slow
def test_bias_and_long_numbers_are_on_picture_and_page(experiments: Experiments) -> None:
    words = ["--image", "123456 2 3; 1 1 1; 0.00001 1 1", "--filter", "1000 0.333333333; 1 1", "--bias", "-0.5"]
    code, _, errors = experiments("show", "convolution", *words, "--to", "here")
    assert code == 0, errors
    text = Path("here/index.html").read_text()
    assert "dilation 1, bias −0.5. The result has" in text
    assert "123456·1000 + 2·≈0.333333 + 1·1 + 1·1 + (−0.5) ≈ <strong>1.23e+08</strong>" in text
    padded, weights = matrix("", words[1]), matrix("", words[3])
    padded, steps = slide(padded, weights, 1, 0, 1, -0.5)
    drawn = convolution(padded, weights, steps, bias=-0.5)
    drawn.canvas.draw()
    cell = min(mark.get_window_extent().width for mark in drawn.axes[0].patches if isinstance(mark, Rectangle))
    numbers = [mark for mark in drawn.axes[0].texts if re.fullmatch(r"[≈×−\de.+]+", mark.get_text())]
    assert len(numbers) == 66 and max(mark.get_window_extent().width for mark in numbers) < cell
    assert any("with the bias −0.5" in mark.get_text() for mark in drawn.axes[0].texts)


def test_the_words_beside_a_wide_filter_are_on_the_picture() -> None:
    image, weights = matrix("", "1.123456789 2 3 4 5;" * 4 + "1 2 3 4 5"), matrix("--filter", FILTER)
    padded, steps = slide(image, weights, 1, 0, 2, 0.5)
    drawn = convolution(padded, weights, steps, bias=0.5)
    drawn.canvas.draw()
    assert max(text.get_window_extent().x1 for text in drawn.axes[0].texts) < drawn.bbox.width


@pytest.mark.slow
def test_a_large_image_gives_a_picture_of_some_height() -> None:
    padded, steps = slide(np.eye(20), np.eye(3), 17, 0, 1, 0)
    drawn = convolution(padded, np.eye(3), steps)
    assert drawn.get_size_inches().max() < 45
    named = [text.get_text() for text in drawn.axes[0].texts if text.get_text().startswith("step ")]
    assert named == ["step 1", "step 2", "step 4"]


@pytest.mark.slow
def test_picture_and_page(experiments: Experiments) -> None:
    code, printed, errors = experiments("show", "convolution", "--padding", "1", "--stride", "2", "--to", "here")
    assert code == 0, errors
    assert printed.endswith("picture      here/convolution.png\npage         here/index.html\n")
    pixels = np.asarray(Image.open("here/convolution.png"))
    assert (pixels[[0, -1]] == 255).all() and (pixels[:, [0, -1]] == 255).all() and pixels.std() > 5
    text = Path("here/index.html").read_text()
    sections = re.findall(r'<section class="step">.*?</section>', text, flags=re.S)
    assert len(sections) == 9
    assert re.search(r"<h2>Step 9: row 3, column 3</h2>", sections[8])
    now = [re.findall(r'<b class="now">(.*?)</b>', section) for section in sections]
    _, steps = slide(matrix("--image", IMAGE), matrix("--filter", FILTER), 2, 1, 1, 0)
    assert now == [[f"{step.value:g}"] for step in steps]
    assert sections[0].count('class="pad"') == 24 - 5 and sections[0].count('class="on"') == 9
    assert "script-src 'sha256-" in text
    assert experiments("show", "convolution", "--to", "here")[0] == 0  # its own folder is no run


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--stride", "0"], "--stride 0 must be 1 or more: try --stride 1"),
        (["--dilation", "3"], "the filter reaches over 7 rows and the padded image has 5: try --padding 1"),
        (["--image", "1 2; 3"], '--image "1 2; 3" must have equally many numbers in each row: write rows such as'),
        (["--filter", "a b"], '--filter "a b" must be numbers: write rows such as --filter "1 0; 0 1"'),
        (["--filter", " "], '--filter " " must have equally many numbers in each row'),
        (["--bias", "nan"], "--bias nan must be a finite number: try --bias 0"),
        (["--padding", "30"], "--padding 30 makes 65 rows, too many to be read: try --padding 1"),
    ],
)
def test_mistakes_are_one_sentence(experiments: Experiments, words: list[str], sentence: str) -> None:
    code, _, errors = experiments("show", "convolution", *words)
    assert code == 2 and errors.startswith(f"error: {sentence}") and errors.count("\n") == 1


@pytest.mark.slow
def test_the_page_steps_in_a_browser(experiments: Experiments, tmp_path: Path) -> None:
    import shutil
    import subprocess

    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    assert experiments("show", "convolution", "--to", "here")[0] == 0
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={tmp_path / 'profile'}"]
    page = (tmp_path / "here" / "index.html").as_uri() + "#5"
    dom = subprocess.run([browser, *quiet, "--dump-dom", page], check=True, capture_output=True, text=True, timeout=120)
    assert dom.stdout.count('class="step shown"') == 1
    assert "5 of 9" in dom.stdout
