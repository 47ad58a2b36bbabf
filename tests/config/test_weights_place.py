"""What weights name: a path, or weights on the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.config.weights_place import place_weights


def placed(weights: str, **model: Any) -> dict[str, Any]:
    config: dict[str, Any] = {"weights": weights, "model": {"pretrained": {"library": "transformers"} | model}}
    place_weights(config)
    return {"weights": config["weights"], **config["model"]["pretrained"]}


def test_a_name_on_the_hub_is_that_of_the_published_weights() -> None:
    """As `weights=pretrained` of that name; of sound the weights keep the name themselves."""
    bert = placed("google-bert/bert-base-cased", name="bert")
    assert (bert["weights"], bert["name"]) == ("pretrained", "google-bert/bert-base-cased")
    assert placed("openai/whisper-base", name="x", kinds=["whisper"])["weights"] == "openai/whisper-base"
    assert placed("pretrained", name="openai/x", kinds=["whisper"])["weights"] == "openai/x"


def test_paths_become_absolute(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").mkdir()
    assert placed("outputs/run", name="bert") == {
        "weights": str(tmp_path / "outputs" / "run"),
        "library": "transformers",
        "name": "bert",
    }
    assert placed("a/b", name="resnet18", library="timm")["weights"] == str(tmp_path / "a" / "b")
