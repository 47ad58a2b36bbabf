"""What says that a file was written by this user: a signature by a key that only this user can read."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any

from experiments.system.bounded_files import read_bounded

_MARK = "# made here: "


def signed(text: str) -> str:
    """Return the text of a config with a last line that says that it was written here; unchanged where no key can be
    kept.
    """
    key = _key(make=True)
    return text if key is None else f"{text}{_MARK}{_signature(key, text)}\n"


def made_here(folder: Path) -> bool:
    """Tell whether the config in a run's folder was written by this user, and not changed since."""
    try:
        text = read_bounded(folder / "config.yaml").decode("utf-8")
    except (OSError, ValueError):
        return False
    body, mark, signature = text.rpartition(_MARK)
    key = _key(make=False)
    signed = signature.strip().encode()  # bytes, as text beyond ASCII cannot be compared
    return bool(mark) and key is not None and hmac.compare_digest(_signature(key, body).encode(), signed)


def is_signed(content: dict[str, Any]) -> bool:
    """Tell whether what the list of a sweep says was written by this user."""
    unsigned = {key: value for key, value in content.items() if key != "signature"}
    signature = content.get("signature")
    own = signature_of(unsigned)  # None where no key can be kept: then nothing is signed, not even by an empty text
    return own is not None and isinstance(signature, str) and hmac.compare_digest(own.encode(), signature.encode())


def signature_of(content: Any) -> str | None:
    """Return a signature of plain Python that is written as JSON; None where no key can be kept."""
    key = _key(make=True)
    return None if key is None else _signature(key, json.dumps(content, sort_keys=True))


def _signature(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _key(make: bool) -> bytes | None:
    """Return the user's key; None where it is not there, or anybody else could have written it."""
    cache = os.environ.get("EXPERIMENTS_CACHE") or "~/.cache/experiments"
    path = Path(cache).expanduser() / "key"
    try:
        if make and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f".key.{secrets.token_hex(4)}")
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(32))
            with contextlib.suppress(FileExistsError):  # another process was first
                os.link(new, path)
            new.unlink()
        state = os.stat(path)
        if os.name == "posix" and (state.st_uid != os.getuid() or state.st_mode & (stat.S_IRWXG | stat.S_IRWXO)):
            return None
        key = path.read_bytes()
    except OSError:
        return None
    return key if len(key) == 32 else None
