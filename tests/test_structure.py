"""Imports run one way, and what needs no torch does not know it."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "experiments"

_BASE = {"spec", "batches", "contracts", "errors", "transcript_rules", "system", "speedups"}
# Folder, or file at the top: what it may import of this package, besides itself.
ALLOWED = {
    "errors": set(),
    "spec": set(),
    "batches": set(),
    "contracts": set(),
    "transcript_rules": {"errors"},
    "system": {"errors"},
    "speedups": {"errors", "system"},
    "models": {"batches"},
    "viz": _BASE,
    "config": _BASE,
    "tasks": _BASE | {"viz", "config", "loggers"},
    "data": _BASE | {"config", "viz"},
    "transfer": _BASE,
    "loggers": _BASE | {"config"},
    "callbacks": _BASE | {"viz", "config", "tasks", "transfer", "loggers"},
    "run": _BASE | {"viz", "config", "models", "tasks", "data", "transfer", "callbacks", "loggers"},
    "compare": _BASE | {"viz", "config", "run", "loggers"},
    "sweep": _BASE | {"viz", "config", "run", "compare"},
    "search": _BASE | {"viz", "config", "run", "compare", "sweep"},
    "claims": _BASE | {"viz", "config", "run", "compare", "sweep"},
    "commands": _BASE | {"viz", "config", "models", "tasks", "data", "transfer", "callbacks", "loggers", "run"},
}
# What lies at the top of the package, and why.
TOP = {
    "__init__": "what import experiments offers",
    "__main__": "python -m experiments",
    "cli": "dispatch: which function answers which word",
    "api": "the Python API: the commands as functions, which need what cli needs",
    "errors": "sentences",
    "spec": "what data say of themselves",
    "batches": "the types of a batch",
    "contracts": "what networks, tasks, data and loggers may offer beyond torch and Lightning: each a Protocol",
    "transcript_rules": "how texts are written before they are compared: tasks and data share it, and neither imports the other",
}
ALLOWED["cli"] = ALLOWED["__init__"] = {name for name in ALLOWED if name not in ("models", "tasks", "data", "cli")}
ALLOWED["api"] = ALLOWED["cli"] | {"cli"}
ALLOWED["__init__"] = ALLOWED["__init__"] | {"api"}
ALLOWED["__main__"] = {"cli"}
LIGHT = (
    "cli",
    "commands/benchmark",
    "commands/check",
    "commands/evaluate",
    "commands/export",
    "commands/list_options",
    "commands/predict",
    "commands/show/__init__",
    "commands/show/panel",
    "commands/train",
    "compare/run_records",
    "errors",
    "run/folder",
    "run/identity",
    "run/old_names",
    "run/outcome",
    "run/record",
    "spec",
    "run/signature",
    "run/trust",
    "system/files",
    "system/hub",
    "system/arguments",
    "system/terminal",
    "system/memory",
    "system/locks",
    "system/bounded_files",
    "system/yaml_of_configs",
    "system/processes",
    "system/outside_text",
    "system/signals",
    "viz/labels",
    "viz/page",
    "viz/tables",
    *(
        f"{folder}/{path.stem}"
        for folder in ("config", "sweep", "sweep/backends", "search", "claims")
        for path in (PACKAGE / folder).glob("*.py")
    ),
)
HEAVY = {"torch", "lightning", "numpy", "matplotlib", "torchvision", "torchmetrics", "transformers"}
KNOW_HYDRA = {"config", "run", "sweep", "search", "cli", "speedups"}
MODEL_LIBRARIES = {"torchvision", "timm", "transformers", "segmentation_models_pytorch"}


def place(path: Path) -> str:
    """The folder or top-level file that a file belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@functools.cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Everything that a file is made of, the module first; read once for all tests."""
    return tuple(ast.walk(ast.parse(path.read_text())))


@functools.cache
def imported(path: Path, everywhere: bool = True) -> set[str]:
    """Modules a file imports, inside functions too where `everywhere`; not those for type checking alone."""
    modules: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not everywhere:
            return
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                ours = PACKAGE.parent / node.module.replace(".", "/") / alias.name
                is_module = ours.with_suffix(".py").exists() or ours.is_dir()
                modules.add(f"{node.module}.{alias.name}" if is_module else node.module)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(nodes(path)[0])
    return modules


def test_every_place_has_a_rule() -> None:
    assert {place(path) for path in PACKAGE.rglob("*.py")} == set(ALLOWED)


def test_few_files_lie_at_the_top() -> None:
    assert {path.stem for path in PACKAGE.glob("*.py")} == set(TOP)


def test_a_class_name_says_which_class() -> None:
    places: dict[str, set[Path]] = {}
    for path in PACKAGE.rglob("*.py"):
        for node in nodes(path):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):  # those are of their file alone
                places.setdefault(node.name, set()).add(path)
    assert not {name for name, paths in places.items() if len(paths) > 1}


def test_a_name_says_what_it_means() -> None:
    """Those of variables, attributes and functions."""
    names, places = {"one", "found", "said", "known"}, []
    root = PACKAGE.parents[1]
    for path in (path for folder in ("src", "scripts", "tests") for path in (root / folder).rglob("*.py")):
        for node in nodes(path):
            bound = next((getattr(node, key) for key in ("arg", "id", "attr", "name") if hasattr(node, key)), "")
            if bound in names:
                places.append(f"{path.relative_to(root)}:{node.lineno}: {bound}")
    assert not places


@pytest.mark.parametrize("where", sorted(ALLOWED))
def test_imports_run_one_way(where: str) -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path in PACKAGE.rglob("*.py")
        if place(path) == where
        for module in sorted(imported(path))
        if module.startswith("experiments.") and module.split(".")[1] not in ALLOWED[where] | {where}
    ]
    assert not wrong, "\n".join(wrong)


def test_no_circles() -> None:
    """No file needs itself, over whatever others, not by an import inside a function either."""
    files = {
        ".".join(("experiments", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
        for path in PACKAGE.rglob("*.py")
    }
    needs = {name: {needed for needed in imported(path) if needed in files} - {name} for name, path in files.items()}
    done: set[str] = set()

    def walk(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " → ".join((*above[above.index(name) :], name))
        if name not in done:
            for needed in needs[name]:
                walk(needed, (*above, name))
            done.add(name)

    for name in files:
        walk(name, ())


def test_models_know_torch_and_model_libraries_only() -> None:
    usual = {"__future__", "torch", "math", "collections", "typing", "experiments", "functools", "itertools"}
    for path in (PACKAGE / "models").rglob("*.py"):
        more = MODEL_LIBRARIES | {"difflib", "json", "os", "pathlib", "copy", "contextlib", "inspect", "safetensors"}
        more |= {"logging", "re", "shutil", "tokenizers"}
        outside = {name.split(".")[0] for name in imported(path)}
        assert outside <= usual | (more if path.parent.name != "models" else MODEL_LIBRARIES), path.name


@pytest.mark.parametrize("name", LIGHT)
def test_light_modules_import_nothing_heavy(name: str) -> None:
    heavy = {module.split(".")[0] for module in imported(PACKAGE / f"{name}.py", everywhere=False)} & HEAVY
    assert not heavy


def test_few_know_hydra() -> None:
    for path in PACKAGE.rglob("*.py"):
        if place(path) not in KNOW_HYDRA:
            assert not {module for module in imported(path) if module.split(".")[0] in ("hydra", "omegaconf")}, path


# Private names of libraries outside speedups/, where nothing public does the same: file, and the names it may use.
PRIVATE = {
    # How Lightning counts batches and what it saves: a state from before a validation can be had in no other way.
    "callbacks/lightning_state": {
        "_checkpoint_connector",
        "_num_ready_batches_reached",
        "_should_accumulate",
        "_data_fetcher",
        "_restart_stage",
        "_ddp_kwargs",
    },
    "callbacks/pruning": {"_study_id"},  # Optuna has no public way to a running trial
    "commands/export_inputs": {"torch.utils._pytree"},  # torch.export describes its inputs with it
    "compare/data_frame": {"_constructor"},  # pandas documents it for its subclasses
    "config/pretrained_network": {"_name_or_path"},  # a key of the published config.json files
    "loggers/summary_writer": {"_get_file_writer"},  # torch's writer makes its own event file in no other place
    "models/recurrent_layer": {"_is_mkldnn_bf16_supported"},
    # torch documents its module under this name, and imports its compiler unless the mode says that it need not.
    "run/operation_counts": {"torch.utils._python_dispatch", "_should_skip_dynamo"},
    # Operations as torch names them where it says what a network called.
    "run/functional_layers": {"_adaptive_avg_pool2d", "_safe_softmax"},
    "run/network_graph": {"_unsafe_view"},
    "run/arithmetic": {
        "_scaled_dot_product_cudnn_attention",
        "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_flash_attention",
        "_scaled_dot_product_flash_attention_for_cpu",
    },
    "search/trials": {"_trial_id"},  # a trial that was asked for by a process that is gone is taken up by it
    "sweep/backends/hydra_launcher": {"_return_value"},  # its public form raises what the job raised
    "sweep/backends/slurm": {"_process"},  # submitit signals local jobs by it
    # Keys of torch's saved schedules: nothing public gives OneCycleLR another length, nor names the schedules in another.
    "tasks/parts/schedules": {"_schedule_phases", "_schedulers"},
}
_LIBRARIES = {"lightning", "torch", "hydra", "omegaconf", "torchmetrics", "torchvision", "transformers", "optuna"}
_PUBLIC = {
    "_replace",
    "_fields",
    "_asdict",
    "_target_",
    "_exit",
    "_repr_png_",
    "_repr_html_",
    "_repr_pretty_",
    "_render_traceback_",
}


@functools.cache
def own_names(path: Path) -> set[str]:
    """Private names that a file defines: functions, classes, variables and attributes of its own objects."""
    own: set[str] = set()
    for node in nodes(path):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            own.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                own.add(node.attr)
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
            own.update(target.id for target in targets if isinstance(target, ast.Name))
    return own


def names_read() -> set[str]:
    """Attributes that any file asks an object for."""
    return {node.attr for path in PACKAGE.rglob("*.py") for node in nodes(path) if isinstance(node, ast.Attribute)}


def quoted_names(path: Path) -> set[str]:
    """Private names that a file writes in quotes: of two words or more, or asked for. Hydra's `_target_` and endings such as
    `f"{name}_mask"` are none."""
    ending = {id(part) for node in nodes(path) if isinstance(node, ast.JoinedStr) for part in node.values}
    texts = [node for node in nodes(path) if isinstance(node, ast.Constant) and id(node) not in ending]
    names = {node.value for node in texts if re.fullmatch(r"_[a-z]+(_[a-z0-9]+)+", str(node.value))}
    for node in nodes(path):
        asks = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
        if asks in ("getattr", "hasattr", "setattr", "delattr", "get", "pop"):
            asked = {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
            names.update(name for name in asked if re.fullmatch(r"_[A-Za-z]\w*[^_]", str(name)))
    return names


def private_names(path: Path, own: set[str], read: set[str]) -> set[str]:
    """Private names of others that a file imports, reads, writes in quotes or overrides.

    Of `self` these are the names that no file defines, of other objects those that this one does not. A private method
    that nobody here reads is called by a library.
    """
    private: set[str] = set()
    here = own_names(path)
    private.update(quoted_names(path) - own - _PUBLIC)
    for node in nodes(path):
        if isinstance(node, ast.ClassDef):
            methods = {item.name for item in node.body if isinstance(item, ast.FunctionDef)} - read - _PUBLIC
            private.update(name for name in methods if name.startswith("_") and not name.startswith("__"))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in _LIBRARIES:
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
            if any(part.startswith("_") for part in node.module.split(".")):
                private.add(node.module)
            else:
                private.update(name for name in modules if name.rpartition(".")[2].startswith("_"))
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] in _LIBRARIES]
            private.update(name for name in names if any(part.startswith("_") for part in name.split(".")))
        elif isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            of_self = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if node.attr not in (own if of_self else here) | _PUBLIC:
                private.add(node.attr)
    return private


def test_private_names_of_libraries_stay_in_speedups() -> None:
    files = [path for path in PACKAGE.rglob("*.py") if place(path) != "speedups"]
    own = set().union(*(own_names(path) for path in files))
    read = names_read()
    wrong = {}
    for path in PACKAGE.rglob("*.py"):
        name = str(path.relative_to(PACKAGE).with_suffix(""))
        if place(path) != "speedups" and (private := private_names(path, own, read) - PRIVATE.get(name, set())):
            wrong[name] = sorted(private)
    assert not wrong, "\n".join(f"{name}: {names}" for name, names in wrong.items())


def test_an_exception_for_a_private_name_is_needed() -> None:
    files = [path for path in PACKAGE.rglob("*.py") if place(path) != "speedups"]
    own = set().union(*(own_names(path) for path in files))
    read = names_read()
    used = {name: private_names(PACKAGE / f"{name}.py", own, read) for name in PRIVATE}
    assert not {name: names - used[name] for name, names in PRIVATE.items() if names - used[name]}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('any(getattr(torch.cpu, name)() for name in ("_is_amx_supported", "_is_fp16"))', "_is_amx_supported"),
        ('state.get("_schedulers")', "_schedulers"),
        ("class Mine(SummaryWriter):\n    def _get_file_writer(self): ...", "_get_file_writer"),
        ("trainer._state", "_state"),
        ("from torch.utils import _pytree", "torch.utils._pytree"),
    ],
)
def test_private_names_are_seen_in_every_form(tmp_path: Path, text: str, name: str) -> None:
    path = tmp_path / "file.py"
    path.write_text(text)
    assert name in private_names(path, set(), set())


def test_no_test_asserts_a_time() -> None:
    """Machines are noisy: scripts/benchmark.py measures, tests count calls or imports."""
    clock = re.compile(r"assert\b.*\b(perf_counter|process_time|monotonic|time\.time)\(\)\s*-")
    places = [
        f"{path}:{number}"
        for path in sorted(Path(__file__).parent.rglob("test_*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if clock.search(line)
    ]
    assert not places
