"""YesNo: sixty recordings of eight Hebrew words each, yes or no, 8 kHz (openslr.org/1). A file's name is its transcript."""

from __future__ import annotations

import re
from typing import Any

from experiments.data.audio.transcribed import Transcribed, corpus_folder
from experiments.data.audio.transcripts import Utterance
from experiments.data.common.published_files import data_root
from experiments.errors import UserError

NAME = re.compile(r"[01](_[01])*")
WORDS = {"0": "no", "1": "yes"}


class YesNo(Transcribed):
    """Files such as 0_1_1_0_1_0_0_0.wav: 1 says yes.

    Args:
        root: the folder of the files, or where it lies.
        rest: the keys of `Transcribed`.

    Raises:
        UserError: when there are no such files.
    """

    name = "yesno"

    def __init__(self, *, root: str | None, **rest: Any) -> None:
        super().__init__(**rest)
        self.root = root

    def read(self) -> dict[str, list[Utterance]]:
        root = data_root(self.name, self.root)
        folder = corpus_folder(self.name, root, "[01]_[01]*.wav", ("waves_yesno", "yesno"))
        files = sorted(folder.glob("*.wav"))
        strange = next((path for path in files if not NAME.fullmatch(path.stem)), None)
        if strange is not None:
            raise UserError(f"{strange} is not named after its words, as in 0_1_1_0.wav: rename or remove it")
        return {
            "train": [
                Utterance(path, " ".join(WORDS[number] for number in path.stem.split("_")), str(path)) for path in files
            ]
        }
