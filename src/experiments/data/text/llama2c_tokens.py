"""Tokenizers in the binary form of llama2.c, such as the `tok512.bin` of small Llamas that write stories.

The file: the length of the longest token (int32), then of each token its score (float32), its length in bytes (int32) and
these bytes. Two neighbours are merged whose merged token has the highest score, as in SentencePiece's BPE.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

from experiments.errors import UserError

SUFFIX = ".bin"
_SPECIAL = ("<unk>", "<s>", "</s>")  # tokens 0 to 2, with line breaks around them in the file


def read_llama2c(path: Path) -> Any:
    """Return the tokenizer in a file, which puts `<s>` before a text.

    Raises:
        UserError: when the file is not of this form.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, processors

    pieces = _pieces(path)
    vocabulary = {token: index for index, (token, _) in enumerate(pieces)}
    scores = dict(pieces)
    if len(vocabulary) != len(pieces):
        raise UserError(f"{path} holds a token twice and is no tokenizer of llama2.c: fetch it again")
    merges = [
        (scores[token], (token[:place], token[place:]))
        for token in vocabulary
        if not re.fullmatch(r"<0x[0-9A-F]{2}>", token) and token not in _SPECIAL
        for place in range(1, len(token))
        if token[:place] in vocabulary and token[place:] in vocabulary
    ]
    merges.sort(key=lambda merge: -merge[0])
    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary, merges=[pair for _, pair in merges], unk_token=_SPECIAL[0], byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(list(_SPECIAL))
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A <s> $B", [("<s>", vocabulary["<s>"])])
    return tokenizer


def _pieces(path: Path) -> list[tuple[str, float]]:
    """Return each token, with ▁ for a space, and its score."""
    content = path.read_bytes()
    tokens: list[tuple[str, float]] = []
    place = 4
    try:
        while place < len(content):
            score, length = struct.unpack_from("<fi", content, place)
            piece = content[place + 8 : place + 8 + length]
            if length <= 0 or len(piece) < length:
                raise ValueError("cut off")
            text = piece.decode("utf-8")
            tokens.append((text.strip("\n") if len(tokens) < len(_SPECIAL) else text.replace(" ", "▁"), score))
            place += 8 + length
    except (struct.error, ValueError) as error:
        raise UserError(
            f"{path} is no tokenizer of llama2.c: name a tokenizer.json, or a file such as tok512.bin"
        ) from error
    if [token for token, _ in tokens[:3]] != list(_SPECIAL):
        raise UserError(f"{path} is no tokenizer of llama2.c: name a tokenizer.json, or a file such as tok512.bin")
    return tokens
