"""The rows of the benchmark that are about sequences; `benchmark.py` runs them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

Samples = dict[str, list[float]]
VOCABULARY, CLASSES = 5000, 2
KEYS: dict[str, Any] = {
    "cell": "lstm", "embedding": 64, "hidden": 64, "layers": 1, "nonlinearity": "tanh", "bidirectional": False,
    "pooling": "last", "initial": "zero", "layer_norm": False, "input_dropout": 0.0, "dropout": 0.0,
    "output_dropout": 0.0, "truncate": None, "forget_bias": None,
}  # fmt: skip


def _training(model: Any) -> Callable[[Any, Any], None]:
    """One step of Adam on a batch."""
    import torch

    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def step(inputs: Any, targets: Any) -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()

    return step


def buckets(long_tail: bool, quick: bool) -> Samples:
    """Tokens a second of an epoch's training: batches of like length, random ones padded to their longest, and packed ones."""
    import torch
    from torch import nn

    from experiments.data.common.buckets import BucketSampler
    from experiments.data.common.sampling import TrainSampler
    from experiments.data.common.sequence_data import Store, StoredSequences
    from experiments.models.recurrent import Recurrent

    torch.set_num_threads(1)
    random, count = np.random.default_rng(0), 64 if quick else 640
    if long_tail:  # half of them shorter than 15, a few of them 200
        lengths = np.clip(random.lognormal(2.7, 0.9, count), 5, 200).astype(np.int64)
    else:
        lengths = random.integers(5, 201, count)
    rows = [random.integers(4, VOCABULARY, length) for length in lengths]
    served = StoredSequences(Store.of(rows, random.integers(CLASSES, size=count)))
    samplers = {"ours": BucketSampler(lengths, 32, None, 0), "random": TrainSampler(count, 32, 0)}
    model = Recurrent(vocabulary=VOCABULARY, num_classes=CLASSES, **KEYS)
    step = _training(model)
    table, kernel, head = model.embedding.table, model.layer1.directions[0], model.head

    class Packed(nn.Module):
        """The same network over packed sequences."""

        def forward(self, x: Any) -> Any:
            packed = nn.utils.rnn.pack_padded_sequence(
                table(x.values), x.lengths, batch_first=True, enforce_sorted=False
            )
            return head(kernel(packed)[1][0][0])

    other = Packed()
    other.parts = nn.ModuleList([table, kernel, head])
    steps = {"ours": step, "random": step, "packed": _training(other)}

    def epoch(side: str) -> float:
        sampler = samplers["ours" if side == "ours" else "random"]
        began = time.perf_counter()
        for picks in sampler:
            steps[side](*served.__getitems__(picks))
        return float(lengths.sum()) / (time.perf_counter() - began)

    for side in steps:
        epoch(side)  # kernels are chosen when a shape is first seen
    turns = [{side: epoch(side) for side in steps} for _ in range(1 if quick else 3)]
    return {side: [turn[side] for turn in turns] for side in steps}


def recurrent_step(quick: bool) -> Samples:
    """Sequences a second: our network, and torch's layers by hand, on the same batch."""
    import torch
    from torch import nn

    from experiments.batches import Sequences
    from experiments.models.recurrent import Recurrent

    torch.set_num_threads(1)

    class ByHand(nn.Module):
        """Vectors, an LSTM of two layers, the last step, a head."""

        def __init__(self) -> None:
            super().__init__()
            self.table, self.kernel = nn.Embedding(VOCABULARY, 64), nn.LSTM(64, 128, 2, batch_first=True)
            self.head = nn.Linear(128, CLASSES)

        def forward(self, tokens: Any) -> Any:
            return self.head(self.kernel(self.table(tokens))[0][:, -1])

    tokens, targets = torch.randint(4, VOCABULARY, (64, 50)), torch.randint(CLASSES, (64,))
    batch = Sequences(tokens, torch.full((64,), 50))
    ours = _training(Recurrent(vocabulary=VOCABULARY, num_classes=CLASSES, **KEYS | {"layers": 2, "hidden": 128}))
    hand = _training(ByHand())
    sides: dict[str, Callable[[], None]] = {
        "ours": lambda: ours(batch, targets),
        "floor": lambda: hand(tokens, targets),
    }

    def rate(side: str) -> float:
        began, times = time.perf_counter(), 1 if quick else 10
        for _ in range(times):
            sides[side]()
        return 64 * times / (time.perf_counter() - began)

    for side in sides:
        rate(side)
    turns = [{side: rate(side) for side in sides} for _ in range(1 if quick else 9)]
    return {side: [turn[side] for turn in turns] for side in sides}


def lstm_inference(quick: bool) -> Samples:
    """Sequences a second of an LSTM that is asked, not trained: bf16 against fp32, with oneDNN's kernels and without."""
    import torch

    from experiments.batches import Sequences
    from experiments.models.recurrent import Recurrent

    torch.set_num_threads(1)
    batch = Sequences(torch.randint(4, VOCABULARY, (32, 50)), torch.full((32,), 50))
    plain = Recurrent(vocabulary=VOCABULARY, num_classes=CLASSES, **KEYS | {"hidden": 256, "embedding": 256}).eval()
    half = (
        Recurrent(vocabulary=VOCABULARY, num_classes=CLASSES, **KEYS | {"hidden": 256, "embedding": 256})
        .eval()
        .bfloat16()
    )

    def rate(model: Any, fused: bool) -> float:
        times = 1 if quick else 5
        with torch.inference_mode(), torch.backends.mkldnn.flags(enabled=fused):
            model(batch)
            began = time.perf_counter()
            for _ in range(times):
                model(batch)
            return 32 * times / (time.perf_counter() - began)

    turns = [
        {"bf16": rate(half, True), "fp32": rate(plain, True), "plain": rate(plain, False)}
        for _ in range(1 if quick else 5)
    ]
    return {side: [turn[side] for turn in turns] for side in turns[0]}


def beam_search(quick: bool) -> Samples:
    """Sentences a second translated with four beams: all together, and one after another by the same search."""
    import torch

    from experiments.batches import Sequences
    from experiments.models.seq2seq import Seq2Seq
    from experiments.tasks.parts.beam_search import beam_search as search

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = Seq2Seq(VOCABULARY, VOCABULARY, cell="gru", embedding=128, hidden=128, layers=1, bidirectional=True,
                    attention="luong", input_feeding=False, share="none", dropout=0.0).eval()  # fmt: skip
    count = 8 if quick else 64
    lengths = torch.randint(5, 16, (count,))
    batch = Sequences(torch.randint(4, VOCABULARY, (count, 15)), lengths)

    def together() -> None:
        search(model, batch, beams=4, penalty=0.6, longest=lengths)

    def alone() -> None:
        for row in range(count):
            length = lengths[row : row + 1]
            sentence = Sequences(batch.values[row : row + 1, : int(length)], length)
            search(model, sentence, beams=4, penalty=0.6, longest=length)

    def rate(translate: Callable[[], None]) -> float:
        began = time.perf_counter()
        translate()
        return count / (time.perf_counter() - began)

    together()
    turns = [{"ours": rate(together), "alone": rate(alone)} for _ in range(1 if quick else 5)]
    return {side: [turn[side] for turn in turns] for side in turns[0]}
