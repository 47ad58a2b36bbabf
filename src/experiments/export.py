"""`experiments export`: a run's network as one file for use elsewhere, compared with the run before it is left there."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.errors import RunFailed, UserError, first_line

if TYPE_CHECKING:
    from experiments.loading import Loaded

SUFFIXES = {"safetensors": ".safetensors", "torch-export": ".pt2", "onnx": ".onnx"}
_NEEDS = ("onnx", "onnxscript", "onnxruntime")
_EXAMPLES = 16
_TOLERANCE = 1e-4  # of the largest output, or of 1 where that is less: sums in another order, not another network

_ABOUT = """\
Writes the network of a run as one file, with what its inputs must look like inside and beside it (FILE.json), and any
batch size. The file is read back and compared with the run on test examples; one that differs is not left behind.
  safetensors   the weights alone; weights=FILE loads them again
  torch-export  the whole network for torch.export.load, without this package
  onnx          the whole network for ONNX Runtime and others
"""


def main(words: list[str]) -> int:
    """Exports and prints where the file lies and how closely it agrees."""
    parser = argparse.ArgumentParser(
        "experiments export", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", help="the folder of a run, or model=NAME weights=pretrained")
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="images to compare on; default: test examples")
    parser.add_argument("--format", choices=tuple(SUFFIXES), required=True)
    parser.add_argument("--to", type=Path, metavar="FILE", help="default: RUN/export/MODEL and the format's suffix")
    options = parser.parse_args(words)
    overrides = [word for word in (options.run, *options.inputs) if "=" in word and not Path(word).exists()]
    files = [word for word in options.inputs if word not in overrides]
    if overrides and options.run not in overrides:
        raise UserError(f"{overrides[0]} would make {options.run} another run: leave it out")
    if overrides and not files:
        raise UserError(f"{' '.join(overrides)} comes without a dataset: name image files to compare on")
    if not overrides and not (Path(options.run) / "config.yaml").exists():
        raise UserError(f"{options.run} holds no config.yaml: name the folder of a run")
    if options.to is not None and options.to.is_dir():
        raise UserError(
            f"--to {options.to} is a folder: name a file such as {options.to}/model{SUFFIXES[options.format]}"
        )
    if options.format == "onnx":
        from importlib.util import find_spec

        missing = [name for name in _NEEDS if find_spec(name) is None]
        if missing:
            raise UserError(
                f"--format onnx needs {' and '.join(missing)}: pip install 'experiments[export]', or --format torch-export"
            )
    from experiments.loading import load, load_published

    loaded = load_published(overrides) if overrides else load(options.run)
    name = str(loaded.config.run.choices["model"]) + SUFFIXES[options.format]
    target = options.to or (Path("export") if overrides else Path(options.run) / "export") / name
    try:
        difference, sizes = export(loaded, options.format, target, files)
    except OSError as error:
        raise UserError(f"--to {target} cannot be written ({error.strerror}): choose another file") from error
    print(f"file           {target} ({_bytes(target.stat().st_size)})")
    print(f"preprocessing  {target}.json")
    what = "inputs" if files else "test examples"
    print(f"agreement      largest difference {difference:.1e}, on {sizes[0]} {what} in batches of {_listed(sizes)}")
    return 0


def export(loaded: Loaded, form: str, target: Path, files: list[str]) -> tuple[float, list[int]]:
    """Writes the file and gives the largest difference of its outputs from the run's, and the batch sizes tried.

    Args:
        loaded: the run.
        form: safetensors, torch-export or onnx.
        target: the file.
        files: images to compare on; empty for test examples.

    Raises:
        UserError: the network cannot be written in this form.
        RunFailed: what was written computes something else; it is not left behind.
        OSError: the file cannot be written.
    """
    import torch
    from torch.utils._pytree import tree_leaves

    from experiments.files import write_text

    inputs = real_inputs(loaded, files)
    about = json.dumps(preprocessing(loaded), indent=2, ensure_ascii=False)
    model = loaded.model.eval()
    count = len(tree_leaves(inputs)[0])
    sizes = sorted({count, min(3, count), 1}, reverse=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=target.parent) as place:
        written = Path(place) / f"model{SUFFIXES[form]}"
        write, read = _FORMS[form]
        try:
            write(model, inputs, written, about)
        except OSError:
            raise
        except Exception as error:
            raise UserError(
                f"this network cannot be written as {form} ({first_line(error)}): try --format safetensors"
            ) from error
        again = read(written, loaded)
        largest = 0.0
        with torch.no_grad():
            for size in sizes:
                some = _first(inputs, size)
                expected, found = (_tensors(outcome) for outcome in (model(*some), again(*some)))
                allowed = _TOLERANCE * max(1.0, max(float(one.abs().max()) for one in expected))
                for one, other in zip(expected, found, strict=True):
                    difference = float((one.double() - other.double()).abs().max())
                    if not difference <= allowed:  # also what is no number
                        raise RunFailed(
                            f"the network written as {form} differs by {difference:.2g} from the run in a batch of {size}, "
                            f"more than {allowed:.2g}: no file is left; try another --format"
                        )
                    largest = max(largest, difference)
        beside = target.with_name(f"{target.name}.json")
        write_text(beside, about + "\n")
        written.chmod(beside.stat().st_mode)  # safetensors lets none but the owner read
        written.replace(target)
    return largest, sizes


def preprocessing(loaded: Loaded) -> dict[str, Any]:
    """What inputs must look like and outputs mean, as plain Python."""
    from experiments.build import described
    from experiments.spec import ImageSpec, to_plain

    spec, config = loaded.spec, loaded.config
    about: dict[str, Any] = {"model": described(config.model), "spec": to_plain(spec)}
    if isinstance(spec, ImageSpec):
        about["input"] = {
            "shape": ["batch", spec.channels, spec.height, spec.width],
            "resize_short_side": config.data.get("resize") or min(spec.height, spec.width),
            "then_crop_middle": [spec.height, spec.width],
            "scale_pixels_to": [0, 1],
            "then_subtract_mean": list(spec.mean),
            "then_divide_by_std": list(spec.std),
        }
    if hasattr(spec, "classes"):
        about["classes"] = list(spec.classes)
    return about


def real_inputs(loaded: Loaded, files: list[str]) -> tuple[Any, ...]:
    """What the network is called with for some test examples or files; always two examples or more, so that no
    exporter takes the batch for a single one."""
    import torch
    from torch.utils._pytree import tree_leaves, tree_map

    if files:
        from experiments.predict import image_files

        inputs: tuple[Any, ...] = (loaded.prepare(image_files(files)[:_EXAMPLES]),)
    else:
        data, seen = loaded.data, []
        batch = data.transfer_batch_to_device(next(iter(data.test_dataloader())), torch.device("cpu"), 0)
        batch = data.on_after_batch_transfer(batch, 0)
        hook = loaded.model.register_forward_pre_hook(lambda module, args: seen.append(args))
        try:
            with torch.no_grad():
                loaded.task.step(batch)  # only the task knows what of a batch its network reads
        finally:
            hook.remove()
        inputs = _first(seen[0], _EXAMPLES)
    if len(tree_leaves(inputs)[0]) == 1:
        inputs = tree_map(lambda one: torch.cat([one, one]), inputs)
    return inputs


def _first(inputs: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    from torch.utils._pytree import tree_map

    return tree_map(lambda one: one[:count], inputs)


def _tensors(outcome: Any) -> list[Any]:
    from torch.utils._pytree import tree_leaves

    return [one for one in tree_leaves(outcome) if hasattr(one, "abs")]


def _any_batch(inputs: tuple[Any, ...]) -> Any:
    import torch
    from torch.utils._pytree import tree_map

    batch = torch.export.Dim("batch")
    return tree_map(lambda one: {0: batch}, inputs)


def _write_safetensors(model: Any, inputs: Any, path: Path, about: str) -> None:
    from safetensors.torch import save_file

    state = {name: value.detach().clone().contiguous() for name, value in model.state_dict().items()}
    save_file(state, path, metadata={"format": "pt", "preprocessing": about})


def _read_safetensors(path: Path, loaded: Loaded) -> Callable[..., Any]:
    from safetensors.torch import load_file

    from experiments.build import build_model

    model = build_model(loaded.config, loaded.spec).eval()
    model.load_state_dict(load_file(path))
    return model


def _write_torch_export(model: Any, inputs: Any, path: Path, about: str) -> None:
    import torch

    program = torch.export.export(model, inputs, dynamic_shapes=_any_batch(inputs))
    torch.export.save(program, path, extra_files={"preprocessing.json": about})


def _read_torch_export(path: Path, loaded: Loaded) -> Callable[..., Any]:
    import torch

    return torch.export.load(path).module()


def _write_onnx(model: Any, inputs: Any, path: Path, about: str) -> None:
    import warnings

    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model, inputs, dynamic_shapes=_any_batch(inputs), dynamo=True, verbose=False, output_names=["outputs"]
        )
    assert program is not None
    program.model.metadata_props["preprocessing"] = about
    program.save(path, external_data=False)


def _read_onnx(path: Path, loaded: Loaded) -> Callable[..., Any]:
    import onnxruntime
    import torch
    from torch.utils._pytree import tree_leaves

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def run(*inputs: Any) -> Any:
        arrays = [one.numpy() for one in tree_leaves(inputs)]
        return [torch.from_numpy(one) for one in session.run(None, dict(zip(names, arrays, strict=True)))]

    return run


_FORMS: dict[str, tuple[Callable[..., None], Callable[..., Callable[..., Any]]]] = {
    "safetensors": (_write_safetensors, _read_safetensors),
    "torch-export": (_write_torch_export, _read_torch_export),
    "onnx": (_write_onnx, _read_onnx),
}


def _listed(sizes: list[int]) -> str:
    words = [str(size) for size in sizes]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _bytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
