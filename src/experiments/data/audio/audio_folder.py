"""Folders of recordings, one folder a class: `train/<class>/*` with `val` and `test`, or the classes directly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.config.value_rules import require_amount
from experiments.data.audio.audio_data import AudioData, Examples, check_settings, split_examples
from experiments.data.audio.audio_files import AUDIO, BY_FFMPEG, open_clips
from experiments.data.common.published_files import data_root
from experiments.data.common.split_names import SPLITS, files_below, split_folders, subfolders
from experiments.errors import UserError


class AudioFolder(AudioData):
    """Recordings with the names of their folders as classes; a recording may lie any number of folders deeper.

    Args:
        root: holds train/<class>/*, with val/ and test/ where they exist, or the class folders directly.
        classes: names of those to keep, in this order; None: all, sorted.
        rate: samples a second; others are resampled. None: the files', which must agree.
        memory: megabytes of samples that are held in memory; more than that is read from the files batch by batch.
        validation: share or count held out, the classes in proportion, where there is no val folder.
        test: likewise where there is no test folder.
        limit: use only so many training recordings, evenly over the classes, or this share; None: all.
        split_seed: decides who is held out.
        bucket: as in `AudioData`, and so are the others.

    Raises:
        UserError: there are no two classes, a class has no recording, or a file cannot be read.
    """

    name = "audio_folder"

    def __init__(
        self,
        *,
        root: str,
        classes: Sequence[str | int] | None,
        rate: int | None,
        memory: int,
        validation: float,
        test: float,
        limit: float | None,
        split_seed: int,
        bucket: bool,
        batch_size: int,
        workers: int,
        seed: int,
        augment: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(bucket=bucket, batch_size=batch_size, workers=workers, seed=seed, augment=augment)
        check_settings(validation, limit, rate, memory)
        require_amount("data.test", test)
        self.root, self.chosen = root, None if classes is None else tuple(map(str, classes))
        self.wanted_rate, self.memory = rate, memory
        self.amounts = {"validation": validation, "test": test}
        self.limit, self.split_seed = limit, split_seed

    def load(self) -> None:
        folders = self._folders()
        names = tuple(class_folder.name for class_folder in subfolders(folders["train"]))
        unknown = [name for name in self.chosen or () if name not in names]
        if unknown:
            raise UserError(
                f"data.classes has {unknown[0]}, which is no folder of {folders['train']}: name some of {', '.join(names[:20])}"
            )
        self.classes = self.chosen or names
        if len(self.classes) < 2:
            raise UserError(
                f"data={self.name}: {folders['train']} holds {len(self.classes)} folders of recordings and a classifier needs two: "
                "give a folder a class, as in root/yes/*.wav and root/no/*.wav"
            )
        paths: list[Path] = []
        labels: list[int] = []
        members: dict[str, np.ndarray] = {}
        for split, folder in folders.items():
            some, theirs = self._recordings(folder)
            members[split] = np.arange(len(paths), len(paths) + len(some))
            paths += some
            labels += theirs
        of = np.array(labels, np.int64)
        train = members["train"]
        held = {split: None if split in members else self.amounts[split] for split in ("validation", "test")}
        inner = split_examples(of[train], held["validation"], held["test"], self.limit, self.split_seed)
        members |= {split: train[places] for split, places in inner.items()}
        self.clips, self.rate, self.counts = open_clips(paths, self.wanted_rate, self.memory)
        self.by_split = {split: Examples.single(members[split], of[members[split]]) for split in SPLITS}

    def _folders(self) -> dict[str, Path]:
        """Return the folder of each split that has one."""
        root = data_root(self.name, self.root)
        if not root.is_dir():
            raise UserError(f"data.root={self.root} is no folder: name one with a folder of recordings a class")
        return split_folders(root)

    def _recordings(self, folder: Path) -> tuple[list[Path], list[int]]:
        """Return the recordings below the class folders of a split, and their labels."""
        paths: list[Path] = []
        labels: list[int] = []
        for label, name in enumerate(self.classes):
            some = [path for path in files_below(folder / name) if path.suffix.lower() in (*AUDIO, *BY_FFMPEG)]
            if not some:
                raise UserError(
                    f"data={self.name}: {folder / name} holds no recording ({', '.join(AUDIO)}): put some there, or leave the class "
                    "out with data.classes"
                )
            paths += some
            labels += [label] * len(some)
        return paths, labels
