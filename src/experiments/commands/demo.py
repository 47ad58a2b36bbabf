"""`experiments demo`: a run to try in a browser, by Gradio."""

from __future__ import annotations

import base64
import io
import os
import tempfile
from collections.abc import Sequence
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from experiments.errors import UserError
from experiments.run.not_a_run import require_run
from experiments.system.arguments import Parser
from experiments.system.terminal import waiting

_ABOUT = """\
Opens a page on this machine where a run answers images, texts, questions, sounds, series or observations: what `experiments predict`
says, with top classes as bars, boxes or masks as the task draws them, what decided (heat map, attention, importance of words),
and examples of the test split. A link that others can open is made with --share alone.
"""
LARGEST = "16mb"  # of a file that is given to the page
# What the pictures of an answer show, by their key.
CAPTIONS = {
    "drawn": "the objects that were found",
    "overlay": "the class of each pixel over the image",
    "mask": "the class of each pixel",
    "masks": "the pixels of each object",
}


def main(words: list[str]) -> int:
    """Loads the run and opens the page until it is stopped.

    Raises:
        UserError: when the run cannot be loaded or takes no such inputs, or Gradio is missing.
    """
    parser = Parser("experiments demo", _ABOUT)
    parser.add_argument("run", metavar="RUN", help="the folder of a run")
    parser.add_argument("--port", type=int, help="default: 7860, or the next that is free")
    parser.add_argument("--share", action="store_true", help="also make a link through Gradio's servers, for a week")
    parser.add_argument("--examples", type=int, default=6, metavar="N", help="from the test split (6)")
    options = parser.parse_args(words)
    if options.port is not None and not 0 < options.port < 65536:
        raise UserError(f"--port {options.port} must be from 1 to 65535: try --port 7860")
    if options.examples < 0:
        raise UserError(f"--examples {options.examples} must be 0 or more: try --examples 6")
    require_run(options.run)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before it is imported: it tells nobody
    if find_spec("gradio") is None:
        raise UserError("demo needs gradio, which is not installed: pip install 'lightning-experiments[demo]'")
    with waiting("loading the network"):
        from experiments.commands.answering import Answerer
        from experiments.run.loaded import load

        answerer = Answerer(load(options.run, "demo"), "demo")
    with waiting("importing Gradio, making the page"):
        import gradio

        made = page(answerer, options.examples)
    local = gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"])  # no fonts from elsewhere
    try:
        made.launch(
            server_name="127.0.0.1",
            server_port=options.port,
            share=options.share,
            max_file_size=LARGEST,
            theme=local,
            quiet=True,  # it would name a switch of its own, and not --share
            prevent_thread_lock=True,
        )
    except OSError as error:
        raise UserError(f"the page cannot be opened ({error}): choose another --port") from None
    print(f"{answerer.name}: {made.local_url}", *filter(None, [made.share_url]), flush=True)
    made.block_thread()
    return 0


def page(answerer: Any, examples: int) -> Any:
    """Return the page, not yet started.

    Args:
        answerer: the run.
        examples: how many from the test split.
    """
    import gradio

    from experiments.commands.demo_examples import examples_of_test

    shown = [
        gradio.Label(label="most probable", visible=False),
        gradio.Dataframe(label="answer", headers=["answer"], interactive=False, wrap=True),
        gradio.HTML(visible=False),
        gradio.File(label="files", visible=False),
    ]

    def answer(*given: Any) -> Any:
        empty = [
            part.label for part, value in zip(inputs, given, strict=True) if value is None or not str(value).strip()
        ]
        if empty:
            missing = "no input" if len(inputs) == 1 else "nothing under " + " and ".join(empty)
            raise gradio.Error(f"there is {missing} yet: give it, or choose an example", print_exception=False)
        try:
            bars, table, pictures, files = answered(answerer, input_of(answerer, given))
        except UserError as error:
            raise gradio.Error(str(error), print_exception=False) from None
        return [
            gradio.update(value=bars, visible=bool(bars)),
            gradio.update(value=table, visible=not bars),
            gradio.update(value=legend(answerer.loaded.spec, pictures) + _figures(pictures), visible=bool(pictures)),
            gradio.update(value=files, visible=bool(files)),
        ]

    inputs = _inputs(answerer)
    metrics = (f"{name} {value:.4f}" for name, value in answerer.about()["metrics"].items() if value is not None)
    return gradio.Interface(
        answer, inputs, shown, examples=examples_of_test(answerer, examples) or None, cache_examples=False, title=answerer.name,
        flagging_mode="never", description=", ".join(metrics), analytics_enabled=False,
    )  # fmt: skip


def _inputs(answerer: Any) -> list[Any]:
    """Return the components of the page's input."""
    import gradio

    from experiments.commands.answering import IMAGES, OBSERVATIONS, SOUNDS
    from experiments.commands.demo_examples import MOST_FIELDS

    if answerer.kind in IMAGES:
        image: Any = gradio.Image(type="filepath", image_mode=None, format="png", label="image", height=320)
        by_gradio = image.preprocess
        # The file as it was given: what cannot be read ends in our sentence, and 16 bits stay 16.
        image.preprocess = lambda given: by_gradio(given) if given is None or not given.path else given.path
        return [image]
    if answerer.kind in SOUNDS:
        # Without the button that would send the sound to a site of Gradio's makers.
        return [gradio.Audio(type="filepath", label="sound", buttons=["download"])]
    if answerer.kind == "series":
        return [gradio.File(type="filepath", label="table (CSV)")]
    if answerer.kind in OBSERVATIONS and len(answerer.fields) <= MOST_FIELDS:
        return [gradio.Number(label=name, value=0.0) for name in answerer.fields]
    if answerer.kind in OBSERVATIONS:
        label = f"{len(answerer.fields)} numbers with commas: {', '.join(answerer.fields)}"
        return [gradio.Textbox(label=label, lines=3)]
    return [gradio.Textbox(label=name, lines=3) for name in answerer.fields or [answerer.form]]


def input_of(answerer: Any, given: Sequence[Any]) -> Any:
    """Return an input of the run, made of the values of the page's components."""
    if answerer.takes_files:
        return Path(given[0]).read_bytes() if isinstance(given[0], str) else _png(given[0])
    return list(given) if len(given) > 1 else given[0]


def answered(answerer: Any, given: Any) -> tuple[dict[str, float], list[list[str]] | Any, list[Any], list[str]]:
    """Return what the page shows for an input: scores of classes or actions, else a table; pictures with captions; files.

    Raises:
        UserError: when the input cannot be read.
    """
    from PIL import Image

    from experiments.commands.answer_table import as_rows
    from experiments.commands.demo_pictures import enlarged, explained
    from experiments.tasks.report import Attachment

    answer = answerer.of(given)
    attached = {key: value for key, value in answer.items() if isinstance(value, Attachment)}
    pictures, files = [], []
    for key, value in attached.items():
        if value.suffix == ".png":
            pictures.append((enlarged(Image.open(io.BytesIO(value.content)).convert("RGB")), CAPTIONS.get(key, key)))
            continue
        with tempfile.NamedTemporaryFile(prefix=f"{key}-", suffix=value.suffix, delete=False) as file:
            file.write(value.content)  # Gradio copies it into its own folder, which it empties
        files.append(file.name)
    pictures.sort(key=lambda picture: picture[1] == CAPTIONS["mask"])  # its colours mean little without the image
    plain = {key: value for key, value in answer.items() if key not in attached and key != "segments"}
    head, rows, _ = as_rows([plain]) if plain else ([], [], [])
    if plain and not head:  # an image without any object
        head, rows = list(plain), [["none"]]
    table = {"headers": head, "data": rows}
    return bars_of(plain), table, pictures + explained(answerer, given), files


def bars_of(plain: dict[str, Any]) -> dict[str, float]:
    """Return names with their probabilities, where an answer is nothing but a ranked list of those; else nothing."""
    ranked = next((value for value in plain.values() if isinstance(value, list)), None) or []
    pairs = [tuple(item.values()) for item in ranked if isinstance(item, dict) and list(item)[1:] == ["probability"]]
    if not pairs or len(pairs) != len(ranked):
        return {}
    return {str(name) or "no answer": float(chance) for name, chance in pairs}


def legend(spec: Any, pictures: Sequence[tuple[Any, str]]) -> str:
    """Return the colours of the classes that a mask among the pictures has, with their names; nothing without a mask."""
    mask = next((image for image, caption in pictures if caption == CAPTIONS["mask"]), None)
    if mask is None:
        return ""
    drawn = {"#{:02x}{:02x}{:02x}".format(*colour) for _, colour in mask.getcolors(mask.width * mask.height)}
    square = '<span style="display:inline-block;width:1em;height:1em;vertical-align:-0.15em;border:1px solid #888;background:{}"></span>'
    shown = [(colour, name) for colour, name in zip(spec.colours, spec.classes, strict=True) if colour.lower() in drawn]
    return f"<p>{' &emsp; '.join(f'{square.format(colour)} {escape(name)}' for colour, name in shown)}</p>"


def _figures(pictures: Sequence[tuple[Any, str]]) -> str:
    """Return pictures one below the other, whole and as wide as the page gives room, with their captions."""
    return "".join(
        f'<figure style="margin:0 0 1em"><img alt="{escape(caption)}" style="max-width:100%" '
        f'src="data:image/png;base64,{base64.b64encode(_png(image)).decode()}"><figcaption>{escape(caption)}</figcaption></figure>'
        for image, caption in pictures
    )


def _png(image: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format="PNG")
    return out.getvalue()
