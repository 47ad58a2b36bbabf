"""Where a model's first values come from: published weights, an earlier run, a checkpoint, or a state dict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from experiments.contracts import NamesOfLibrary, published_names
from experiments.errors import UserError
from experiments.system.hub import published_folder
from experiments.transfer.class_rows import by_name
from experiments.transfer.library_folder import is_library_folder, library_state
from experiments.transfer.published_folder import is_published, load_folder
from experiments.transfer.weight_files import read_state_dict

_WRAPPERS = ("model.", "module.", "net.", "network.", "backbone.", "encoder.", "classifier.")
COUNTER = "num_batches_tracked"  # of a batch norm; older files lack it, and nothing here reads it


def load_weights(
    model: nn.Module,
    weights: str,
    model_name: str | None,
    published: Mapping[str, Any] | None = None,
    with_head: bool = False,
    names: Sequence[str] = (),
    trained_names: Sequence[str] = (),
) -> None:
    """Loads weights into a model: all stages must fit, but a head for other classes keeps its own first values.

    Names may be those of the stages here, or those of the library that the network comes from. A first convolution
    for colour is summed over its channels where the model reads grey images.
    The encoder of an autoencoder loads into a classifier with the same stages before its head.

    Args:
        model: the network to fill.
        weights: "pretrained", a run's folder, one in the layout of `transformers`, a Lightning checkpoint, a torch state
            dict, or a file of safetensors.
        model_name: for messages.
        published: what the model's config says of its published weights.
        with_head: the head must fit too, as nothing will be trained.
        names: of the classes or symbols that the head scores.
        trained_names: of the classes that the head in the weights scores, where they are known.

    Raises:
        UserError: when there is no such file, or it does not fit.
    """
    if published and published.get("kinds"):
        folder = Path(weights)
        if is_published(folder) or not folder.exists():
            folder = folder if folder.exists() else published_folder(weights)
            load_folder(model, folder, f"weights={weights}", with_head, names)
            return
    if is_library_folder(Path(weights)) and isinstance(model, NamesOfLibrary):
        state = library_state(model, Path(weights), with_head)
    elif weights == "pretrained":
        if not published:
            raise UserError(
                f"model={model_name} has no published weights: use weights=null or the path of an earlier run"
            )
        from experiments.transfer.published import published_state

        state = published_state(published)
    else:
        state = read_state_dict(Path(weights), f"weights={weights}")
    own = model.state_dict()
    state = unwrapped(state, known_names(model, own))
    fitted = getattr(model, "fitted", None)
    if fitted is not None:  # of a network with a backbone: it says itself what of other networks fits it
        state, kept_here = fitted(state)
        if kept_here and with_head:
            raise UserError(
                f"weights={weights} brings no head for the classes of the data: train it first, or choose the data it knows"
            )
    state = _grey(_renamed(state, model, own), own)
    state = {key: value for key, value in own.items() if key.endswith(COUNTER)} | state
    heads = [*getattr(model, "classifiers", ()), "head"]
    head = {key for key in own if any(key.startswith(f"{name}.") for name in heads)}
    if head and not any(key.split(".")[0] in heads for key in state):
        # An autoencoder's: its decoder stands where the head goes, and its encoder is what is wanted.
        kept = {key: value for key, value in state.items() if key.split(".")[0] != "decoder"}
        state = kept | {key: own[key] for key in head} if len(kept) < len(state) else state
    else:
        state = by_name(state, model, head, names, trained_names, f"weights={weights}", with_head)
    unlike = sorted(key for key in head if key in state and state[key].shape != own[key].shape)
    classes = [len(tensors[unlike[-1]]) for tensors in (state, own)] if unlike else []
    if unlike:
        state = {key: value for key, value in state.items() if key not in head} | {key: own[key] for key in head}
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    unlike = sorted(key for key in own.keys() & state.keys() if own[key].shape != state[key].shape)
    if missing or extra or unlike:
        parts = [
            f"{what} {', '.join(keys[:3])}{f' and {len(keys) - 3} more' if len(keys) > 3 else ''}"
            for what, keys in (("lacks", missing), ("has besides", extra), ("has another shape of", unlike))
            if keys
        ]
        raise UserError(
            f"weights={weights} is of another model than {model_name}: it {'; '.join(parts)}; choose the model it was trained with"
        )
    if classes and with_head:
        raise UserError(
            f"weights={weights} has a head for {classes[0]} classes and the data has {classes[1]}: train it first, or choose the data it knows"
        )
    # What is infinite in a new network as well, such as a mask, is meant to be.
    lost = next((key for key in own if not state[key].isfinite().all() and own[key].isfinite().all()), None)
    if lost is not None:
        raise UserError(
            f"weights={weights} holds numbers that are not finite, first in {lost}, so nothing could be learned from it: choose another file"
        )
    model.load_state_dict(state)


def known_names(model: nn.Module, own: Mapping[str, Tensor]) -> set[str]:
    """Names of tensors that can be loaded into a model: its own, and those of the library that it comes from."""
    return {*own, *published_names(model), *getattr(model, "backbone_names", ())}


def unwrapped(state: dict[str, Tensor], names_known: set[str]) -> dict[str, Tensor]:
    """Return the state dict without what other code wraps a network in, such as `net.` or `backbone.`, where more names
    fit so.
    """

    def fitting(names: Iterable[str]) -> int:
        return len(names_known.intersection(names))

    for _ in range(3):  # one inside another
        candidates = [{key.removeprefix(prefix): value for key, value in state.items()} for prefix in _WRAPPERS]
        best = max(candidates, key=fitting)
        shared = [prefix for prefix in _WRAPPERS if all(key.startswith(prefix) for key in state)]
        if fitting(best) > fitting(state):
            state = best
        elif shared and not fitting(state):
            state = {key.removeprefix(shared[0]): value for key, value in state.items()}
        else:
            break
    return state


def _renamed(state: dict[str, Tensor], model: nn.Module, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict under the model's own names, where it has those of the library it was published in."""
    names: Mapping[str, str] = published_names(model)
    if len(state.keys() & names.keys()) <= len(state.keys() & own.keys()):
        return state
    # Auxiliary heads that the model was built without stay out.
    unused = getattr(model, "unused_names", ())
    return {names.get(key, key): value for key, value in state.items() if not key.startswith(tuple(unused))}


def _grey(state: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Sum the first convolution over colours where the model reads one channel, and share it among them where the weights do:
    either gives the same answer to a grey image.
    """
    first = next(iter(own), "")
    if first in state and own[first].ndim == 4 and state[first].ndim == 4:
        wanted, given = own[first].shape, state[first].shape
        if (wanted[0], *wanted[2:]) == (given[0], *given[2:]) and {wanted[1], given[1]} == {1, 3}:
            weights = state[first]
            return state | {first: weights.sum(1, keepdim=True) if wanted[1] == 1 else weights.repeat(1, 3, 1, 1) / 3}
    return state
