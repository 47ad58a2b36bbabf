"""SQuAD, and any file in its layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.data.text.questions import QuestionData
from experiments.data.text.squad_layout import Question, read_questions
from experiments.errors import UserError

ENDINGS = (".json", ".json.zip", ".json.gz", ".jsonl", ".jsonl.gz", ".zip")


class Squad(QuestionData):
    """Reads a file in SQuAD's layout, v1.1 or v2, or with a question, its context and its answers a line; or a folder of them.

    A folder's files whose name begins with train and with dev or test are those splits; where there is only one file, splits
    are held out from it by article.

    Args:
        path: the file or folder.
        test_path: another file with the test split, or None.
        rest: the keys of `QuestionData`.
    """

    name = "squad"

    def __init__(self, *, path: str, test_path: str | None, **rest: Any) -> None:
        super().__init__(**rest)
        self.path, self.test_path = Path(path).expanduser(), test_path and Path(test_path).expanduser()

    def read(self) -> dict[str, list[Question]]:
        files = self._files()
        if self.test_path:
            files["test"] = self.test_path
        return {split: read_questions(path) for split, path in files.items()}

    def _files(self) -> dict[str, Path]:
        if not self.path.is_dir():
            return {"train": self.path}
        inside = sorted(path for path in self.path.iterdir() if path.name.endswith(ENDINGS))
        train = [path for path in inside if path.name.startswith("train")]
        other = [path for path in inside if path.name.startswith(("dev", "test"))]
        if not inside:
            raise UserError(
                f"{self.path} holds no .json, .jsonl or .json.zip: name a file in SQuAD's layout with data.path"
            )
        for several in (train, other):
            if len(several) > 1:
                raise UserError(
                    f"{self.path} holds {' and '.join(path.name for path in several)}: name one with data.path"
                )
        if train and other:
            return {"train": train[0], "test": other[0]}
        return {"train": (train or other or inside)[0]}
