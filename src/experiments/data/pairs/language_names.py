"""Languages as tables name their columns: `english`, `de`, `text_fr`, `Hindi sentence`."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NAMES = """
af afrikaans, am amharic, ar arabic, az azerbaijani, be belarusian, bg bulgarian, bn bengali, bs bosnian, ca catalan, cs czech,
cy welsh, da danish, de german, el greek, en english, eo esperanto, es spanish, et estonian, eu basque, fa persian, fi finnish,
fr french, ga irish, gl galician, gu gujarati, ha hausa, he hebrew, hi hindi, hr croatian, hu hungarian, hy armenian,
id indonesian, ig igbo, is icelandic, it italian, ja japanese, jv javanese, ka georgian, kk kazakh, km khmer, kn kannada,
ko korean, ku kurdish, la latin, lo lao, lt lithuanian, lv latvian, mk macedonian, ml malayalam, mn mongolian, mr marathi,
ms malay, mt maltese, my burmese, ne nepali, nl dutch, no norwegian, or odia, pa punjabi, pl polish, ps pashto, pt portuguese,
ro romanian, ru russian, sa sanskrit, si sinhala, sk slovak, sl slovenian, so somali, sq albanian, sr serbian, sv swedish,
sw swahili, ta tamil, te telugu, th thai, tl tagalog, tr turkish, uk ukrainian, ur urdu, uz uzbek, vi vietnamese, xh xhosa,
yi yiddish, yo yoruba, zh chinese, zu zulu
"""
_CODES = {name: code for code, name in (entry.split() for entry in _NAMES.split(","))}
_BESIDE = {  # words that stand beside the language in the name of a column
    *("text", "texts", "sentence", "sentences", "phrase", "phrases", "word", "words", "translation", "translations"),
    *("language", "lang", "column", "source", "target", "src", "tgt", "trg"),
}


def languages_of(fields: Sequence[str]) -> dict[str, int]:
    """Return the languages that the names of columns name, by their codes, with the columns, counted from 1.

    Codes are words in some language (`he`, `el`, `no`), or stand for other things (`id`): where no column is called by more,
    they are taken for languages beside `en` alone.
    """
    words = [[word for word in re.split(r"[\W_]+", field.casefold()) if word] for field in fields]
    bare = [len(inner) == 1 and inner[0] in _CODES.values() for inner in words]
    sure = ["en"] in words
    places: dict[str, int] = {}
    for place, (inner, is_bare) in enumerate(zip(words, bare, strict=True), 1):
        telling = [word for word in inner if word not in _BESIDE]
        if len(telling) == 1 and telling != ["id"] and (sure or not is_bare):
            code = _CODES.get(telling[0], telling[0])
            if code in _CODES.values():
                places.setdefault(code, place)
    return places


def code_of(name: str) -> str:
    """Return the code of a language, `de` of `German`; empty where it is none that is known."""
    code = _CODES.get(name.casefold(), name.casefold())
    return code if code in _CODES.values() else ""
