"""The sizes and settings of a language model, taken from weights in the layout of transformers or from an earlier run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.config.preprocessing import given_keys
from experiments.errors import UserError
from experiments.system.bounded_files import read_json
from experiments.system.hub import weight_files

# Of the library's configuration: what the data or the task decide, or only the library's own loading reads.
_NOT_TAKEN = (
    *("architectures", "transformers_version", "dtype", "torch_dtype", "model_type", "_name_or_path", "use_cache"),
    *("id2label", "label2id", "num_labels", "problem_type", "task_specific_params", "finetuning_task", "is_local"),
)
_DROPOUTS = (
    *("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout", "classifier_dropout"),
    *("resid_pdrop", "embd_pdrop", "attn_pdrop", "dropout_rate", "activation_dropout", "seq_classif_dropout"),
)
# The same quantity in the configurations of several families.
_SAME = {
    "size": ("hidden_size", "n_embd", "dim", "d_model"),
    "layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers"),
    "heads": ("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads"),
    "inner": ("intermediate_size", "n_inner", "hidden_dim", "d_ff", "encoder_ffn_dim"),
    "positions": ("max_position_embeddings", "n_positions"),
}


def take_run_network(config: Any, trained: Mapping[str, Any]) -> None:
    """Take over what the model of an earlier run was told, where this one leaves it open."""
    model = config["model"]
    if trained.get("_target_") != model.get("_target_"):
        return
    given = given_keys(config)
    for key in ("name", *_SAME):
        if key in model and config["run"]["choices"].get("model") == "transformers" and f"model.{key}" not in given:
            model[key] = trained.get(key)
    model["settings"] = dict(trained.get("settings") or {}) | dict(model.get("settings") or {})
    if "longest" in (model.get("reads") or {}):
        model["reads"]["longest"] = model.get("positions")


def read_configuration(folder: Path) -> dict[str, Any]:
    """Return the library's configuration in a folder.

    Raises:
        UserError: when there is none, or it is damaged; or when the tensors beside it are pickled.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise UserError(
            f"weights={folder} holds no config.json: name a run, or a folder that save_pretrained of transformers wrote"
        )
    weight_files(folder, f"weights={folder}")
    try:
        settings = read_json(path)
        kind = settings["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is no configuration of transformers ({type(error).__name__}): fetch it again"
        ) from error
    return {**settings, "model_type": str(kind)}


def take_network(config: Any, folder: Path) -> None:
    """Take the library's configuration as the model's, where the two agree."""
    model, name = config["model"], config["run"]["choices"].get("model")
    stated = read_configuration(folder)
    kind = stated["model_type"]
    own = model.get("name")
    any_of_them = name == "transformers"  # its sizes are there for networks without weights
    if own is not None and own != kind and not any_of_them:
        raise UserError(f"weights={folder} is of the family {kind} and model={name} is {own}: take model=transformers")
    model["name"] = kind
    given = given_keys(config)
    for key, names in _SAME.items():
        value = next((stated[alias] for alias in names if stated.get(alias) is not None), None)
        if key not in model:
            continue
        if value is None:
            if any_of_them and f"model.{key}" not in given:  # the family's own, such as four times the size
                model[key] = None
            continue
        if key == "positions" and "roberta" in kind:
            value -= 2
        if model[key] is None or (any_of_them and f"model.{key}" not in given):
            model[key] = value
        elif model[key] != value:
            where = f"model.{key}={model[key]}" if f"model.{key}" in given else f"model={name} has {model[key]}"
            raise UserError(f"weights={folder} has {key}={value} and {where}: take model=transformers")
    dropouts = _DROPOUTS if model.get("dropout") is not None else ()
    sizes = {name for names in _SAME.values() for name in names}
    settings = {
        key: value
        for key, value in stated.items()
        if key not in _NOT_TAKEN and key not in dropouts and key not in sizes and value is not None
    }
    model["settings"] = settings | dict(model.get("settings") or {})
    if "longest" in (model.get("reads") or {}):
        model["reads"]["longest"] = model.get("positions")
