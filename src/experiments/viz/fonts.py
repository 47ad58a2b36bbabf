"""Texts of any script in a picture: with a font of this machine that has their letters, or in Latin letters."""

from __future__ import annotations

import os
import subprocess
import unicodedata
from collections.abc import Iterable
from functools import cache, partial
from typing import Any, NamedTuple

USUAL = "DejaVu Sans"  # what matplotlib brings along
FIRST = ("devanagari", "lohit", "noto sans", "nirmala", "mangal", "kohinoor", "freesans", "unicode")  # looked at first

CONSONANTS = dict(zip(
    "कखगघङचछजझञटठडढणतथदधनपफबभमयरलवशषसहळ",
    ["k", "kh", "g", "gh", "ṅ", "c", "ch", "j", "jh", "ñ", "ṭ", "ṭh", "ḍ", "ḍh", "ṇ", "t", "th", "d", "dh", "n", "p", "ph", "b", "bh", "m", "y", "r", "l", "v", "ś", "ṣ", "s", "h", "ḷ"], strict=True,
))  # fmt: skip
NUKTA = {"k": "q", "kh": "x", "g": "ġ", "j": "z", "ḍ": "ṛ", "ḍh": "ṛh", "ph": "f"}
VOWELS = dict(zip("अआइईउऊऋएऐओऔऑऍ", ["a", "ā", "i", "ī", "u", "ū", "ṛ", "e", "ai", "o", "au", "ŏ", "ĕ"], strict=True))
SIGNS = dict(zip("ािीुूृेैोौॉॅ", ["ā", "i", "ī", "u", "ū", "ṛ", "e", "ai", "o", "au", "ŏ", "ĕ"], strict=True))
OTHER = {"ं": "ṃ", "ँ": "m̐", "ः": "ḥ", "ऽ": "’", "।": "|", "॥": "||", "ॐ": "oṃ", "\u200c": "", "\u200d": ""}
VIRAMA, DOT = "्", "़"


class FontWriting(NamedTuple):
    """How texts are written.

    Attributes:
        families: fonts, for matplotlib's `fontfamily`.
        latin: whether letters are to be put into Latin ones first, by `written`.
        note: what a reader must know of it, or nothing.
    """

    families: list[str]
    latin: bool
    note: str

    def written(self, text: str) -> str:
        """Return the text as it can be drawn."""
        return latin(text) if self.latin else text


def writing(texts: Iterable[str]) -> FontWriting:
    """Return a font for all letters of some texts, or the way out where this machine has none."""
    needed = {ord(letter) for text in texts for letter in unicodedata.normalize("NFC", text)}
    missing = frozenset(
        code for code in needed if code > 127 and not chr(code).isspace() and code not in _letters_of(USUAL)
    )
    missing -= {0x200C, 0x200D}  # they join and part letters, and are not drawn
    if not missing:
        return FontWriting([USUAL], False, "")
    import matplotlib

    # Before 3.11 matplotlib sets letter by letter, which tears the syllables of Indian scripts.
    torn = matplotlib.__version_info__ < (3, 11) and any(0x0900 <= code <= 0x0DFF for code in missing)
    font = _font_with(missing)
    if font and not torn:
        return FontWriting([font, USUAL], False, "")
    first = chr(min(missing))
    if not unicodedata.category(first).startswith(("L", "M")):
        return FontWriting([USUAL], True, f"no font on this machine has U+{ord(first):04X}: □ instead")
    script = unicodedata.name(first, "LETTER").split()[0].capitalize()
    why = f"{script} needs matplotlib 3.11" if torn else f"no {script} font on this machine"
    return FontWriting([USUAL], True, f"{why}: in Latin letters")


def give_letters(fig: Any) -> None:
    """Gives every text of a matplotlib figure that needs one a font with its letters, or writes it in Latin letters."""
    from matplotlib.axis import Axis
    from matplotlib.text import Text
    from matplotlib.ticker import FixedFormatter, FuncFormatter

    for artist in fig.findobj(lambda artist: isinstance(artist, (Text, Axis))):
        if isinstance(artist, Text):
            if not (text := artist.get_text()).isascii() and artist.get_fontfamily() in _NOBODY_CHOSE:
                how = writing([text])
                artist.set_fontfamily(how.families)
                artist.set_text(how.written(text))
            continue
        formatter = artist.get_major_formatter()
        if not isinstance(formatter, (FixedFormatter, FuncFormatter)):
            continue  # numbers
        texts = [label.get_text() for label in artist.get_ticklabels()]
        if not all(map(str.isascii, texts)):
            how = writing(texts)
            artist.set_tick_params(labelfontfamily=how.families)
            if how.latin:
                artist.set_major_formatter(FuncFormatter(partial(_in_latin, formatter)))


def _in_latin(formatter: Any, value: float, place: int | None = None) -> str:
    return latin(formatter(value, place))


_NOBODY_CHOSE = (["sans-serif"], [USUAL])


def pieces(text: str) -> list[tuple[str, str | None]]:
    """Return a text in pieces of one font each: the file of a font of this machine, or None for the usual one, which
    also gets what no font here has, in Latin letters.
    """
    if text.isascii():
        return [(text, None)]
    how = writing([text])
    if how.latin or how.families == [USUAL]:
        return [(how.written(text), None)]
    from matplotlib import font_manager

    file, usual = font_manager.findfont(how.families[0]), _letters_of(USUAL)
    parts: list[tuple[str, str | None]] = []
    for letter in text:
        usually = ord(letter) in usual and ord(letter) not in _JOINERS
        own = None if usually and not (letter.isspace() and parts and parts[-1][1]) else file
        if parts and parts[-1][1] == own:
            parts[-1] = (parts[-1][0] + letter, own)
        else:
            parts.append((letter, own))
    return parts


_JOINERS = (0x200C, 0x200D)


@cache
def _letters_of(family: str) -> frozenset[int]:
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(font_manager.findfont(family)).get_charmap())


@cache
def _font_with(codes: frozenset[int]) -> str | None:
    """Return the family of an upright font of this machine that has all these letters."""
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    fonts = [
        entry
        for entry in font_manager.fontManager.ttflist
        if entry.style == "normal" and "Last Resort" not in entry.name
    ]

    def order(font: font_manager.FontEntry) -> tuple[int, bool, str]:
        name = font.name.lower()
        hint = next((place for place, word in enumerate(FIRST) if word in name), len(FIRST))
        return hint, font.weight not in (400, "normal", "regular"), name

    for font in sorted(fonts, key=order):
        try:
            if codes <= set(FT2Font(font.fname).get_charmap()):
                return font.name
        except (OSError, RuntimeError):  # a damaged or vanished file is no font
            continue
    for file in _by_fontconfig(codes):  # fonts that came after matplotlib made its list
        try:
            if codes <= set(FT2Font(file).get_charmap()):
                for path in (file.replace("Regular", "Bold"), file):
                    if os.path.exists(path):  # else bold words would be set in the other one, with a complaint
                        font_manager.fontManager.addfont(path)
                return font_manager.fontManager.ttflist[-1].name
        except (OSError, RuntimeError):
            continue
    return None


def _by_fontconfig(codes: frozenset[int]) -> list[str]:
    """Files of fonts that have some letters, as fontconfig knows them, plain sans serif ones first; none where it is not there."""
    asked = ":charset=" + " ".join(f"{code:x}" for code in sorted(codes))
    try:
        done = subprocess.run(["fc-list", "--format", "%{file}\n", asked], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return []
    files = [file for file in done.stdout.splitlines() if file.lower().endswith((".ttf", ".otf", ".ttc"))]
    return sorted(files, key=lambda file: ("Regular" not in file, "Sans" not in file, file))


def latin(text: str) -> str:
    """Devanagari in Latin letters, close to IAST; letters of other scripts that cannot be drawn become boxes."""
    out: list[str] = []
    open_consonant = False  # whether the last letter is a consonant, with an `a` unless a sign follows
    for letter in unicodedata.normalize("NFD", text):
        if letter == DOT and open_consonant:
            out[-1] = NUKTA.get(out[-1], out[-1])
            continue
        if letter in SIGNS or letter == VIRAMA:
            out.append(SIGNS.get(letter, ""))
            open_consonant = False
            continue
        if open_consonant:
            out.append("a")
        open_consonant = letter in CONSONANTS
        if open_consonant:
            out.append(CONSONANTS[letter])
        elif letter in VOWELS:
            out.append(VOWELS[letter])
        elif letter in OTHER:
            out.append(OTHER[letter])
        elif 0x966 <= ord(letter) <= 0x96F:
            out.append(str(ord(letter) - 0x966))
        else:
            out.append(letter if ord(letter) < 128 or ord(letter) in _letters_of(USUAL) else "□")
    if open_consonant and not out[-1].endswith("a"):
        out.append("a")
    return unicodedata.normalize("NFC", "".join(out))
