"""The pictures of claims in Hindi, for the Hindi lessons."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

COLOURS = 64  # of a picture: a third of the bytes, and nobody sees it


def hindi_picture(claim: str, texts: Mapping[str, Any], verdicts: Mapping[str, str], path: Path, keep: bool) -> None:
    """Draws what was measured of a claim with the words of claims_hi.yaml, where this machine can write them.

    Args:
        keep: leaves a picture that is there.
    """
    from PIL import Image

    from experiments.claims.board import measured_dir
    from experiments.claims.picture import picture
    from experiments.claims.verdict import read_verdict
    from experiments.viz.fonts import writing

    if (keep and path.exists()) or writing([texts["statement"]]).latin:
        return
    verdict = read_verdict(measured_dir() / f"{claim}_small.json")
    compared = dict(zip((finding.say for finding in verdict.findings), texts["say"], strict=True))
    words = {**verdicts, **compared, "logarithmic": "लघुगणकीय"}
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(verdict, texts["statement"], words).png(path, dpi=144)
    with Image.open(path) as drawn:
        small = drawn.convert("RGB").quantize(COLOURS)
    small.save(path, optimize=True)
