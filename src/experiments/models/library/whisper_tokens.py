"""The tokens of Whisper's transcripts: those that were published with weights, or the characters of the data."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MULTILINGUAL = 51_865  # tokens from which on the published networks know languages


class SymbolTokens:
    """The characters of the data, behind a start and an end: for a network that begins with random values.

    Attributes:
        size: number of tokens.
        start: the token before the first.
        end: the token behind the last.
        languages: tokens of the languages it knows, by code.
        first_time: the token of 0.00 seconds; the next ones go by 0.02. None: it has none.
        suppressed: tokens that it never says.
        suppressed_first: tokens that it does not begin with.
        latest_start: steps of 0.02 seconds that the first time is at most; or None.
    """

    def __init__(self, symbols: Sequence[str]) -> None:
        self.symbols = list(symbols)
        self.end, self.start = 0, 1
        self.size = 2 + len(self.symbols)
        self.places = {symbol: place + 2 for place, symbol in enumerate(self.symbols)}
        self.languages: dict[str, int] = {}
        self.first_time: int | None = None
        self.latest_start: int | None = None
        self.suppressed, self.suppressed_first = [self.start], [self.end]

    def prompt(self, language: str | None, translate: bool, times: bool) -> list[int]:
        """Return the tokens that a transcript begins with.

        Raises:
            ValueError: for what it does not know.
        """
        if language is not None or translate or times:
            raise ValueError(
                "task.language, task.translate and task.timestamps need published tokens: set weights to a folder with a"
                " tokenizer.json"
            )
        return [self.start]

    def context(self, text: str) -> list[int]:
        """Tokens of what was said before; it has none."""
        if text:
            raise ValueError("task.prompt needs published tokens: set weights to a folder with a tokenizer.json")
        return []

    def encode(self, text: str) -> list[int]:
        """Tokens of a transcript, without start and end."""
        return [self.places[letter] for letter in text if letter in self.places]

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of some tokens; those that stand for no text are left out."""
        return "".join(self.symbols[token - 2] for token in tokens if token >= 2)


class PublishedTokens:
    """The tokenizer of a folder in transformers' layout.

    Args:
        folder: holds tokenizer.json, and generation_config.json as a rule.
        config: the library's.

    Attributes:
        see: `SymbolTokens`.

    Raises:
        ValueError: when the tokenizer is missing, damaged or of another network.
    """

    def __init__(self, folder: Path, config: Any) -> None:
        from tokenizers import Tokenizer

        path = folder / "tokenizer.json"
        if not path.is_file():
            raise ValueError(f"{folder} has no tokenizer.json, which turns tokens into text: fetch it into that folder")
        try:
            self.tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises nothing narrower
            raise ValueError(f"{path} cannot be read ({error}): fetch it again") from error
        settings = _generation(folder)
        self.size = int(config.vocab_size)
        names = self.tokenizer.get_vocab(with_added_tokens=True)
        if (largest := max(names.values(), default=-1)) >= self.size:
            raise ValueError(
                f"{path} has a token {largest} and the network {self.size} tokens: fetch the files of one network"
            )
        self.end = _first(settings.get("eos_token_id"), config.eos_token_id)
        self.start = _first(settings.get("decoder_start_token_id"), config.decoder_start_token_id)
        self.names = names
        multilingual = settings.get("is_multilingual", self.size >= MULTILINGUAL)
        self.languages = {
            match[1]: token
            for name, token in names.items()
            if multilingual and (match := re.fullmatch(r"<\|([a-z]{2,3})\|>", name))
        }
        self.no_times = names.get("<|notimestamps|>")
        # The times stand behind <|notimestamps|>, named or not.
        times = None if self.no_times is None else self.no_times + 1
        self.first_time = times if times is not None and times < self.size else None
        latest = settings.get("max_initial_timestamp_index")
        self.latest_start = int(latest) if latest is not None else None
        self.suppressed = [int(token) for token in settings.get("suppress_tokens") or []]
        self.suppressed_first = [
            int(token) for token in settings.get("begin_suppress_tokens") or config.begin_suppress_tokens or []
        ]
        self.specials = {token for name, token in names.items() if re.fullmatch(r"<\|.*\|>", name)}

    def prompt(self, language: str | None, translate: bool, times: bool) -> list[int]:
        """Return the tokens that a transcript begins with: start, and of networks of many languages the language and
        what to do.

        Raises:
            ValueError: for what it does not know.
        """
        tokens = [self.start]
        if language is not None and self.languages and language not in self.languages:
            languages = ", ".join(sorted(self.languages))
            raise ValueError(f"task.language={language} is no language of this network: choose one of {languages}")
        if not self.languages:
            if language not in (None, "en"):
                raise ValueError(f"task.language={language}: this network knows English alone: set task.language=en")
            if translate:
                raise ValueError("task.translate=true: this network knows English alone: set task.translate=false")
        elif language is not None:
            tokens += [self.languages[language], self.names["<|translate|>" if translate else "<|transcribe|>"]]
        if times and self.first_time is None:
            raise ValueError("task.timestamps=true: the tokenizer has no <|notimestamps|>: set task.timestamps=false")
        return tokens if times or self.no_times is None else [*tokens, self.no_times]

    def context(self, text: str) -> list[int]:
        """Tokens of what was said before, which stand before the prompt."""
        before = self.names.get("<|startofprev|>")
        if not text:
            return []
        if before is None:
            raise ValueError("task.prompt: the tokenizer has no <|startofprev|>: set task.prompt=null")
        return [before, *self.encode(text)]

    def encode(self, text: str) -> list[int]:
        """Tokens of a transcript, without start and end; it begins with a blank, as the published ones do."""
        return self.tokenizer.encode(f" {text.strip()}", add_special_tokens=False).ids

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of some tokens; those that stand for no text are left out."""
        times = self.size if self.first_time is None else self.first_time
        return self.tokenizer.decode([token for token in tokens if token < times and token not in self.specials])


def _generation(folder: Path) -> dict[str, Any]:
    path = folder / "generation_config.json"
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read ({error}): fetch it again") from error
    return settings if isinstance(settings, dict) else {}


def _first(*values: Any) -> int:
    """Return the first that is there; of a list its first entry."""
    for value in values:
        if isinstance(value, list) and value:
            return int(value[0])
        if isinstance(value, int):
            return value
    raise ValueError("the published config names no token for start and end: fetch the folder again")
