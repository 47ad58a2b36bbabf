"""Translation: a sentence in one language, its translation in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.batches import IGNORED, Encoded, Labels, Pairs, Sequences, pad
from experiments.errors import UserError
from experiments.loggers.trackers import log_text
from experiments.tasks.base import Task
from experiments.tasks.parts.beam_search import Hypothesis, beam_search
from experiments.tasks.report import Report
from experiments.tasks.reports.translation import TranslationReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class TranslationSearch(NamedTuple):
    """How a translation is looked for.

    Attributes:
        beams: hypotheses kept a sentence; 1 is greedy.
        length_penalty: as `penalty` of `beam_search`.
        longest_ratio: tokens of a translation for each of the source, at most; ten more are always allowed.
    """

    beams: int
    length_penalty: float
    longest_ratio: float


class Translation(Task):
    """Cross-entropy of the next token, given the true ones before it; BLEU and chrF of what is then translated freely.

    Losses are means over tokens. Those of validation and test are without label smoothing, and perplexity is their
    exponential. BLEU and chrF are sacrebleu's, of the whole corpus, against the references as they stand in the data.

    Args:
        model: a `Translator`: `Pairs` -> (B, T, target_vocabulary), with `begin`, `advance` and `attention`.
        spec: a `PairSpec`.
        optimizer: as in `Task`.
        scheduler: as in `Task`.
        label_smoothing: share of the target spread over all tokens, in [0, 1).
        scheduled_sampling: share of the true words before a step that the model's own take the place of, in the last epoch;
            it rises linearly from 0 (Bengio et al., "Scheduled sampling", 2015). The model's words are those of a first
            pass over the true ones (Mihaylova and Martins, "Scheduled sampling for transformers", 2019).
        search: `beams`, `length_penalty` and `longest_ratio`, see `TranslationSearch`; of the test and of `experiments predict`.
        bleu_tokenize: how sacrebleu cuts texts into words: 13a, intl, char and others of its names.
        validation_bleu: so many validation sentences are translated greedily in each epoch, for val/bleu; 0: none.
        samples: test translations in TensorBoard and in the record.

    Raises:
        UserError: when a value is out of range.
    """

    report_class: type[Report] = TranslationReport
    test_keys: tuple[str, ...] = ("label_smoothing", "search", "bleu_tokenize")

    monitor = ("val/loss", "min")
    cacheable = True  # of the source, it and the model read what is encoded of it alone

    def __init__(
        self,
        model: nn.Module,
        spec: Any,
        optimizer: Any,
        scheduler: Any,
        *,
        label_smoothing: float,
        scheduled_sampling: float,
        search: Mapping[str, Any],
        bleu_tokenize: str,
        validation_bleu: int,
        samples: int,
    ) -> None:
        if not 0 <= label_smoothing < 1:
            raise UserError(f"task.label_smoothing={label_smoothing} must lie in [0, 1): try 0.1")
        if not 0 <= scheduled_sampling <= 1:
            raise UserError(f"task.scheduled_sampling={scheduled_sampling} must lie in [0, 1]: try 0.25")
        for key, value in (("validation_bleu", validation_bleu), ("samples", samples)):
            if value < 0:
                raise UserError(f"task.{key}={value} must be 0 or more: try task.{key}=0")
        self.search = _search(search)
        self.words = _tokenizer(bleu_tokenize)
        super().__init__(model, spec, optimizer, scheduler)
        self.label_smoothing, self.scheduled_sampling = label_smoothing, scheduled_sampling
        self.validation_bleu, self.samples = validation_bleu, samples
        self.rows: list[int] = []
        self.translated_tokens: list[list[int]] = []
        self.signatures: dict[str, str] = {}
        self.shown: list[dict[str, str]] = []

    def metric_names(self, split: str) -> list[str]:
        return [f"{split}/{name}" for name in ("loss", "perplexity", "bleu", "chrf")]

    def step(self, batch: tuple[Pairs, Labels]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the loss and, of the n tokens that count, scores (n, target_vocabulary) (in training those of all
        steps) and truth (n,).
        """
        pairs, labels = batch
        counted = labels.values != IGNORED
        truth = labels.values[counted]
        if not self.training:
            logits = self.model(pairs)[counted]
            return F.cross_entropy(logits, truth), logits, truth
        share = self.sampling_share()
        if share > 0:
            pairs = self._with_own_words(pairs, share)
        logits = self.model(pairs)
        loss = F.cross_entropy(logits.flatten(0, 1), labels.values.flatten(), label_smoothing=self.label_smoothing)
        return loss, logits, truth

    def sampling_share(self) -> float:
        """Return the share of words that are the model's own in this epoch."""
        last = max(1, (self.trainer.max_epochs or 1) - 1)
        return self.scheduled_sampling * min(1.0, self.current_epoch / last)

    @torch.no_grad()
    def _with_own_words(self, pairs: Pairs, share: float) -> Pairs:
        """Return some words of the target replaced by what the model would have said there."""
        scores = self.model(pairs).float()
        scores[:, :, self._never] = -torch.inf
        own = torch.distributions.Categorical(
            logits=scores[:, :-1]
        ).sample()  # (B, T - 1), the words of steps 1 and later
        values = pairs.target.values
        chosen = torch.rand(own.shape, device=own.device) < share
        chosen &= (own != self.spec.marks[3]) & pairs.target.mask()[:, 1:]
        mixed = torch.cat([values[:, :1], torch.where(chosen, own, values[:, 1:])], dim=1)
        return pairs._replace(target=pairs.target._replace(values=mixed))

    def derived(self, means: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"perplexity": means["loss"].exp()} if "loss" in means else {}

    # Translating freely: the test split by beam search, a few of the validation split greedily.

    def on_validation_epoch_start(self) -> None:
        self.rows, self.translated_tokens = [], []

    def on_test_epoch_start(self) -> None:
        self.rows, self.translated_tokens = [], []

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        super().validation_step(batch, batch_idx)
        pairs, labels = batch
        wanted = -(-self.validation_bleu // self.trainer.world_size) - len(self.rows)
        if wanted > 0:
            values, lengths, *_ = pairs.source
            some = pairs.source._replace(values=values[:wanted], lengths=lengths[:wanted])
            self._keep(labels.rows[:wanted], self.translate(some, self.search._replace(beams=1)))

    def test_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        result = super().test_step(batch, batch_idx)
        self._keep(batch[1].rows, self.translate(batch[0].source))
        return {"loss": result["loss"]}  # scores of every token are too many to hand on

    def _keep(self, rows: Tensor, hypotheses: list[list[Hypothesis]]) -> None:
        self.rows += rows.tolist()
        self.translated_tokens += [best[0].tokens for best in hypotheses]

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        if self.validation_bleu:
            self.log("val/bleu", self._scores("validation")["bleu"])

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        self.log_dict({f"test/{name}": value for name, value in self._scores("test").items()})
        if self.shown:
            log_text(self.trainer.loggers, "translations", _as_markdown(self.shown), 0)

    def _scores(self, split: str) -> dict[str, float]:
        """BLEU and chrF, from 0 to 100, of what was translated, by all processes; keeps samples of the test."""
        from sacrebleu.metrics import BLEU, CHRF

        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        translations = dict(zip(self.rows, data.decode(self.translated_tokens), strict=True))
        if self.trainer.world_size > 1:
            gathered: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(gathered, translations)
            translations = {row: text for part in gathered for row, text in part.items()}
        if not translations:
            return {"bleu": 0.0, "chrf": 0.0}
        rows = sorted(translations)
        texts = data.texts[split]
        guesses, truth = [translations[row] for row in rows], [[texts.target[row] for row in rows]]
        scores = {}
        for name, metric in (("bleu", BLEU(tokenize=self.words, force=True)), ("chrf", CHRF())):
            scores[name] = metric.corpus_score(guesses, truth).score
            self.signatures[name] = str(metric.get_signature())
        if split == "test":
            shown = rows[:: max(1, len(rows) // max(1, self.samples))][: self.samples]
            self.shown = [
                {"source": texts.source[row], "translation": translations[row], "reference": texts.target[row]}
                for row in shown
            ]
        return scores

    def translate(
        self, source: Sequences | Encoded, search: TranslationSearch | None = None, best: int = 1
    ) -> list[list[Hypothesis]]:
        """Return the best translations of each source sentence (B, S), best first."""
        search = search or self.search
        longest = (source.lengths * search.longest_ratio).long() + 10
        sees = getattr(self.model, "positions", None)
        if isinstance(sees, int):
            longest = longest.clamp(max=sees - 1 - len(self.spec.first))  # the start takes one of them
        _, _, start, end = self.spec.marks
        return beam_search(
            self.model, source, beams=search.beams, penalty=search.length_penalty, longest=longest, best=best,
            never=tuple(self._never), start=start, end=end, first=self.spec.first,
        )  # fmt: skip

    @property
    def _never(self) -> list[int]:
        """Tokens that no translation has: padding, what is unknown and the start, where that is not the end as well."""
        return sorted({mark for mark in self.spec.marks[:3] if mark >= 0} - {self.spec.marks[3]})

    def attention(self, source: Sequences, written: Sequence[Sequence[int]]) -> list[Tensor] | None:
        """Of each translation (T_i + 1, S_i): where its words and its end look in the source; None without attention."""
        target = pad([torch.tensor([self.spec.marks[2], *self.spec.first, *row]) for row in written])
        target = Sequences(*(tensor.to(source.values.device) for tensor in target))
        with torch.no_grad():
            weights = cast(Any, self.model).attention(Pairs(source, target))
        if weights is None:
            return None
        steps, places = target.lengths.tolist(), source.lengths.tolist()
        return [weight[:t, :s].float().cpu() for weight, t, s in zip(weights, steps, places, strict=True)]

    def draw_attention(self, sentences: Any, written: Sequence[Sequence[int]]) -> Figure | None:
        """Return a map a sentence; None without attention.

        Args:
            sentences: as the data's `prepare` gives them.
            written: tokens of their translations.
        """
        source = Sequences(*(tensor.to(self.device) for tensor in sentences.source))
        maps = self.attention(source, written)
        if maps is None:
            return None
        from experiments.viz.attention import attention

        rows = [row[: int(length)] for row, length in zip(*(tensor.tolist() for tensor in source), strict=True)]
        return attention(
            maps,
            [sentences.pieces(row, False) for row in rows],
            [[*sentences.pieces(row, True), "⏎"] for row in written],
            self.spec.languages,
        )


def _search(given: Mapping[str, Any]) -> TranslationSearch:
    search = TranslationSearch(**given)
    if search.beams < 1:
        raise UserError(f"task.search.beams={search.beams} must be 1 or more: try task.search.beams=4")
    if search.length_penalty < 0:
        raise UserError(f"task.search.length_penalty={search.length_penalty} must be 0 or more: try 0.6")
    if search.longest_ratio <= 0:
        raise UserError(f"task.search.longest_ratio={search.longest_ratio} must be above 0: try 2.0")
    return search


def _tokenizer(name: str) -> str:
    """Return the name, if sacrebleu has such a tokenizer that needs nothing from elsewhere."""
    tokenizers = ("13a", "intl", "char", "none", "zh")
    if str(name) not in tokenizers:
        raise UserError(f"task.bleu_tokenize={name} is unknown: use {', '.join(tokenizers)}")
    return str(name)


def _as_markdown(samples: Sequence[Mapping[str, str]]) -> str:
    """Samples as a table."""
    cells = [[sample[key].replace("|", "\\|") for key in ("source", "translation", "reference")] for sample in samples]
    return "\n".join(
        ["| source | translation | reference |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in cells)]
    )
