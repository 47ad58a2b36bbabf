"""Any recordings with transcripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.data.audio.transcribed import Transcribed
from experiments.data.audio.transcripts import Utterance, read_manifest


class SpeechManifest(Transcribed):
    """Recordings listed in a table, in JSON lines, or lying in LibriSpeech's layout.

    Args:
        path: the file or folder of the training split, or of everything.
        validation_path: the same of the validation split; None: some of `path` is held out.
        test_path: likewise.
        audio: column or key of the recordings' paths, which count from `clips`.
        clips: folder of the recordings; None: that of the list, or a folder clips or wavs beside it.
        text: column or key of the transcripts.
        offset: column or key of the seconds at which an utterance begins in its file; a list without it means whole files.
        duration: likewise of the seconds that it lasts.
        lowercase: write all transcripts in small letters.
        normalise: as in `Transcribed`.
        rest: its other keys.

    Raises:
        UserError: with file and line, for what cannot be used.
    """

    name = "speech_manifest"
    usual = "error"

    def __init__(
        self,
        *,
        path: str,
        validation_path: str | None,
        test_path: str | None,
        audio: str,
        clips: str | None,
        text: str,
        offset: str,
        duration: str,
        lowercase: bool,
        normalise: str,
        **rest: Any,
    ) -> None:
        super().__init__(normalise="lower" if lowercase and normalise == "none" else normalise, **rest)
        self.paths = {"train": path, "validation": validation_path, "test": test_path}
        self.columns = (audio, text, offset, duration, clips)

    def read(self) -> dict[str, list[Utterance]]:
        return {
            split: read_manifest(Path(path).expanduser(), *self.columns) for split, path in self.paths.items() if path
        }
