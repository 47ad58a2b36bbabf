"""Generated: a small made-up language and its translation from simple English. No file is read.

In the made-up language the verb stands last, an adjective follows its noun and agrees with it in number, the article is
a suffix of the noun, and the verb's ending tells tense and number of who acts. So word order differs, several words
become one, and an ending depends on a word far away.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.data.pairs.pair_data import PairData
from experiments.data.pairs.pair_texts import PairTexts
from experiments.errors import UserError

NOUNS = {
    "dog": "kalo", "cat": "miru", "bird": "pensa", "horse": "tavol", "farmer": "gromi", "teacher": "selu",
    "child": "nipo", "friend": "bareda", "house": "domi", "tree": "arvo", "river": "suna", "garden": "hortel",
    "book": "livra", "boat": "kanu", "stone": "petok", "apple": "maluna",
}  # fmt: skip
PLURALS = {"child": "children"}
ADJECTIVES = {
    "old": "vetu", "small": "pik", "red": "rosso", "happy": "lumi", "tired": "sopa", "green": "vidi", "quiet": "shal",
    "clever": "dono",
}  # fmt: skip
VERBS = {  # present, present plural, past, and the stem
    "sees": ("see", "saw", "vid"), "finds": ("find", "found", "trov"), "carries": ("carry", "carried", "port"),
    "likes": ("like", "liked", "ama"), "paints": ("paint", "painted", "tint"), "knows": ("know", "knew", "sav"),
}  # fmt: skip
PLACES = {"near": "zi", "behind": "retu", "under": "suba"}


class GeneratedPairs(PairData):
    """Generated sentence pairs; always the same ones.

    Args:
        count: pairs, of which validation and test split are held out.
        rest: the keys of `PairData`.
    """

    name = "generated_pairs"
    languages = ("English", "made-up")

    def __init__(self, *, count: int, **rest: Any) -> None:
        super().__init__(**rest)
        if count < 20:
            raise UserError(f"data.count={count} must be 20 or more: try data.count=6000")
        self.count = count

    def read(self) -> dict[str, PairTexts]:
        return {"train": write(self.count)}


def write(count: int) -> PairTexts:
    """`count` pairs."""
    random = np.random.default_rng(0)
    texts = PairTexts([], [], [])
    for number in range(1, count + 1):
        verb = list(VERBS)[int(random.integers(len(VERBS)))]
        plural_verb, past_verb, stem = VERBS[verb]
        who, acting, many = _phrase(random)
        what, done, _ = _phrase(random)
        past = bool(random.integers(2))
        english = [who, past_verb if past else plural_verb if many else verb, what]
        other = [acting, done, stem + ("u" if past else "e") + ("n" if many else "")]
        if random.random() < 0.4:
            place = list(PLACES)[int(random.integers(len(PLACES)))]
            where, there, _ = _phrase(random)
            english += [place, where]
            other[1:1] = [there, PLACES[place]]
        texts.source.append(" ".join(english) + ".")
        texts.target.append(" ".join(other) + ".")
        texts.places.append(f"generated pair {number}")
    return texts


def _phrase(random: np.random.Generator) -> tuple[str, str, bool]:
    """Return a noun with article and perhaps an adjective, in both languages, and whether there are several."""
    noun, many = list(NOUNS)[int(random.integers(len(NOUNS)))], bool(random.integers(2))
    definite = bool(random.integers(2))
    english = PLURALS.get(noun, f"{noun}s") if many else noun
    other = NOUNS[noun] + ("ti" if many else "") + ("la" if definite else "")
    if random.random() < 0.5:
        adjective = list(ADJECTIVES)[int(random.integers(len(ADJECTIVES)))]
        english, other = f"{adjective} {english}", f"{other} {ADJECTIVES[adjective]}{'ti' if many else ''}"
    article = "the " if definite else "some " if many else "an " if english[0] in "aeiou" else "a "
    return article + english, other, many
