"""A published detector, for photographs, without a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments.config.check import require
from experiments.config.compose import compose
from experiments.config.options import content, option_files
from experiments.errors import UserError
from experiments.run.build import build_task, prepare_process
from experiments.spec import DetectionSpec

USUAL = (480, 640)  # height and width of a photograph of COCO


def is_detector(overrides: Sequence[str], config_dirs: Sequence[str] = ()) -> bool:
    """Tell whether the model that some overrides name finds boxes, with masks or without."""
    name = next((word.partition("=")[2] for word in overrides if word.startswith("model=")), None)
    file = option_files("model", config_dirs).get(name or "")
    makes = content(file).get("makes") if file else None
    return "boxes" in ([makes] if isinstance(makes, str) else makes or [])


def build_published_detector(
    overrides: Sequence[str], config_dirs: Sequence[str] = ()
) -> tuple[Any, DetectionSpec, Any]:
    """Return the config, the spec and the task, in evaluation mode; its classes are COCO's.

    Raises:
        UserError: when the model has no published weights, or there are none.
    """
    config = compose(["data=coco", "data.root=.", *overrides], config_dirs)
    model, published = config.run.choices.model, config.model.get("pretrained")
    if config.weights is None or not published:
        raise UserError(
            f"model={model} weights={config.weights} says no classes: name a run, or a published detector and weights=pretrained"
        )
    require(config)
    prepare_process(config)
    from experiments.transfer.published import class_names

    _background, *classes = class_names(published)
    spec = DetectionSpec(*USUAL, tuple(classes), config.data.targets == "instances")
    task = build_task(config, spec, with_head=True)
    task.eval()
    return config, spec, task
