"""One long text, read from end to end in equal pieces: what a language model learns from.

The text is cut into training, validation and test split in its own order. Each split is laid out as `batch_size` streams
side by side; a batch is the next `steps` tokens of each, so a network that keeps its state goes on where it stopped.
For one that keeps none, a batch is pieces of `steps` tokens from anywhere in the split.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from experiments.batches import IGNORED, Sequences, pad
from experiments.data.common.loading import BatchedData, whole
from experiments.data.common.sampling import PLACES, EvalSampler, Picks, TrainSampler, stream
from experiments.data.common.split_names import SPLITS
from experiments.data.common.splits import fingerprint
from experiments.data.text import tokens
from experiments.data.text.generated_reviews import write
from experiments.data.text.text_data import text_of
from experiments.errors import UserError
from experiments.spec import TextSpec


class InOrder(TrainSampler):
    """Batches in order; a resumed run begins at `start_batch`."""

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


class Pieces(Dataset):
    """A text in pieces, for a network that remembers nothing between batches: (`Sequences` (B, T), what follows (B, T)).

    In every epoch the text is cut at other places, drawn from the seed and the epoch, as a ring whose end meets its
    beginning; each token is read once. For validation and test it is cut from its first token on, and the last piece is
    filled up, with targets of -100.

    Args:
        ids: (N,) tokens.
        steps: tokens of a piece.
        around: a token before each piece and one behind it, or nothing.
    """

    def __init__(self, ids: np.ndarray, steps: int, around: tuple[int, ...] = ()) -> None:
        self.ids, self.steps, self.around = ids, steps, around

    def __len__(self) -> int:
        return -(-(len(self.ids) - 1) // self.steps)

    def __getitems__(self, picks: Picks | range) -> tuple[Sequences, torch.Tensor]:
        last = len(self.ids) - 1
        if isinstance(picks, Picks):
            shift = int(stream(picks.seed, picks.epoch, 0, PLACES).integers(last))
            places = (shift + picks.indices[:, None] * self.steps + np.arange(self.steps)) % last
            lengths = np.full(len(places), self.steps)
        else:
            places = np.asarray(picks)[:, None] * self.steps + np.arange(self.steps)
            lengths = np.minimum(last - places[:, 0], self.steps)
        beyond = places >= last
        places = np.where(beyond, 0, places)
        values, following = np.where(beyond, 0, self.ids[places]), np.where(beyond, IGNORED, self.ids[places + 1])
        if self.around:
            start, end = self.around
            values, following = (
                np.pad(plane, ((0, 0), (1, 1)), constant_values=IGNORED) for plane in (values, following)
            )
            values[:, 0] = start
            values[values == IGNORED] = 0
            lengths = lengths + 2
            values[np.arange(len(values)), lengths - 1] = end
        return Sequences(torch.from_numpy(values), torch.from_numpy(lengths)), torch.from_numpy(following)


class TextStream(BatchedData):
    """Base of the long texts: a subclass says how to `read` one.

    Attributes:
        in_pieces: whether batches are pieces from anywhere in the text, and not streams that go on; a task says so
            before any loader is made, where its model remembers nothing between batches.

    Args:
        tokenizer: as in `TextData`; fitted on the training split.
        steps: tokens of a stream in a batch; back-propagation ends at its first one.
        batch_size: streams side by side, over all processes together.
        validation: share of the text, after the training split.
        test: share of the text, at its end.
        limit: use only this share of the training split, or so many characters of it, from its end; None: all.
        seed: of nothing that is drawn here; it names the run.

    Raises:
        UserError: when a share is out of range, or a split too short for a batch.
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
        super().__init__(batch_size=batch_size, workers=0, seed=seed)
        whole("data.steps", steps, 1)
        for key, share in (("validation", validation), ("test", test)):
            if not 0 < share < 0.5:
                raise UserError(f"data.{key}={share} must be a share above 0 and below 0.5: try data.{key}=0.05")
        self.rule, self.file = tokens.Rule.of(tokenizer), Path(tokenizer["file"])
        self.source = tokenizer.get("source")
        self.steps = steps
        self.validation, self.test, self.limit = validation, test, limit
        self.ids: dict[str, np.ndarray] = {}
        self._tokenizer: Any = None
        self.in_pieces = False
        self._around: tuple[int, ...] = ()

    def read(self) -> str:
        """Return the text."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:
        """Read, split and encode, once; later calls return at once."""
        if self.ids:
            return
        text = self.read()
        ends = [round(len(text) * (1 - self.validation - self.test)), round(len(text) * (1 - self.test))]
        by_split = dict(zip(SPLITS, (text[: ends[0]], text[ends[0] : ends[1]], text[ends[1] :]), strict=True))
        if self.limit is not None:
            kept = round(self.limit * len(by_split["train"])) if isinstance(self.limit, float) else self.limit
            if kept > len(by_split["train"]):
                raise UserError(
                    f"data.limit={self.limit} is more than the {len(by_split['train'])} training characters; null takes all"
                )
            by_split["train"] = by_split["train"][-max(1, kept) :]
        if self._tokenizer is None and not (self.file.is_file() or self.source):
            self._tokenizer = tokens.fit(self.rule, by_split["train"].split("\n\n"))
        for split, content in by_split.items():
            self.ids[split] = np.array(tokens.encode(self.tokenizer, [content], frame=False)[0], np.int64)
            if len(self.ids[split]) <= self.batch_size:
                raise UserError(
                    f"{self.name}: the {split} split has {len(self.ids[split])} tokens, too few for data.batch_size="
                    f"{self.batch_size} streams: take a longer text or fewer streams"
                )
        self._require_steps(len(self.ids["train"]), "of the text")
        self.describe()
        marks = tokens.marks(self.tokenizer)
        self.splits = {split: len(ids) for split, ids in self.ids.items()}
        self.splits["fingerprint"] = fingerprint((split, self.ids[split]) for split in SPLITS)
        self.splits["unknown"] = round(float(np.mean(self.ids["test"] == marks[1])), 4)  # share of test tokens
        tokens.warn_of_unknown(self.name, self.splits["unknown"])

    def describe(self) -> None:
        """Set `spec`, which the tokenizer alone decides."""
        marks, hides = tokens.marks(self.tokenizer), tokens.mask(self.tokenizer)
        framed = tokens.frames(self.tokenizer) == 2
        self._around = marks[2:] if framed else ()
        self.spec = TextSpec(
            self.tokenizer.get_vocab_size(),
            self.steps + len(self._around),
            self.steps + len(self._around),
            mask=hides,
            special=tuple(sorted({*marks, *(() if hides is None else (hides,))} - {-1})),
            marks=marks if framed else (),
        )

    @property
    def tokenizer(self) -> Any:
        """The run's tokenizer; as it was kept or taken from elsewhere, where no text has been read."""
        if self._tokenizer is None:
            borrows = self.source is not None and not self.file.is_file()
            self._tokenizer = tokens.borrow(str(self.source)) if borrows else tokens.read(self.file)
        return self._tokenizer

    def keep(self, folder: Path) -> None:
        """Write what a later prediction needs into the run's folder."""
        tokens.keep(self._tokenizer, folder / self.file.name)

    def prepare(self, texts: Sequence[str]) -> Sequences:
        """Beginnings of texts as the model gets them.

        Raises:
            UserError: when one is empty.
        """
        rows = tokens.encode_masked(self.tokenizer, texts)
        for number, row in enumerate(rows, 1):
            if not row:
                raise UserError(f"text {number} is empty: give a text to go on from")
        return pad(rows)

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Return the texts of some tokens."""
        return tokens.decode(self.tokenizer, rows)

    def pieces(self, row: Sequence[int]) -> list[str]:
        """Return the tokens of a text, one by one, for pictures."""
        return [self.tokenizer.id_to_token(token) for token in row]

    def word_starts(self) -> tuple[list[bool], list[bool]]:
        """Of each token, whether a word begins with it, and whether one begins behind it."""
        return tokens.word_starts(self.tokenizer)

    def dataset(self, split: str) -> Pieces | Streams:
        if split == "train" and not self.in_pieces:
            each = len(self.ids[split]) // self.batch_size
            self._require_steps(each, f"of each of data.batch_size={self.batch_size} streams")
        if self.in_pieces:
            return Pieces(self.ids[split], self.steps, self._around)
        return Streams(self.ids[split], self.batch_size, self.steps, *self._place())

    def _require_steps(self, there: int, cause: str) -> None:
        if self.steps > there:
            raise UserError(
                f"data.steps={self.steps} is more than the {there} training tokens {cause}: set data.steps={max(1, there)} or less"
            )

    def train_sampler(self, dataset: Any, share: int, rank: int, world: int) -> Any:
        if self.in_pieces:
            return super().train_sampler(dataset, share, rank, world)
        return InOrder(len(dataset), 1, self.seed)

    def eval_sampler(self, dataset: Any, share: int, rank: int, world: int) -> Any:
        return super().eval_sampler(dataset, share, rank, world) if self.in_pieces else EvalSampler(len(dataset), 1)


class TextFile(TextStream):
    """Any text file, or all files of a folder that end in .txt, in the order of their names.

    Args:
        path: the file or folder.
        encoding: of the files.
        rest: the keys of `TextStream`.
    """

    name = "text_file"

    def __init__(self, *, path: str, encoding: str, **rest: Any) -> None:
        super().__init__(**rest)
        self.path, self.encoding = Path(path).expanduser(), encoding

    def read(self) -> str:
        files = sorted(self.path.glob("*.txt")) if self.path.is_dir() else [self.path]
        text = "\n\n".join(text_of(file, self.encoding) for file in files)
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
