"""`experiments show`: what a trained network looks for, as pictures and a page.

`PANELS_OF` in run.py says which modules have panels for which task; each has a tuple `PANELS`, and each panel draws what it can.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from experiments.errors import UserError
from experiments.run.not_a_run import require_run
from experiments.system.arguments import Parser, new_folder
from experiments.system.terminal import waiting

_ABOUT = """\
Looks inside a run: first-layer filters, feature maps by stage, Grad-CAM and saliency, the images that excite a unit
most, the test set as points, confusions between classes; of texts, states and gates over a sentence and what each word
does. Writes PNG files and a page into RUN/show.
`experiments show convolution` draws a convolution step by step, and so do pooling, activations (relu), flatten (dense),
softmax, batchnorm, rnn, lstm, gru, attention and gradient_descent: experiments show NAME --help tells their options.
"""

_CONVOLUTION = ("convolution", "conv", "conv1d", "conv2d")


def main(words: list[str]) -> int:
    """Draws what was asked for and prints where it lies."""
    if words and words[0].lower() in _CONVOLUTION and not (Path(words[0]) / "config.yaml").exists():
        from experiments.commands.show.convolution import main as convolution

        return convolution(words[1:])
    if not words:
        raise UserError(f"show needs the folder of a run, or a computation: {_computations()}")
    if words[0] not in ("-h", "--help"):
        from experiments.commands.show.steps import main as steps
        from experiments.commands.show.steps import step_named

        if name := step_named(words[0]):
            return steps(name, words[1:])
    parser = Parser("experiments show", _ABOUT)
    parser.add_argument("run", metavar="RUN", help="the folder of a run, or model=NAME weights=pretrained")
    parser.add_argument(
        "inputs", nargs="*", metavar="INPUT", help="image files or folders, or texts; default: test examples"
    )
    parser.add_argument("--only", action="append", default=[], metavar="PANEL", help="this panel; may be repeated")
    parser.add_argument("--stage", metavar="NAME", help="look at this stage, as `experiments layers` names it")
    parser.add_argument("--unit", type=int, metavar="N", help="look at this unit (channel) of the stage")
    parser.add_argument("--class", dest="label", metavar="NAME", help="look at examples of and evidence for this class")
    parser.add_argument("--examples", type=int, default=1000, metavar="N", help="test examples to go through (1000)")
    parser.add_argument("--to", type=new_folder, metavar="FOLDER", help="where to write (default: RUN/show)")
    options = parser.parse_args(words)
    if options.unit is not None and options.unit < 0:
        raise UserError(f"--unit {options.unit} must be 0 or more: try --unit 0")
    if options.examples < 1:
        raise UserError(f"--examples {options.examples} must be 1 or more: try --examples 1000")
    overrides = [word for word in (options.run, *options.inputs) if "=" in word and not Path(word).exists()]
    inputs = tuple(word for word in options.inputs if word not in overrides)
    if overrides or _reads_images(Path(options.run)):
        for name in inputs:
            if not Path(name).exists():
                raise UserError(f"{name} does not exist: name image files or folders of them")
    if overrides and options.run not in overrides:
        raise UserError(f"{overrides[0]} would make {options.run} another run: leave it out")
    if overrides and not inputs:
        raise UserError(f"{' '.join(overrides)} comes without a dataset: name image files to look at")
    if not overrides:
        named = Path(options.run).exists() or "/" in options.run
        require_run(options.run, "" if named else f", {_or_a_computation(options.run)}")
    with waiting("importing PyTorch"):
        from experiments.commands.show.panel import Wanted
        from experiments.commands.show.run import show

    only = [name for word in options.only for name in word.split(",") if name]
    wanted = Wanted(inputs, options.stage, options.unit, options.label, options.examples)
    show(overrides or options.run, wanted, only, options.to)
    return 0


def _computations() -> str:
    from experiments.commands.show.steps import STEPS

    return ", ".join(("convolution", *STEPS))


def _or_a_computation(word: str) -> str:
    """Name the computations that look like a word, or all."""
    from experiments.commands.show.steps import STEPS, USUAL

    near = get_close_matches(word.lower(), (*_CONVOLUTION, *STEPS, *USUAL), n=3, cutoff=0.7)
    meant = dict.fromkeys("convolution" if name in _CONVOLUTION else USUAL.get(name, name) for name in near)
    return f"or did you mean {' or '.join(meant)}?" if near else f"or a computation: {_computations()}"


def _reads_images(folder: Path) -> bool:
    """Tell whether what follows the run on the command line are files of images; also where there is no run."""
    if not (folder / "config.yaml").exists():
        return True
    from experiments.run.folder import read_config

    return (read_config(folder.absolute()).data.get("gives") or {}).get("kind", "image") in ("image", "masks")
