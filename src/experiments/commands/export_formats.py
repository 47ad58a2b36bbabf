"""Formats that a network is written in and read back from: safetensors, torch.export and ONNX."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.run.loaded import Loaded


SUFFIXES = {"safetensors": ".safetensors", "torch-export": ".pt2", "onnx": ".onnx"}


def _program(network: Any, inputs: list[Any]) -> tuple[Any, str]:
    """Return the network as torch.export's program, with as much left open as it can be: batch and steps, or the batch
    alone.
    """
    import warnings

    import torch

    batch, steps = torch.export.Dim("batch"), torch.export.Dim("steps")
    alone = [{0: batch} for _ in inputs]
    tries = [(alone, False, ""), (alone, True, "")]
    longest = inputs[0].shape[1] if inputs[0].ndim > 1 else 0
    if len(inputs) > 1:  # sequences, with their lengths beside them
        words = f"; sequences must have {longest} steps, padding included"
        both = [
            {0: batch, 1: steps} if tensor.ndim > 1 and tensor.shape[1] == longest else {0: batch} for tensor in inputs
        ]
        tries = [(both, False, ""), (alone, False, words), (alone, True, words)]
    for place, (free, strict, varies) in enumerate(tries):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                program = torch.export.export(network, tuple(inputs), dynamic_shapes=(tuple(free),), strict=strict)
            return program, varies
        except Exception:  # torch.export has a dozen kinds of them
            if place == len(tries) - 1:
                raise
    raise AssertionError


def _write_safetensors(network: Any, inputs: Any, path: Path, about: str) -> str:
    from safetensors.torch import save_file

    state = {name: value.detach().clone().contiguous() for name, value in network.model.state_dict().items()}
    save_file(state, path, metadata={"format": "pt", "preprocessing": about})
    return ""


def _read_safetensors(path: Path, loaded: Loaded, network: Any) -> Callable[..., Any]:
    from copy import deepcopy

    from safetensors.torch import load_file

    from experiments.run.auto_settings import arrange
    from experiments.run.build import build_model

    fresh = build_model(loaded.config, loaded.spec).eval()
    again = deepcopy(network, {id(network.model): fresh})
    arrange(again.model, loaded.config.trainer.get("memory_format", "contiguous"))  # as the run computes
    again.model.load_state_dict(load_file(path))
    return again


def _write_torch_export(network: Any, inputs: Any, path: Path, about: str) -> str:
    import warnings

    import torch

    program, varies = _program(network, inputs)
    # Two tensors of the program may be parts of one; the file is read back and compared.
    warnings.filterwarnings("ignore", message="No complete tensor found in the group")
    torch.export.save(program, path, extra_files={"preprocessing.json": about})
    return varies


def _read_torch_export(path: Path, loaded: Loaded, network: Any) -> Callable[..., Any]:
    import torch

    return torch.export.load(path).module()


def _write_onnx(network: Any, inputs: Any, path: Path, about: str) -> str:
    import warnings

    import torch

    program, varies = _program(network, inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.onnx.export(program, dynamo=True, verbose=False)
    assert made is not None
    made.model.metadata_props["preprocessing"] = about
    made.save(path, external_data=False)
    return varies


def _read_onnx(path: Path, loaded: Loaded, network: Any) -> Callable[..., Any]:
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]

    def run(*inputs: Any) -> Any:
        given = dict(zip(names, (tensor.numpy() for tensor in inputs), strict=True))
        return [torch.from_numpy(array) for array in session.run(None, given)]

    return run


FORMS: dict[str, tuple[Callable[..., str], Callable[..., Callable[..., Any]]]] = {
    "safetensors": (_write_safetensors, _read_safetensors),
    "torch-export": (_write_torch_export, _read_torch_export),
    "onnx": (_write_onnx, _read_onnx),
}
