"""Which precision a device computes in, and the sentence where it does not."""

from __future__ import annotations


def precision_problems(precision: str, device: str) -> list[str]:
    """Return what is wrong with a precision on a kind of device.

    Args:
        precision: of Lightning's names, or `auto`.
        device: cpu, gpu or mps.
    """
    if device == "cpu" and precision in ("16-mixed", "16-true"):
        return [
            f"precision={precision} needs a GPU and this run is on the CPU: use precision=bf16-mixed or precision=32-true"
        ]
    if device == "mps" and precision == "64-true":
        return ["precision=64-true is not known to Apple's GPUs: use trainer=cpu or precision=32-true"]
    return []
