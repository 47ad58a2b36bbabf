"""Lean imports leave everything importable, and give way where something else is asked for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def python(program: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=os.environ | env, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_stand_in_gives_way_to_the_real_module() -> None:
    output = python(
        "import torch\n"
        "from experiments.speedups.lean_imports import _StandIn\n"
        "_StandIn('torch.utils.flop_counter', FlopCounterMode=None)\n"
        "import torch.utils.flop_counter as counter\n"
        "assert counter.FlopCounterMode is None\n"
        "assert callable(counter.register_flop_formula)\n"
        "import torch.utils.flop_counter as counter\n"
        "print(counter.FlopCounterMode.__name__)\n"
    )
    assert output.strip() == "FlopCounterMode"


@pytest.mark.slow
def test_torchmetrics_is_whole_for_whoever_asks() -> None:
    """What needs a companion is there when it is asked for, however it is asked for, and not before."""
    output = python(
        "import sys\n"
        "from experiments.speedups.lean_imports import import_lightning\n"
        "import_lightning(lean=False)\n"
        "import torch, torchmetrics\n"
        "heavy = ('matplotlib', 'scipy', 'torchvision', 'transformers', 'sklearn')\n"
        "print([name for name in heavy if name in sys.modules])\n"
        "metric = torchmetrics.MeanSquaredError()\n"
        "metric.update(torch.ones(2), torch.zeros(2))\n"
        "print(type(metric.plot()[0]).__name__)\n"
        "from torchmetrics.detection import MeanAveragePrecision\n"
        "from torchmetrics.image import *\n"
        "print(issubclass(MeanAveragePrecision, torchmetrics.Metric), LearnedPerceptualImagePatchSimilarity.__name__)\n"
        "print(hasattr(torchmetrics, 'nothing'), torchmetrics.MeanSquaredError is type(metric))\n"
    )
    assert output.splitlines() == [
        "[]", "Figure", "True LearnedPerceptualImagePatchSimilarity", "False True",
    ]  # fmt: skip


@pytest.mark.slow
def test_lightning_imports_although_its_companions_want_the_compiler() -> None:
    """torchmetrics imports transformers where it is not hidden, and that imports parts of the compiler."""
    output = python(
        "from experiments.speedups import lean_imports\n"
        "lean_imports._HEAVY = ()\n"
        "lean_imports.import_lightning()\n"
        "import torch, torch._dynamo.utils\n"
        "double = torch.compile(lambda x: 2 * x, backend='eager')\n"
        "print(float(double(torch.tensor(3.0))))\n"
    )
    assert output.strip() == "6.0"


@pytest.mark.slow
def test_a_network_can_be_compiled_after_a_lean_import() -> None:
    output = python(
        "from experiments.speedups.lean_imports import import_lightning\n"
        "import_lightning()\n"
        "import torch\n"
        "net = torch.nn.Linear(2, 1)\n"
        "step = torch.optim.Adam(net.parameters(), lr=0.1)\n"
        "compiled = torch.compile(net, backend='eager')\n"
        "x = torch.ones(1, 2)\n"
        "before = float(compiled(x).sum())\n"
        "compiled(x).sum().backward(); step.step()\n"
        "print(torch.equal(compiled(x), net(x)), float(compiled(x).sum()) < before)\n"
    )
    assert output.split() == ["True", "True"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "lacks"),
    [
        (  # it tells whether a package is there by another method
            "from lightning_utilities.core.imports import RequirementCache as cache\n"
            "cache.__len__ = lambda self, told=cache.__bool__: int(told(self))\n"
            "del cache.__bool__",
            "RequirementCache of lightning_utilities has no __bool__",
        ),
        ("del torch.optim.SGD.step.__wrapped__", "the step of torch.optim.SGD has no __wrapped__"),
        ("for cls in torch.optim.Optimizer.__subclasses__(): cls.step = lambda self: None", "no step named _use_grad"),
    ],
)
def test_a_changed_library_is_imported_as_ever(change: str, lacks: str) -> None:
    """With one sentence, not a crash."""
    done = subprocess.run(
        [sys.executable, "-c", "import torch\n"
        f"{change}\n"
        "from experiments import speedups\n"
        "from experiments.speedups.lean_imports import import_lightning\n"
        "import_lightning()\n"
        "import lightning.pytorch\n"
        "net = torch.nn.Linear(2, 1)\n"
        "torch.optim.SGD(net.parameters(), lr=0.1).step()\n"
        "print(speedups.in_use())\n"],
        capture_output=True, text=True, env=os.environ | {"EXPERIMENTS_PLAIN": ""}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
    lines = [line for line in done.stderr.splitlines() if "speed-up" in line]
    assert len(lines) == 1 and lines[0].startswith("the speed-up lean_imports is off") and lacks in lines[0]
