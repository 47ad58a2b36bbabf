"""Language modelling: which token comes next?

Back-propagation is truncated at the first token of a batch, while the state is carried on from the batch before
(Williams and Peng, "An efficient gradient-based algorithm for on-line training of recurrent network trajectories", 1990).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from experiments.batches import IGNORED, Sequences, Tokens
from experiments.errors import UserError
from experiments.tasks.base import Task


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
        model: a recurrent network that reads forwards: `Sequences` -> (B, T, vocabulary).
        spec: a spec with a `vocabulary`.
        optimizer: as in `Task`.
        scheduler: as in `Task`.
        sample: `length` in tokens of the texts that are written, and their `temperature`: above 1 more daring, towards 0
            always the likeliest token.

    Raises:
        UserError: when the model cannot carry a state, or sees later tokens.
    """

    monitor = ("val/perplexity", "min")

    def __init__(
        self, model: nn.Module, spec: Any, optimizer: Any, scheduler: Any, *, sample: Mapping[str, Any]
    ) -> None:
        if not hasattr(model, "carry"):
            raise UserError("task=language_modelling needs a model that carries a state: take model=rnn, lstm or gru")
        if not getattr(model, "causal", True):
            raise UserError("model.bidirectional=true sees the tokens it is to predict: set model.bidirectional=false")
        if sample["length"] < 1 or sample["temperature"] <= 0:
            raise UserError(
                f"task.sample={dict(sample)} needs a length of 1 or more and a temperature above 0: try "
                "task.sample.length=200 task.sample.temperature=0.8"
            )
        super().__init__(model, spec, optimizer, scheduler)
        self.sample = dict(sample)
        self._kept: list[Any] | None = None

    @staticmethod
    def outputs(spec: Any) -> dict[str, Any]:
        return {"num_classes": spec.vocabulary, "every_step": True}

    def make_metrics(self) -> MetricCollection:
        return MetricCollection({"perplexity": Perplexity()})

    def step(self, batch: tuple[Sequences, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """`Sequences` (B, T) and the tokens that follow (B, T), -100 for none; gives the n judged ones one after another."""
        inputs, target = batch
        judged = target != IGNORED
        logits, following = self.model(inputs)[judged], target[judged]  # (n, vocabulary), (n,)
        return F.cross_entropy(logits, following), logits, following

    # The state is carried from batch to batch, begins anew with an epoch, and is laid aside for validation.

    def on_train_epoch_start(self) -> None:
        self.model.carry(True)  # type: ignore[operator]

    def on_validation_epoch_start(self) -> None:
        self._kept = [layer.state for layer in self.model.layers]  # type: ignore[union-attr]
        self.model.carry(True)  # type: ignore[operator]

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        if self.trainer.is_global_zero:
            self._write()
        self.model.carry(True)  # type: ignore[operator]
        for layer, state in zip(self.model.layers, self._kept or (), strict=False):  # type: ignore[arg-type]
            layer.state = state

    def on_test_epoch_start(self) -> None:
        self.model.carry(True)  # type: ignore[operator]

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        self.model.carry(False)  # type: ignore[operator]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["carried"] = [layer.state for layer in self.model.layers]  # type: ignore[union-attr]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.model.carry(True)  # type: ignore[operator]
        for layer, state in zip(self.model.layers, checkpoint.get("carried", ()), strict=False):  # type: ignore[arg-type]
            layer.state = None if state is None else tuple(one.to(self.device) for one in state)

    def _write(self) -> None:
        """Let the model go on from the first token of the validation part, and show that in TensorBoard."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        begin = torch.from_numpy(data.ids["validation"][:1])[None].to(self.device)
        written = self.generate(Sequences(begin, torch.ones(1, dtype=torch.long, device=self.device)))
        for logger in self.trainer.loggers:
            if hasattr(logger, "log_text"):
                logger.log_text("sample", "```\n" + data.decode([written[0]])[0] + "\n```", self.trainer.global_step)

    @torch.no_grad()
    def generate(self, begin: Sequences) -> list[Tokens]:
        """How the model goes on from some beginnings, each by itself; the same every time."""
        generator = torch.Generator().manual_seed(0)  # nothing is drawn from the stream that training uses
        mode = self.model.training
        self.model.eval()
        written = []
        for values, length in zip(*begin, strict=True):
            self.model.carry(True)  # type: ignore[operator]
            following = values[None, : int(length)]
            row: list[int] = []
            for _ in range(self.sample["length"]):
                lengths = torch.full((1,), following.shape[1], device=following.device)
                logits = self.model(Sequences(following, lengths))[0, -1].float()
                logits[0] = -torch.inf  # padding is no token
                chances = (logits / self.sample["temperature"]).softmax(0).cpu()
                row.append(int(torch.multinomial(chances, 1, generator=generator)))
                following = torch.tensor([[row[-1]]], device=self.device)
            written.append(Tokens(row))
        self.model.carry(False)  # type: ignore[operator]
        self.model.train(mode)
        return written

    def predict(self, inputs: Sequences) -> list[Tokens]:
        """How the model goes on."""
        return self.generate(inputs)

    def answers(self, inputs: Sequences, top: int) -> list[dict[str, Any]]:
        """The tokens that the model writes after each beginning."""
        return [{"continuation": written} for written in self.generate(inputs)]
