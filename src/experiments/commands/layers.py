"""`experiments layers`: the layer table of a config's network, with what is frozen, also where the data are not there."""

from __future__ import annotations

import sys
from typing import Any

from experiments.errors import UserError
from experiments.spec import ImageSpec


def layers(config: Any) -> str:
    """The layer table of a config's model on its data, as text.

    Raises:
        UserError: when the network does not fit the data, or neither the data nor their shapes are known.
    """
    from experiments.run.build import build_freezing, build_model, prepare_process
    from experiments.run.foreign import is_ours, refuse
    from experiments.run.layer_table import as_text, layer_table

    prepare_process(config)
    if not is_ours(config.task):
        refuse(config, "layers")
    spec = _spec(config)
    model = build_model(config, spec)
    build_freezing(config, model)
    return as_text(layer_table(model, spec))


def _spec(config: Any) -> Any:
    """What the data say of themselves; of images whose files are missing, what their config says."""
    from experiments.run.build import build_data

    try:
        return build_data(config).spec
    except UserError as error:
        gives = config.data.get("gives") or {}
        size = config.data.get("size") or gives.get("size")
        if gives.get("kind") != "image" or not size:
            raise
        channels, classes = gives.get("channels") or 3, gives.get("classes") or 1000
        print(
            f"The images are not read ({error}). The table is for {channels} × {size} × {size} and {classes} classes.",
            file=sys.stderr,
        )
        names = tuple(map(str, range(classes)))
        return ImageSpec(channels, size, size, names, (0.5,) * channels, (0.5,) * channels)
