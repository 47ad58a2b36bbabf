"""`check -m` refuses what `train` refuses, with the same sentence, and builds no more runs than it has to."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from experiments.run import rehearse
from experiments.sweep import rehearse_runs

DIGITS = ("data=digits", "trainer=cpu", "callbacks=none", "logger=none")


@pytest.mark.parametrize(
    "words",
    [
        ("model=mlp", "data.augment.crop=-3,1"),
        ("model=mlp", "data.limit=1,100"),
        ("model=mlp,lenet5", "freezing=stages", "freezing.learn=[layer4]"),
    ],
)
def test_a_sweep_is_refused_with_the_sentence_of_its_run(experiments, words: tuple[str, ...]) -> None:
    code, _, errors = experiments("train", *DIGITS, *(word.partition(",")[0] for word in words))
    assert code == 2
    sentence = errors.strip().removeprefix("error: ")
    code, _, errors = experiments("check", "-m", *DIGITS, *words)
    assert code == 2 and sentence in errors, errors


def test_runs_of_one_kind_are_built_once_and_not_all_where_there_are_many(
    experiments, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    monkeypatch.setattr(rehearse, "rehearse", built.append)
    monkeypatch.setattr(rehearse_runs, "MOST", 2)
    code, output, errors = experiments("check", "-m", *DIGITS, "model=mlp", "data.limit=50,60,70", "seed=0,1,2")
    assert code == 0, errors
    assert len(built) == 2
    assert "1 of 3 kinds of runs were checked by rules alone" in output
    code, output, _ = experiments("check", "-m", *DIGITS, "model=mlp", "optimizer.lr=0.1,0.2", "seed=0,1,2")
    assert code == 0 and len(built) == 2 and "by rules alone" not in output


def test_a_sweep_over_files_that_do_not_fit_is_refused_before_its_first_run(experiments, tmp_path: Path) -> None:
    """Once for each choice of data, whatever else differs, and nothing is left behind."""
    for name in ("a/1", "a/2", "b/1", "b/2"):
        path = tmp_path / f"photos/{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 9 if name == "b/2" else 8)).save(path)
    words = ("data=image_folder", "data.root=photos", "data.size=null,8", "model=mlp", "seed=0,1", "hydra.sweep.dir=it")
    code, _, errors = experiments("train", "-m", *words, "trainer=cpu", "callbacks=none", "logger=none")
    assert code == 2 and errors.startswith(
        "error: data.size=null seed=0 (and 1 more): photos/b/2.png has 9 × 8 pixels"
    ), errors
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
