"""Language modelling: which token comes next?

A recurrent network carries its state on from the batch before, and back-propagation is truncated at the first token of
a batch (Williams and Peng, "An efficient gradient-based algorithm for on-line training of recurrent network
trajectories", 1990). A GPT, which remembers nothing between batches, reads pieces from anywhere in the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from experiments.batches import IGNORED, Sequences, Tokens
from experiments.contracts import CarriesState, ComesInPieces, OneLongText, SeesThePast, WritesTokens, positions_of
from experiments.errors import UserError
from experiments.loggers.trackers import log_text
from experiments.tasks.base import Task
from experiments.tasks.parts.generation import Writing, write
from experiments.tasks.parts.state_of_processes import of_all_processes, own_share
from experiments.tasks.report import Report
from experiments.tasks.reports.language_modelling import LanguageModellingReport


class Perplexity(Metric):
    """Exponential of the mean cross-entropy of a token, in nats."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, logits: Tensor, target: Tensor) -> None:
        """(n, vocabulary) and (n,)."""
        self.total += F.cross_entropy(logits.float(), target, reduction="sum")
        self.count += len(target)

    def compute(self) -> Tensor:
        return (self.total / self.count).exp().float()


class LanguageModelling(Task):
    """Cross-entropy of the next token; perplexity; and a text that the model writes after each validation.

    Args:
        model: a network that sees only what came before: `Sequences` -> (B, T, vocabulary), with `start` and `advance`.
        spec: a spec with a `vocabulary`.
        optimizer: as in `Task`.
        scheduler: as in `Task`.
        sample: how texts are written: the keys of `Writing`.

    Attributes:
        writing: the same.

    Raises:
        UserError: when the model cannot write, sees later tokens, or sees fewer than a batch of the data has.
    """

    report_class: type[Report] = LanguageModellingReport

    monitor = ("val/perplexity", "min")

    @property
    def changes_inputs(self) -> str:  # type: ignore[override]
        """Why features of the inputs cannot be cached, as half a sentence."""
        if self._carries:
            return "a recurrent network's state goes on from one batch to the next"
        return "the text is cut at other places in every epoch"

    def __init__(
        self, model: nn.Module, spec: Any, optimizer: Any, scheduler: Any, *, sample: Mapping[str, Any]
    ) -> None:
        if not isinstance(model, WritesTokens):
            raise UserError(
                "task=language_modelling needs a model that sees only what came before: take model=gpt_mini, rnn, lstm or gru"
            )
        if isinstance(model, SeesThePast) and not model.causal:
            raise UserError("model.bidirectional=true sees the tokens it is to predict: set model.bidirectional=false")
        sees = positions_of(model)
        if sees is not None and spec.longest > sees:
            raise UserError(
                f"data.steps={spec.longest} is more than the model sees at once, model.positions={sees}: set data.steps={sees}"
            )
        writing = Writing.of(sample)
        super().__init__(model, spec, optimizer, scheduler)
        self.writing = writing
        self._carries = isinstance(model, CarriesState)
        self._kept: list[Any] | None = None

    @staticmethod
    def outputs(spec: Any) -> dict[str, Any]:
        return {"num_classes": spec.vocabulary, "every_step": True}

    def make_metrics(self) -> MetricCollection:
        return MetricCollection({"perplexity": Perplexity()})

    def setup(self, stage: str) -> None:
        """Lets the text come in pieces where the model carries no state, before any loader is made."""
        data = self.attached_data
        if not self._carries and isinstance(data, ComesInPieces):
            data.in_pieces = True

    def step(self, batch: tuple[Sequences, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """`Sequences` (B, T) and the tokens that follow (B, T), -100 for none; gives the n judged ones one after another."""
        inputs, target = batch
        judged = target != IGNORED
        logits, following = self.model(inputs)[judged], target[judged]  # (n, vocabulary), (n,)
        return F.cross_entropy(logits, following), logits, following

    # A carried state goes from batch to batch, begins anew with an epoch, and is laid aside for validation.

    def on_train_epoch_start(self) -> None:
        self._carry(True)

    def on_validation_epoch_start(self) -> None:
        self._kept = [layer.state for layer in self._layers]
        self._carry(True)

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        if self.trainer.is_global_zero:
            self._write()
        self._carry(True)
        for layer, state in zip(self._layers, self._kept or (), strict=False):
            layer.state = state

    def on_test_epoch_start(self) -> None:
        self._carry(True)

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        self._carry(False)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["carried"] = of_all_processes([layer.state for layer in self._layers])

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self._carry(True)
        # Processes of another number read other parts of the text.
        carried = own_share(checkpoint.get("carried", ()), lambda states: ())
        for layer, state in zip(self._layers, carried, strict=False):
            layer.state = None if state is None else tuple(tensor.to(self.device) for tensor in state)

    @property
    def _layers(self) -> list[Any]:
        """The layers that carry a state."""
        return self.model.layers if self._carries else []  # type: ignore[return-value]

    def _carry(self, yes: bool) -> None:
        if self._carries:
            self.model.carry(yes)  # type: ignore[operator]

    def _write(self) -> None:
        """Let the model go on from the first token of the validation split, and show that in TensorBoard."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, OneLongText):
            return
        begin = torch.from_numpy(data.ids["validation"][:1])[None].to(self.device)
        written = self.generate(Sequences(begin, torch.ones(1, dtype=torch.long, device=self.device)))
        text = "```\n" + data.decode([written[0]])[0] + "\n```"
        log_text(self.trainer.loggers, "sample", text, self.trainer.global_step)

    def generate(self, begin: Sequences, how: Writing | None = None) -> list[Tokens]:
        """Continue some beginnings of texts, each independently of the others; the result is the same every time."""
        mode = self.model.training
        self.model.eval()
        end = getattr(self.spec, "end", None)
        never = [token for token in self.spec.special if token != end]
        begin = Sequences(begin.values.to(self.device), begin.lengths.to(self.device))
        written = write(self.model, begin, how or self.writing, never, end)
        self.model.train(mode)
        return [Tokens(row) for row in written]
