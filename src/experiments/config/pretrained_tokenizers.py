"""The tokenizers of data, taken from a folder of published weights or from an earlier run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.config.preprocessing import given_keys
from experiments.config.weights_place import run_folder
from experiments.errors import UserError
from experiments.system.bounded_files import read_json

# Which tokens begin and end a sentence, and what the library calls them.
_ENDS = {"start": "decoder_start_token_id", "first": "forced_bos_token_id", "end": "eos_token_id"}


def tokenizers_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a data config that say how a tokenizer is made, by the side of a pair they are for."""
    several = data.get("tokenizers")
    several = several if isinstance(several, Mapping) else {}
    tokenizers = {"": data.get("tokenizer"), **{side: several.get(side) for side in ("source", "target")}}
    return {
        side: tokenizer
        for side, tokenizer in tokenizers.items()
        if isinstance(tokenizer, Mapping) and tokenizer and (side or "source" in tokenizer)
    }


def share_tokenizer(config: Any, folder: Path | None) -> None:
    """One tokenizer for both languages, as a library's translator reads them; that of published weights where there are.

    Args:
        config: to be filled in.
        folder: of the weights, in the library's layout.

    Raises:
        UserError: when the folder has none, or one with more tokens than the weights.
    """
    tokenizers = config["data"].get("tokenizers")
    if not tokenizers:
        return
    if "data.tokenizers.shared" not in given_keys(config):
        tokenizers["shared"] = True
    if folder is not None:
        take_tokenizer(config, tokenizers["source"], folder, "data.tokenizers.source")
        settings = (config["model"].get("settings") or {}, _of_writing(folder))
        for key, theirs in _ENDS.items():
            for where in settings:
                if tokenizers.get(key) is None and where.get(theirs) is not None:
                    tokenizers[key] = where[theirs]


def _of_writing(folder: Path) -> Mapping[str, Any]:
    """Return the library's settings of writing in a folder of weights; empty without any."""
    try:
        settings = read_json(folder / "generation_config.json")
    except (OSError, ValueError):
        return {}
    return settings if isinstance(settings, Mapping) else {}


def take_sharing(config: Any, trained: bool | None) -> None:
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


def take_ends(config: Any, trained: Mapping[str, Any]) -> None:
    """Take over which tokens begin and end a sentence from an earlier run."""
    tokenizers = config["data"]["tokenizers"]
    for key in _ENDS:
        if tokenizers.get(key) is None and trained.get(key) is not None:
            tokenizers[key] = trained[key]


def take_run_tokenizer(config: Any, tokenizer: Any, side: str, trained: Mapping[str, Any]) -> None:
    """The tokenizer that an earlier run kept, unless the user named another or this run fits one.

    Args:
        config: to be filled in.
        tokenizer: the part of it that is meant.
        side: `source` or `target` of pairs; else empty.
        trained: the same part of the run's config.

    Raises:
        UserError: when the user asks for one that would be fitted otherwise.
    """
    folder = run_folder(config["weights"]) or Path()
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


def take_tokenizer(config: Any, tokenizer: Any, folder: Path, name: str = "data.tokenizer") -> None:
    """The tokenizer of a folder as the data's, unless the user named another.

    Args:
        config: with the model and the words of the command line.
        tokenizer: the part of it that is filled in.
        folder: of the weights.
        name: of that part.

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
                f"{name}.source"
            )
        return
    if tokenizer["source"] is None:
        if any(key.startswith(f"{name}.") and not key.endswith((".ends", ".file")) for key in given_keys(config)):
            key = next(key for key in given_keys(config) if key.startswith(f"{name}."))
            raise UserError(
                f"{key}={tokenizer.get(key.rpartition('.')[2])} would fit a new tokenizer and weights={folder} brings its own: leave it out"
            )
        tokenizer["source"] = str(folder.absolute())
    tokens = (config["model"].get("settings") or {}).get("vocab_size")
    # Tables often have some rows more than there are tokens, but never as many again.
    if tokens is not None and (count := _count(Path(tokenizer["source"]))) and not tokens / 2 <= count <= tokens:
        raise UserError(
            f"weights={folder} knows {tokens} tokens and the tokenizer in {tokenizer['source']} has {count}: they do not "
            "belong together; take the tokenizer that the weights were trained with"
        )


def _count(place: Path) -> int:
    """Tokens of a tokenizer.json; 0 where it cannot be told."""
    file = place / "tokenizer.json" if place.is_dir() else place
    try:
        stored = read_json(file)
        vocabulary = stored["model"]["vocab"]
        added = [token["id"] for token in stored.get("added_tokens") or ()]
        own = vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary))
        return max([*own, *added], default=-1) + 1
    except (OSError, ValueError, KeyError, TypeError):
        return 0
