"""One long text, read from end to end in equal pieces: what a language model learns from.

The text is cut into training, validation and test part in its own order. Each part is laid out as `batch_size` streams
side by side; a batch is the next `steps` tokens of each, so a network that keeps its state goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from experiments.batches import IGNORED, UNKNOWN, Sequences, pad
from experiments.data.common.sampling import EvalSampler, LazyLoader, Picks, TrainSampler, as_is
from experiments.data.common.splits import fingerprint
from experiments.data.text import tokens
from experiments.data.text.generated_reviews import write
from experiments.data.text.text_data import text_of
from experiments.errors import UserError
from experiments.spec import TextSpec

PARTS = ("train", "validation", "test")


class InOrder(TrainSampler):
    """Batches one after another; a resumed run goes on at `start_batch`."""

    def __iter__(self) -> Iterator[Picks]:
        first, self.start_batch = self.start_batch, 0
        for batch in range(first, self.count):
            yield Picks(np.array([batch]), self.seed, self.epoch, batch, 0)


class Streams(Dataset):
    """Tokens as streams side by side; batch number n is (`Sequences` (streams, T), the tokens that follow (streams, T)).

    The last streams and the last batch are filled up with padding, whose targets are -100.

    Args:
        ids: (N,) tokens.
        streams: how many side by side.
        steps: tokens of a stream in a batch.
        rank, world: this process takes every `world`-th stream.
    """

    def __init__(self, ids: np.ndarray, streams: int, steps: int, rank: int = 0, world: int = 1) -> None:
        length = -(-(len(ids) - 1) // streams)
        inputs, targets = np.zeros(streams * length, np.int64), np.full(streams * length, IGNORED, np.int64)
        inputs[: len(ids) - 1], targets[: len(ids) - 1] = ids[:-1], ids[1:]
        self.inputs = torch.from_numpy(inputs.reshape(streams, length)[rank::world].copy())
        self.targets = torch.from_numpy(targets.reshape(streams, length)[rank::world].copy())
        self.steps = steps

    def __len__(self) -> int:
        return -(-self.inputs.shape[1] // self.steps)

    def __getitems__(self, picks: Picks | range) -> tuple[Sequences, torch.Tensor]:
        number = int(picks.indices[0]) if isinstance(picks, Picks) else picks[0]
        place = slice(number * self.steps, (number + 1) * self.steps)
        values = self.inputs[:, place]
        return Sequences(values, torch.full((len(values),), values.shape[1])), self.targets[:, place]


class TextStream(LightningDataModule):
    """Base of the long texts: a subclass says how to `read` one.

    Args:
        tokenizer: as in `TextData`; fitted on the training part.
        steps: tokens of a stream in a batch; back-propagation ends at its first one.
        batch_size: streams side by side, over all processes together.
        validation: share of the text, after the training part.
        test: share of the text, at its end.
        limit: use only this share of the training part, or so many characters of it, from its end; None: all.
        seed: of nothing that is drawn here; it names the run.

    Raises:
        UserError: when a share is out of range, or a part too short for a batch.
    """

    name = "stream"

    def __init__(
        self,
        *,
        tokenizer: Mapping[str, Any],
        steps: int,
        batch_size: int,
        validation: float,
        test: float,
        limit: float | None,
        seed: int,
    ) -> None:
        super().__init__()
        for key, value in (("steps", steps), ("batch_size", batch_size)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UserError(f"data.{key}={value!r} must be a whole number of at least 1.")
        for key, share in (("validation", validation), ("test", test)):
            if not 0 < share < 0.5:
                raise UserError(f"data.{key}={share} must be a share above 0 and below 0.5: try data.{key}=0.05")
        self.rule, self.file = tokens.Rule.of(tokenizer), Path(tokenizer["file"])
        self.steps, self.batch_size, self.seed = steps, batch_size, seed
        self.validation, self.test, self.limit = validation, test, limit
        self.ids: dict[str, np.ndarray] = {}
        self._tokenizer: Any = None
        self.spec: TextSpec
        self.splits: dict[str, Any]

    def read(self) -> str:
        """The text."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:
        """Read, split and encode, once; later calls return at once."""
        if self.ids:
            return
        text = self.read()
        ends = [round(len(text) * (1 - self.validation - self.test)), round(len(text) * (1 - self.test))]
        parts = dict(zip(PARTS, (text[: ends[0]], text[ends[0] : ends[1]], text[ends[1] :]), strict=True))
        if self.limit is not None:
            kept = round(self.limit * len(parts["train"])) if isinstance(self.limit, float) else self.limit
            parts["train"] = parts["train"][-max(1, kept) :]
        if self._tokenizer is None:
            known = self.file.is_file()
            self._tokenizer = tokens.read(self.file) if known else tokens.fit(self.rule, parts["train"].split("\n\n"))
        for part, content in parts.items():
            self.ids[part] = np.array(tokens.encode(self._tokenizer, [content], frame=False)[0], np.int64)
            if len(self.ids[part]) <= self.batch_size:
                raise UserError(
                    f"{self.name}: the {part} part has {len(self.ids[part])} tokens, too few for data.batch_size="
                    f"{self.batch_size} streams: take a longer text or fewer streams"
                )
        self.spec = TextSpec(self._tokenizer.get_vocab_size(), self.steps, self.steps)
        self.splits = {part: len(ids) for part, ids in self.ids.items()}
        self.splits["fingerprint"] = fingerprint((part, self.ids[part]) for part in PARTS)
        self.splits["unknown"] = round(float(np.mean(self.ids["test"] == UNKNOWN)), 4)  # share of test tokens

    def keep(self, folder: Path) -> None:
        """Write what a later prediction needs into the run's folder."""
        tokens.keep(self._tokenizer, folder / self.file.name)

    def prepare(self, texts: Sequence[str]) -> Sequences:
        """Beginnings of texts as the model gets them.

        Raises:
            UserError: when one is empty.
        """
        self._tokenizer = self._tokenizer or tokens.read(self.file)
        rows = tokens.encode(self._tokenizer, texts, frame=False)
        for number, row in enumerate(rows, 1):
            if not row:
                raise UserError(f"text {number} is empty: give a text to go on from")
        return pad(rows)

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """The texts of some tokens."""
        return tokens.decode(self._tokenizer, rows)

    def train_dataloader(self) -> DataLoader:
        rank, world = self._place()
        streams = Streams(self.ids["train"], self.batch_size, self.steps, rank, world)
        return self._loader(streams, InOrder(len(streams), 1, self.seed))

    def val_dataloader(self) -> DataLoader:
        return self._evaluation("validation")

    def test_dataloader(self) -> DataLoader:
        return self._evaluation("test")

    def _evaluation(self, part: str) -> DataLoader:
        streams = Streams(self.ids[part], self.batch_size, self.steps, *self._place())
        return self._loader(streams, EvalSampler(len(streams), 1))

    def _loader(self, streams: Streams, sampler: Any) -> DataLoader:
        on_device = self.trainer is not None and self.trainer.strategy.root_device.type != "cpu"
        return LazyLoader(
            streams,
            batch_sampler=sampler,
            collate_fn=as_is,
            pin_memory=on_device,
            generator=torch.Generator().manual_seed(self.seed),
        )

    def _place(self) -> tuple[int, int]:
        rank, world = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        if self.batch_size % world:
            raise UserError(f"data.batch_size={self.batch_size} is the total over all processes and must divide by"
                            f" {world}: take {max(1, self.batch_size // world) * world}.")  # fmt: skip
        return rank, world


class TextFile(TextStream):
    """Any text file.

    Args:
        path: the file.
        encoding: of the file.
        rest: the keys of `TextStream`.
    """

    name = "text_file"

    def __init__(self, *, path: str, encoding: str, **rest: Any) -> None:
        super().__init__(**rest)
        self.path, self.encoding = Path(path).expanduser(), encoding

    def read(self) -> str:
        text = text_of(self.path, self.encoding)
        if not text.strip():
            raise UserError(f"{self.path} is empty: name a text to learn from")
        return text


class GeneratedText(TextStream):
    """Generated reviews, one a line; always the same ones. No file is read.

    Args:
        count: reviews.
        rest: the keys of `TextStream`.
    """

    name = "generated_text"

    def __init__(self, *, count: int, **rest: Any) -> None:
        super().__init__(**rest)
        self.count = count

    def read(self) -> str:
        return "\n".join(write(self.count, 0).lines)
