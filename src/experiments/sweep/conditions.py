"""Conditions over a config, such as `model == 'lenet5' and optimizer.lr > 0.1`: read, never executed as Python."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from experiments.config.compose import dotted
from experiments.errors import UserError, unknown

_CONSTANTS = {"null": None, "true": True, "false": False}
_EXAMPLE = "write a condition such as \"model == 'mlp' and seed > 2\""
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, several: several is not None and value in several,
    ast.NotIn: lambda value, several: several is None or value not in several,
    ast.Is: lambda value, other: value is other,
    ast.IsNot: lambda value, other: value is not other,
}
_RULE = "names, values, ==, !=, <, <=, >, >=, in, not in, and, or, not and brackets"


def parse_all(conditions: Any) -> list[ast.expr]:
    """Return the trees of `launcher.exclude`: of no condition, of one, or of a list of them.

    Raises:
        UserError: as for each.
    """
    if conditions is None or conditions == "":
        return []
    several = conditions if isinstance(conditions, Sequence) and not isinstance(conditions, str) else [conditions]
    return [parse(str(text)) for text in several]


def parse(text: str) -> ast.expr:
    """Return the tree of a condition.

    Raises:
        UserError: when it is no condition, or holds more than comparisons.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise UserError(f"launcher.exclude={text} cannot be read: {_EXAMPLE}") from error
    allowed = (
        ast.BoolOp,
        ast.boolop,
        ast.Compare,
        ast.cmpop,
        ast.Name,
        ast.Attribute,
        ast.Constant,
        ast.List,
        ast.Tuple,
        ast.expr_context,
    )
    for node in ast.walk(tree):
        negated = isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub))
        if not (isinstance(node, allowed) or negated or isinstance(node, (ast.Not, ast.USub))):
            raise UserError(
                f"launcher.exclude={text} may hold {_RULE}: take {ast.unparse(node) if isinstance(node, ast.expr) else 'the rest'} out"
            )
    if not names(tree):
        raise UserError(f"launcher.exclude={text} names no key, and so is the same for all runs: {_EXAMPLE}")
    return tree


def names(tree: ast.expr) -> set[str]:
    """Return the groups and keys that a condition asks for."""
    if isinstance(tree, (ast.Name, ast.Attribute)):
        return {ast.unparse(tree)} - _CONSTANTS.keys()
    return {name for node in ast.iter_child_nodes(tree) if isinstance(node, ast.expr) for name in names(node)}


def has(config: Mapping[str, Any], name: str) -> bool:
    """Tell whether a config has a group or a key."""
    value: Any = config
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return name in config["run"]["choices"]
        value = value[part]
    return True


def refuse_foreign(trees: Sequence[ast.expr], configs: Sequence[Mapping[str, Any] | None]) -> None:
    """Refuses conditions over what no run has; says nothing where a config is None, as that is wrong by itself.

    Raises:
        UserError: for a name that none of the configs has.
    """
    asked = {name for tree in trees for name in names(tree)}
    whole = [config for config in configs if config is not None]
    foreign = {name for name in asked if not any(has(config, name) for config in whole)}
    if foreign and len(whole) == len(configs):
        keys = {key for config in whole for key in dotted(config)}
        name = min(foreign)
        raise UserError(unknown(f"{name} in launcher.exclude", "a key of no run", name, sorted(keys)))


def holds(tree: ast.expr, config: Mapping[str, Any]) -> bool:
    """Tell whether a condition holds for a resolved config; the name of a group stands for the option chosen.

    A key that the options chosen do not have is null, and null is neither above nor below anything.

    Raises:
        UserError: for a name that the config does not have, values that cannot be compared, or a value that is not compared.
    """
    try:
        value = _value(tree, config)
        if not isinstance(value, bool | None):
            raise UserError(f"launcher.exclude={ast.unparse(tree)} compares nothing: {_EXAMPLE}")
        return bool(value)
    except TypeError as error:
        raise UserError(
            f"launcher.exclude={ast.unparse(tree)} compares what cannot be compared ({error}): quote text, not numbers"
        ) from error


def _value(node: ast.expr, config: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.List() | ast.Tuple():
            return [_value(item, config) for item in node.elts]
        case ast.UnaryOp(op=ast.Not()):
            return not _value(node.operand, config)
        case ast.UnaryOp():
            return -_value(node.operand, config)
        case ast.BoolOp(op=ast.And()):
            return all(_value(item, config) for item in node.values)
        case ast.BoolOp():
            return any(_value(item, config) for item in node.values)
        case ast.Compare():
            left = _value(node.left, config)
            for compare, right_node in zip(node.ops, node.comparators, strict=True):
                right = _value(right_node, config)
                ordered = isinstance(compare, (ast.Lt, ast.LtE, ast.Gt, ast.GtE))
                if (ordered and (left is None or right is None)) or not _COMPARE[type(compare)](left, right):
                    return False
                left = right
            return True
        case _:
            return _lookup(ast.unparse(node), config)


def _lookup(name: str, config: Mapping[str, Any]) -> Any:
    choices = config["run"]["choices"]
    if name in choices:
        return choices[name]
    if name in _CONSTANTS:
        return _CONSTANTS[name]
    value: Any = config
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            if name.split(".")[0] in config and "." in name:
                return None  # a key that only some options of the group have
            raise UserError(unknown(f"{name} in launcher.exclude", "no group and no key", name, [*choices, *config]))
        value = value[part]
    return value
