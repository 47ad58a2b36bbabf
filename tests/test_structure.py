"""Imports run one way, and what needs no torch does not know it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "experiments"

# Where a folder may import from inside this package.
ALLOWED = {
    "models": {"models", "sequences"},
    "viz": {"viz", "spec", "errors", "names"},
    "tasks": {"tasks", "spec", "errors", "schedulers", "sequences", "viz"},
    "data": {"data", "spec", "errors", "names", "files", "sequences"},
    "transfer": {"transfer", "spec", "errors", "files"},
    "callbacks": {
        "callbacks",
        "transfer",
        "tasks",
        "viz",
        "loggers",
        "layers",
        "spec",
        "errors",
        "files",
        "sequences",
        "stopping",
    },
}
LIGHT = (
    "cli",
    "check",
    "compose",
    "devices",
    "errors",
    "export",
    "files",
    "names",
    "predict",
    "preprocessing",
    "record",
    "runs",
    "show/__init__",
    "show/panel",
    "spec",
    "stopping",
    "tables",
    "throughput",
)
HEAVY = {"torch", "lightning", "numpy", "matplotlib", "torchvision", "torchmetrics"}
KNOW_HYDRA = {"compose.py", "cli.py", "check.py", "runs.py", "build.py", "run.py", "loading.py"}


def imported(path: Path, everywhere: bool = True) -> set[str]:
    """Modules a file imports, inside functions too where `everywhere`; not those for type checking alone."""
    tree = ast.parse(path.read_text())
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not everywhere:
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names if node.module == "experiments")
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree)
    return found


@pytest.mark.parametrize("folder", sorted(ALLOWED))
def test_imports_run_one_way(folder: str) -> None:
    for path in (PACKAGE / folder).rglob("*.py"):
        ours = {name.split(".")[1] for name in imported(path) if name.startswith("experiments.")}
        assert ours <= ALLOWED[folder], f"{path.name} imports {ours - ALLOWED[folder]}"


def test_models_know_torch_and_nothing_else() -> None:
    for path in (PACKAGE / "models").glob("*.py"):
        outside = {name.split(".")[0] for name in imported(path)}
        assert outside <= {
            "__future__",
            "torch",
            "math",
            "collections",
            "typing",
            "experiments",
            "functools",
            "itertools",
            "torchvision",
            "timm",
            "difflib",
        }, path.name


@pytest.mark.parametrize("name", LIGHT)
def test_light_modules_import_nothing_heavy(name: str) -> None:
    heavy = {module.split(".")[0] for module in imported(PACKAGE / f"{name}.py", everywhere=False)} & HEAVY
    assert not heavy


def test_few_know_hydra() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name == "sweeps" or path.name in KNOW_HYDRA:
            continue
        assert not {module for module in imported(path) if module.split(".")[0] in ("hydra", "omegaconf")}, path.name
