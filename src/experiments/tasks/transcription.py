"""Transcription by an encoder and a decoder: what is said in a recording, token by token."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MetricCollection

from experiments.batches import IGNORED, Decoding, Encoded, Sequences
from experiments.errors import UserError
from experiments.tasks.base import Task
from experiments.tasks.parts.transcribing import Segment, repeats_itself, segments, transcribe
from experiments.tasks.parts.transcripts import Transcripts
from experiments.tasks.parts.word_errors import WordErrors
from experiments.tasks.report import Report
from experiments.tasks.reports.transcription import TranscriptionReport
from experiments.transcript_rules import rule

log = logging.getLogger(__name__)


class TranscriptSearch(NamedTuple):
    """How a transcript is looked for.

    Attributes:
        beams: hypotheses kept a recording; 1 is greedy.
        length_penalty: as `penalty` of `transcribe`.
    """

    beams: int
    length_penalty: float


class Spoken(NamedTuple):
    """What the model reads: sound (B, T) int16 or what the model's `listen` made of it, and the tokens before each step, (B, S) int64."""

    sound: Sequences | Encoded | Decoding
    tokens: Tensor


class Said(NamedTuple):
    """A transcript: its text, and its segments with their texts."""

    text: str
    segments: list[tuple[float, float, str]]


class Transcription(Task):
    """Cross-entropy of the next token, given the true ones before it; word and character error rate of what is heard freely.

    Losses are means over tokens. A recording over the model's window is heard window by window, each from where the last
    one's times end; training takes none. A window of digital silence has no text.

    Args:
        model: a `Whisper`: (sound, tokens) -> (B, S, tokens), with `listen`, `advance`, `for_search`,
            `words` and `window`.
        spec: an `AudioSpec` with symbols.
        optimizer: as in `Task`.
        scheduler: as in `Task`.
        language: code of the language spoken; None: heard from each recording, where the model knows several.
        translate: into English.
        timestamps: whether segments have times.
        windows: whether recordings over the window are taken.
        silence: seconds that the test and predictions hear behind a recording, in place of the rest of the window; None: all of
            it. A transcript that repeats itself is then made again from the whole window.
        prompt: text that is taken to stand before; None: none.
        search: `beams` and `length_penalty`, see `TranscriptSearch`.
        normalise: how texts are written before they are compared, see `transcript_rules.rule`.
        samples: transcripts in TensorBoard and in the record.

    Raises:
        UserError: when the data have no transcripts, or a value is out of range.
    """

    report_class: type[Report] = TranscriptionReport
    test_keys: tuple[str, ...] = ("language", "translate", "windows", "silence", "prompt", "search", "normalise")

    monitor = ("val/loss", "min")
    cacheable = True  # beside what the model makes of it, sound is asked for its length alone

    def __init__(
        self,
        model: nn.Module,
        spec: Any,
        optimizer: Any,
        scheduler: Any,
        *,
        language: str | None,
        translate: bool,
        timestamps: bool,
        windows: bool,
        silence: float | None = None,
        prompt: str | None,
        search: Mapping[str, Any],
        normalise: str,
        samples: int,
    ) -> None:
        if not spec.symbols:
            raise UserError("task=transcription needs transcripts, and the data has none: choose other data")
        if samples < 0:
            raise UserError(f"task.samples={samples} must be 0 or more: try task.samples=0")
        self.search = TranscriptSearch(**search)
        if self.search.beams < 1:
            raise UserError(f"task.search.beams={self.search.beams} must be 1 or more: try task.search.beams=5")
        if silence is not None and not 0 <= silence < float("inf"):
            raise UserError(
                f"task.silence={silence} must be 0 or more, or null for the whole window: try task.silence=4"
            )
        self.write = rule(normalise, "task.normalise")
        super().__init__(model, spec, optimizer, scheduler)
        words: Any = model.words
        self.words = words
        self.language, self.translate, self.timestamps, self.windows = language, translate, timestamps, windows
        self.silence, self.heard_again = silence, 0
        try:
            self.context = words.context(prompt or "")
            words.prompt(language, translate, timestamps)
        except ValueError as error:
            raise UserError(str(error)) from error
        self.transcripts = Transcripts(samples)
        self.drawn: list[tuple[Tensor, str]] = []

    @staticmethod
    def outputs(spec: Any) -> dict[str, Any]:
        return {"symbols": spec.symbols}

    def make_metrics(self) -> MetricCollection:
        return MetricCollection({"errors": WordErrors(self.write)}, compute_groups=False)

    def metric_names(self, split: str) -> list[str]:
        return [f"{split}/loss", *(f"{split}/{name}" for name in WordErrors.names if split == "test")]

    def step(
        self, batch: tuple[Sequences | Encoded, Tensor], listened: Decoding | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Sound (B, T) and symbols (B, S) filled up with IGNORED; the loss, scores (n, tokens) of all that count, truth (n,).

        Args:
            batch: sound and symbols.
            listened: what the model's `listen` made of that sound, where it is known already.
        """
        sound, target = batch
        tokens, truth = self._taught(self.texts_of(target), len(sound.values))
        if isinstance(sound, Sequences):
            self._refuse_long(sound)
        logits = self.model(Spoken(sound if listened is None else listened, tokens))
        counted = truth != IGNORED
        scores, truth = logits[counted], truth[counted]
        return F.cross_entropy(scores.float(), truth), scores, truth

    def _taught(self, texts: Sequence[str], count: int) -> tuple[Tensor, Tensor]:
        """Return what the decoder reads, and what it is to say at each step, both (B, S)."""
        language = self.language
        if language is None and self.words.languages:
            raise UserError(
                "task.language=null: the network knows several, and the loss needs one: try task.language=en"
            )
        prompt = self.words.prompt(language, self.translate, False)
        rows = [[*prompt, *self.words.encode(text), self.words.end] for text in texts]
        longest = max(map(len, rows))
        positions: Any = self.model.positions
        if longest - 1 > positions:
            raise UserError(
                f"a transcript has {longest} tokens and the network takes {positions}: cut such recordings, with offset"
                " and duration in a manifest"
            )
        table = torch.full((count, longest), IGNORED)
        for row, ids in zip(table, rows, strict=True):
            row[: len(ids)] = torch.tensor(ids)
        tokens = table[:, :-1].clone()
        tokens[tokens == IGNORED] = self.words.end
        truth = table[:, 1:].clone()
        truth[:, : len(prompt) - 1] = IGNORED
        return tokens.to(self.device), truth.to(self.device)

    def _refuse_long(self, sound: Sequences) -> None:
        seconds, window = float(sound.lengths.max()) / self.spec.rate, self.window
        if seconds > window and (self.training or not self.windows):
            cure = "" if self.training else ", or hear it in windows with task.windows=true"
            raise UserError(
                f"a recording lasts {seconds:.1f} s and the network looks at {window:g} s: cut it, with offset and duration"
                f" in a manifest{cure}"
            )

    @property
    def window(self) -> float:
        return float(self.model.window)  # type: ignore[arg-type]

    # Validation looks at the loss alone; the test transcribes freely as well.

    def _evaluate(self, split: str, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
        sound, target = batch
        fits = sound.lengths <= self.window * self.spec.rate
        listened: Decoding | None = None
        if not self.windows or bool(fits.all()):
            if split == "test":  # the loss and the transcripts share it
                self._refuse_long(sound)
                listened = self.model.listen(sound, self._seconds(int(sound.lengths.max())))  # type: ignore[operator, union-attr]
            loss, prediction, truth = self.step(batch, listened)
            self.sums[split].add(len(truth), loss=loss)
        elif bool(fits.any()):  # the others have no loss, as it would need to know what is said in which window
            some = Sequences(sound.values[fits], sound.lengths[fits])
            loss, prediction, truth = self.step((some, target[fits]))
            self.sums[split].add(len(truth), loss=loss)
        else:
            loss, prediction, truth = (torch.zeros(0, device=self.device) for _ in range(3))
        if split == "test":
            heard, texts = self.transcribe(sound, listened), self.texts_of(target)
            self._errors.update([recording.text for recording in heard], texts)
            self.transcripts.add(texts, [recording.text for recording in heard])
            if len(self.drawn) < 3:
                self.drawn.append((sound.values[0, : int(sound.lengths[0])].cpu(), heard[0].text))
        return loss, prediction, truth

    @property
    def _errors(self) -> WordErrors:
        return self.metrics_of("test")["errors"]  # type: ignore[return-value]

    def test_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        sound, target = batch
        groups = self._alike(sound.lengths.tolist())
        batches = [
            self._evaluate("test", (Sequences(sound.values[rows], sound.lengths[rows]), target[rows]))
            for rows in groups
        ]
        weights = torch.tensor([len(truth) for *_, truth in batches], device=self.device)
        losses = torch.stack([loss.sum() for loss, *_ in batches])  # 0 where no recording had a loss
        # Scores of every token are too many to hand on.
        return {"loss": (losses * weights).sum() / weights.sum().clamp(min=1)}

    def _seconds(self, samples: int) -> int | None:
        """Return the window that a recording is heard in, in whole seconds; None: the network's."""
        if self.silence is None:
            return None
        seconds = math.ceil(samples / self.spec.rate + self.silence)
        return max(1, seconds) if seconds < self.window else None

    def _alike(self, lengths: Sequence[int]) -> list[list[int]]:
        """Return the places of recordings that are heard in the same window, so that none depends on those beside it."""
        groups: dict[int | None, list[int]] = {}
        for place, samples in enumerate(lengths):
            groups.setdefault(self._seconds(samples), []).append(place)
        return list(groups.values())

    def _report(self, split: str) -> None:
        if split == "test":
            self.transcripts.finish(self._errors, self.trainer)
            if self.heard_again:
                log.warning(
                    "transcripts that repeated themselves and were made again from the whole window: %d.",
                    self.heard_again,
                )
        values: dict[str, Any] = self.sums[split].means(self)
        self.sums[split].reset()
        if split == "test":
            values |= self.metrics_of(split).compute()
            self.metrics_of(split).reset()
        self.log_dict({f"{split}/{name}": value for name, value in values.items()})

    def on_test_start(self) -> None:
        self.drawn, self.heard_again = [], 0
        self.transcripts.clear()

    def texts_of(self, target: Tensor) -> list[str]:
        """Transcripts of symbols (B, S) filled up with IGNORED."""
        symbols = self.spec.symbols
        return ["".join(symbols[place] for place in row[row != IGNORED].tolist()) for row in target.cpu()]

    @torch.no_grad()
    def transcribe(self, sound: Sequences, listened: Decoding | None = None) -> list[Said]:
        """Return what is said in each recording (B, T); `listened` is what the model made of it, where none is over the window."""
        sound = Sequences(*(tensor.to(self.device) for tensor in sound))
        rate, window = self.spec.rate, round(self.window * self.spec.rate)
        self._refuse_long(sound)
        lengths = sound.lengths.tolist()
        model: Any = self.model.for_search()  # type: ignore[operator]
        by_recording: list[list[Segment]] = [[] for _ in lengths]
        at = [0] * len(lengths)
        while some := [row for row, length in enumerate(lengths) if at[row] < length]:
            pieces = [sound.values[row, at[row] : min(at[row] + window, lengths[row])] for row in some]
            loud = [place for place, piece in enumerate(pieces) if bool(piece.any())]
            long = any(lengths[row] > window for row in some)
            times = (self.timestamps or long) and self.words.first_time is not None
            features = listened and listened.take(
                torch.tensor([some[place] for place in loud], dtype=torch.long, device=self.device)
            )
            heard = self.hear(model, [pieces[place] for place in loud], times, features) if loud else []
            tokens: dict[int, list[int]] = dict(zip(loud, heard, strict=True))
            for place, row in enumerate(some):
                seconds = len(pieces[place]) / rate
                first = self.words.first_time if times else None
                parts, forward = (
                    segments(tokens[place], first, at[row] / rate, seconds) if place in tokens else ([], seconds)
                )
                by_recording[row] += [segment for segment in parts if segment.tokens]
                last = at[row] + len(pieces[place]) >= lengths[row] and (lengths[row] <= window or forward >= seconds)
                at[row] = lengths[row] if last else at[row] + max(1, round(forward * rate))
        return [self._said(parts) for parts in by_recording]

    def hear(self, model: Any, pieces: Sequence[Tensor], times: bool, state: Decoding | None = None) -> list[list[int]]:
        """Return the tokens of each piece, without the prompt; `state` is what the model made of them in one window."""
        heard: list[list[int]] = [[]] * len(pieces)
        for rows in self._alike([len(piece) for piece in pieces]) if state is None else [list(range(len(pieces)))]:
            some = [pieces[row] for row in rows]
            seconds = self._seconds(max(map(len, some)))
            for row, tokens in zip(rows, self._tokens(model, some, times, state, seconds), strict=True):
                heard[row] = tokens
        again = [row for row, tokens in enumerate(heard) if self._repeats(tokens, len(pieces[row]))]
        if again:
            self.heard_again += len(again)
            for row, tokens in zip(again, self._tokens(model, [pieces[row] for row in again], times), strict=True):
                heard[row] = tokens
        return heard

    @staticmethod
    def _most(seconds: int) -> int:
        """Return the tokens that are looked for in a short window; speech has about five a second."""
        return 10 * seconds + 10

    def _repeats(self, tokens: Sequence[int], samples: int) -> bool:
        seconds = self._seconds(samples)
        if seconds is None:
            return False
        return len(tokens) >= self._most(seconds) or repeats_itself(self.words.decode(tokens), samples / self.spec.rate)

    def _tokens(
        self,
        model: Any,
        pieces: Sequence[Tensor],
        times: bool,
        state: Decoding | None = None,
        seconds: int | None = None,
    ) -> list[list[int]]:
        """Return the tokens of pieces that are heard in one window of some seconds; None: the network's."""
        if state is None:
            lengths = torch.tensor([len(piece) for piece in pieces], device=self.device)
            values = torch.nn.utils.rnn.pad_sequence(list(pieces), batch_first=True)
            state = model.listen(Sequences(values, lengths), seconds)
        prompts = self.prompts(model, state, len(pieces), times)
        longest = model.positions - prompts.shape[1]
        if seconds is not None:  # a loop need not go on to the end
            longest = min(longest, self._most(seconds))
        heard = transcribe(
            model,
            state,
            prompts,
            times=times,
            beams=self.search.beams,
            penalty=self.search.length_penalty,
            longest=int(longest),
        )
        return [recording.tokens for recording in heard]

    def prompts(self, model: Any, state: Decoding, count: int, times: bool) -> Tensor:
        """Return what each of some transcripts begins with, (B, P)."""
        codes = [self.language] * count
        if self.language is None and self.words.languages:
            start = torch.full((count, 1), self.words.start, device=self.device)
            logits, _ = model.advance(start, state)
            languages = list(self.words.languages.items())
            best = logits[:, [token for _, token in languages]].argmax(1).tolist()
            codes = [languages[place][0] for place in best]
        rows = [[*self.context, *self.words.prompt(code, self.translate, times)] for code in codes]
        return torch.tensor(rows, device=self.device)

    def _said(self, parts: Sequence[Segment]) -> Said:
        texts = [(segment.start, segment.end, self.words.decode(segment.tokens)) for segment in parts]
        whole = "".join(
            text if text.startswith(" ") or not place else f" {text}" for place, (_, _, text) in enumerate(texts)
        )
        return Said(" ".join(whole.split()), [(start, end, text.strip()) for start, end, text in texts])

    def hear_times(self) -> None:
        """Has predictions hear the times of segments, where the tokens have any."""
        self.timestamps = self.words.first_time is not None
