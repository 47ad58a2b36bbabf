"""The version of a build: of the git tag, else of the source archive that is being built."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

FIRST = "0.1.0"  # where there is no tag yet


def version() -> str:
    """`1.2.3` on the tag v1.2.3, `1.2.3.dev4+gabc1234` four commits later; of an archive, what its PKG-INFO says."""
    top = Path(__file__).resolve().parents[1]
    info = top / "PKG-INFO"
    if info.is_file() and (line := re.search(r"^Version: (\S+)$", info.read_text(encoding="utf-8"), re.MULTILINE)):
        return line.group(1)
    command = ["git", "-C", str(top), "describe", "--tags", "--long", "--match", "v[0-9]*"]
    try:
        described = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return FIRST
    name, commits, commit = described.removeprefix("v").rsplit("-", 2)
    return name if commits == "0" else f"{name}.dev{commits}+{commit}"
