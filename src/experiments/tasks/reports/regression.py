"""Regression: details for the record, pictures of the test, and answers for single inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.tasks.report import Report

if TYPE_CHECKING:
    from experiments.tasks.regression import Regression


class RegressionReport(Report):
    """Tells of a run of `Regression`."""

    task: Regression

    def answers(self, inputs: Any, top: int) -> list[dict[str, Any]]:
        """Return the numbers of each input."""
        return [
            {"number": row[0]} if len(row) == 1 else {f"number {place}": number for place, number in enumerate(row, 1)}
            for row in self.predict(inputs).float().tolist()
        ]
