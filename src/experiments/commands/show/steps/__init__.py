"""`experiments show NAME`: one computation of a network step by step, as numbers in the terminal and as a picture.

Each module here has `ABOUT`, `arguments(parser)` and `board(options)`; numpy alone computes, so every number can be checked by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import UserError
from experiments.system.arguments import Parser, new_folder

if TYPE_CHECKING:
    from experiments.viz.board import Board

# Word of the command line: the module here.
STEPS = {
    "pooling": "pooling",
    "relu": "activations",
    "leaky_relu": "activations",
    "sigmoid": "activations",
    "tanh": "activations",
    "gelu": "activations",
    "activations": "activations",
    "flatten": "dense",
    "dense": "dense",
    "softmax": "softmax",
    "batchnorm": "batchnorm",
    "rnn": "recurrent",
    "lstm": "recurrent",
    "gru": "recurrent",
    "attention": "attention",
    "gradient_descent": "gradient_descent",
}
USUAL = {
    "activation": "activations", "leakyrelu": "leaky_relu", "logistic": "sigmoid",
    "max_pooling": "pooling", "maxpool": "pooling", "max_pool": "pooling", "maxpool2d": "pooling", "average_pooling": "pooling",
    "avg_pool": "pooling", "avgpool": "pooling", "pool": "pooling", "batch_norm": "batchnorm", "batch_normalisation": "batchnorm",
    "batch_normalization": "batchnorm", "descent": "gradient_descent", "gradient-descent": "gradient_descent",
    "gradient": "gradient_descent", "sgd": "gradient_descent", "linear": "dense", "fully_connected": "dense", "fc": "dense",
    "self_attention": "attention", "self-attention": "attention", "probabilities": "softmax", "recurrent": "rnn",
}  # fmt: skip


def step_named(word: str) -> str | None:
    """Return the computation that a word of the command line means; None where it means none, or where a run has this
    name.
    """
    name = USUAL.get(word.lower(), word.lower())
    return name if name in STEPS and not (Path(word) / "config.yaml").exists() else None


def main(name: str, words: list[str]) -> int:
    """Prints the numbers of one computation, draws them, and prints where the picture lies."""
    module = import_module(f"experiments.commands.show.steps.{STEPS[name]}")
    parser = Parser(f"experiments show {name}", module.ABOUT)
    module.arguments(parser)
    parser.add_argument("--to", type=new_folder, default=Path(name), metavar="FOLDER", help=f"default: {name}")
    parser.set_defaults(name=name)
    options = parser.parse_args(words)
    return show_board(module.board(options), options.to, name)


def show_board(board: Board, folder: Path, name: str) -> int:
    """Prints a board and writes it as `NAME.png` and as a page for light and dark screens."""
    from experiments.commands.show.page import picture_html
    from experiments.system.files import atomic_path, write_text
    from experiments.system.terminal import terminal_width
    from experiments.viz.board import as_text
    from experiments.viz.board_picture import board_picture
    from experiments.viz.canvas import png
    from experiments.viz.page import figure as card
    from experiments.viz.page import page

    print(as_text(board, terminal_width()))
    drawn = board_picture(board)
    try:
        with atomic_path(folder / f"{name}.png") as temporary:
            temporary.write_bytes(png(drawn, 150))
        write_text(
            folder / "index.html", page(board.title, [card("", board.note, picture_html(drawn, board.title), True)])
        )
    except OSError as error:
        raise UserError(f"--to {folder} cannot be written to ({error.strerror}): choose another folder") from error
    print(f"\npicture      {folder}/{name}.png")
    print(f"page         {folder}/index.html")
    return 0


def products(values: Sequence[float], weights: Sequence[float], *more: float) -> str:
    """`1·2 + 3·(−1) + 0.5`: what is multiplied and added up."""
    terms = [f"{bracketed(value)}·{bracketed(other)}" for value, other in zip(values, weights, strict=True)]
    return " + ".join([*terms, *(bracketed(term) for term in more)])


def bracketed(value: float) -> str:
    """Return a number as a part of a sum."""
    from experiments.viz.board import short

    return f"({short(value)})" if value < 0 else short(value)
