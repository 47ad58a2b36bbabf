"""Policy gradient: details for the record, pictures of the test, and answers for single inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from experiments.tasks.reports.control import ActingReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from experiments.tasks.policy_gradient import PolicyGradient


class PolicyGradientReport(ActingReport):
    """Tells of a run of `PolicyGradient`."""

    task: PolicyGradient

    def details(self) -> dict[str, Any]:
        """Besides the test's episodes: steps of the environment, and how many a second, learning included."""
        details = super().details()
        if not self.task.history:
            return details
        steps = int(self.task.history[-1]["steps"])
        speed = round(steps / self.task.seconds, 1) if self.task.seconds else None
        return details | {"steps": {"environment": steps, "a_second": speed, "return_by_steps": self.task.history}}

    def figures(self) -> dict[str, Callable[[], Figure | None]]:
        drawn = super().figures()
        history = self.task.history
        return {"return": lambda: _draw_returns(history, self.task.spec)} | drawn if history else drawn


def _draw_returns(history: list[dict[str, float]], spec: Any) -> Figure:
    from experiments.viz.control import return_curve

    return return_curve(history, spec.threshold)
