"""Attention on a short sentence: which word looks at which, with every number."""

from __future__ import annotations

import argparse
import math

import numpy as np

from experiments.commands.show.steps import products
from experiments.commands.show.steps.numbers import matrix
from experiments.errors import UserError
from experiments.viz.board import Board, Grid, Sign, Step, short

WORDS = "the cat drank milk"
VECTORS = "0.1 0.1; 1 0.2; 0.4 1; 0.9 0.8"
MOST = 8
ABOUT = """\
Draws scaled dot-product attention on a short sentence: scores of each word with each, softmax, and the mix of vectors.
Queries, keys and values are the words' own vectors, unless --queries or --keys give others. With --causal a word sees
only itself and those before it, as GPT does; without, all of them, as BERT does.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--words", default=WORDS, metavar="TEXT", help=f'"{WORDS}"')
    parser.add_argument("--vectors", metavar="ROWS", help=f'a row a word; "{VECTORS}", of other words drawn at random')
    parser.add_argument("--queries", metavar="ROWS", help="a matrix that vectors are multiplied with for queries")
    parser.add_argument("--keys", metavar="ROWS", help="likewise for keys")
    parser.add_argument("--causal", action="store_true", help="hide the words that come later")


def board(options: argparse.Namespace) -> Board:
    """Return the computation.

    Raises:
        UserError: words and vectors are not equally many, or the matrices do not fit.
    """
    words = options.words.split()
    if not 2 <= len(words) <= MOST:
        raise UserError(f'--words "{options.words}" has {len(words)} words: give 2 to {MOST}')
    drawn = ""
    if options.vectors:
        vectors = matrix("--vectors", options.vectors)
    elif options.words == WORDS:
        vectors = matrix("--vectors", VECTORS)
    else:
        vectors = np.random.default_rng(0).normal(size=(len(words), 2)).round(1)
        drawn = ", vectors drawn at random"
    if len(vectors) != len(words):
        raise UserError(f"--vectors has {len(vectors)} rows and --words {len(words)} words: give a row a word")
    queries, keys = (_times(vectors, option, getattr(options, option)) for option in ("queries", "keys"))
    if queries.shape != keys.shape:
        raise UserError("--queries and --keys give vectors of unlike lengths: let both have as many columns")
    width = queries.shape[1]
    scores = queries @ keys.T / math.sqrt(width)
    hidden = np.triu(np.ones_like(scores, dtype=bool), 1) if options.causal else np.zeros_like(scores, dtype=bool)
    powers = np.where(hidden, 0.0, np.exp(scores - scores.max(axis=1, keepdims=True)))
    weights = powers / powers.sum(axis=1, keepdims=True)
    out = weights @ vectors
    last = len(words) - 1
    shown = [["−∞" if hidden[i, j] else float(scores[i, j]) for j in range(len(words))] for i in range(len(words))]
    others = (
        [Grid(queries, "queries", rows=words), Grid(keys, "keys", rows=words)]
        if options.queries or options.keys
        else []
    )
    mixed = [
        " + ".join(f"{short(float(weights[last, j]))}·{words[j]}" for j in range(len(words)) if weights[last, j] > 0),
        *(
            f"number {place + 1}: {products(list(weights[last]), list(vectors[:, place]))} = {short(float(out[last, place]))}"
            for place in range(vectors.shape[1])
        ),
    ]
    return Board(
        "Attention: which word looks at which",
        f"{len(words)} words, vectors of {vectors.shape[1]}{', no word sees a later one' if options.causal else ''}{drawn}",
        [
            Step("Each word is a vector", [Grid(vectors, "vectors", rows=words), *others]),
            Step(
                f"Scores: query · key ÷ √{width}",
                [Grid(shown, "", rows=words, columns=words)],
                [
                    f"{words[last]} with {words[0]}: ({products(list(queries[last]), list(keys[0]))}) ÷ √{width} = {short(float(scores[last, 0]))}"
                ],
            ),
            Step(
                "Softmax of each row: where a word looks; a row adds up to 1",
                [Grid(weights, "", rows=words, columns=words, shaded=True)],
                [f"{words[last]} looks most at {words[int(weights[last].argmax())]}: {short(float(weights[last].max()))}"],
            ),
            Step(
                "Mix the vectors by these weights",
                [Grid(weights, "weights", shaded=True), Sign("×"), Grid(vectors, "vectors"), Sign("="), Grid(out, "result", rows=words)],
                [f"{words[last]}: {mixed[0]}", *mixed[1:]],
            ),
        ],
    )  # fmt: skip


def _times(vectors: np.ndarray, option: str, text: str | None) -> np.ndarray:
    if text is None:
        return vectors
    projection = matrix(f"--{option}", text)
    if projection.shape[0] != vectors.shape[1]:
        raise UserError(
            f"--{option} has {projection.shape[0]} rows and vectors have {vectors.shape[1]} numbers: give {vectors.shape[1]} rows"
        )
    product: np.ndarray = vectors @ projection
    return product
