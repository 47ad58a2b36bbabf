"""Text to tokens and back, by Hugging Face's `tokenizers`: words, characters, BPE or WordPiece.

A tokenizer is fitted on the training split alone and kept in the run's folder as `tokenizer.json`. Equal texts give
equal tokenizers, in every process. Text is brought to Unicode's composed form (NFC); a character is what a reader sees
as one, a letter with its combining marks, which BPE does not cut either (`letters`).
"""

from __future__ import annotations

import logging
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.data.text.letters import JOINERS, fit_whole_letters, is_mark
from experiments.data.text.llama2c_tokens import SUFFIX, read_llama2c
from experiments.errors import UserError, first_line
from experiments.system.bounded_files import require_plain
from experiments.system.files import write_text

log = logging.getLogger(__name__)
KINDS = ("word", "character", "bpe", "wordpiece")
SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")  # in the order of their indices
MASK = "<mask>"
MASKS = (MASK, "[MASK]")
# What other tokenizers call padding, unknown, start and end.
_NAMES = (
    ("<pad>", "[PAD]", "<|endoftext|>", "</s>"),
    ("<unk>", "[UNK]", "<|endoftext|>"),
    ("<s>", "[CLS]", "<|endoftext|>", "<pad>"),
    ("</s>", "[SEP]", "<|endoftext|>"),
)


@dataclass(frozen=True)
class Rule:
    """How a tokenizer is fitted.

    Attributes:
        kind: word, character, bpe or wordpiece.
        size: tokens at most, the special ones included.
        min_count: how often a token must occur in the training split.
        lowercase: whether capitals are lowered.
        ends: whether each text stands between `<s>` and `</s>`, as BERT reads it; there is a `<mask>` then.
    """

    kind: str
    size: int
    min_count: int
    lowercase: bool
    ends: bool = False

    @classmethod
    def of(cls, keys: Mapping[str, Any], name: str = "data.tokenizer") -> Rule:
        """From the keys of a config.

        Raises:
            UserError: when a value is out of its range.
        """
        rule = cls(keys["kind"], keys["size"], keys["min_count"], keys["lowercase"], bool(keys.get("ends")))
        if rule.kind not in KINDS:
            raise UserError(f"{name}.kind={rule.kind} is unknown: use {', '.join(KINDS)}")
        for key, value in (("size", rule.size), ("min_count", rule.min_count)):
            if not isinstance(value, int) or isinstance(value, bool):
                raise UserError(
                    f"{name}.{key}={value} must be a whole number: try {name}.{key}={10000 if key == 'size' else 2}"
                )
        if rule.size <= len(SPECIAL):
            raise UserError(f"{name}.size={rule.size} must be above {len(SPECIAL)}: try {name}.size=10000")
        if rule.min_count < 1:
            raise UserError(f"{name}.min_count={rule.min_count} must be 1 or more: try {name}.min_count=2")
        return rule


def fit(rule: Rule, texts: Sequence[str], name: str = "data.tokenizer") -> Any:
    """Return a tokenizer fitted on some texts.

    Raises:
        UserError: when no token occurs often enough.
    """
    tokenizer = _fit(rule, texts)
    if tokenizer.get_vocab_size() <= len(SPECIAL) + rule.ends:
        raise UserError(
            f"{name}.min_count={rule.min_count} leaves no token: nothing occurs so often in the training split; try {name}.min_count=1"
        )
    return framed(tokenizer) if rule.ends else tokenizer


def framed(tokenizer: Any) -> Any:
    """Return one of ours that puts `<s>` before a text and `</s>` behind it, and behind the second of a pair."""
    from tokenizers import processors

    start, end = SPECIAL[2:]
    ids = [(token, tokenizer.token_to_id(token)) for token in (start, end)]
    pair = f"{start} $A {end} $B:1 {end}:1"
    tokenizer.post_processor = processors.TemplateProcessing(f"{start} $A {end}", pair, ids)
    return tokenizer


def _fit(rule: Rule, texts: Sequence[str]) -> Any:
    _settle()
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    special = [*SPECIAL, *([MASK] if rule.ends else [])]
    how: dict[str, Any] = {
        "vocab_size": rule.size,
        "min_frequency": rule.min_count,
        "special_tokens": special,
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
        trainer = trainers.WordPieceTrainer(**how | {"special_tokens": [*special, *inner]})
    tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(texts, trainer)
    if rule.kind == "wordpiece":  # as special ones they would be found in the text too
        plain = Tokenizer(models.WordPiece(vocab=tokenizer.get_vocab(), unk_token=unknown))
        plain.normalizer, plain.pre_tokenizer = normalizer, pre_tokenizers.BertPreTokenizer()
        plain.decoder = decoders.WordPiece()
        plain.add_special_tokens(special)
        return plain
    return tokenizer


def _inner_characters(tokenizer: Any, texts: Iterable[str]) -> list[str]:
    """`##c` for every character that stands within a word, sorted."""
    letters: set[str] = set()
    for text in texts:
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text)):
            letters.update(word[1:])
    return [f"##{letter}" for letter in sorted(letters)]


Text = str | tuple[str, str]  # one text, or a pair of them


def encode(tokenizer: Any, texts: Sequence[Text], frame: bool = True) -> list[list[int]]:
    """Return the indices of each text's tokens, and where `frame` of what the tokenizer puts around a text or between
    two.
    """
    _settle()
    tokenizer.encode_special_tokens = True  # `</s>` in a text is five characters
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts), add_special_tokens=frame)]


def tails(tokenizer: Any, sentences: Sequence[str], pair: bool = False) -> list[list[int]]:
    """Return the tokens that each sentence adds behind a text, or in a pair behind its first text with what stands
    around it.
    """
    text = "."
    before = encode(tokenizer, [text], frame=pair)[0]
    after: list[Text] = [(text, sentence) if pair else f"{text} {sentence}" for sentence in sentences]
    return [row[len(before) :] for row in encode(tokenizer, after, frame=pair)]


def cut(
    tokenizer: Any, texts: Sequence[Text], rows: list[list[int]], longest: int | None
) -> tuple[list[list[int]], int]:
    """Rows of at most `longest` tokens, and how many were longer; of a pair the longer text is cut.

    Args:
        tokenizer: that made the rows.
        texts: that they were made of.
        rows: indices, all tokens of each text.
        longest: tokens that a row may have; None: any number.
    """
    long = [] if longest is None else [place for place, row in enumerate(rows) if len(row) > longest]
    if not long:
        return rows, 0
    rows = list(rows)
    tokenizer.enable_truncation(longest, strategy="longest_first")
    try:
        for place, row in zip(long, encode(tokenizer, [texts[place] for place in long]), strict=True):
            rows[place] = row
    finally:
        tokenizer.no_truncation()
    return rows, len(long)


def marks(tokenizer: Any) -> tuple[int, ...]:
    """Return the tokens for padding, what is unknown, start and end; -1 for what there is not."""
    ids_after = []
    for names in _NAMES:
        ids = [index for name in names if (index := tokenizer.token_to_id(name)) is not None]
        ids_after.append(ids[0] if ids else -1)
    return (max(ids_after[0], 0), *ids_after[1:])


def mask(tokenizer: Any) -> int | None:
    """Return the token that hides a word, where there is one."""
    return next((index for name in MASKS if (index := tokenizer.token_to_id(name)) is not None), None)


def frames(tokenizer: Any, pair: bool = False) -> int:
    """Tell how many tokens the tokenizer puts around a text, or around and between two."""
    return int(tokenizer.num_special_tokens_to_add(pair))


def warn_of_unknown(name: str, share: float) -> None:
    """Say that most of the test tokens are unknown to a tokenizer."""
    if share > 0.5:
        log.warning("%s: %.0f %% of the test tokens are unknown to the tokenizer: lower min_count, raise size, or take another kind.", name, 100 * share)  # fmt: skip


def require_room(tokenizer: Any, longest: int | None, pair: bool = False) -> None:
    """Refuse to cut texts to so few tokens that a text, or one of a pair, would have none of its own.

    Raises:
        UserError: with the least that is enough.
    """
    around = frames(tokenizer, pair)
    least = around + (2 if pair else 1)
    if longest is not None and longest < least:
        what = "pair" if pair else "text"
        raise UserError(
            f"data.max_length={longest} leaves no word of a {what}, since {around} tokens stand around it: "
            f"set data.max_length={least} or more"
        )


def encode_masked(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """As `encode`, but `[MASK]` and `<mask>` in a text are the token that hides a word, where there is one."""
    hidden = mask(tokenizer)
    if hidden is None:
        return encode(tokenizer, texts)
    around = encode(tokenizer, [""])[0]  # what stands before a text, and behind it
    spaced = any("▁" in token for token in tokenizer.get_vocab())  # a space before a mask would be a token
    framed = []
    for text in texts:
        parts = re.split(r"\[MASK\]|<mask>", text)
        last = len(parts) - 1
        parts = [part.rstrip(" ") if spaced and number < last else part for number, part in enumerate(parts)]
        inner: list[int] = []
        for number, row in enumerate(encode(tokenizer, parts, frame=False)):
            inner += ([hidden] if number else []) + row
        framed.append([*around[:1], *inner, *around[1:]] if inner else [])
    return framed


def word_starts(tokenizer: Any) -> tuple[list[bool], list[bool]]:
    """Of each token, whether a word begins with it, and whether one begins behind it."""
    names = [tokenizer.id_to_token(number) or "" for number in range(tokenizer.get_vocab_size())]
    special = {*marks(tokenizer), mask(tokenizer)}
    plain = [name for number, name in enumerate(names) if number not in special]
    if any(name.startswith("##") for name in plain):
        return [not name.startswith("##") for name in names], [False] * len(names)
    for sign in "▁Ġ":  # a space, as BPE writes it
        if any(name.startswith(sign) for name in plain):
            starts = [name.startswith(sign) or number in special for number, name in enumerate(names)]
            return starts, [number in special for number in range(len(names))]
    if all(len(unicodedata.normalize("NFC", name).rstrip(JOINERS)) <= 1 or any(map(is_mark, name)) for name in plain):
        spaces = [not name.strip() or number in special for number, name in enumerate(names)]  # characters
        return spaces, spaces
    return [True] * len(names), [True] * len(names)


def decode(tokenizer: Any, rows: Iterable[Sequence[int]]) -> list[str]:
    """Texts of rows of indices; special tokens are left out, but for what is unknown."""
    padding, unknown, *rest = marks(tokenizer)
    hidden = {padding, *rest} - {unknown}
    return [
        tokenizer.decode([token for token in row if token not in hidden], skip_special_tokens=False) for row in rows
    ]


def read(path: Path) -> Any:
    """Return the tokenizer that a run has kept.

    Raises:
        UserError: when the file is damaged.
    """
    _settle()
    from tokenizers import Tokenizer

    try:
        require_plain(path)
        return Tokenizer.from_file(str(path))
    except Exception as error:
        raise UserError(
            f"{path} is no tokenizer ({first_line(error)}): restore it, or remove it to fit it anew"
        ) from error


def borrow(place: str | Path, name: str = "data.tokenizer.source") -> Any:
    """Return the tokenizer in a folder, such as that of published weights or of another run; or in a file.

    Raises:
        UserError: when there is none, or it is damaged.
    """
    if not isinstance(place, (str, Path)):
        raise UserError(f"{name}={place} must be the folder of a tokenizer: name one, or leave it out")
    path = Path(place).expanduser()
    path = path / "tokenizer.json" if path.is_dir() else path
    if not path.is_file():
        raise UserError(f"{name}={place} holds no tokenizer.json: name a folder that has one")
    tokenizer = read_llama2c(path) if path.suffix == SUFFIX else read(path)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def keep(tokenizer: Any, path: Path) -> None:
    """Writes a tokenizer as JSON, whole or not at all."""
    write_text(path, tokenizer.to_str(pretty=False))


def _settle() -> None:
    """Its threads do not survive a fork, and it warns unless it is told that this is known."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
