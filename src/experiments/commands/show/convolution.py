"""`experiments show convolution`: the convolution of a small image with a filter, step by step."""

from __future__ import annotations

import argparse
from html import escape
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.commands.show.steps.numbers import MOST, maps
from experiments.errors import UserError
from experiments.system.arguments import Parser, new_folder

if TYPE_CHECKING:
    import numpy as np

    from experiments.viz.convolution import ConvolutionStep

IMAGE = "1 1 1 0 0; 0 1 1 1 0; 0 0 1 1 1; 0 0 1 1 0; 0 1 1 0 0"
FILTER = "1 0 1; 0 1 0; 1 0 1"

_ABOUT = """\
Draws the convolution of a small image with a filter, every number of it: a picture of up to twelve steps
(convolution.png) and a page that goes through all (index.html; arrow keys, space plays). As in every library, the
filter is not turned round. One row is a convolution in one dimension; channels are separated by |, in the image and in
the filter.
"""

_STYLE = """
.board { display: flex; flex-wrap: wrap; align-items: center; gap: 1rem clamp(.6rem, 2.5vw, 2.5rem); margin: 1.2rem 0; }
.board h3 { font-size: 1.05rem; color: var(--grey); font-weight: 500; margin: 0 0 .3rem; }
.sign { font-size: clamp(1.6rem, 4vw, 3.5rem); color: var(--grey); }
.grid { display: grid; gap: 2px; width: max-content; }
.grid b { min-width: var(--cell); padding: 0 .2em; height: var(--cell); display: flex; align-items: center; justify-content: center; position: relative;
  font-size: calc(var(--cell) * .5); font-weight: 500; background: var(--card); border: 1px solid var(--pale); border-radius: .15em; }
.grid.wide b { font-size: calc(var(--cell) * .34); }
.grid b.pad { color: var(--grey); background: transparent; border-style: dashed; }
.grid b.on, .grid b.w { background: #fbd9a5; color: #1f2328; border-color: #e69f00; }
.grid b.on { min-width: max(var(--cell), var(--weight)); }
.grid b.w { color: #b03a00; font-weight: 700; }
.grid b.now { background: #0072b2; color: #fff; font-weight: 700; border-color: #0072b2; }
.grid i { position: absolute; white-space: nowrap; right: .12em; bottom: .05em; font-size: .5em; line-height: 1; font-style: normal; font-weight: 700; color: #b03a00; }
.sum { font-size: clamp(1.05rem, 1.9vw, 2.2rem); font-variant-numeric: tabular-nums; margin: .6rem 0; max-width: none; }
.sum strong { color: var(--accent); }
.bar { display: flex; gap: .6rem; align-items: center; flex-wrap: wrap; position: sticky; bottom: 0; background: var(--back); padding: .6rem 0; }
.bar button { font: inherit; font-size: 1.1rem; padding: .45rem 1.1rem; border-radius: .5rem; border: 1px solid var(--pale); background: var(--card); color: var(--ink); cursor: pointer; }
.bar span { color: var(--grey); font-size: 1.1rem; }
.js .step:not(.shown) { display: none; }
main:not(.js) .bar { display: none; }
.step h2 { margin: 1rem 0 0; }
"""
_SCRIPT = """
const main = document.querySelector('main'), steps = [...document.querySelectorAll('.step')];
const said = document.querySelector('.bar span'), play = document.querySelector('#play');
let now = 0, timer = null;
main.classList.add('js');
function go(to) { steps[now].classList.remove('shown'); now = (to + steps.length) % steps.length;
  steps[now].classList.add('shown'); said.textContent = (now + 1) + ' of ' + steps.length; }
function toggle() { if (timer) { clearInterval(timer); timer = null; } else timer = setInterval(() => go(now + 1), 1200);
  play.textContent = timer ? 'Pause' : 'Play'; }
document.querySelector('#back').onclick = () => go(now - 1);
document.querySelector('#next').onclick = () => go(now + 1);
play.onclick = toggle;
document.onkeydown = event => {
  if (event.key === 'ArrowRight') go(now + 1); else if (event.key === 'ArrowLeft') go(now - 1);
  else if (event.key === ' ' && event.target.tagName !== 'BUTTON') { toggle(); event.preventDefault(); } };
const asked = parseInt(location.hash.slice(1)) || 1;
go(Math.min(Math.max(asked, 1), steps.length) - 1);
"""


def main(words: list[str]) -> int:
    """Draws it and prints where it lies."""
    parser = Parser("experiments show convolution", _ABOUT)
    parser.add_argument("--stride", type=int, default=1, metavar="N", help="cells the filter moves (1)")
    parser.add_argument("--padding", type=int, default=0, metavar="N", help="rows and columns of zeros around (0)")
    parser.add_argument("--dilation", type=int, default=1, metavar="N", help="cells between the filter's weights (1)")
    parser.add_argument("--image", default=IMAGE, metavar="ROWS", help=f'"{IMAGE}"')
    parser.add_argument("--filter", default=FILTER, metavar="ROWS", help=f'"{FILTER}"')
    parser.add_argument("--bias", type=float, default=0.0, metavar="X", help="added to every sum (0)")
    parser.add_argument(
        "--to", type=new_folder, default=Path("convolution"), metavar="FOLDER", help="default: convolution"
    )
    options = parser.parse_args(words)
    for name, least in (("stride", 1), ("padding", 0), ("dilation", 1)):
        if getattr(options, name) < least:
            raise UserError(f"--{name} {getattr(options, name)} must be {least} or more: try --{name} {least}")
    if not isfinite(options.bias):
        raise UserError(f"--bias {options.bias} must be a finite number: try --bias 0")
    images, filters = maps("--image", options.image), maps("--filter", options.filter)
    if len(images) != len(filters):
        raise UserError(
            f"--image has {len(images)} channels and --filter {len(filters)}: give the filter one part a channel, with | between"
        )
    image, weights = images[0], filters[0]
    line = image.shape[0] == weights.shape[0] == 1  # a convolution in one dimension has nothing above and below
    pads = (0 if line else options.padding, options.padding)
    sizes = [
        output_size(side, kernel, options.stride, pad, options.dilation, name)
        for side, kernel, pad, name in zip(image.shape, weights.shape, pads, ("rows", "columns"), strict=True)
    ]
    if len(images) > 1:
        return _channels(images, filters, pads, options)
    from experiments.system.files import atomic_path, write_text
    from experiments.viz.canvas import png
    from experiments.viz.convolution import convolution, number

    padded, steps = slide(image, weights, options.stride, pads, options.dilation, options.bias)
    print(_numbers(padded, weights, steps, options.bias))
    note = ", ".join(f"{name} {getattr(options, name)}" for name in ("stride", "padding", "dilation"))
    note += f", bias {number(options.bias)}" if options.bias else ""
    title = f"{_size(image.shape)} image, {_size(weights.shape)} filter"
    try:
        with atomic_path(options.to / "convolution.png") as temporary:
            drawn = convolution(padded, weights, steps, padding=pads, bias=options.bias, title=title, note=note)
            temporary.write_bytes(png(drawn, 150))
        side = 1 if line else 0
        rule = (
            f"The result has ⌊({image.shape[side]} + 2·{options.padding} − {options.dilation}·({weights.shape[side]} − 1) − 1) / "
            f"{options.stride}⌋ + 1 = {sizes[side]} {'columns' if line else 'rows'}."
        )
        page = convolution_page(f"Convolution: {title}", f"{note}. {rule}", padded, weights, steps, pads, options.bias)
        write_text(options.to / "index.html", page)
    except OSError as error:
        raise UserError(f"--to {options.to} cannot be written to ({error.strerror}): choose another folder") from error
    print(f"picture      {options.to}/convolution.png")
    print(f"page         {options.to}/index.html")
    return 0


def _numbers(padded: np.ndarray, weights: np.ndarray, steps: list[ConvolutionStep], bias: float) -> str:
    """Image, filter and result side by side, and every sum below, for a terminal."""
    import numpy as np

    from experiments.system.terminal import terminal_width
    from experiments.viz.board import Board, Grid, Sign, as_text
    from experiments.viz.board import Step as Line
    from experiments.viz.convolution import sum_of_products

    shape = (steps[-1].row + 1, steps[-1].column + 1)
    result = np.array([step.value for step in steps]).reshape(shape)
    sums = [
        f"row {step.row + 1}, column {step.column + 1}: {sum_of_products(padded, weights, bias, step)}"
        for step in steps
    ]
    grids: list[Grid | Sign] = [
        Grid(padded, "image"),
        Sign("∗"),
        Grid(weights, "filter"),
        Sign("="),
        Grid(result, "result"),
    ]
    board = Board("Convolution", "", [Line("Lay the filter on, multiply, add up, move on", grids, sums)])
    return as_text(board, terminal_width()) + "\n"


def _channels(
    images: list[np.ndarray], filters: list[np.ndarray], pads: tuple[int, int], options: argparse.Namespace
) -> int:
    import numpy as np

    from experiments.commands.show.steps import show_board
    from experiments.commands.show.steps.channels import board

    padded, maps = [], []
    for image, weights in zip(images, filters, strict=True):
        around, steps = slide(image, weights, options.stride, pads, options.dilation, 0.0)
        padded.append(around)
        maps.append(np.array([step.value for step in steps]).reshape(steps[-1].row + 1, steps[-1].column + 1))
    return show_board(board(padded, filters, maps, options), options.to, "convolution")


def output_size(side: int, kernel: int, stride: int, padding: int, dilation: int, name: str) -> int:
    """Rows or columns of the result.

    Raises:
        UserError: the filter does not fit on the padded image, or that is too large to be read.
    """
    reach = dilation * (kernel - 1) + 1
    if reach > side + 2 * padding:
        need = -(-(reach - side) // 2)
        raise UserError(
            f"the filter reaches over {reach} {name} and the padded image has {side + 2 * padding}: try --padding {need}"
        )
    if side + 2 * padding > MOST + 10:
        raise UserError(f"--padding {padding} makes {side + 2 * padding} {name}, too many to be read: try --padding 1")
    return (side + 2 * padding - reach) // stride + 1


def slide(
    image: np.ndarray, weights: np.ndarray, stride: int, padding: int | tuple[int, int], dilation: int, bias: float
) -> tuple[np.ndarray, list[ConvolutionStep]]:
    """Return the padded image, and every place of the filter with its sum."""
    import numpy as np

    from experiments.viz.convolution import ConvolutionStep

    pads = (padding, padding) if isinstance(padding, int) else padding
    padded = np.pad(image, [(pad, pad) for pad in pads])
    shape = [
        (side - dilation * (kernel - 1) - 1) // stride + 1
        for side, kernel in zip(padded.shape, weights.shape, strict=True)
    ]
    steps = []
    for row in range(shape[0]):
        for column in range(shape[1]):
            rows = tuple(row * stride + dilation * offset for offset in range(weights.shape[0]))
            columns = tuple(column * stride + dilation * offset for offset in range(weights.shape[1]))
            value = float((padded[np.ix_(rows, columns)] * weights).sum() + bias)
            steps.append(ConvolutionStep(row, column, rows, columns, value))
    return padded, steps


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def convolution_page(
    title: str,
    heading: str,
    padded: np.ndarray,
    weights: np.ndarray,
    steps: list[ConvolutionStep],
    pads: tuple[int, int],
    bias: float,
) -> str:
    """Return the page: a section a step, one shown at a time; without scripts, all below each other."""
    from experiments.viz.convolution import number, sum_of_products
    from experiments.viz.page import page

    across = padded.shape[1] + weights.shape[1] + steps[-1].column + 1
    down = max(padded.shape[0], weights.shape[0], steps[-1].row + 1)
    # As large as the window allows, in both directions, and never too small for a telephone.
    cell = f"--cell: clamp(1.9rem, min({62 / across:.2f}vw, {54 / down:.2f}vh), 6.5rem)"
    cell += f"; --weight: {max(len(number(weight)) for weight in weights.flat) * 0.36 + 0.6:.2f}em"  # at half the size
    texts = [number(value) for value in [*padded.flat, *weights.flat, *(step.value for step in steps)]]
    kind = " wide" if max(map(len, texts)) > 2 else ""

    def grid(cells: list[str], columns: int) -> str:
        return f'<div class="grid{kind}" style="grid-template-columns: repeat({columns}, max-content)">{"".join(cells)}</div>'

    filter_cells = grid([f'<b class="w">{number(weight)}</b>' for weight in weights.flat], weights.shape[1])
    tall, wide = padded.shape
    parts = [f"<h1>{escape(title)}</h1>", f'<p class="quiet">{escape(heading)}</p>', f'<div style="{cell}">']
    for place, step in enumerate(steps):
        cells = []
        for row in range(tall):
            for column in range(wide):
                value = number(padded[row, column])
                if row in step.rows and column in step.columns:
                    weight = weights[step.rows.index(row), step.columns.index(column)]
                    cells.append(f'<b class="on">{value}<i>×{number(weight)}</i></b>')
                else:
                    inside = pads[0] <= row < tall - pads[0] and pads[1] <= column < wide - pads[1]
                    cells.append(f"<b>{value}</b>" if inside else f'<b class="pad">{value}</b>')
        done = [
            f'<b class="now">{number(product.value)}</b>'
            if which == place
            else f"<b>{number(product.value) if which < place else ''}</b>"
            for which, product in enumerate(steps)
        ]
        total = escape(sum_of_products(padded, weights, bias, step))
        products, sign, value = total.rsplit(" ", 2)
        parts.append(
            f'<section class="step"><h2>Step {place + 1}: row {step.row + 1}, column {step.column + 1}</h2>'
            f'<div class="board"><div><h3>image</h3>{grid(cells, wide)}</div><div class="sign">∗</div>'
            f'<div><h3>filter</h3>{filter_cells}</div><div class="sign">=</div>'
            f"<div><h3>result</h3>{grid(done, steps[-1].column + 1)}</div></div>"
            f'<p class="sum">{products} {sign} <strong>{value}</strong></p></section>'
        )
    parts.append("</div>")
    parts.append(
        '<div class="bar"><button id="back">Back</button><button id="next">Next</button>'
        '<button id="play">Play</button><span></span></div>'
    )
    return page(title, parts, style=_STYLE, script=_SCRIPT)
