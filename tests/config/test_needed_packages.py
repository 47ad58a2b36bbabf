"""What data and tasks need of the extras is named where it is missing, with what to install."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.config import needed_packages
from experiments.config.check import check
from experiments.config.compose import compose

TOP = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("words", "package", "extra"),
    [
        (["data=audio_folder", "data.root=."], "soundfile", "speech"),
        (["data=generated_reviews"], "tokenizers", "language"),
        (["data=generated_pairs"], "sacrebleu", "translation"),
        (["data=digits", "task=denoising"], "skimage", "denoising"),
        (["data=coco_masks"], "faster_coco_eval", "detection"),
    ],
)
def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, words: list[str], package: str, extra: str
) -> None:
    config = compose(words)
    assert not [problem for problem in check(config) if "not installed" in problem]
    monkeypatch.setitem(sys.modules, package, None)  # as where it is not installed
    (sentence,) = [problem for problem in check(config) if package in problem]
    assert sentence.endswith(f"which is not installed: pip install 'lightning-experiments[{extra}]'")
    assert sentence.startswith(("data=", "task="))


def test_where_only_an_import_tells(
    experiments: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from experiments import cli

    def evaluate(words: list[str]) -> int:
        raise ModuleNotFoundError("No module named 'soundfile'", name="soundfile")

    monkeypatch.setitem(cli.COMMANDS, "evaluate", evaluate)
    code, _, errors = experiments("evaluate", "run")
    assert code == 2 and errors == (
        "error: this needs the package soundfile, which is not installed: pip install 'lightning-experiments[speech]'\n"
    )


def test_every_extra_brings_what_it_is_named_for() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    for package, extra in needed_packages.EXTRAS.items():
        name = {"skimage": "scikit-image"}.get(package, package.replace("_", "-"))
        assert any(requirement.startswith(name) for requirement in project["optional-dependencies"][extra])
        assert not any(requirement.startswith(name) for requirement in project["dependencies"])
    assert {"scipy", "pandas", "rich"} <= {requirement.split(">")[0] for requirement in project["dependencies"]}
