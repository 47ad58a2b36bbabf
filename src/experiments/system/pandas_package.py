"""The pandas package, which tables in Python need and commands do not."""

from __future__ import annotations

from typing import Any

from experiments.errors import UserError


def require_pandas() -> Any:
    """Return the pandas module.

    Raises:
        UserError: where it is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise UserError("tables in Python need pandas, which is not installed: pip install 'lightning-experiments[notebook]'") from None  # fmt: skip
    return pandas
