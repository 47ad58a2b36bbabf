"""What generated texts and an environment say of themselves, for tables and pictures of a network where the package that
reads them is missing.
"""

from __future__ import annotations

from typing import Any

from experiments.spec import ControlSpec, PairSpec, QuestionSpec, TextSpec

STAND_IN_SPECS: dict[str, Any] = {
    "generated_reviews": TextSpec(44, 10, 18, ("negative", "positive")),
    "generated_entities": TextSpec(
        226,
        10,
        13,
        ("O", "B-firm", "B-person", "B-place", "I-firm", "I-person", "I-place"),
        mask=4,
        special=(0, 1, 2, 3, 4),
        marks=(0, 1, 2, 3),
    ),
    "generated_questions": QuestionSpec(53, 37, 50, mask=4, special=(0, 1, 2, 3, 4), marks=(0, 1, 2, 3)),
    "generated_pairs": PairSpec(70, 112, False, 8, 7, 12, 10, ("English", "made-up")),
    "control": ControlSpec(
        "CartPole-v1",
        ("position", "velocity", "angle", "angular velocity"),
        ("left", "right"),
        discrete=True,
        longest=500,
        threshold=475.0,
    ),
}
