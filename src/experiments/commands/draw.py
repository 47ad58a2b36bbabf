"""`experiments draw`: a network as a picture, and as text for Mermaid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.config.command_suggestions import as_option
from experiments.errors import UserError, unknown
from experiments.run.not_a_run import require_run
from experiments.system.arguments import Parser
from experiments.system.terminal import waiting

if TYPE_CHECKING:
    from experiments.run.network_graph import Node
    from experiments.run.network_plan import NetworkPlan
    from experiments.viz.network_panels import Item, Stage

FORMATS = ("svg", "png", "mermaid")
_ENDINGS = {".svg": "svg", ".png": "png", ".mmd": "mermaid"}
_ABOUT = """\
Draws a network: a panel a stage with shapes and parameters, branches, shortcuts, cells of recurrent layers, encoder and
decoder. What is frozen and what learns have two colours, as in experiments draw model=resnet18 freezing=feature_extraction.
Writes SVG and PNG for light and dark pages, and text for Mermaid.
"""


def main(words: list[str]) -> int:
    """Draws what the words name, and prints where it lies."""
    parser = Parser("experiments draw", _ABOUT)
    parser.add_argument(
        "network", nargs="+", metavar="RUN|model=…", help="the folder of a run, or group=option and key=value"
    )
    parser.add_argument("--stage", metavar="NAME", help="this stage alone, or a block of it as in layer4.0")
    parser.add_argument(
        "--format", default=",".join(FORMATS), metavar="NAMES", help=f"some of {','.join(FORMATS)}; default: all"
    )
    parser.add_argument(
        "--config-dir", action="append", default=[], metavar="FOLDER", help="a further folder of configs"
    )
    parser.add_argument(
        "--to",
        type=Path,
        metavar="FOLDER|FILE",
        help="default: drawing, or RUN/drawing; NAME.png, .svg or .mmd: one file",
    )
    options = parser.parse_args(words)
    formats = [chosen for chosen in options.format.split(",") if chosen]
    for chosen in formats:
        if chosen not in FORMATS:
            raise UserError(unknown(f"--format {chosen}", "no format", chosen, FORMATS))
    first = Path(options.network[0])
    run = first if (first / "config.yaml").exists() else None
    if run is None and "=" not in options.network[0]:
        meant = as_option(options.network[0], options.config_dir, ("model",)) or "model=NAME"
        require_run(first, f", or {meant}")
    if run is not None and options.network[1:]:
        raise UserError(f"{options.network[1]} would make {run} another network: leave it out")
    name, title, note, drawn = (
        _of_run(run, options.stage) if run else _of_config(options.network, options.config_dir, options.stage)
    )
    place = options.to or (run / "drawing" if run else Path("drawing"))
    if one_file := place.suffix in _ENDINGS and not place.is_dir():
        formats, name, place = [_ENDINGS[place.suffix]], place.stem, place.parent
    for path in write(place, name, title, note, drawn, formats, dark=not one_file):
        print(f"{path.suffix[1:]:<12} {path}")
    return 0


def _of_config(words: list[str], folders: list[str], stage: str | None) -> tuple[str, str, str, NetworkPlan]:
    from experiments.commands.layers import network, shaped

    config, published = shaped(words, folders)
    with waiting("importing PyTorch, building the network"):
        model, spec, *_ = network(config, published)
    chosen = config.run.choices
    return _described(str(chosen["model"]), str(chosen["freezing"]), config, model, spec, stage)


def _of_run(run: Path, stage: str | None) -> tuple[str, str, str, NetworkPlan]:
    with waiting("loading the network"):
        from experiments.run.loaded import load

        loaded = load(run, "draw")
    chosen = loaded.config.run.choices
    return _described(str(chosen["model"]), str(chosen["freezing"]), loaded.config, loaded.model, loaded.spec, stage)


def _described(
    name: str, freezing: str, config: Any, model: Any, spec: Any, stage: str | None
) -> tuple[str, str, str, NetworkPlan]:
    from experiments.run.network_graph import network_graph
    from experiments.run.network_plan import plan

    nodes = network_graph(model, spec)
    stages = list(dict.fromkeys(node.stage for node in nodes if node.stage))
    if stage not in stages and stage in ("fc", "classifier", "output") and "head" in stages:
        raise UserError(f"--stage {stage} is --stage head here, whatever the network: write that")
    if stage is not None and not any(node.name == stage or node.name.startswith(f"{stage}.") for node in nodes):
        raise UserError(unknown(f"--stage {stage}", f"no stage of model={name}", stage, stages))
    drawn = plan(nodes, stage)
    total = sum(p.numel() for p in model.parameters())
    learning = sum(p.numel() for p in model.parameters() if p.requires_grad)
    note = f"{total:,} parameters{' in all' if stage else ''}" + (
        f", {learning:,} learn (freezing={freezing})" if learning < total else ""
    )
    note += undrawn(model, nodes)
    title = str((config.model.get("about") or {}).get("title") or name)
    return name if stage is None else f"{name}_{stage}", title if stage is None else f"{title}: {stage}", note, drawn


def undrawn(model: Any, nodes: Sequence[Node]) -> str:
    """Tell of parameters that the forward pass did not reach, so that the picture accounts for all."""
    drawn = {name for node in nodes for name in node.weights}
    left = {name: parameter.numel() for name, parameter in model.named_parameters() if name not in drawn}
    stages = list(dict.fromkeys(name if name.count(".") < 2 else name.rpartition(".")[0] for name in left))
    names = ", ".join(stages[:3]) + (", …" if stages[3:] else "")
    return f", {sum(left.values()):,} of them not drawn ({names})" if left else ""


def write(
    folder: Path,
    name: str,
    title: str,
    note: str,
    drawn: NetworkPlan,
    formats: list[str],
    dark: bool = True,
) -> list[Path]:
    """Writes the formats that were asked for, pictures for a light page and for a dark one, too; gives their paths.

    Raises:
        UserError: when the folder cannot be written to.
    """
    from experiments.system.files import atomic_path, write_text

    paths = []
    try:
        note, drawn = fitted(title, note, drawn)
        if "mermaid" in formats:
            write_text(folder / f"{name}.mmd", mermaid(drawn))
            paths.append(folder / f"{name}.mmd")
        kinds = [kind for kind in ("svg", "png") if kind in formats]
        shades = ("", "_dark") if dark else ("",)
        for shade in shades if kinds else ():
            fig = picture(title, note, drawn, dark=bool(shade))
            for kind in kinds:
                path = folder / f"{name}{shade}.{kind}"
                with atomic_path(path) as temporary:
                    fig.savefig(temporary, format=kind, dpi=150, facecolor=fig.get_facecolor())
                paths.append(path)
    except OSError as error:
        raise UserError(f"--to {folder} cannot be written to ({error.strerror}): choose another folder") from error
    return sorted(paths)


def picture(title: str, note: str, drawn: NetworkPlan, dark: bool = False) -> Any:
    """Return the figure, for a light or a dark page."""
    from experiments.viz.canvas import GREY, INK, PALE, recolour
    from experiments.viz.network_picture import network_picture

    fig = network_picture(title, note, *_in_viz(drawn))
    if dark:
        recolour(fig, {"white": "#171d25", INK: "#e6edf3", GREY: "#9aa4af", PALE: "#2d3640"})
        fig.set_facecolor("#0d1117")
    return fig


def fitted(title: str, note: str, drawn: NetworkPlan) -> tuple[str, NetworkPlan]:
    """Return the note and the plan of a picture whose letters a projector shows; the note says where detail is left out."""
    from experiments.run.network_folding import legible
    from experiments.viz.network_picture import fits

    blocks = [drawn.nodes[number].block for number in drawn.boxes]
    common = next((depth for depth in range(9) if len({block[: depth + 1] for block in blocks}) > 1), 0)
    inner = next((".".join(block[: common + 1]) for block in blocks if len(block) > common > 0), "")
    longer = f"{note}; in full: --stage {inner or 'NAME'}"
    coarse, left_out = legible(
        drawn, lambda shape_drawn: fits(title, note if shape_drawn is drawn else longer, *_in_viz(shape_drawn))
    )
    return longer if left_out else note, coarse


def _in_viz(drawn: NetworkPlan) -> tuple[list[Stage], dict[int, Item]]:
    """Return panels and boxes as the picture takes them."""
    from experiments.viz.network_panels import Item, Stage

    freezes = any(box.trainable < box.parameters for box in drawn.boxes.values())

    def state(parameters: int, trainable: int) -> str:
        return "" if not freezes or not parameters else "learns" if trainable else "frozen"

    items = {
        number: Item(box.lines, box.kind, state(box.parameters, box.trainable), frozenset(box.sources), box.words)
        for number, box in drawn.boxes.items()
    }
    stages = []
    for panel in drawn.panels:
        outside = "behind the head" if panel is drawn.panels[-1] else "between stages"
        name = f"{panel.name}  × {panel.times}" if panel.times > 1 else panel.name or outside
        counted = f"{panel.parameters:,} parameters" if panel.parameters else ""
        if freezes and panel.parameters:
            counted += ", " + (
                "learns"
                if panel.trainable == panel.parameters
                else f"{panel.trainable:,} learn"
                if panel.trainable
                else "frozen"
            )
        sides = panel.output.split(" × ")
        side = int(sides[-1]) if len(sides) == 3 else 0
        lines = (name, panel.output, counted)
        stages.append(Stage(lines, state(panel.parameters, panel.trainable), panel.boxes, panel.frames, side))
    return stages, items


def mermaid(drawn: NetworkPlan) -> str:
    """Return the network as a flowchart of Mermaid, for Markdown pages."""
    lines = ["flowchart TB"]
    for place, panel in enumerate(drawn.panels):
        times = f" × {panel.times}" if panel.times > 1 else ""
        lines.append(f'  subgraph s{place}["{panel.name or "between"}{times}: {panel.output}"]')
        for number in panel.boxes:
            box = drawn.boxes[number]
            text = "<br>".join(box.lines).replace('"', "'")
            shape = f'(("{text}"))' if box.kind == "operator" else f'["{text}"]'
            lines.append(f"    n{number}{shape}")
        lines.append("  end")
    for number, box in drawn.boxes.items():
        for source in sorted(box.sources & drawn.boxes.keys()):
            words = f"|{box.words[source]}|" if source in box.words else ""
            lines.append(f"  n{source} -->{words} n{number}")
    frozen = [f"n{number}" for number, box in drawn.boxes.items() if box.parameters and not box.trainable]
    learns = [f"n{number}" for number, box in drawn.boxes.items() if box.trainable]
    if frozen:
        lines += ["  classDef frozen fill:#cfe3f2,color:#1f2328", f"  class {','.join(frozen)} frozen"]
        if learns:
            lines += ["  classDef learns fill:#fbe3b8,color:#1f2328", f"  class {','.join(learns)} learns"]
    return "\n".join(lines) + "\n"
