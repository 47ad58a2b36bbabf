"""The lines that a run prints before it trains, and with its result."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from experiments.config.metric_names import split_and_quantity, split_of, usual_name
from experiments.errors import as_typed
from experiments.run.record import can_answer
from experiments.system.terminal import done_waiting, fancy, in_notebook, labelled, quiet, show_table, verbose
from experiments.viz.tables import table

_SPLITS = ("train", "validation", "test")
_LEAST = ("test", "val")  # parts of the table of results, and the columns beside them


def banner(config: DictConfig, record: dict[str, Any], folder: Path) -> None:
    """Tells what is about to be trained, on what, and how to resume it."""
    if quiet():
        return
    chosen, cost = record["choices"], record["cost"]
    model = chosen.get("model") or chosen.get("task")
    rows = [
        ("model", f"{model}: {_parameters(cost)}"),
        ("data", f"{chosen.get('data')}: {_sizes(record)}"),
    ]
    if record.get("freezing") and cost.get("trainable_parameters") != cost.get("parameters"):
        rows.append(("freezing", str(chosen.get("freezing"))))
    rows.append(("training", _training(config, chosen)))
    where = record["environment"]
    processes = f", {where['processes']} processes" if where["processes"] > 1 else ""
    threads = f", {where['threads']} thread{'s' * (where['threads'] > 1)}" if where["device"] == "cpu" else ""
    rows.append(("device", f"{where['device']}{processes}{threads}, precision {where['precision']}"))
    if verbose():
        rows += _more(config, record)
    typed = as_typed(folder)
    rows.append(("run", typed))
    if not any(_of_this_process(config.get(group)) for group in ("model", "data", "task")):
        rows.append(("resume", f"experiments train resume={shlex.quote(typed)}"))
    labelled(rows, sys.stdout if in_notebook() else sys.stderr, f"{model} on {chosen.get('data')}, seed {config.seed}")


def _of_this_process(node: Any) -> bool:
    """Tell whether a group is an object or a class of a Python session, which no other process can make."""
    return bool(node) and "object" in node and (bool(node.get("made")) or str(node.object).startswith("__main__."))


def _parameters(cost: dict[str, Any]) -> str:
    count, learning = cost.get("parameters"), cost.get("trainable_parameters")
    if count is None:
        return "parameters unknown"
    if learning is None or learning == count:
        return f"{count:,} parameters, all learn"
    return f"{count:,} parameters, {learning:,} learn, {count - learning:,} frozen"


def _sizes(record: dict[str, Any]) -> str:
    splits = record["data"]
    sizes = [f"{splits[split]:,} {split}" for split in _SPLITS if isinstance(splits.get(split), int)]
    return f"{', '.join(sizes)} examples{_image_size(record)}" if sizes else "sizes as its loaders say"


def _image_size(record: dict[str, Any]) -> str:
    """Return the size that images are brought to, which may be far from that of their files."""
    sides = [(record.get("spec") or {}).get(side) for side in ("channels", "height", "width")]
    return f" of {' × '.join(map(str, sides))}" if None not in sides else ""


def _training(config: DictConfig, chosen: dict[str, Any]) -> str:
    epochs, optimizer = config.trainer.get("max_epochs"), chosen.get("optimizer")
    steps = config.trainer.get("max_steps") or -1
    settings = [
        f"{epochs} epoch{'s' * (epochs != 1)}"
        if epochs and epochs > 0
        else f"{steps} steps"
        if steps > 0
        else "without an end"
    ]
    if optimizer and chosen.get("model"):
        settings.append(optimizer)
        if config.optimizer.get("lr") is not None:
            settings.append(f"learning rate {config.optimizer.lr:g}")
    if config.data.get("batch_size"):
        settings.append(f"batches of {config.data.batch_size}")
    return ", ".join(settings)


def _more(config: DictConfig, record: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what -v adds: every choice, FLOPs, versions and what was set on the command line."""
    chosen = [f"{group}={option}" for group, option in record["choices"].items() if option is not None]
    rows = [("choices", "  ".join(chosen)), ("set", "  ".join(config.run.overrides) or "nothing")]
    if record["cost"].get("flops_per_example"):
        rows.append(("FLOPs", f"{record['cost']['flops_per_example']:,} an example"))
    versions = record["environment"]["versions"]
    rows.append(("versions", "  ".join(f"{name} {number}" for name, number in versions.items() if number)))
    rows.append(("callbacks", "  ".join(name for name, node in (config.callbacks or {}).items() if node) or "none"))
    return [*rows, ("loggers", "  ".join(name for name, node in (config.logger or {}).items() if node) or "none")]


def closing(record: dict[str, Any], folder: Path) -> None:
    """Tells the result of a run, where it lies, and what to type next."""
    done_waiting()
    typed = as_typed(folder)
    if quiet():
        print(typed)
        return
    metrics = record["metrics"]
    tested = {name: value for name, value in metrics.items() if split_of(name) == "test"}
    if fancy(sys.stdout):
        head, rows = result_table(record)
        if rows:
            show_table(head, rows, (1, 2), sys.stdout)
    else:
        print("  ".join(f"{name} {value:.4f}" for name, value in tested.items() if value is not None))
    labelled(_next(record, folder, shlex.quote(typed)), sys.stdout)


def result_table(record: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the metrics of validation, as of the tested weights, beside those of the test."""
    metrics = {usual_name(name): value for name, value in record["metrics"].items() if value is not None}
    names: dict[str, None] = {}
    for name in metrics:
        split, quantity = split_and_quantity(name)
        if split in _LEAST:
            names[quantity] = None
    judged = split_and_quantity(str((record.get("judged") or {}).get("metric") or ""))[1]
    rows = []
    for name in sorted(names, key=lambda name: (name != judged, name != "loss", name)):
        pair = [metrics.get(f"{split}/{name}") for split in ("val", "test")]
        rows.append([name + (" (judged)" if name == judged else ""), *("" if v is None else f"{v:.4f}" for v in pair)])
    epoch = record.get("best_epoch")
    return ["metric", "validation" + ("" if epoch is None else f", epoch {epoch}"), "test"], rows


def _next(record: dict[str, Any], folder: Path, typed: str) -> list[tuple[str, str]]:
    """Where things lie and which commands follow, for what the run is."""
    rows = [("record", f"{typed}/record.json")]
    if list(folder.glob("events.out.*")):
        rows.append(("TensorBoard", f"experiments board {typed}"))
    if (folder / "figures").is_dir():
        rows.append(("pictures", f"{typed}/figures"))
    if can_answer(folder, record):
        rows.append(("predict", f"experiments predict {typed} INPUT…"))
        rows.append(("look inside", f"experiments show {typed}"))
    rows.append(("compare", f"experiments compare {shlex.quote(as_typed(folder.parent))}"))
    return rows


def freezing_table(config: DictConfig, freezing: Any, rate: float | None) -> None:
    """Print what learns and what is frozen, unless everything learns."""
    if freezing.everything or quiet():
        return
    done_waiting()
    head, cells = freezing.table(rate)
    print(table(head, cells, right=(1, 3, 4)), file=sys.stderr)
    rows, epochs = freezing.rows(rate), config.trainer.get("max_epochs") or -1
    if config.weights is None and any(row.learning < row.parameters for row in rows):
        print(
            "weights=null: what does not learn keeps random values; weights=PATH gives it better ones", file=sys.stderr
        )
    waiting = [row.stage for row in rows if row.from_epoch and row.from_epoch > epochs > 0]
    if waiting:
        print(f"the run ends after epoch {epochs}, before {', '.join(waiting)} would begin to learn", file=sys.stderr)
