"""Which precision a device computes in."""

from __future__ import annotations

import pytest

from experiments.config.precision import precision_problems

PRECISIONS = ("16-mixed", "16-true", "bf16-mixed", "bf16-true", "32-true", "64-true", "auto")


@pytest.mark.parametrize(
    ("device", "refused"), [("cpu", {"16-mixed", "16-true"}), ("mps", {"64-true"}), ("gpu", set())]
)
def test_what_a_device_cannot_do(device: str, refused: set[str]) -> None:
    assert {precision for precision in PRECISIONS if precision_problems(precision, device)} == refused
    assert all(
        sentence.startswith(f"precision={precision} ") and "use " in sentence
        for precision in refused
        for sentence in precision_problems(precision, device)
    )
