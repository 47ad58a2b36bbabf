"""Where a model's first values come from: an earlier run, a checkpoint, or a state dict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from experiments.errors import UserError, first_line


def load_weights(model: nn.Module, weights: str, model_name: str | None) -> None:
    """Loads weights into a model: all stages must fit, but a head for other classes keeps its own first values.

    Args:
        model: the network to fill.
        weights: "pretrained", a run's folder, a Lightning checkpoint, or a torch state dict.
        model_name: for messages.

    Raises:
        UserError: when there is no such file, or it does not fit.
    """
    if weights == "pretrained":
        raise UserError(f"model={model_name} has no published weights: use weights=null or the path of an earlier run")
    path = Path(weights)
    if path.is_dir():
        path = path / "checkpoints" / "best.ckpt"
    state = read_state_dict(path)
    own = model.state_dict()
    head = {key for key in own if key.split(".")[0] == "head"}
    if any(key in state and state[key].shape != own[key].shape for key in head):
        state = {key: value for key, value in state.items() if key not in head} | {key: own[key] for key in head}
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    unlike = [key for key in own.keys() & state.keys() if own[key].shape != state[key].shape]
    if missing or extra or unlike:
        parts = [
            f"{what} {', '.join(keys[:3])}"
            for what, keys in (("lacks", missing), ("has besides", extra), ("has another shape of", unlike))
            if keys
        ]
        raise UserError(
            f"weights={weights} is of another model than {model_name}: it {'; '.join(parts)}; choose the model it was trained with"
        )
    model.load_state_dict(state)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors of the model in a file; of a Lightning checkpoint, those below `model.`.

    Raises:
        UserError: when the file is missing, damaged, or holds anything but tensors and plain Python.
    """
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"weights={path} does not exist: give a run's folder or a checkpoint") from None
    except Exception as error:
        raise UserError(
            f"weights={path} cannot be read ({first_line(error)}): give a run's folder or a checkpoint"
        ) from error
    if isinstance(content, dict) and "state_dict" in content:
        content = content["state_dict"]
        inner = {key.removeprefix("model."): value for key, value in content.items() if key.startswith("model.")}
        content = inner or content
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise UserError(f"weights={path} holds no state dict: give a run's folder or a checkpoint")
    return content
