"""BPE that never cuts between a letter and its combining marks, such as the vowel signs of Devanagari.

The merges are learned with one stand-in character for every letter with marks, and written back with the marks. Before
them come the merges that put such a letter together, so that they are always done first: what is fitted is an ordinary
BPE tokenizer, which needs no stand-ins to read a text.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

JOINERS = "\u200c\u200d"  # they stand between the marks of Indian scripts and tell how letters join
STAND_INS = range(0xF0000, 0xFFFFE)  # characters that no text has a meaning for


def is_mark(character: str) -> bool:
    """Tell whether a character belongs to the letter before it."""
    return character in JOINERS or unicodedata.category(character)[0] == "M"


def fit_whole_letters(tokenizer: Any, how: dict[str, Any], texts: Sequence[str]) -> Any:
    """Return a BPE tokenizer for texts with combining marks; with none of them, what its own trainer makes.

    A letter with its marks that occurs `min_frequency` times is one piece of the alphabet, of which at most half of
    `vocab_size` is for such. Rarer ones are spelled: the letter, and each mark that it has beyond a known one.

    Args:
        tokenizer: with its normalizer, pre-tokenizer and decoder.
        how: the trainer's arguments.
        texts: what it is fitted on.
    """
    from tokenizers import models, trainers

    plain = [tokenizer.normalizer.normalize_str(text) for text in texts]
    characters = {character for text in plain for character in text}
    marks = "".join(sorted(character for character in characters if is_mark(character)))
    if not marks:
        tokenizer.train_from_iterator(texts, trainers.BpeTrainer(**how))
        return tokenizer
    letter = re.compile(f"[^\\s{marks}][{marks}]+")
    counts = Counter(cluster for text in plain for cluster in letter.findall(text))
    often = sorted(
        (cluster for cluster in counts if counts[cluster] >= how["min_frequency"]),
        key=lambda cluster: (-counts[cluster], cluster),
    )
    whole = often[: how["vocab_size"] // 2]
    free = (chr(code) for code in STAND_INS if chr(code) not in characters)
    stand_in = dict(zip(whole, free, strict=False))
    meaning = {short: long for long, short in stand_in.items()}
    # A letter that is spelled teaches nothing: merges of a lone mark with the next letter would cut other letters.
    learned = [letter.sub(lambda match: stand_in.get(match[0], " "), text) for text in plain]
    parts = {part for cluster in counts for part in cluster} | {
        cluster[:end] for cluster in whole for end in range(2, len(cluster))
    }
    parts -= {character for text in learned for character in text} | set(stand_in)
    room = max(how["vocab_size"] - len(parts), len(how["special_tokens"]) + 1)
    tokenizer.train_from_iterator(learned, trainers.BpeTrainer(**how | {"vocab_size": room}))
    trained = json.loads(tokenizer.to_str())["model"]

    def written(piece: str) -> str:
        return "".join(meaning.get(character, character) for character in piece)

    pieces = [written(token) for token in sorted(trained["vocab"], key=trained["vocab"].__getitem__)]
    special = len(how["special_tokens"])
    order = [*pieces[:special], *sorted(parts), *pieces[special:]]
    built = sorted(
        {cluster[:end] for cluster in whole for end in range(2, len(cluster) + 1)}, key=lambda part: (len(part), part)
    )
    merges = [(part[:-1], part[-1]) for part in built] + [(written(a), written(b)) for a, b in trained["merges"]]
    vocabulary = {piece: number for number, piece in enumerate(order)}
    tokenizer.model = models.BPE(vocab=vocabulary, merges=merges, unk_token=trained["unk_token"])
    tokenizer.add_special_tokens(how["special_tokens"])
    return tokenizer
