"""How transcripts are written before they are learned or compared: one rule, by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from unicodedata import category, normalize

from experiments.errors import UserError

RULES = ("none", "lower", "simple", "english")


def rule(name: str, key: str) -> Callable[[str], str]:
    """Return the rule of a name.

    Args:
        name: `none` keeps a text; `lower` makes its letters small; `simple` also drops punctuation and symbols; `english`
            is Whisper's English normaliser, which writes numbers as digits and short forms in full as well.
        key: what the user wrote, for messages.

    Raises:
        UserError: when there is no such rule, or its package is missing.
    """
    if name not in RULES:
        raise UserError(f"{key}={name} is unknown: choose one of {', '.join(RULES)}")
    if name == "english":
        return _english(key)
    return {"none": composed, "lower": lambda text: composed(text.lower()), "simple": simple}[name]


def composed(text: str) -> str:
    """Return a text in the composed form (NFC), in which equal letters are equal however a file spells them."""
    return normalize("NFC", text.strip())


def simple(text: str) -> str:
    """Small letters, marks and digits of any script, apostrophes inside words, single blanks between words.

    Marks stay, as they are the vowels of Hindi; what joins letters invisibly goes; punctuation, the danda among it, and
    symbols part words.
    """
    text = normalize("NFKC", text).lower().replace("\u2019", "'")
    kept = [letter if _spoken(letter) else "" if category(letter) == "Cf" else " " for letter in text]
    return normalize("NFC", " ".join(re.sub(r"(?<!\w)'|'(?!\w)", " ", "".join(kept)).split()))


def _spoken(letter: str) -> bool:
    return letter == "'" or category(letter)[0] in "LMN"


@cache
def _english(key: str) -> Callable[[str], str]:
    try:
        from transformers.models.whisper.english_normalizer import EnglishTextNormalizer  # type: ignore[import-untyped]
    except ImportError:
        raise UserError(
            f"{key}=english needs the package transformers, which is not installed: pip install 'lightning-experiments[speech]'"
        ) from None
    # Its list of British spellings lies beside some published weights and is not in the library.
    normaliser = EnglishTextNormalizer({})
    return lambda text: str(normaliser(text)).strip()
