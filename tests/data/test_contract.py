"""One contract for every option of `data`: the spec is true to the batches, the splits share no example and are the same
each time, workers and processes give the same data, and an epoch can be resumed at any batch.

An option that a test cannot set up stands in `NOT_HERE` of contract_options.py with its reason; a new option is tested as it stands.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import islice
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from experiments.batches import IGNORED
from experiments.config.compose import compose
from experiments.config.options import options
from experiments.data.common.split_names import SPLITS
from experiments.errors import UserError
from experiments.run.build import build_data
from tests.data.contract_options import HEAVY, MADE, NOT_HERE, REAL, REAL_FILES, REPEATED, VARIANTS, WORDS


class Case(NamedTuple):
    """An option, and the means to set it up once more."""

    name: str
    data: Any
    again: Callable[..., Any]


@pytest.fixture(scope="module")
def patched() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[pytest.mark.slow] * (name in HEAVY))
        for name in (*options("data"), *VARIANTS)
        if name not in NOT_HERE
    ],
)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, patched: pytest.MonkeyPatch) -> Case:
    folder = tmp_path_factory.mktemp("data")
    name, more = VARIANTS.get(request.param, (request.param, []))
    if name.startswith("huggingface"):
        config = pytest.importorskip("datasets").config
        patched.setattr(config, "HF_DATASETS_CACHE", str(folder / "cache"))  # else in the home folder
    if name in REAL_FILES and not (REAL / REAL_FILES[name]).exists():
        pytest.skip(f"{REAL_FILES[name]} is not in EXPERIMENTS_DATA={REAL}")
    words = [f"data={name}", *WORDS.get(name, ()), *(MADE[name](folder) if name in MADE else ()), *more]

    def build(number: int, seed: int = 0) -> Any:
        return build_data(compose([*words, f"seed={seed}", f"hydra.run.dir={folder}/run{number}"]))

    return Case(name, build(0), build)


def test_every_option_is_here() -> None:
    assert set(NOT_HERE) | set(REAL_FILES) | set(MADE) | set(WORDS) <= set(options("data"))
    assert not set(NOT_HERE) & (set(REAL_FILES) | set(MADE))


def loader(case: Case, split: str = "train", epoch: int = 0, start: int = 0) -> Any:
    made = {
        "train": case.data.train_dataloader,
        "validation": case.data.val_dataloader,
        "test": case.data.test_dataloader,
    }
    loaded = made[split]()
    loaded = getattr(loaded, "loaders", [loaded])[0]  # what is played comes after the steps of demonstrations
    if split == "train":
        loaded.batch_sampler.set_epoch(epoch)
        loaded.batch_sampler.start_batch = start
    return loaded


def columns(item: Any) -> Iterator[list[bytes]]:
    """Yield the parts of a batch, each as the bytes of its rows without what fills them up."""
    if item is None:
        return
    if hasattr(item, "lengths"):
        for part in item:
            if part is item.lengths:
                continue
            padded = isinstance(part, torch.Tensor)
            yield [bytes_of(row[:length] if padded else row) for row, length in zip(part, item.lengths, strict=True)]
    elif isinstance(item, tuple):
        for part in item:
            yield from columns(part)
    elif isinstance(item, torch.Tensor) and item.dtype == torch.int64 and item.ndim == 2:
        yield [bytes_of(row[: 1 + max(np.flatnonzero(row != IGNORED), default=-1)]) for row in item.numpy()]
    else:
        yield [bytes_of(row) for row in item]


def bytes_of(row: Any) -> bytes:
    if isinstance(row, dict):
        return b"".join(bytes_of(value) for value in row.values())
    return np.ascontiguousarray(row).tobytes() if isinstance(row, (torch.Tensor, np.ndarray)) else repr(row).encode()


def examples(batch: Any) -> list[bytes]:
    """The examples of a batch, each as bytes."""
    parts = [part for part in columns(batch) if any(part)]
    count = min(map(len, parts))  # an example of two texts has two rows
    return [b"|".join(b"".join(part[number::count]) for part in parts) for number in range(count)]


def inputs_of(data: Any, split: str) -> Iterator[bytes]:
    """Yield what a network reads of each example of a split, not augmented."""
    dataset = data.dataset(split)
    size = 1 if type(dataset).__name__ == "Streams" else 256  # of which an item is a batch
    for start in range(0, len(dataset), size):
        batch = dataset.__getitems__(range(start, min(start + size, len(dataset))))
        assert not isinstance(batch, UserError), batch
        yield from examples((batch[0],))


def same(left: Any, right: Any) -> bool:
    if isinstance(left, torch.Tensor):
        return left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    return left == right


# What each kind of spec promises of a batch, as the model and the task get it.


def between(values: torch.Tensor, low: int, high: int) -> bool:
    """Tell whether all that counts lies in a range, the end excluded."""
    counted = values[values != IGNORED]
    return values.dtype == torch.int64 and bool(((counted >= low) & (counted < high)).all())


def check_sequences(sequences: Any, longest: int, vocabulary: int | None) -> None:
    assert int(sequences.lengths.min()) >= 1 and int(sequences.lengths.max()) <= min(longest, sequences.values.shape[1])
    if vocabulary is not None:
        assert between(sequences.values, 0, vocabulary)


def check_answers(spec: Any, targets: Any) -> None:
    """Labels, numbers, or a label a step."""
    if spec.classes:
        assert between(targets, 0, spec.num_classes)
    elif spec.values:
        assert targets.dtype == torch.float32 and targets.shape[1] == spec.values and bool(targets.isfinite().all())


def image(spec: Any, inputs: Any, targets: Any) -> None:
    assert inputs.dtype == torch.float32 and inputs.shape[1:] == (spec.channels, spec.height, spec.width)
    assert bool(inputs.isfinite().all())
    if targets.is_floating_point():  # shares of the classes of mixed images
        assert targets.shape == (len(inputs), spec.num_classes)
        torch.testing.assert_close(targets.sum(1), torch.ones(len(inputs)))
    else:
        assert targets.shape == inputs.shape[:1] and between(targets, 0, spec.num_classes)


def mask(spec: Any, inputs: Any, targets: Any) -> None:
    assert inputs.dtype == torch.float32 and inputs.shape[1:] == (spec.channels, spec.height, spec.width)
    assert targets.shape == (len(inputs), *inputs.shape[2:]) and len(spec.colours) == spec.num_classes
    assert between(targets[targets != spec.ignored], 0, spec.num_classes)


def text(spec: Any, inputs: Any, targets: Any) -> None:
    check_sequences(inputs, spec.longest, spec.vocabulary)
    assert all(0 <= token < spec.vocabulary for token in spec.special)
    if not (spec.classes or spec.values or spec.apart):
        assert between(targets, 0, spec.vocabulary)
    check_answers(spec, targets)


def question(spec: Any, inputs: Any, targets: Any) -> None:
    check_sequences(inputs, spec.longest, spec.vocabulary)
    assert len(targets) == len(inputs.lengths) and targets.dtype == torch.int64


def pair(spec: Any, inputs: Any, targets: Any) -> None:
    check_sequences(inputs.source, spec.longest, spec.vocabulary)
    check_sequences(inputs.target, spec.target_longest, spec.target_vocabulary)
    assert between(targets.values, 0, spec.target_vocabulary) and targets.values.shape == inputs.target.values.shape


def vectors(spec: Any, inputs: Any, targets: Any) -> None:
    check_sequences(inputs, spec.longest, None)
    assert inputs.values.shape[2] == spec.features and inputs.values.dtype == torch.float32
    check_answers(spec, targets)


def audio(spec: Any, inputs: Any, targets: Any) -> None:
    check_sequences(inputs, spec.longest, None)
    assert bool(spec.classes) != bool(spec.symbols) and inputs.values.dtype == torch.int16
    assert between(targets, 0, len(spec.classes or spec.symbols) + bool(spec.symbols))


def series(spec: Any, inputs: Any, targets: Any) -> None:
    assert inputs.dtype == targets.dtype == torch.float32 and len(inputs) == len(targets)
    assert inputs.shape[1:] == (spec.history, len(spec.columns))
    assert targets.shape[1:] == (spec.horizon, len(spec.columns))
    assert len(spec.mean) == len(spec.std) == len(spec.naive_error) == len(spec.columns)


def control(spec: Any, inputs: Any, targets: Any) -> None:
    assert inputs.shape[1] == len(spec.observations)
    assert between(targets, 0, len(spec.actions)) if spec.discrete else targets.shape[1] == len(spec.actions)


def detection(spec: Any, inputs: Any, targets: Any) -> None:
    for pixels, objects in zip(inputs, targets, strict=True):
        height, width = pixels.shape[1:]
        boxes, count = objects["boxes"], len(objects["labels"])
        assert (
            pixels.shape[0] == 3 and boxes.shape == (count, 4) and between(objects["labels"], 0, spec.num_classes + 1)
        )
        assert bool((boxes[:, 2:] > boxes[:, :2]).all() and (boxes >= 0).all())
        assert bool((boxes[:, 2] <= width).all() and (boxes[:, 3] <= height).all())
        assert not spec.masks or objects["masks"].shape == (count, height, width)


KINDS = {
    "AudioSpec": audio, "ControlSpec": control, "DetectionSpec": detection, "ImageSpec": image, "MaskSpec": mask,
    "PairSpec": pair, "QuestionSpec": question, "SequenceSpec": vectors, "SeriesSpec": series, "TextSpec": text,
}  # fmt: skip


@pytest.mark.parametrize("split", SPLITS)
def test_the_spec_is_true_to_the_batches(case: Case, split: str) -> None:
    batch = next(iter(loader(case, split)))
    inputs, targets = case.data.on_after_batch_transfer(batch, 0)[:2]
    spec = case.data.spec
    KINDS[type(spec).__name__](spec, inputs, targets)


def test_splits_share_no_example(case: Case) -> None:
    by_split = {split: set(inputs_of(case.data, split)) for split in SPLITS}
    assert all(by_split.values())
    shared = {
        (left, right): len(by_split[left] & by_split[right])
        for left, right in (("train", "validation"), ("train", "test"), ("validation", "test"))
    }
    if case.name in REPEATED:
        assert any(shared.values()), f"take {case.name} out of REPEATED"
    else:
        assert not any(shared.values()), shared


def test_splits_are_the_same_in_every_run(case: Case) -> None:
    """Whatever the seed of a run, and whatever else was drawn."""
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    again = case.again(1, seed=5)
    assert (again.splits, again.spec) == (case.data.splits, case.data.spec)
    for split in ("test", "validation"):
        assert list(islice(inputs_of(again, split), 300)) == list(islice(inputs_of(case.data, split), 300))


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_worker_changes_nothing(case: Case, monkeypatch: pytest.MonkeyPatch, split: str) -> None:
    alone = list(islice(loader(case, split, epoch=1), 2))
    monkeypatch.setattr(case.data, "workers", 1)
    fetched = iter(loader(case, split, epoch=1))
    assert same(alone, list(islice(fetched, 2)))


@pytest.mark.parametrize("split", SPLITS)
def test_two_processes_read_what_one_reads(case: Case, monkeypatch: pytest.MonkeyPatch, split: str) -> None:
    def read(rank: int, world: int, start: int) -> list[list[bytes]]:
        trainer = SimpleNamespace(
            global_rank=rank, world_size=world, strategy=SimpleNamespace(root_device=torch.device("cpu"))
        )
        monkeypatch.setattr(case.data, "trainer", trainer)
        batches = loader(case, split, epoch=1, start=start)
        return [examples(batch) for batch in (islice(batches, 3) if split == "train" else batches)]

    if split != "train" and len(case.data.dataset(split)) == 1:
        with pytest.raises(UserError, match=r"trainer\.devices=1"):
            read(0, 2, 0)
        return
    for start in (0, 1) if split == "train" else (0,):
        alone, parts = read(0, 1, start), [read(rank, 2, start) for rank in range(2)]
        if split == "train":
            for whole, left, right in zip(alone, *parts, strict=True):
                assert len(left) == len(right) and set(whole) <= {*left, *right}
                filled_up = len(left) + len(right) - len(whole)  # the last batch, to two examples a process
                assert len({*left, *right} - set(whole)) <= filled_up < 4
        else:
            everything = sorted(row for batch in alone for row in batch)
            assert everything == sorted(row for part in parts for batch in part for row in batch)


def test_an_epoch_is_resumed_at_any_batch(case: Case) -> None:
    whole = loader(case, epoch=1).batch_sampler
    indices = [(picks.indices.tolist(), *picks[1:]) for picks in whole]
    assert len(indices) == len(whole)
    for start in {0, 1, len(indices) // 2, len(indices) - 1} & set(range(len(indices))):
        whole.start_batch = start
        assert [(picks.indices.tolist(), *picks[1:]) for picks in whole] == indices[start:]
    later = list(islice(loader(case, epoch=1), 1, 2))
    assert same(later, list(islice(loader(case, epoch=1, start=1), 1)))
