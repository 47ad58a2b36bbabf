"""What a language model's weights expect of its texts: their tokenizer, their length, and the network they fit.

Weights in the layout of `transformers` (a folder with config.json, tensors in safetensors and tokenizer.json) say all of it,
and so does the folder of an earlier run.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from experiments.config.preprocessing import given_keys
from experiments.errors import UserError

FRAMES = 2  # tokens around a text that a tokenizer fitted here puts there
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
_PICKLED = ("pytorch_model.bin", "tf_model.h5", "flax_model.msgpack")
_CONNECT = 0.8  # seconds that a network may take to answer


def take_over_texts(config: Any) -> None:
    """Fills in what the data and the model of a config leave open, from the weights and from what the model reads.

    Raises:
        UserError: when the weights do not belong to the model, or are not here.
    """
    model, data = config["model"], config["data"]
    published = model.get("pretrained") or {}
    library = published.get("library") == "transformers" and not published.get("kinds")  # those are of sound
    folder = weights_folder(config) if library else None
    run = _run(config.get("weights"))
    if folder is not None:
        _take_network(config, folder)
    elif run and library:
        _take_run_network(config, run.get("model") or {})
    reads = model.get("reads") or {}
    trained = _tokenizers(run.get("data") or {})
    if run and trained and "tokenizers" in data:
        _take_sharing(config, (run["data"].get("tokenizers") or {}).get("shared"))
    for side, tokenizer in _tokenizers(data).items():
        if folder is not None and not side:
            _take_tokenizer(config, tokenizer, folder)
        elif run:
            _take_run_tokenizer(config, tokenizer, side, trained.get(side) or {})
        if tokenizer.get("ends", False) is None:
            tokenizer["ends"] = bool(reads.get("ends"))
    if reads.get("shared"):
        _share_tokenizer(config)
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


def _share_tokenizer(config: Any) -> None:
    """One tokenizer for both languages, as a library's translator reads them.

    Raises:
        UserError: when its weights are published ones, whose tokens stand in another order.
    """
    weights, name = config.get("weights"), config["run"]["choices"].get("model")
    if weights is not None and (Path(str(weights)) / "config.json").is_file() and not _is_run(weights):
        raise UserError(
            f"weights={weights} has tokens in an order that model={name} cannot read yet: take weights=null or an earlier run"
        )
    tokenizers = config["data"].get("tokenizers")
    if tokenizers and "data.tokenizers.shared" not in given_keys(config):
        tokenizers["shared"] = True


def weights_folder(config: Any) -> Path | None:
    """Return the folder in the library's layout that a config's weights name, or None where they are something else.

    Where the folder holds none but a single folder in it does, the config is given that one.

    Raises:
        UserError: when published weights are not here and there is no network to fetch them from.
    """
    weights = config.get("weights")
    if weights is None:
        return None
    if weights == "pretrained":
        name = config["model"]["pretrained"].get("name")
        return None if name is None else hub_folder(str(name))
    path = Path(str(weights)).expanduser()
    if not path.is_dir() or _is_run(weights):
        return None
    inside = [] if (path / "config.json").is_file() else [one.parent for one in sorted(path.glob("*/config.json"))]
    if len(inside) == 1:  # the original with the library's layout in a folder beside it
        path = inside[0]
        config["weights"] = str(path)
    return path


def _run_folder(weights: Any) -> Path | None:
    """Return the folder of the run that weights name, by itself or by a checkpoint in it."""
    if weights in (None, "pretrained"):
        return None
    path = Path(str(weights)).expanduser()
    folders = [path, *path.parents[:2]] if path.is_file() else [path]
    return next((folder for folder in folders if (folder / "config.yaml").is_file()), None)


def _is_run(weights: Any) -> bool:
    return _run_folder(weights) is not None


def _run(weights: Any) -> dict[str, Any]:
    """Return the config of the run that weights name; empty where they are something else, or nobody can read it."""
    folder = _run_folder(weights)
    if folder is None:
        return {}
    try:
        with (folder / "config.yaml").open(encoding="utf-8") as file:
            found = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, ValueError, yaml.YAMLError):  # whoever loads the weights says so
        return {}
    return found if isinstance(found, dict) else {}


def _take_run_network(config: Any, trained: Mapping[str, Any]) -> None:
    """What the model of an earlier run was told, where this one leaves it open."""
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


def _take_sharing(config: Any, trained: bool | None) -> None:
    """Let one tokenizer serve both languages, or one each, as in an earlier run.

    Raises:
        UserError: when the user asks for the contrary.
    """
    tokenizers = config["data"]["tokenizers"]
    if trained is None or tokenizers.get("shared") == trained:
        return
    if "data.tokenizers.shared" in given_keys(config):
        raise UserError(
            f"data.tokenizers.shared={str(tokenizers['shared']).lower()} is unlike weights={config['weights']}, which have "
            f"{str(trained).lower()}: leave it out, as the weights bring their tokenizers"
        )
    tokenizers["shared"] = trained


def _take_run_tokenizer(config: Any, tokenizer: Any, side: str, trained: Mapping[str, Any]) -> None:
    """The tokenizer that an earlier run kept, unless the user named another or this run fits one.

    Args:
        config: to be filled in.
        tokenizer: the part of it that is meant.
        side: `source` or `target` of pairs; else empty.
        trained: the same part of the run's config.

    Raises:
        UserError: when the user asks for one that would be fitted otherwise.
    """
    folder = _run_folder(config["weights"]) or Path()
    file = folder / Path(str(trained.get("file", ""))).name
    if tokenizer.get("source") is not None or not file.is_file():
        return
    place = f"data.tokenizers.{side}." if side else "data.tokenizer."
    for key in given_keys(config):
        name = key.rpartition(".")[2]
        if key.startswith(place) and name in trained and tokenizer.get(name) != trained[name]:
            raise UserError(
                f"{key}={tokenizer.get(name)} would fit a tokenizer unlike that of weights={config['weights']}, whose "
                f"{name} is {trained[name]}: leave it out, as the weights bring their own"
            )
    tokenizer["source"] = str(file.absolute())
    if side:  # what it is says how its tokens are put together to text
        tokenizer.update({key: trained[key] for key in ("kind", "lowercase") if key in trained})


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
    if not any(folder.glob("*.safetensors")):
        pickled = next((name for name in _PICKLED if (folder / name).exists()), None)
        if pickled:
            raise UserError(
                f"weights={folder} holds {pickled}, which may run code when it is read: load it where you trust it and "
                "write it again with save_pretrained, as safetensors"
            )
        raise UserError(f"weights={folder} holds no model.safetensors: name the folder with the tensors")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        kind = found["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is no configuration of transformers ({type(error).__name__}): fetch it again"
        ) from error
    return {**found, "model_type": str(kind)}


def _take_network(config: Any, folder: Path) -> None:
    """The library's configuration as the model's, where the two agree."""
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
        value = next((stated[one] for one in names if stated.get(one) is not None), None)
        if value is None or key not in model:
            continue
        if key == "positions" and "roberta" in kind:
            value -= 2
        if model[key] is None or (any_of_them and f"model.{key}" not in given):
            model[key] = value
        elif model[key] != value:
            where = f"model.{key}={model[key]}" if f"model.{key}" in given else f"model={name} has {model[key]}"
            raise UserError(f"weights={folder} has {key}={value} and {where}: take model=transformers")
    dropouts = _DROPOUTS if model.get("dropout") is not None else ()
    known = {one for names in _SAME.values() for one in names}
    settings = {
        key: value
        for key, value in stated.items()
        if key not in _NOT_TAKEN and key not in dropouts and key not in known and value is not None
    }
    model["settings"] = settings | dict(model.get("settings") or {})
    if "longest" in (model.get("reads") or {}):
        model["reads"]["longest"] = model.get("positions")


def _tokenizers(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a data config that say how a tokenizer is made, by the side of a pair they are for."""
    several = data.get("tokenizers") or {}
    found = {"": data.get("tokenizer"), **{side: several.get(side) for side in ("source", "target")}}
    return {side: one for side, one in found.items() if one and (side or "source" in one)}


def _take_tokenizer(config: Any, tokenizer: Any, folder: Path) -> None:
    """The tokenizer of a folder as the data's, unless the user named another.

    Raises:
        UserError: when the folder has none, or one with more tokens than the weights.
    """
    file = folder / "tokenizer.json"
    if not file.is_file():
        of_llama2c = [*folder.glob("tok*.bin"), *folder.parent.glob("tok*.bin")]
        if tokenizer["source"] is None and len(of_llama2c) == 1:
            tokenizer["source"] = str(of_llama2c[0].absolute())
        if tokenizer["source"] is None:
            raise UserError(
                f"weights={folder} holds no tokenizer.json: save its tokenizer there, or name a folder that has it with "
                "data.tokenizer.source"
            )
        return
    if tokenizer["source"] is None:
        if any(
            key.startswith("data.tokenizer.") and not key.endswith((".ends", ".file")) for key in given_keys(config)
        ):
            key = next(key for key in given_keys(config) if key.startswith("data.tokenizer."))
            raise UserError(
                f"{key}={tokenizer.get(key.rpartition('.')[2])} would fit a new tokenizer and weights={folder} brings its own: leave it out"
            )
        tokenizer["source"] = str(folder.absolute())
    tokens = (config["model"].get("settings") or {}).get("vocab_size")
    if tokens is not None and (count := _count(Path(tokenizer["source"]))) > tokens:
        raise UserError(
            f"weights={folder} knows {tokens} tokens and the tokenizer in {tokenizer['source']} has {count}: they do not "
            "belong together; take the tokenizer that the weights were trained with"
        )


def _count(place: Path) -> int:
    """Tokens of a tokenizer.json; 0 where it cannot be told."""
    file = place / "tokenizer.json" if place.is_dir() else place
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        vocabulary = found["model"]["vocab"]
        added = [one["id"] for one in found.get("added_tokens") or ()]
        own = vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary))
        return max([*own, *added], default=-1) + 1
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _take_length(config: Any, longest: int | None) -> None:
    """The model's positions as the length that texts are cut to.

    Raises:
        UserError: when longer texts are asked for.
    """
    data, name = config["data"], config["run"]["choices"].get("model")
    if longest is None or "max_length" not in data:
        return
    if data["max_length"] is None:
        data["max_length"] = longest
    elif isinstance(data["max_length"], int) and data["max_length"] > longest:
        raise UserError(
            f"data.max_length={data['max_length']} is more than the {longest} tokens that model={name} has positions "
            f"for: set data.max_length={longest}"
        )


def hub_folder(name: str) -> Path:
    """Return the newest snapshot of a published model in the cache of `huggingface_hub`, fetched where there is a
    network.

    Raises:
        UserError: when it is not there and cannot be fetched, within a second.
    """
    cache = Path(
        os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or "~/.cache/huggingface") / "hub"
    ).expanduser()
    place = cache / f"models--{name.replace('/', '--')}"
    snapshots = sorted(place.glob("snapshots/*/config.json"), key=lambda path: path.stat().st_mtime)
    if snapshots and any(snapshots[-1].parent.glob("*.safetensors")):
        return snapshots[-1].parent
    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
    if offline or not _reachable():
        why = "HF_HUB_OFFLINE is set" if offline else "there is no network"
        raise UserError(
            f"weights=pretrained needs {name}, which is not in {cache} and cannot be fetched ({why}): fetch it where there "
            "is a network and give the folder as weights=FOLDER"
        )
    return _fetched(name)


def _fetched(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise UserError(
            "weights=pretrained needs the package transformers, which is not installed: pip install 'experiments[language]'"
        ) from None
    try:
        wanted = ["config.json", "*.safetensors", "*.safetensors.index.json", "tokenizer.json", "tokenizer_config.json"]
        return Path(snapshot_download(name, allow_patterns=wanted))
    except Exception as error:
        raise UserError(
            f"weights=pretrained needs {name}, which cannot be fetched ({type(error).__name__}): check model.pretrained.name, "
            "or give a folder as weights=FOLDER"
        ) from error


def _reachable() -> bool:
    """Tell whether something answers where published models lie, or at the proxy before it; asked for less than a
    second.
    """
    from urllib.parse import urlsplit

    proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
    where = urlsplit(proxy or os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    answered: list[bool] = []

    def ask() -> None:
        try:
            with socket.create_connection((where.hostname or "", where.port or 443), timeout=_CONNECT):
                answered.append(True)
        except OSError:
            pass

    asking = threading.Thread(target=ask, daemon=True)  # looking a name up cannot be given a time limit
    asking.start()
    asking.join(_CONNECT)
    return bool(answered)
