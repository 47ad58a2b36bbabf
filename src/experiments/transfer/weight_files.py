"""Files of tensors: Lightning checkpoints, torch state dicts and safetensors, all read here and without running their code."""

from __future__ import annotations

import re
import warnings
from numbers import Number  # NumPy's among them
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiments.errors import UserError, first_line
from experiments.system.bounded_files import require_plain
from experiments.system.files import damage
from experiments.system.outside_text import clean
from experiments.transfer.lora import merged

SAFETENSORS = ".safetensors"


def read_checkpoint(path: Path, named: str | None = None, mapped: bool = False) -> Any:
    """Return what a file of tensors holds: a dictionary in most cases; on the CPU.

    Args:
        path: of a torch file, or one of safetensors.
        named: how the user named it, for messages.
        mapped: whether tensors stay in the file until they are used, and the file is not looked at for damage: for one
            that is read whole later.

    Raises:
        UserError: when the file is missing, damaged, or holds anything but tensors and plain Python.
    """
    named = named or str(path)
    try:
        require_plain(path)
        if path.suffix == SAFETENSORS:
            from safetensors.torch import load_file

            return load_file(path)
        if not mapped and (broken := damage(path)):
            raise UserError(f"{named} is damaged ({broken}): give a copy, or an older checkpoint")
        with warnings.catch_warnings(), torch.serialization.safe_globals(plain_numbers()):
            warnings.simplefilter("ignore")  # torch's advice on old and foreign files
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{named} does not exist: give a run's folder or a file of weights") from None
    except OSError as error:
        why = error.strerror or first_line(error)
        raise UserError(f"{named} cannot be read ({why}): give another file of weights") from error
    except Exception as error:  # torch's words advise to run the file's code, and of other files give its first byte
        code = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
        if code:
            why, cure = f"it holds {code[1]}, whose code is not run here", "save the module's state_dict() instead"
        else:
            why, cure = (
                "it is no file of weights, or damaged",
                "give a run's folder, a checkpoint, a state dict or safetensors",
            )
        raise UserError(f"{named} cannot be read ({why}): {cure}") from error


def plain_numbers() -> list[Any]:
    """Return what a pickle names to hold NumPy's numbers, beside its tensors: all of it makes numbers and arrays of
    them alone.
    """
    import numpy as np

    scalar = np.float64(0).__reduce__()[0]  # which has no public name
    types = [np.dtype, *{type(np.dtype(kind)) for kind in "?bhilqBHILQefdSU"}]
    return [*types, (scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar")]


def read_state_dict(path: Path, named: str | None = None) -> dict[str, Tensor]:
    """Tensors of the model in a run's folder or a file; of a Lightning checkpoint, those below `model.`.

    The prefix `module.` that DataParallel leaves behind and torch.compile's `_orig_mod.` are taken away, and low-rank updates
    become plain weights.

    Raises:
        UserError: as `read_checkpoint`, and when the file holds no state dict.
    """
    if path.is_dir():
        path = _best(path, named or str(path))
    content = read_checkpoint(path, named)
    if isinstance(content, dict):
        for key in ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params"):
            if isinstance(content.get(key), dict):
                content = content[key]
                break
    if isinstance(content, dict):  # beside the tensors some keep numbers, such as an epoch
        content = {key: value for key, value in content.items() if not isinstance(value, (Number, str, type(None)))}
    if not isinstance(content, dict) or not content or not all(isinstance(value, Tensor) for value in content.values()):
        keys = ", ".join(map(str, list(content)[:5])) if isinstance(content, dict) else ""
        holds = f" (it holds {clean(keys):.120})" if keys else ""
        raise UserError(f"{named or path} holds no state dict{holds}: give a run's folder or a file of weights")
    content = {str(key).replace("_orig_mod.", ""): value for key, value in content.items()}  # of torch.compile
    for prefix in ("model.", "module."):
        inner = {key.removeprefix(prefix): value for key, value in content.items() if key.startswith(prefix)}
        content = inner or content
    return merged(content)


def _best(folder: Path, named: str) -> Path:
    """Return the best checkpoint of a run's folder."""
    best = folder / "checkpoints" / "best.ckpt"
    if best.exists():
        return best
    others = [folder / "checkpoints" / "last.ckpt", folder / "best.ckpt", folder / "last.ckpt"]
    other = next((path for path in others if path.exists()), None)
    cure = f"give {other}, which is there" if other else "give a run's folder or a file of weights"
    raise UserError(f"{named} holds no checkpoints/best.ckpt: {cure}")
