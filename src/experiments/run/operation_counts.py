"""The base of what looks at every operation of torch while it runs; torch documents its class under a private name."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode


class WatchedOperations(TorchDispatchMode):
    """Base: a subclass writes `__torch_dispatch__`, which runs each operation and notes what it wants."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled in here, and torch need not import its compiler (2 s) to keep it out."""
        return False
