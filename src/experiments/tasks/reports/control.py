"""Acting: details for the record, pictures of the test, and answers for single inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from experiments.tasks.report import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from experiments.tasks.parts.control import Acting


class ActingReport(Report):
    """Tells of a run of `Acting`."""

    task: Acting

    def details(self) -> dict[str, Any]:
        """Return and length of each test episode."""
        return {"episodes": self.task.tested} if self.task.tested else {}

    def figures(self) -> dict[str, Callable[[], Figure | None]]:
        """Return the first test episode, and the policy over the two observations that vary most in it."""
        if self.task.episode is None:
            return {}
        trace = self.task.episode
        drawn: dict[str, Callable[[], Figure | None]] = {"episode": lambda: self.task.draw_episode(trace)}
        if len(self.task.spec.observations) > 1:
            drawn["policy"] = lambda: self.task.draw_policy(trace[0])
        return drawn

    def predict(self, inputs: Any) -> Tensor:
        """Observations (N, F) -> the best actions as the environment takes them, (N,) or (N, A)."""
        observations = inputs.to(self.task.device)
        return torch.from_numpy(
            self.task.act(observations, torch.zeros(len(observations), self.task.memory), None).taken
        )

    def answers(self, inputs: Any, top: int) -> list[dict[str, Any]]:
        """Return the best choices with their probabilities, or the entries of the action with their deviations; and the
        value.
        """
        spec = self.task.spec
        observations = inputs.to(self.task.device)
        decisions = self.task.decide(
            observations, torch.zeros(len(observations), self.task.memory, device=self.task.device)
        )
        parameters = decisions.action.float().cpu()
        answers = []
        if spec.discrete:
            chances = parameters.softmax(-1)
            for row, value in zip(chances, decisions.value.tolist(), strict=True):
                best = row.topk(min(top, len(row)))
                ranked = [
                    {"action": spec.actions[place], "probability": chance}
                    for place, chance in zip(best.indices.tolist(), best.values.tolist(), strict=True)
                ]
                answers.append({"value": value, "actions": ranked})
            return answers
        taken = self.task.distribution.taken(self.task.distribution.choose(parameters, None))
        for entries, value in zip(taken.tolist(), decisions.value.tolist(), strict=True):
            answers.append({**dict(zip(spec.actions, entries, strict=True)), "value": value})
        return answers
