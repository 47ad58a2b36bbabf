"""What `task=zero_shot` judges by, from the weights it is given, and what is wrong with its config."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.spec import FOLLOWS
from experiments.system.bounded_files import read_json


def take_over_labels(config: Any) -> None:
    """Fills in how labels are judged where the config leaves it open: by entailment where the weights are of a run on pairs
    of texts with such a class, else by likelihood; and the classes of that run. Changed in place."""
    task = config["task"]
    if "template" not in task or "by" not in task:
        return
    trained = _classes_of_run(config.get("weights"))
    if task["by"] is None:
        task["by"] = FOLLOWS if FOLLOWS in trained else "likelihood"
    if task["by"] == FOLLOWS and not task["judged"]:
        task["judged"] = trained


def problems(config: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a config of `task=zero_shot`, as sentences."""
    task, choices = config["task"], config["run"]["choices"]
    model, weights = choices.get("model"), config.get("weights")
    by, labels, template = task.get("by"), task.get("labels"), task.get("template")
    sentences = []
    if by not in ("likelihood", FOLLOWS):
        sentences.append(f"task.by={by} is unknown: choose likelihood, {FOLLOWS} or null")
    elif weights is None:
        sentences.append(
            "task=zero_shot learns nothing, and weights=null would judge by random values: give weights=FOLDER of a language "
            "model, or weights=RUN of a language model or of a run on data=snli"
        )
    elif by == FOLLOWS and FOLLOWS not in (task.get("judged") or ()):
        sentences.append(
            f"task.by={FOLLOWS} asks what follows from a text, and weights={weights} is no run whose classes have "
            f"{FOLLOWS}: name a run on data=snli, or set task.by=likelihood"
        )
    elif by == "likelihood" and "text" not in (config["model"].get("makes") or ()):
        sentences.append(
            f"task=zero_shot asks how likely a label is behind a text, and model={model} writes no text: choose "
            f"model=transformers, gpt2_tiny or gpt_mini, or weights=RUN of a run on data=snli"
        )
    if not isinstance(template, str) or "{}" not in template:
        sentences.append(
            f"task.template={template} has no {{}} where the label goes: try task.template='This text is about {{}}.'"
        )
    if labels is not None and (
        not isinstance(labels, list) or len(labels) < 2 or len({*map(str, labels)}) < len(labels)
    ):
        shown = ",".join(map(str, labels)) if isinstance(labels, list) else labels
        sentences.append(
            f"task.labels=[{shown}] must be two words or more, each once: try task.labels=[sport,politics]"
        )
    if "apart" in config["data"] and config["data"].get("second", "") is not None:
        sentences.append(
            f"task=zero_shot reads single texts and data={choices.get('data')} gives pairs: take data=ag_news"
        )
    return sentences


def _classes_of_run(weights: Any) -> list[str]:
    """Names of the classes of the run that weights name; empty where they are something else."""
    if weights in (None, "pretrained"):
        return []
    path = Path(str(weights)).expanduser()
    for folder in (path, *path.parents[:2]) if path.exists() else ():
        if (folder / "config.yaml").is_file() and (folder / "record.json").is_file():
            try:
                spec = read_json(folder / "record.json")["spec"]
                return [str(name) for name in spec["classes"]]
            except (OSError, ValueError, KeyError, TypeError):  # whoever loads the weights says so
                return []
    return []
