"""Text to tokens and back, by Hugging Face's `tokenizers`: words, characters, BPE or WordPiece.

A tokenizer is fitted on the training part alone and kept in the run's folder as `tokenizer.json`. Equal texts give
equal tokenizers, in every process. Text is brought to Unicode's composed form (NFC); a character is what a reader sees
as one, a letter with its combining marks, which BPE does not cut either (`letters`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.data.text.letters import fit_whole_letters
from experiments.errors import UserError, first_line
from experiments.system.files import write_text

KINDS = ("word", "character", "bpe", "wordpiece")
SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")  # in the order of their indices


@dataclass(frozen=True)
class Rule:
    """How a tokenizer is fitted.

    Attributes:
        kind: word, character, bpe or wordpiece.
        size: tokens at most, the special ones included.
        min_count: how often a token must occur in the training part.
        lowercase: whether capitals are lowered.
    """

    kind: str
    size: int
    min_count: int
    lowercase: bool

    @classmethod
    def of(cls, keys: Mapping[str, Any], name: str = "data.tokenizer") -> Rule:
        """From the keys of a config.

        Raises:
            UserError: when a value is out of its range.
        """
        rule = cls(keys["kind"], keys["size"], keys["min_count"], keys["lowercase"])
        if rule.kind not in KINDS:
            raise UserError(f"{name}.kind={rule.kind} is unknown: use {', '.join(KINDS)}")
        if rule.size <= len(SPECIAL):
            raise UserError(f"{name}.size={rule.size} must be above {len(SPECIAL)}: try {name}.size=10000")
        if rule.min_count < 1:
            raise UserError(f"{name}.min_count={rule.min_count} must be 1 or more: try {name}.min_count=2")
        return rule


def fit(rule: Rule, texts: Sequence[str]) -> Any:
    """A tokenizer fitted on some texts."""
    _settle()
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    how: dict[str, Any] = {
        "vocab_size": rule.size,
        "min_frequency": rule.min_count,
        "special_tokens": list(SPECIAL),
        "show_progress": False,
    }
    unknown = SPECIAL[1]
    normalizer = normalizers.Sequence([normalizers.NFC(), *([normalizers.Lowercase()] if rule.lowercase else [])])
    if rule.kind == "character":
        tokenizer = Tokenizer(models.WordLevel(unk_token=unknown))
        tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Split(Regex(r"\X"), "isolated"), decoders.Fuse()
        trainer: Any = trainers.WordLevelTrainer(**how)
    elif rule.kind == "word":
        tokenizer = Tokenizer(models.WordLevel(unk_token=unknown))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(**how)
    elif rule.kind == "bpe":
        tokenizer = Tokenizer(models.BPE(unk_token=unknown))
        tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        tokenizer.normalizer = normalizer
        return fit_whole_letters(tokenizer, how, texts)
    else:
        tokenizer = Tokenizer(models.WordPiece(unk_token=unknown))
        tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
        tokenizer.normalizer = normalizer
        inner = _inner_characters(tokenizer, texts)
        # The trainer numbers these pieces in the order of a hash map, and breaks ties by number: it is told the order.
        trainer = trainers.WordPieceTrainer(**how | {"special_tokens": [*SPECIAL, *inner]})
    tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(texts, trainer)
    if rule.kind == "wordpiece":  # as special ones they would be found in the text too
        plain = Tokenizer(models.WordPiece(vocab=tokenizer.get_vocab(), unk_token=unknown))
        plain.normalizer, plain.pre_tokenizer = normalizer, pre_tokenizers.BertPreTokenizer()
        plain.decoder = decoders.WordPiece()
        plain.add_special_tokens(list(SPECIAL))
        return plain
    return tokenizer


def _inner_characters(tokenizer: Any, texts: Iterable[str]) -> list[str]:
    """`##c` for every character that stands within a word, sorted."""
    found: set[str] = set()
    for text in texts:
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text)):
            found.update(word[1:])
    return [f"##{one}" for one in sorted(found)]


def encode(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """The indices of each text's tokens."""
    _settle()
    tokenizer.encode_special_tokens = True  # `</s>` in a text is five characters
    return [one.ids for one in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]


def decode(tokenizer: Any, rows: Iterable[Sequence[int]]) -> list[str]:
    """Texts of rows of indices; special tokens are left out, but for what is unknown."""
    hidden = {tokenizer.token_to_id(one) for one in SPECIAL if one != SPECIAL[1]}
    return [tokenizer.decode([one for one in row if one not in hidden], skip_special_tokens=False) for row in rows]


def read(path: Path) -> Any:
    """The tokenizer that a run has kept.

    Raises:
        UserError: when the file is damaged.
    """
    _settle()
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:
        raise UserError(
            f"{path} is no tokenizer ({first_line(error)}): restore it, or remove it to fit it anew"
        ) from error


def keep(tokenizer: Any, path: Path) -> None:
    """Writes a tokenizer as JSON, whole or not at all."""
    write_text(path, tokenizer.to_str(pretty=False))


def _settle() -> None:
    """Its threads do not survive a fork, and it warns unless it is told that this is known."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
