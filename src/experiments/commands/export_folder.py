"""A run's network as a folder that `transformers` loads: config.json, model.safetensors and its tokenizer."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.commands.export_sound import compare_sound, is_sound, write_sound
from experiments.contracts import GivesSamples
from experiments.errors import RunFailed, UserError

if TYPE_CHECKING:
    from experiments.run.loaded import Loaded

TOLERANCE = 1e-4
_TOKENS = ("pad_token", "unk_token", "cls_token", "sep_token")
_TOKENS_OF_DECODERS = ("pad_token", "unk_token", "bos_token", "eos_token")


def export_folder(loaded: Loaded, target: Path) -> tuple[Path, float]:
    """Writes the folder, whole or not at all, and compares what its network makes of test examples with the run's.

    Args:
        loaded: the run.
        target: the folder; made, and not there before.

    Returns:
        The folder, and the largest difference.

    Raises:
        UserError: when the run's network is none of the library's, or the folder is there.
        RunFailed: when what was written computes something else; it is not left behind.
    """
    model: Any = loaded.model
    sound = is_sound(model)
    if not (sound or hasattr(model, "library_kind")):
        raise UserError(
            f"--format transformers writes networks of transformers, and model={loaded.config.run.choices.get('model')} "
            "is none: use --format safetensors"
        )
    if target.exists() and any(target.iterdir()):
        raise UserError(f"--to {target} is there already: choose another folder, or remove it")
    target.parent.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=".export-", dir=target.parent))
    try:
        (write_sound if sound else _write)(loaded, place)
        difference = (compare_sound if sound else _compare)(loaded, place)
        if not difference <= TOLERANCE:
            raise RunFailed(f"the folder written differs by {difference:.2g} from the run: nothing is left")
        place.chmod(0o755)
        if target.exists():
            target.rmdir()
        place.replace(target)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return target, difference


def _write(loaded: Loaded, place: Path) -> None:
    import transformers

    model: Any = loaded.model
    config = type(model.config).from_dict(model.config.to_dict())
    names = list(getattr(loaded.spec, "classes", ()))
    if names and config.num_labels == len(names):
        config.id2label, config.label2id = dict(enumerate(names)), {name: place for place, name in enumerate(names)}
    reader: Any = loaded.reader
    pairs = hasattr(reader, "tokenizers")  # both languages have one, as the library's translators do
    if pairs:  # data.tokenizers may name others than the weights did
        config.decoder_start_token_id, config.eos_token_id = loaded.spec.marks[2:]
    net = model.library_kind(config)
    state = model.state_dict()
    net.load_state_dict({theirs: state[ours] for theirs, ours in model.published_names.items()}, strict=False)
    if getattr(model, "own_head", False):  # what comes behind the layers is no part of the library's network
        net = net.base_model
    if pairs and loaded.spec.first:
        net.generation_config.forced_bos_token_id = loaded.spec.first[0]
    transformers.utils.logging.disable_progress_bar()
    net.save_pretrained(place)
    own = reader.tokenizers[0] if pairs else getattr(reader, "tokenizer", None)
    if own is not None:
        from experiments.data.text import tokens

        special = _TOKENS_OF_DECODERS if getattr(model, "causal", False) else _TOKENS
        indices = dict(zip(special, tokens.marks(own), strict=True)) | {"mask_token": tokens.mask(own)}
        if pairs:
            padding, unknown, _, end = loaded.spec.marks
            indices = {"pad_token": padding, "unk_token": unknown, "eos_token": end}
        words = {name: own.id_to_token(index) for name, index in indices.items() if index is not None and index >= 0}
        transformers.PreTrainedTokenizerFast(tokenizer_object=own, **words).save_pretrained(place)


def left_out(model: Any) -> bool:
    """Tell whether the folder is without the run's head, which the library's network of this kind does not have."""
    there = any(name.startswith("head.") for name, _ in model.named_parameters())
    return there and not any(ours.startswith("head.") for ours in model.published_names.values())


def _compare(loaded: Loaded, place: Path) -> float:
    """Return the largest difference of the vectors before the pooler, of some test examples or, where data give none, of
    random tokens, from the folder's network.
    """
    import torch
    import transformers

    from experiments.batches import Sequences

    level = transformers.utils.logging.get_verbosity()
    transformers.utils.logging.set_verbosity_error()  # the head is no part of what is compared
    try:
        net = transformers.AutoModel.from_pretrained(place, local_files_only=True).eval()
    finally:
        transformers.utils.logging.set_verbosity(level)
    model: Any = loaded.model
    if isinstance(loaded.data, GivesSamples):
        inputs, _ = loaded.data.sample("test", 8)
    else:  # one long text
        tokens = torch.randint(loaded.spec.vocabulary, (4, 8), generator=torch.Generator().manual_seed(0))
        inputs = Sequences(tokens, torch.full((4,), 8))
    with torch.no_grad():
        if not hasattr(inputs, "lengths"):  # pairs of sentences in two languages
            source = inputs.source
            ours, theirs = model.encode(source).values, net.get_encoder()
            hidden = theirs(input_ids=source.values, attention_mask=source.mask().long()).last_hidden_state
            return _largest(ours, hidden, source.mask())
        x: Any = inputs
        for name, stage in model.named_children():
            if name in ("pooler", "head"):
                break
            x = stage(x)
        values = x.values if not hasattr(model.pooler, "norm") else model.pooler.norm(x.values)
        given: dict[str, Any] = {"input_ids": inputs.values.masked_fill(~inputs.mask(), model.config.pad_token_id or 0)}
        if getattr(model.config, "type_vocab_size", 1) > 1:
            ends = (
                (inputs.values == loaded.spec.marks[3]).long() if loaded.spec.marks else torch.zeros_like(inputs.values)
            )
            given["token_type_ids"] = (ends.cumsum(1) - ends).clamp(max=1).masked_fill(~inputs.mask(), 0)
        hidden = net(**given, attention_mask=inputs.mask().long()).last_hidden_state
        return _largest(values, hidden, inputs.mask())


def _largest(ours: Any, theirs: Any, inside: Any) -> float:
    return float((ours - theirs)[inside].abs().max())
