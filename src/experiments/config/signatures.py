"""What the class or function of a `_target_` takes, read from its source: nothing of the user's or of torch's is imported.

Every answer may be None, for "cannot be told from the source"; what calls the class then finds out.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, NamedTuple

_DEPTH = 12  # imports and bases that are followed


class Signature(NamedTuple):
    """Parameters of a call, self left out."""

    annotations: dict[str, str]  # by name, as written; empty where there is none
    required: tuple[str, ...]
    anything: bool  # has **kwargs

    def takes(self, name: str) -> bool:
        return self.anything or name in self.annotations


class _Found(NamedTuple):
    module: str
    node: ast.ClassDef | ast.FunctionDef


def signature(target: str) -> Signature | None:
    """Return what a class's `__init__` or a function takes."""
    resolved = _resolve(target)
    if resolved is None:
        return None
    if isinstance(resolved.node, ast.FunctionDef):
        return _signature(resolved.node, method=False)
    for ancestor in _lineage(resolved):
        if ancestor is None or any(not _harmless(decorator) for decorator in ancestor.node.decorator_list):
            return None
        assert isinstance(ancestor.node, ast.ClassDef)
        methods = {item.name: item for item in ancestor.node.body if isinstance(item, ast.FunctionDef)}
        if "__new__" in methods or ancestor.node.keywords:
            return None
        if "__init__" in methods:
            return _signature(methods["__init__"], method=True)
    return Signature({}, (), False)


def annotation(target: str, name: str) -> str | None:
    """Return how a class or function annotates a parameter, as written; a class that hands on `**rest` has those of the
    classes that it is made from.
    """
    taker = _taker(target, name)
    return taker[1].annotations.get(name) if taker else None


def module_that_takes(target: str, name: str) -> str | None:
    """Return the module of the function, or of the class among a class and its bases, that takes a parameter of a call."""
    taker = _taker(target, name)
    return taker[0] if taker else None


@lru_cache(maxsize=1024)
def _taker(target: str, name: str) -> tuple[str, Signature] | None:
    """Return the module and the signature of what takes a parameter: a function, a class, or one that it is made from where
    it hands on `**rest`.
    """
    resolved = _resolve(target)
    for ancestor in _lineage(resolved) if resolved else ():
        if ancestor is None:
            return None
        methods = {item.name: item for item in ancestor.node.body if isinstance(item, ast.FunctionDef)}
        node = ancestor.node if isinstance(ancestor.node, ast.FunctionDef) else methods.get("__init__")
        if node is None:
            continue
        taken = _signature(node, method=node is not ancestor.node)
        if name in taken.annotations or not taken.anything or node is ancestor.node:
            return ancestor.module, taken
    return None


def docstrings(target: str) -> list[str]:
    """Return the docstrings of a function, or of a class, of its `__init__` and of those it is made from, nearest first."""
    resolved = _resolve(target)
    texts: list[str | None] = []
    for ancestor in _lineage(resolved) if resolved else ():
        if ancestor is None:
            continue
        methods = [item for item in ancestor.node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
        texts += [ast.get_docstring(node) for node in (ancestor.node, *methods)]
    return [text for text in texts if text]


def targets_of(node: Any) -> list[str]:
    """Return every `_target_` of a config but Hydra's own."""
    if isinstance(node, dict):
        own = [str(node["_target_"])] if "_target_" in node else []
        return own + [target for key, value in node.items() if key != "hydra" for target in targets_of(value)]
    return [target for value in node for target in targets_of(value)] if isinstance(node, list) else []


def is_a(target: str, names: tuple[str, ...]) -> bool | None:
    """Tell whether a class is one of some classes, or made from one: `LightningModule`, whatever its package."""
    resolved = _resolve(target)
    if resolved is None or not isinstance(resolved.node, ast.ClassDef):
        return None
    answer: bool | None = False
    for ancestor in _lineage(resolved, names):
        if ancestor is None:
            answer = None
        elif ancestor.node.name in names:
            return True
    return answer


def absent(target: str) -> str | None:
    """Return what Python would say of a class or function that its module does not have; None where the source does not tell."""
    parts = target.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        module, name = ".".join(parts[:cut]), parts[cut]
        if (file := _file(module)) is None:
            continue
        try:
            source = file.read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None
        whole = file.name == "__init__.py"
        if re.search(rf"\b{re.escape(name)}\b|import \*|__getattr__|globals\(|setattr\(|sys\.modules|__path__", source):
            return None
        if whole and any(file.parent.glob(f"{name}*")):  # a folder, or an extension
            return None
        return f"No module named '{module}.{name}'" + ("" if whole else f"; '{module}' is not a package")
    return None


def defines(target: str, name: str, until: tuple[str, ...] = ()) -> bool | None:
    """Tell whether a class or one it is made from has something of a name: a method, or `self.name = …`; `until` are
    not looked into.
    """
    resolved = _resolve(target)
    if resolved is None or not isinstance(resolved.node, ast.ClassDef):
        return None
    answer: bool | None = False
    for ancestor in _lineage(resolved, until):
        if ancestor is None:
            answer = None
        elif ancestor.node.name not in until and _has(ancestor.node, name):
            return True
    return answer


def _has(node: ast.AST, name: str) -> bool:
    for inner in ast.walk(node):
        if isinstance(inner, (ast.FunctionDef, ast.ClassDef)) and inner.name == name:
            return True
        if isinstance(inner, ast.Attribute) and inner.attr == name and isinstance(inner.ctx, ast.Store):
            return True
        if isinstance(inner, ast.Name) and inner.id == name and isinstance(inner.ctx, ast.Store):
            return True
    return False


def classes_of(module: str) -> list[str]:
    """Names with a capital that a module offers."""
    return sorted(name for name in _names(module) if name[:1].isupper())


def _signature(node: ast.FunctionDef, method: bool) -> Signature:
    arguments = node.args
    places = [*arguments.posonlyargs, *arguments.args][int(method) :]
    given = len(places) - len(arguments.defaults)
    required = [argument.arg for argument in places[: max(given, 0)]]
    required += [
        argument.arg
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is None
    ]
    every = [*places, *arguments.kwonlyargs]
    texts = {argument.arg: ast.unparse(argument.annotation) if argument.annotation else "" for argument in every}
    return Signature(texts, tuple(required), arguments.kwarg is not None)


def _harmless(decorator: ast.expr) -> bool:
    """Tell whether a class's decorator leaves its `__init__` as it is."""
    text = ast.unparse(decorator)
    return not text.split("(")[0].endswith("dataclass")


def _lineage(resolved: _Found, until: tuple[str, ...] = (), depth: int = 0) -> Iterator[_Found | None]:
    """Yield a class and those it is made from, nearest first; None for one whose source is not there."""
    yield resolved
    if depth > _DEPTH or not isinstance(resolved.node, ast.ClassDef) or resolved.node.name in until:
        return
    for base in resolved.node.bases:
        name = ast.unparse(base).split("[")[0]
        if name in ("object", "ABC", "Generic", "Protocol"):
            continue
        above = _in_module(resolved.module, name, 0)
        if above is None:
            # what cannot be read may still be known by its name
            yield (
                _Found("", ast.ClassDef(name.rpartition(".")[2], [], [], [], []))
                if name.rpartition(".")[2] in until
                else None
            )
        else:
            yield from _lineage(above, until, depth + 1)


@lru_cache(maxsize=256)
def _resolve(target: str) -> _Found | None:
    parts = target.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:cut])
        if _file(module) is not None:
            return _in_module(module, ".".join(parts[cut:]), 0)
    return None


def _in_module(module: str, name: str, depth: int) -> _Found | None:
    """Return the class or function that a name in a module stands for, imports followed."""
    if depth > _DEPTH:
        return None
    first, _, rest = name.partition(".")
    names = _names(module)
    if first in names:
        return _follow(module, names[first], rest, depth)
    for star in (statement for bound, statement in names.items() if bound.startswith("*")):
        if isinstance(star, ast.ImportFrom) and (resolved := _in_module(_absolute(module, star), name, depth + 1)):
            return resolved
    below = f"{module}.{first}"  # a submodule that nothing imports by name
    return _in_module(below, rest, depth + 1) if rest and _file(below) else None


def _follow(module: str, where: ast.AST, rest: str, depth: int) -> _Found | None:
    if isinstance(where, (ast.ClassDef, ast.FunctionDef)):
        return None if rest else _Found(module, where)
    if isinstance(where, ast.ImportFrom):  # of one name: see _names
        source, name = _absolute(module, where), where.names[0].name
        if resolved := _in_module(source, f"{name}.{rest}" if rest else name, depth + 1):
            return resolved
        return _in_module(f"{source}.{name}", rest, depth + 1) if rest else None
    if isinstance(where, ast.Import):
        alias = where.names[0]
        if alias.asname:
            return _in_module(alias.name, rest, depth + 1) if rest else None
        return _resolve(f"{alias.name.partition('.')[0]}.{rest}") if rest else None
    if isinstance(where, ast.Assign) and isinstance(where.value, (ast.Name, ast.Attribute)):
        other = ast.unparse(where.value)
        return _in_module(module, f"{other}.{rest}" if rest else other, depth + 1)
    return None


@lru_cache(maxsize=256)
def _names(module: str) -> dict[str, ast.AST]:
    """Return what the top of a module names, also within `if` and `try`; of two the later holds. `from x import *` is
    `*x`.
    """
    tree = _tree(module)
    statements: dict[str, ast.AST] = {}
    waiting: list[ast.stmt] = list(tree.body) if tree else []
    while waiting:
        item = waiting.pop(0)
        if isinstance(item, (ast.If, ast.Try)):
            handled = [statement for handler in getattr(item, "handlers", []) for statement in handler.body]
            waiting[:0] = [*handled, *item.orelse, *item.body]
        elif isinstance(item, (ast.ClassDef, ast.FunctionDef)):
            statements[item.name] = item
        elif isinstance(item, ast.ImportFrom):
            for alias in item.names:
                name = f"*{item.module}" if alias.name == "*" else alias.asname or alias.name
                statements[name] = ast.ImportFrom(item.module, [alias], item.level)
        elif isinstance(item, ast.Import):
            for alias in item.names:
                statements[alias.asname or alias.name.partition(".")[0]] = ast.Import([alias])
        elif isinstance(item, ast.Assign) and len(item.targets) == 1 and isinstance(item.targets[0], ast.Name):
            statements[item.targets[0].id] = item
    return statements


def _absolute(module: str, item: ast.ImportFrom) -> str:
    if not item.level:
        return item.module or ""
    file = _file(module)
    parts = module.split(".")
    up = item.level - (1 if file is not None and file.name == "__init__.py" else 0)
    start = parts[: len(parts) - up] if up else parts
    return ".".join([*start, *([item.module] if item.module else [])])


@lru_cache(maxsize=256)
def _tree(module: str) -> ast.Module | None:
    file = _file(module)
    try:
        return ast.parse(file.read_text(encoding="utf-8")) if file else None
    except (OSError, SyntaxError, ValueError):
        return None


@lru_cache(maxsize=256)
def _file(module: str) -> Path | None:
    """Return the source of a module, which is not imported."""
    root, *inner = module.split(".")
    if not root or root in sys.builtin_module_names:
        return None
    try:
        spec = PathFinder.find_spec(root)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not inner:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for place in spec.submodule_search_locations or []:
        path = Path(place).joinpath(*inner)
        for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
            if file.is_file():
                return file
    return None
