"""What a language model's weights expect of its texts: their tokenizer, their length, and the network they fit.

Weights in the layout of `transformers` (a folder with config.json, tensors in safetensors and tokenizer.json) say all of it,
and so does the folder of an earlier run.
"""

from __future__ import annotations

from typing import Any

from experiments.config.pretrained_network import take_network, take_run_network
from experiments.config.pretrained_tokenizers import (
    share_tokenizer,
    take_ends,
    take_run_tokenizer,
    take_sharing,
    take_tokenizer,
    tokenizers_of,
)
from experiments.config.weights_place import run_config, weights_folder
from experiments.errors import UserError

_RELATIVE = ("t5", "mt5")  # they look at how far apart two tokens are, and so read any number


def take_over_texts(config: Any) -> None:
    """Fills in what the data and the model of a config leave open, from the weights and from what the model reads.

    Raises:
        UserError: when the weights do not belong to the model, or are not here.
    """
    model, data = config["model"], config["data"]
    published = model.get("pretrained") or {}
    library = published.get("library") == "transformers" and not published.get("kinds")  # those are of sound
    folder = weights_folder(config) if library else None
    run = run_config(config.get("weights"))
    if folder is not None:
        take_network(config, folder)
    elif run and library:
        take_run_network(config, run.get("model") or {})
    reads = model.get("reads") or {}
    trained = tokenizers_of(run.get("data") or {})
    if run and trained and "tokenizers" in data:
        several = run["data"].get("tokenizers") or {}
        take_sharing(config, several.get("shared"))
        take_ends(config, several)
    for side, tokenizer in tokenizers_of(data).items():
        if folder is not None and not side:
            take_tokenizer(config, tokenizer, folder)
        elif run:
            take_run_tokenizer(config, tokenizer, side, trained.get(side) or {})
        if tokenizer.get("ends", False) is None:
            tokenizer["ends"] = bool(reads.get("ends"))
    if reads.get("shared"):
        share_tokenizer(config, folder)
    _take_length(config, reads.get("longest"))
    apart = config["task"].get("makes") == "vectors"
    if (
        apart
        and (data.get("gives") or {}).get("kind") == "text"
        and ("apart" not in data or data.get("second", "") is None)
    ):
        name = config["run"]["choices"]
        raise UserError(
            f"task={name.get('task')} compares two texts and data={name.get('data')} gives one: take data=stsb"
        )
    if data.get("apart", False) is None:
        data["apart"] = apart


def _take_length(config: Any, longest: int | None) -> None:
    """The model's positions as the length that texts are cut to.

    Raises:
        UserError: when longer texts are asked for.
    """
    data, name = config["data"], config["run"]["choices"].get("model")
    key = "cut" if "cut" in data else "max_length"  # of pairs, whose max_length is about training alone
    if longest is None or key not in data or (key == "cut" and config["model"].get("name") in _RELATIVE):
        return
    if data[key] is None:
        data[key] = longest
    elif isinstance(data[key], int) and data[key] > longest:
        raise UserError(
            f"data.{key}={data[key]} is more than the {longest} tokens that model={name} has positions for: set data.{key}={longest}"
        )
