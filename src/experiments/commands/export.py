"""`experiments export`: a run's network as one file for use elsewhere, compared with the run before it is left there."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.commands.export_formats import FORMS, SUFFIXES
from experiments.commands.export_inputs import flattened
from experiments.commands.export_preprocessing import preprocessing
from experiments.contracts import FindsObjects
from experiments.errors import RunFailed, UserError, first_line
from experiments.run.not_a_run import require_run
from experiments.spec import ControlSpec
from experiments.system.arguments import Parser
from experiments.system.outside_text import json_text
from experiments.system.terminal import waiting

if TYPE_CHECKING:
    from experiments.run.loaded import Loaded

_NEEDS = ("onnx", "onnxscript", "onnxruntime")
_TOLERANCE = 1e-4  # of the largest output, or of 1 where that is less: sums in another order, not another network
_TOLERANCE_OF_SOUND = 1e-3  # the logarithm of what is nearly silent makes much of how a spectrum is rounded

_ABOUT = """\
Writes the network of a run as one file, with what its inputs must look like inside and beside it (FILE.json), and any
batch size. The file is read back and compared with the run on test examples; one that differs is not left behind.
  safetensors   the weights alone; weights=FILE loads them again
  torch-export  the whole network for torch.export.load, without this package
  onnx          the whole network for ONNX Runtime and others
  transformers  a folder with a language model and its tokenizer, for AutoModel.from_pretrained and weights=FOLDER
"""


def main(words: list[str]) -> int:
    """Exports and prints where the file lies and how closely it agrees."""
    parser = Parser("experiments export", _ABOUT)
    parser.add_argument("run", metavar="RUN", help="the folder of a run, or model=NAME weights=pretrained")
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="images to compare on; default: test examples")
    parser.add_argument("--format", choices=(*SUFFIXES, "transformers"), required=True)
    parser.add_argument("--to", type=Path, metavar="FILE", help="default: RUN/export/MODEL and the format's suffix")
    options = parser.parse_args(words)
    overrides = [word for word in (options.run, *options.inputs) if "=" in word and not Path(word).exists()]
    files = [word for word in options.inputs if word not in overrides]
    if overrides and options.run not in overrides:
        raise UserError(f"{overrides[0]} would make {options.run} another run: leave it out")
    if overrides and not files:
        raise UserError(f"{' '.join(overrides)} comes without a dataset: name image files to compare on")
    if not overrides:
        require_run(options.run)
    if options.format == "transformers":
        return _folder(options.run, options.to)
    if options.to is not None and options.to.is_dir():
        raise UserError(
            f"--to {options.to} is a folder: name a file such as {options.to}/model{SUFFIXES[options.format]}"
        )
    if options.format == "onnx":
        from importlib.util import find_spec

        missing = [name for name in _NEEDS if find_spec(name) is None]
        if missing:
            raise UserError(
                f"--format onnx needs {' and '.join(missing)}: pip install 'lightning-experiments[export]', or --format torch-export"
            )
    with waiting("loading the network"):
        from experiments.run.loaded import load, load_published

        loaded = load_published(overrides) if overrides else load(options.run, "export")
    name = str(loaded.config.run.choices["model"]) + SUFFIXES[options.format]
    target = options.to or (Path("export") if overrides else Path(options.run) / "export") / name
    finds = isinstance(loaded.model, FindsObjects)  # a detector
    try:
        with waiting("writing the file, and comparing what it computes"):
            if finds:
                from experiments.commands.export_detector import export_detector

                difference, objects = export_detector(loaded, options.format, target, files)
            else:
                difference, sizes, varies = export(loaded, options.format, target, files)
    except OSError as error:
        raise UserError(f"--to {target} cannot be written ({error.strerror}): choose another file") from error
    print(f"file           {target} ({_bytes(target.stat().st_size)})")
    print(f"preprocessing  {target}.json")
    if finds:
        where = "images named" if files else "test images"
        told = f"largest difference {difference:.1e}, of {objects} objects in {where} of unlike sizes"
        nothing = f"no object could be compared: in the {where} the run finds none, or gives all of them one score"
        print(f"agreement      {told if objects else nothing}")
        return 0
    drawn = "random observations" if isinstance(loaded.spec, ControlSpec) else "test examples"
    what = "inputs" if files else drawn
    print(
        f"agreement      largest difference {difference:.1e}, on {sizes[0]} {what} in batches of {_listed(sizes)}{varies}"
    )
    return 0


def _folder(run: str, to: Path | None) -> int:
    from experiments.commands.export_folder import export_folder, left_out
    from experiments.commands.export_sound import is_sound
    from experiments.run.loaded import load

    require_run(run)
    loaded = load(run)
    target = to or Path(run) / "export" / f"{loaded.config.run.choices['model']}_transformers"
    try:
        folder, difference = export_folder(loaded, target)
    except OSError as error:
        raise UserError(f"--to {target} cannot be written ({error.strerror}): choose another folder") from error
    print(f"folder     {folder}")
    sound = is_sound(loaded.model)
    what = "scores of test recordings" if sound else "the vectors before the pooler"
    print(f"agreement  largest difference {difference:.1e}, of {what}")
    if not sound and left_out(loaded.model):
        print("left out   the head, which the library's network has not: --format safetensors writes it too")
    return 0


def export(loaded: Loaded, form: str, target: Path, files: list[str]) -> tuple[float, list[int], str]:
    """Writes the file.

    Args:
        loaded: the run.
        form: safetensors, torch-export or onnx.
        target: the file.
        files: images to compare on; empty for test examples.

    Returns:
        The largest difference of its outputs from the run's, the batch sizes tried, and a word on what may vary.

    Raises:
        UserError: the network cannot be written in this form.
        RunFailed: what was written computes something else; it is not left behind.
        OSError: the file cannot be written.
    """
    import torch

    from experiments.system.files import write_text

    network, inputs = flattened(loaded, files)
    about = json_text(preprocessing(loaded) | {"tensors": _described(inputs)})
    count = len(inputs[0])
    sizes = sorted({count, min(3, count), 1}, reverse=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=target.parent) as place:
        written = Path(place) / f"model{SUFFIXES[form]}"
        write, read = FORMS[form]
        try:
            varies = write(network, inputs, written, about)
        except OSError:
            raise
        except Exception as error:
            raise UserError(
                f"this network cannot be written as {form} ({first_line(error)}): try --format safetensors"
            ) from error
        again = read(written, loaded, network)
        largest = 0.0
        with torch.no_grad():
            for size in sizes:
                some = [tensor[:size] for tensor in inputs]
                expected, actual = _several(network(*some)), _several(again(*some))
                share = _TOLERANCE_OF_SOUND if inputs[0].dtype == torch.int16 else _TOLERANCE
                allowed = share * max(1.0, max(float(tensor.abs().max()) for tensor in expected))
                for wanted, other in zip(expected, actual, strict=True):
                    difference = float((wanted.double() - other.double()).abs().max())
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
    return largest, sizes, varies


def _several(outcome: Any) -> Any:
    return outcome if isinstance(outcome, (list, tuple)) else [outcome]


def _described(inputs: list[Any]) -> list[dict[str, Any]]:
    return [
        {"type": str(tensor.dtype).removeprefix("torch."), "shape": ["batch", *tensor.shape[1:]]} for tensor in inputs
    ]


def _listed(sizes: list[int]) -> str:
    words = [str(size) for size in sizes]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _bytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
