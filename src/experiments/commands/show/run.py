"""A run's panels, drawn and written."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.commands.show.panel import Look, NotShown, OtherKind, Panel, Wanted
from experiments.errors import UserError, as_typed, unknown
from experiments.run.loaded import load, load_published
from experiments.system.files import atomic_path, write_text
from experiments.system.terminal import done_waiting, waiting, waiting_for
from experiments.tasks.report import report_of

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule


def show(run: str | list[str], wanted: Wanted, only: list[str], folder: Path | None) -> Path:
    """Draws the panels of a run's task into a folder, and the page around them, and prints what it wrote; gives the page's path.

    Args:
        run: the run's folder, or overrides such as `model=resnet18` and `weights=pretrained`.
        wanted: what to look at.
        only: names of panels; empty for all that apply.
        folder: where to write; None for `show` in the run's folder, or here where there is no run.

    Raises:
        UserError: the run cannot be loaded, or what was asked for does not exist or does not apply.
    """
    import torch

    from experiments.commands.show.page import picture_html, show_page
    from experiments.commands.show.survey import check
    from experiments.viz.canvas import png

    with waiting("loading the network"):
        loaded = load(run, "show") if isinstance(run, str) else load_published(run)
    panels = panels_of(loaded.task)
    task = loaded.config.run.choices["task"]
    nothing = UserError(f"there is nothing to show for task={task}: its result is in {loaded.folder}/record.json")
    if not panels:
        raise nothing
    for name in only:
        if name not in panels:
            raise UserError(unknown(f"--only {name}", "no panel of this run", name, list(panels)))
    loaded.task.to("cuda" if torch.cuda.is_available() else "cpu")
    for parameter in loaded.task.parameters():
        parameter.requires_grad_(False)
    target = folder or (loaded.folder / "show" if loaded.record else Path("show"))
    look = Look(loaded, wanted, target, {})
    check(look)
    sections, notes = [], []
    wide = max(12, *(len(name) for name in only or panels))
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name in only or panels:
            waiting_for(f"drawing {name}")
            panel, drawn = panels[name], []
            try:
                for picture in panel.draw(look):
                    figure = picture.figure
                    with atomic_path(target / picture.file) as temporary:
                        temporary.write_bytes(figure if isinstance(figure, bytes) else png(figure, 150))
                    drawn.append((picture, picture_html(picture.figure, picture.title)))
            except NotShown as why:
                if only and not drawn:
                    raise UserError(f"--only {name} has nothing to show: {why}") from None
                if not isinstance(why, OtherKind):
                    notes.append(f"{panel.title}: {why}.")
            if drawn:
                sections.append((panel, drawn))
                done_waiting()
                print(f"{name:<{wide}} {', '.join(entry.file for entry, _ in drawn)}", flush=True)
        done_waiting()
        for note in notes:
            print(f"{'not shown':<{wide}} {note}")
        if not sections:
            raise nothing
        chosen = loaded.config.run.choices
        title = f"Inside {chosen['model']}"
        heading = f"{chosen['model']} on {chosen['data']} · {_result(loaded.record)}{loaded.folder.name}"
        if not loaded.record:
            heading = f"published weights, {len(loaded.spec.classes):,} classes"
        page = target / "index.html"
        back = _back(loaded.folder if loaded.record else None, target)
        write_text(page, show_page(title, heading, sections, notes, back))
    except UserError:
        with suppress(OSError):  # there is something of an earlier time
            target.rmdir()
        raise
    except OSError as error:
        raise UserError(f"{target} cannot be written to ({error.strerror}): choose another with --to FOLDER") from error
    print(f"{'page':<{wide}} {as_typed(page)}")
    return page


def _back(run: Path | None, target: Path) -> list[tuple[str, str]]:
    """Links from the page to its run and to a report of comparison above it; none where the page lies elsewhere."""
    if run is None:
        return []
    run, here = run.resolve(), target.resolve()
    if not here.is_relative_to(run):
        return []
    linked = [("config", run / "config.yaml"), ("record", run / "record.json")]
    linked[:0] = [("comparison", folder / "report.html") for folder in list(run.parents)[:3]]
    return [(name, Path(os.path.relpath(path, here)).as_posix()) for name, path in linked if path.is_file()]


# Classes of tasks, and the modules beside this one that draw for them; a task takes those of the nearest class above it.
PANELS_OF = {
    "Classification": ("images", "sequences", "texts", "sounds", "classes"),
    "ZeroShot": (),
    "Labelling": ("texts",),
    "QuestionAnswering": ("answers", "texts"),
    "Translation": ("translation",),
    "Autoencoding": ("codes",),
    "MaskedLanguageModelling": ("texts",),
    "LanguageModelling": ("texts",),
    "SpeechRecognition": ("speech",),
    "Transcription": ("transcription",),
    "Acting": ("control",),
    "Segmentation": ("segmentation",),
    "Detection": ("detection",),
    "Forecasting": ("series",),
}


def panels_of(task: LightningModule) -> dict[str, Panel]:
    """Give the panels for a task, by name: ours, and those that its report names."""
    ours = next((PANELS_OF[kind.__name__] for kind in type(task).__mro__ if kind.__name__ in PANELS_OF), ())
    modules = [f"experiments.commands.show.{name}" for name in ours]
    panels: dict[str, Panel] = {}
    for module in (*modules, *report_of(task).panels):
        panels |= {panel.name: panel for panel in import_module(module).PANELS}
    return panels


def _result(record: dict) -> str:  # type: ignore[type-arg]
    value = record.get("metrics", {}).get("test/accuracy")
    return "" if value is None else f"test accuracy {value:.1%} · "
