"""`experiments layers`: the layer table of a config's network, with what is frozen, also where the data are not there."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.config.command_words import split_words
from experiments.config.needed_packages import missing_packages
from experiments.config.pairs import listed
from experiments.config.published_shapes import names_data, published_fields, with_stand_in
from experiments.errors import UserError
from experiments.spec import ImageSpec, MaskSpec
from experiments.system.terminal import done_waiting, terminal_width, waiting

if TYPE_CHECKING:
    from torch import nn


def shaped(overrides: Sequence[str], config_dirs: Sequence[str] = ()) -> tuple[Any, bool]:
    """Return the config of a command line, and whether the model's published shapes take the place of data that nobody
    chose.

    Raises:
        UserError: when the config cannot run.
    """
    from experiments.config.check import require
    from experiments.config.compose import compose

    config = compose(with_stand_in(overrides, config_dirs), config_dirs)
    published = not names_data(overrides)
    size = published_fields(config).get("size") if published else None
    if size and not any(word.startswith("data.size=") for word in overrides):
        config.data.size = size
    require(config, packages=not published)  # nothing is read: what the data say is known without them
    return config, published


def network(config: Any, published: bool) -> tuple[nn.Module, Any, str, dict[str, int]]:
    """Return the model of a config with its freezing, without values where that can be; its spec, what the spec is of, and
    the epoch in which each parameter begins to learn.

    Raises:
        UserError: when the network does not fit the data, or neither the data nor their shapes are known.
    """
    import torch

    from experiments.run.build import build_freezing, build_model, prepare_process
    from experiments.run.foreign import is_ours, refuse
    from experiments.run.network_graph import network_graph

    prepare_process(config)
    if not is_ours(config.task):
        refuse(config, "layers")
    spec = _published_spec(config) if published else _spec(config)

    def build(without_values: bool) -> tuple[nn.Module, dict[str, int]]:
        with torch.device("meta") if without_values else nullcontext():
            model = build_model(config, spec)
            return model, build_freezing(config, model).begins

    try:
        model, begins = build(without_values=True)
        network_graph(model, spec, lambda name, module: "." not in name)
    except (RuntimeError, NotImplementedError, TypeError, ValueError, AttributeError):  # it looks at values somewhere
        model, begins = build(without_values=False)
    return model, spec, _note(config, spec) if published else "", begins


def layers(overrides: Sequence[str], config_dirs: Sequence[str] = (), purposes: bool = False) -> str:
    """Return the layer table of a model on its data, or on its published shapes where no data are chosen, as text.

    Raises:
        UserError: when the config cannot run or the network does not fit the data.
    """
    config, published = shaped(overrides, config_dirs)
    from experiments.run.layer_table import as_text, layer_table
    from experiments.run.layer_words import PURPOSES

    model, spec, note, begins = network(config, published)
    table = as_text(layer_table(model, spec, begins=begins), PURPOSES if purposes else None)
    return "\n".join(filter(None, [table, note]))


def compared(models: Sequence[str], others: Sequence[str], config_dirs: Sequence[str] = ()) -> str:
    """Return the course's table of network generations: a row a model, each on its published shapes unless data are
    chosen.

    Raises:
        UserError: when one of them cannot run.
    """
    from experiments.viz.tables import table

    rows = []
    for name in models:
        config, published = shaped([f"model={name}", *others], config_dirs)
        from experiments.run.layer_table import layer_table, short
        from experiments.run.network_graph import depth, network_graph

        model, spec, *_ = network(config, published)
        layers, about = layer_table(model, spec, depth=0), config.model.get("about") or {}
        rows.append(
            [
                name,
                str(about.get("year") or ""),
                _input(spec),
                str(depth(network_graph(model, spec)) or ""),
                f"{layers.parameters:,}",
                f"{short(layers.flops)}".strip(),
                str(about.get("idea") or ""),
                str(about.get("use") or ""),
            ]
        )
    head = ["model", "year", "input", "layers", "parameters", "FLOPs", "key idea", "use"]
    return table(head, rows, right=(1, 3, 4, 5), wide=terminal_width())


def _input(spec: Any) -> str:
    if isinstance(spec, ImageSpec):
        return f"{spec.channels} × {spec.height} × {spec.width}"
    length = next((getattr(spec, key) for key in ("length", "history") if hasattr(spec, key)), None)
    return f"{length:,} steps" if length else ""


def _note(config: Any, spec: Any) -> str:
    """Return what the table is for, where no data are chosen."""
    choice = "add data=… for others"
    stated = published_fields(config)
    if isinstance(spec, ImageSpec) and stated:
        classes = "" if "image" in listed(config.model.get("makes")) else f" and {spec.num_classes:,} classes"
        return f"For images of {_input(spec)}{classes}, as published; {choice}."
    data = config.run.choices.get("data")
    extra = f" with {spec.vocabulary:,} tokens as published" if "vocabulary" in stated else ""
    return f"For examples such as those of data={data}{extra}; {choice}."


def _published_spec(config: Any) -> Any:
    """Return what the model was published for; of what it does not state, what the data say that stand in."""
    from experiments.run.stand_in_specs import STAND_IN_SPECS

    stated = published_fields(config)
    kind = (config.data.get("gives") or {}).get("kind")
    if kind in ("image", "masks") and stated:
        size, channels = config.data.get("size") or stated["size"], stated["channels"]
        names = tuple(map(str, range(stated["classes"])))
        pixels = (0.5,) * channels
        if kind == "masks":
            return MaskSpec(channels, size, size, names, pixels, pixels, colours=("#000000",) * len(names))
        return ImageSpec(channels, size, size, names, pixels, pixels)
    missing = missing_packages(config)
    shared = (config.data.get("tokenizers") or {}).get("shared")  # which is one vocabulary of both languages
    if missing and (shared or config.run.choices.data not in STAND_IN_SPECS):
        raise UserError("\n".join(missing))
    spec = STAND_IN_SPECS[str(config.run.choices.data)] if missing else _spec(config)
    field_names = {field.name for field in fields(spec)}
    return replace(spec, **{key: value for key, value in stated.items() if key in field_names})


def _spec(config: Any) -> Any:
    """Return what the data say of themselves; of images whose files are missing, what their config says."""
    from experiments.run.build import build_data

    try:
        return build_data(config).spec
    except UserError as error:
        gives = config.data.get("gives") or {}
        size = config.data.get("size") or gives.get("size")
        if gives.get("kind") != "image" or not size:
            raise
        channels, classes = gives.get("channels") or 3, gives.get("classes") or 1000
        done_waiting()
        print(
            f"The images are not read ({error}). The table is for {channels} × {size} × {size} and {classes} classes.",
            file=sys.stderr,
        )
        names = tuple(map(str, range(classes)))
        return ImageSpec(channels, size, size, names, (0.5,) * channels, (0.5,) * channels)


def main(words: list[str]) -> int:
    """Prints the layer table of a network, or several side by side."""
    overrides, folders, switches = split_words(words)
    for switch in switches:
        if switch not in ("--compare", "--purpose"):
            raise UserError(
                f"experiments layers does not know {switch}: give group=option and key=value, --compare or --purpose"
            )
    run = next((word for word in overrides if (Path(word) / "config.yaml").exists()), None)
    if run:
        raise UserError(f"layers takes model=… and data=…, not a run: those of {run} are in {run}/config.yaml")
    if "--compare" not in switches:
        with waiting("importing PyTorch, building the network"):
            shown = layers(overrides, folders, purposes="--purpose" in switches)
        print(shown)
        return 0
    models = [word.partition("=")[2].split(",") for word in overrides if word.startswith("model=")]
    if not models:
        raise UserError("--compare needs models: experiments layers --compare model=lenet5,alexnet,vgg16,resnet50")
    with waiting("importing PyTorch, building the networks"):
        shown = compared(models[-1], [word for word in overrides if not word.startswith("model=")], folders)
    print(shown)
    return 0
