"""English and Hindi: sentences of Tatoeba, and the captions of Hindi Visual Genome (Parida et al., 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.data.common.published_files import data_root
from experiments.data.pairs.pair_data import PairData
from experiments.data.pairs.pair_files import table
from experiments.data.pairs.pair_texts import PairTexts, hold_out_pairs
from experiments.errors import UserError

TATOEBA, GENOME = "tatoeba", "visual_genome"


class EnglishHindi(PairData):
    """`en_hi/tatoeba/hin.txt` and `en_hi/hindi_visual_genome/{train,val,test,challenge_test_set}.txt`.

    Visual Genome comes with its splits; from Tatoeba, which has none, they are held out.

    Args:
        collections: tatoeba, visual_genome, or both.
        test_set: test, or challenge for Visual Genome's harder one.
        reverse: translate from Hindi into English.
        root: folder where datasets live, or `en_hi` itself.
        rest: the keys of `PairData`.

    Raises:
        UserError: when a collection is unknown or its files are missing.
    """

    name = "en_hi"
    languages = ("English", "Hindi")

    def __init__(
        self, *, collections: Sequence[str], test_set: str, reverse: bool, root: str | None, **rest: Any
    ) -> None:
        super().__init__(**rest)
        unknown = [name for name in collections if name not in (TATOEBA, GENOME)]
        if unknown or not collections:
            raise UserError(f"data.collections={list(collections)} must name {TATOEBA}, {GENOME} or both")
        if test_set not in ("test", "challenge"):
            raise UserError(f"data.test_set={test_set} is unknown: use test or challenge")
        self.collections, self.test_set, self.reverse, self.root = tuple(collections), test_set, reverse, root
        if reverse:
            self.languages = ("Hindi", "English")

    def read(self) -> dict[str, PairTexts]:
        folder = data_root(self.name, self.root)
        folder = (
            folder if (folder / "tatoeba").is_dir() or (folder / "hindi_visual_genome").is_dir() else folder / "en_hi"
        )
        parts: dict[str, list[PairTexts]] = {"train": [], "validation": [], "test": []}
        if GENOME in self.collections:
            test = "challenge_test_set" if self.test_set == "challenge" else "test"
            for split, name in (("train", "train"), ("validation", "val"), ("test", test)):
                parts[split].append(self._table(folder / "hindi_visual_genome" / f"{name}.txt", (6, 7)))
        if TATOEBA in self.collections:
            rest = self._table(folder / "tatoeba" / "hin.txt", (1, 2))
            for split in ("test", "validation"):
                amount = self.amounts[split]
                assert amount is not None
                rest, held = hold_out_pairs(rest, amount, self.split_seed, f"data.{split}")
                parts[split].append(held)
            parts["train"].append(rest)
        return {split: PairTexts.join(texts) for split, texts in parts.items()}

    def _table(self, path: Path, columns: tuple[int, int]) -> PairTexts:
        if not path.is_file():
            raise UserError(
                f"data=en_hi: {path} is missing: put it there, or say where it is with data.root or EXPERIMENTS_DATA"
            )
        texts = table(path, columns, "utf-8")
        return texts._replace(source=texts.target, target=texts.source) if self.reverse else texts
