"""Objects from config nodes, as `hydra.utils.instantiate` makes them, with what only the run knows added by name."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from omegaconf import OmegaConf

from experiments.config.needed_packages import not_imported
from experiments.config.options import NOTES
from experiments.errors import UserError, first_line

_OF_EVERY_NODE = ("_target_", "_partial_")


def plain_node(node: Any) -> dict[str, Any]:
    """Return what builds something, `_target_` and arguments, as plain Python."""
    plain: Any = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    return {key: value for key, value in plain.items() if key not in NOTES}


def locate(target: str) -> Any:
    """Return the class or function of a `_target_`.

    Raises:
        UserError: when it cannot be imported.
    """
    from hydra.utils import get_method

    logging.getLogger("hydra.utils").setLevel(logging.CRITICAL)  # it says it as well, over several lines
    try:
        return get_method(target)
    except Exception as error:
        raise UserError(not_imported(target, first_line(error.__cause__ or error))) from error


def bound(node: Any, without: Collection[str] = ()) -> partial[Any]:
    """Return the callable of a node with its arguments, nested nodes made: whatever the node's `_partial_` says.

    `_args_`, `_partial_`, `_recursive_` and `_convert_` mean what Hydra says; where a node names no `_convert_`, its
    arguments are plain Python.

    Args:
        node: with a `_target_`.
        without: keys that are no arguments.

    Raises:
        UserError: when a class cannot be found, or a nested one refuses its arguments.
    """
    arguments = {key: value for key, value in plain_node(node).items() if key not in without}
    target = str(arguments["_target_"])
    located = locate(target)
    if target.startswith("experiments.") and not _for_hydra(arguments):  # the same, and a millisecond sooner
        return partial(located, **{key: value for key, value in arguments.items() if key not in _OF_EVERY_NODE})
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    arguments.setdefault("_convert_", "all")
    try:
        made: partial[Any] = instantiate(arguments, _partial_=True)
    except InstantiationException as error:
        raise _in_words(error, target) from error
    return made


def _for_hydra(arguments: Mapping[str, Any]) -> bool:
    """Tell whether a node asks for more than a call with plain values: nested nodes, or another key of Hydra's."""

    def has_node(value: Any) -> bool:
        if isinstance(value, Mapping):
            return "_target_" in value or any(map(has_node, value.values()))
        return isinstance(value, list) and any(map(has_node, value))

    return any(
        key not in _OF_EVERY_NODE and (key.startswith("_") or has_node(value)) for key, value in arguments.items()
    )


def make(node: Any, /, without: Collection[str] = (), **extra: Any) -> Any:
    """Instantiates a config node without the keys that only describe it.

    Args:
        node: with a `_target_`; one with `_partial_: true` gives a callable.
        without: further keys that are no arguments.
        extra: arguments that are objects, added to those of the node.

    Raises:
        UserError: when the class cannot be found, or does not take a key.
    """
    function = bound(node, without)
    if plain_node(node).get("_partial_"):
        return partial(function, **extra) if extra else function
    return call(function, str(node["_target_"]), **extra)


def with_shapes(node: Any, shapes: Mapping[str, Any]) -> dict[str, Any]:
    """Return those shapes of the data, `in_channels`, `image_size`, `num_classes` and others, that a config's network is made
    with: all of them where it is ours or takes any keyword, else those that its class or function names.
    """
    target = str(node["_target_"])
    return dict(shapes) if target.startswith("experiments.") else taken_by(locate(target), shapes)


def missing_arguments(node: Any, given: Mapping[str, Any]) -> list[str]:
    """Return the arguments without a default that neither the keys of a user-defined class's config nor `given` have."""
    target = str(node["_target_"])
    if target.startswith("experiments.") or "_args_" in node:
        return []
    return [
        name
        for name, parameter in inspect.signature(locate(target)).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and name not in node
        and name not in given
    ]


def taken_by(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of some arguments that a class or function takes by name."""
    taken = inspect.signature(function).parameters
    anything = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in taken.values())
    return {name: value for name, value in arguments.items() if anything or name in taken}


def call(function: Callable[..., Any], target: str, /, *args: Any, **extra: Any) -> Any:
    """Calls what a `_target_` names; what it does not take is said in one sentence.

    Raises:
        UserError: when the arguments do not suit it.
    """
    try:
        return function(*args, **extra)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(str(error)) from error
    except Exception as error:
        if _about_arguments(error, function):
            raise UserError(f"{target}: {error}; check the keys of its config") from error
        if isinstance(error, ModuleNotFoundError) and not target.startswith("experiments."):
            raise UserError(f"{target} needs a package that is not installed: {first_line(error)}") from error
        error.add_note(f"while making {target}")
        raise


def _about_arguments(error: Exception, function: Any) -> bool:
    """Tell whether an error says that the call itself does not fit, and no call further inside."""
    if not isinstance(error, TypeError) or "argument" not in str(error):
        return False
    inner = getattr(function, "func", function)
    names = {f"{base.__qualname__}.__init__()" for base in getattr(inner, "__mro__", ())}  # keys are passed on
    return str(error).split(" ", 1)[0] in names | {f"{getattr(inner, '__qualname__', '')}()"}


def _in_words(error: Exception, target: str) -> Exception:
    """Return one sentence for what Hydra says over several lines, or the nested object's own error."""
    cause, text = error.__cause__, str(error)
    if isinstance(cause, UserError):
        return cause
    named = re.search(r"(?:call to target|locating target|creating partial\(|Target) ?'?([\w.]+)", text)
    inner = named.group(1) if named else target
    key = re.search(r"full_key: (\S+)", text)
    place = f"{key.group(1)}: " if key else ""
    if "locating target" in text:
        return UserError(place + not_imported(inner, first_line((cause or error).__cause__ or cause or error)))
    if isinstance(cause, (TypeError, ValueError)):
        return UserError(f"{place}{inner}: {cause}; check the keys of its config")
    if cause is not None and isinstance(cause, Exception):
        cause.add_note(f"while making {inner}")
        return cause
    return UserError(f"{place}{' '.join(text.split())}")
