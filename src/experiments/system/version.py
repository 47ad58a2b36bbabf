"""The version of this package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version


def version() -> str:
    """Return the version that is installed."""
    try:
        return installed_version("lightning-experiments")
    except PackageNotFoundError:  # sources that nobody has installed
        return "0+unknown"
