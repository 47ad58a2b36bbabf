"""Imports of torch and Lightning without what a run does not use: less than half the time.

Replaces: what torchmetrics, Lightning and torch.optim import although few runs use it. Private names:
`torch._dynamo` (a stand-in that gives way to the real module), `RequirementCache.__bool__` of lightning_utilities,
`__dynamo_disable` and `_use_grad` of torch.optim. Gain: a run of two steps takes half the time
(`scripts/benchmark.py --only two_steps`). A stand-in that is asked for anything it does not have loads the real module,
and so does a module of torchmetrics that was imported without a companion. Where a private name is gone, one sentence is
said and everything is imported as ever.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from experiments import speedups

# torchmetrics imports these whenever they are installed, for metrics that no task here uses; together they
# take longer than torch itself.
_HEAVY = ("torchvision", "scipy", "matplotlib", "transformers", "pandas", "librosa", "sklearn", "pycocotools")


def import_lightning(lean: bool = True) -> None:
    """Imports torch, torchmetrics and Lightning, without the optional companions of torchmetrics.

    Args:
        lean: also leave out torch's compiler and what counts operations (it imports triton). Both stay importable
            afterwards, but Lightning's methods are not marked as not to be compiled: for runs whose classes are all ours.
    """
    if "lightning.pytorch" in sys.modules:
        return
    wanted = speedups.wanted()
    with contextlib.ExitStack() as stack:
        stack.enter_context(no_collection())
        import torch

        if wanted and (cause := _changed(torch)):
            speedups.unknown("lean_imports", f"{cause}, so imports take longer")
            wanted = False
        if wanted:
            stack.enter_context(_companions_hidden())
        if wanted and lean:
            stack.enter_context(_compiler_hidden())
            stack.enter_context(_counter_hidden())
        import lightning.pytorch  # noqa: F401
    if wanted and lean:
        _leave_optimizers_uncompiled(torch)
    if wanted:
        speedups.used("lean_imports")


def _changed(torch: ModuleType) -> str | None:
    """Return what the libraries lack of the names that are exchanged here, or None."""
    try:
        from lightning_utilities.core.imports import RequirementCache, package_available  # noqa: F401
    except ImportError:
        return "lightning_utilities.core.imports has no RequirementCache or no package_available"
    if "__bool__" not in vars(RequirementCache):
        return "RequirementCache of lightning_utilities has no __bool__"
    steps = _guarded_steps(torch)
    if not steps:
        return "torch.optim has no step named _use_grad"
    bare = [optimizer.__name__ for optimizer, step in steps.items() if not hasattr(step, "__wrapped__")]
    return f"the step of torch.optim.{bare[0]} has no __wrapped__" if bare else None


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """No garbage collection while hundreds of thousands of objects are made that all stay."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # nor later among what stays
        atexit.register(gc.unfreeze)
        if enabled:
            gc.enable()


@contextlib.contextmanager
def _companions_hidden() -> Iterator[None]:
    """Makes the requirement checks that torchmetrics asks say no to the heavy packages, until all is imported.

    A module that was told no is completed when a name is missing in it, or when it asks again.
    """
    from lightning_utilities.core import imports

    cache_bool, package_available = imports.RequirementCache.__bool__, imports.package_available
    incomplete: set[str] = set()  # modules that were told no
    active = True

    def hidden(name: Any) -> bool:
        if not (active and str(name).startswith(_HEAVY)):
            return False
        incomplete.add(_asking(3))
        return True

    def bool_(self: Any) -> bool:
        if hidden(getattr(self, "requirement", None) or getattr(self, "module", None)):
            return False
        if not active and _asking(2) in incomplete:
            complete(_asking(2))
        return cache_bool(self)

    def available(package_name: str) -> bool:
        return not hidden(package_name) and package_available(package_name)

    def complete(name: str) -> None:
        incomplete.discard(name)
        _complete(sys.modules[name])

    def missing(name: str, attribute: str) -> Any:
        if name not in incomplete or (attribute.startswith("__") and attribute != "__all__"):
            raise AttributeError(
                f"module {name!r} has no attribute {attribute!r}", name=attribute, obj=sys.modules[name]
            )
        complete(name)
        return getattr(sys.modules[name], attribute)

    imports.RequirementCache.__bool__, imports.package_available = bool_, available  # type: ignore[assignment]
    try:
        yield
    finally:
        active = False  # modules keep the name they imported; from now on it answers truly
        imports.package_available = package_available
        incomplete &= {name for name in sys.modules if name.startswith("torchmetrics")}
        for name in incomplete:
            vars(sys.modules[name])["__getattr__"] = functools.partial(missing, name)
            vars(sys.modules[name]).pop("__all__", None)  # `import *` asks for it


def _asking(depth: int) -> str:
    """Return the name of the module whose code asks."""
    return str(sys._getframe(depth).f_globals.get("__name__"))


def _complete(module: ModuleType) -> None:
    """Gives a module the names that it has when its companions are there; what it has already stays the same object."""
    spec = module.__spec__
    assert spec is not None and spec.loader is not None, "torchmetrics is read from files"
    vars(module).pop("__getattr__", None)
    whole = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(whole)
    for name, value in vars(whole).items():
        vars(module).setdefault(name, value)


def _importing_a_submodule() -> bool:
    """Tell whether the import system itself asks, as for `import torch._dynamo.utils` but not for `from torch._dynamo
    import x`.
    """
    return sys._getframe(2).f_globals.get("__name__") == "importlib._bootstrap"


class _StandIn(ModuleType):
    """A module of a few names that gives way to the real one when it is asked for any other."""

    def __init__(self, name: str, **names: Any) -> None:
        super().__init__(name)
        vars(self).update(names)
        sys.modules[name] = self
        above, _, last = name.rpartition(".")
        setattr(sys.modules[above], last, self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and not (name == "__path__" and _importing_a_submodule()):
            raise AttributeError(name)
        self.give_way()
        return getattr(importlib.import_module(self.__name__), name)

    def give_way(self) -> None:
        """Leaves the place to the real module, which the next import loads."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
            above, _, last = self.__name__.rpartition(".")
            vars(sys.modules[above]).pop(last, None)


@contextlib.contextmanager
def _compiler_hidden() -> Iterator[None]:
    """Lets Lightning be defined without the compiler: it asks for a type, and marks a method as not to be compiled."""
    if "torch._dynamo" in sys.modules:
        yield
        return

    class Compiled(type):
        def __instancecheck__(cls, instance: Any) -> bool:
            real = sys.modules.get("torch._dynamo.eval_frame")
            return real is not None and isinstance(instance, real.OptimizedModule)

    stand_in = _StandIn(
        "torch._dynamo",
        OptimizedModule=Compiled("OptimizedModule", (), {}),
        disable=lambda fn, *args, **kwargs: fn,
    )
    try:
        yield
    finally:
        stand_in.give_way()


@contextlib.contextmanager
def _counter_hidden() -> Iterator[None]:
    """Lets Lightning's model summary be defined without torch's counter of operations, which is imported when one is made."""
    name = "torch.utils.flop_counter"
    if name in sys.modules:
        yield
        return
    stand_in = _StandIn(
        name,
        FlopCounterMode=lambda *args, **kwargs: importlib.import_module(name).FlopCounterMode(*args, **kwargs),
    )
    try:
        yield
    finally:
        stand_in.give_way()


def _leave_optimizers_uncompiled(torch: ModuleType) -> None:
    """Lets optimizers be made and stepped without importing the compiler.

    torch marks some methods as not to be compiled and breaks the compiler's graph around every step, and
    imports the compiler to do so. While nothing is compiled the plain methods do the same.
    """
    for method in vars(torch.optim.Optimizer).values():
        plain = getattr(method, "__wrapped__", None)
        if plain is not None and not hasattr(plain, "__dynamo_disable"):
            plain.__dynamo_disable = plain

    def without_graph_break(plain: Any) -> Any:
        @functools.wraps(plain)
        def step(self: Any, *args: Any, **kwargs: Any) -> Any:
            with torch.set_grad_enabled(self.defaults["differentiable"]):
                return plain(self, *args, **kwargs)

        return step

    for optimizer, step in _guarded_steps(torch).items():
        optimizer.step = without_graph_break(step.__wrapped__)


def _guarded_steps(torch: ModuleType) -> dict[Any, Any]:
    """Return the optimizers whose step breaks the compiler's graph, and that step."""
    steps = {optimizer: vars(optimizer).get("step") for optimizer in torch.optim.Optimizer.__subclasses__()}
    return {
        key: step
        for key, step in steps.items()
        if getattr(getattr(step, "__code__", None), "co_name", "") == "_use_grad"
    }
