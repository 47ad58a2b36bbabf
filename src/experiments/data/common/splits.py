"""Which examples belong to training, validation and test: fixed by the labels and a seed of its own."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence

import numpy as np

from experiments.errors import UserError


def check_labels(name: str, split: str, labels: np.ndarray, classes: Sequence[str]) -> None:
    """Refuse a split without examples, or with labels that are no indices into the classes."""
    if not len(labels):
        raise UserError(f"{name}: the {split} split is empty, and needs at least one example.")
    wrong = labels[(labels < 0) | (labels >= len(classes))]
    if len(wrong):
        raise UserError(f"{name}: label {wrong[0]} in the {split} split is outside 0 to {len(classes) - 1}, the range of"
                        f" its {len(classes)} classes; the files are damaged or of another dataset.")  # fmt: skip


def choose_classes(chosen: Sequence[str], classes: Sequence[str], labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the examples of some classes, and their labels among these.

    Args:
        chosen: names of the classes to keep, in their new order.
        classes: names of all.
        labels: (N,) indices into `classes`.

    Returns:
        Sorted indices of the examples, and (M,) int64 indices into `chosen`.

    Raises:
        UserError: a name is unknown or given twice.
    """
    for name in chosen:
        if name not in classes:
            raise UserError(f"data.classes has {name}, which is none of {', '.join(classes[:20])}: name some of these.")
    if len(set(chosen)) < len(chosen):
        raise UserError(f"data.classes={list(chosen)} names a class twice: name each once.")
    new = np.full(len(classes), -1)
    new[[list(classes).index(name) for name in chosen]] = np.arange(len(chosen))
    members = np.flatnonzero(new[labels] >= 0)
    return members, new[labels[members]]


def hold_out(
    labels: np.ndarray, amount: float, seed: int, key: str, of: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Split examples in two, each class in proportion.

    Args:
        labels: (N,) class indices.
        amount: how many to hold out: a count (int) or a share (float).
        seed: decides which ones.
        key: what the user wrote, for messages.
        of: examples that a share is a share of; None: these.

    Returns:
        Sorted indices of the rest and of what is held out; neither is empty.

    Raises:
        UserError: there are too few examples.
    """
    wanted = amount if isinstance(amount, int) else round(amount * (of or len(labels)))
    wanted = max(wanted, 1)
    if wanted >= len(labels):
        raise UserError(
            f"{key}={amount} would take all of the {len(labels)} training examples left: hold out fewer, or give more examples."
        )
    groups = _shuffled_groups(labels, seed, key)
    exact = np.array([len(group) * wanted / len(labels) for group in groups])
    takes = np.floor(exact).astype(int)
    # What rounding down left over goes to the classes that lost most by it.
    takes[np.argsort(takes - exact, kind="stable")[: wanted - takes.sum()]] += 1
    held = np.sort(np.concatenate([group[:take] for group, take in zip(groups, takes, strict=True)]))
    return np.setdiff1d(np.arange(len(labels)), held, assume_unique=True), held


def keep(labels: np.ndarray, limit: float, seed: int) -> np.ndarray:
    """Sorted indices of a small training set: a share of every class, or `limit` examples spread evenly over them.

    A larger limit contains the smaller ones. Classes that run out give their places to the others.

    Raises:
        UserError: a class would be left without an example, or there are fewer examples than asked for.
    """
    groups = _shuffled_groups(labels, seed, "data.limit")
    if isinstance(limit, float):
        takes = [max(1, round(limit * len(group))) for group in groups]
    elif limit < len(groups):
        raise UserError(f"data.limit={limit} leaves classes empty: {len(groups)} classes need at least {len(groups)}.")
    elif limit > len(labels):
        raise UserError(f"data.limit={limit} is more than the {len(labels)} training examples; null takes all.")
    else:
        takes, left = [0] * len(groups), limit
        smallest_first = sorted(range(len(groups)), key=lambda place: len(groups[place]))
        for waiting, place in zip(range(len(groups), 0, -1), smallest_first, strict=True):
            takes[place] = min(len(groups[place]), left // waiting)
            left -= takes[place]
    return np.sort(np.concatenate([group[:take] for group, take in zip(groups, takes, strict=True)]))


def fingerprint(by_split: Iterable[tuple[str, np.ndarray]]) -> str:
    """Twelve hexadecimal digits that differ when any split holds other examples."""
    digest = hashlib.sha256()
    for name, members in by_split:
        digest.update(f"{name}:{len(members)};".encode())
        digest.update(np.ascontiguousarray(members, dtype="<i8").tobytes())
    return digest.hexdigest()[:12]


def _shuffled_groups(labels: np.ndarray, seed: int, key: str) -> list[np.ndarray]:
    """Indices of each class that occurs, shuffled; a purpose (`key`) of its own draws independently of the others."""
    rng = np.random.default_rng([seed, zlib.crc32(key.encode())])
    return [rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
