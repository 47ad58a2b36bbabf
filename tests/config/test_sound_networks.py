"""`model=transformers` reads networks of sound by the option of `model` that is made for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.config.compose import compose
from experiments.config.sound_networks import with_sound_network
from experiments.errors import UserError

HUBERT = {"model_type": "hubert", "hidden_size": 24, "num_hidden_layers": 2, "conv_dim": [8, 8], "conv_kernel": [10, 3]}


def folder(place: Path, **content: Any) -> str:
    place.mkdir(parents=True)
    (place / "config.json").write_text(json.dumps(content))
    (place / "model.safetensors").touch()
    return str(place)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["model.name=hubert", "model.size=24"], ["model=wav2vec2_base", "model.name=hubert", "model.hidden=24"]),
        (["model.name=wavlm"], ["model=wav2vec2_base", "model.name=wavlm"]),
        (["model.name=bert"], ["model=transformers", "model.name=bert"]),
        (["model.name=whisper"], ["model=whisper_base"]),
        ([], ["model=transformers"]),
    ],
)
def test_names_choose_the_option(words: list[str], wanted: list[str]) -> None:
    assert with_sound_network(["model=transformers", *words]) == wanted
    assert with_sound_network(["model=bert_tiny", *words]) == ["model=bert_tiny", *words]


@pytest.mark.parametrize(
    ("kind", "option"), [("hubert", "wav2vec2_base"), ("whisper", "whisper_base"), ("gpt2", "transformers")]
)
def test_weights_choose_the_option(tmp_path: Path, kind: str, option: str) -> None:
    """A folder, and a name that the hub's cache has."""
    given = folder(tmp_path / "given", model_type=kind)
    assert with_sound_network(["model=transformers", f"weights={given}"])[0] == f"model={option}"


def test_names_of_the_hub_choose_the_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder(tmp_path / "models--some--hubert" / "snapshots" / "one", **HUBERT)
    for words in (["weights=some/hubert"], ["weights=pretrained", "model.name=some/hubert"]):
        assert with_sound_network(["model=transformers", *words]) == ["model=wav2vec2_base", "weights=some/hubert"]
    with pytest.raises(UserError, match=r"weights=pretrained \(some/other\) is not in the cache"):
        with_sound_network(["model=transformers", "weights=pretrained", "model.name=some/other"])


def test_a_run_with_a_network_of_sound_chooses_its_option(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "model: {pretrained: {kinds: [wav2vec2]}}\nrun: {choices: {model: wav2vec2_tiny}}\n"
    )
    assert with_sound_network(["model=transformers", f"weights={tmp_path}"])[0] == "model=wav2vec2_tiny"


def test_sizes_are_those_of_the_weights(tmp_path: Path) -> None:
    """In the config that the run keeps; a key that says something else is refused."""
    weights = f"weights={folder(tmp_path / 'given', **HUBERT)}"
    words = ["model=transformers", "data=yesno", weights]
    config = compose(words)
    model = config.model
    assert (config.run.choices.task, model.name, model.hidden, model.layers) == ("speech_recognition", "hubert", 24, 2)
    assert model.source == str(tmp_path / "given")
    assert model.filters == [8, 8]
    assert model.time_mask == 0.05
    compose([*words, "model.layers=2", "model.time_mask=0.1"])
    with pytest.raises(
        UserError, match=r"has layers=2 and model\.layers=3: take that of the weights, or leave out model\.layers"
    ):
        compose([*words, "model.layers=3"])
    with pytest.raises(
        UserError, match=r"has name=hubert and model\.name=wavlm: take that of the weights, or leave out model\.name"
    ):
        compose([*words, "model.name=wavlm"])
