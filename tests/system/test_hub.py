"""Names on the hub: from the cache, or one sentence in a second."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from experiments.errors import UserError
from experiments.system import hub

MODEL = {"pretrained": {"library": "transformers", "kinds": ["whisper"]}}


def cache(home: Path, name: str, *files: str) -> Path:
    folder = home / "hub" / f"models--{name.replace('/', '--')}"
    snapshot = folder / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    for file in files:
        (snapshot / file).write_text(json.dumps({"model_type": "whisper"}))
    return snapshot


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


def test_the_cache_is_looked_into_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = cache(tmp_path, "openai/whisper-tiny", "config.json", "model.safetensors")
    assert hub.published_folder("openai/whisper-tiny") == snapshot
    assert hub.hub_name("google-bert/bert-base-uncased", {"pretrained": {"library": "transformers"}})
    assert not hub.hub_name("timm/resnet18", {"pretrained": {"library": "timm"}})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").mkdir()
    assert not hub.hub_name("outputs/run", MODEL)  # a run that is not there
    assert hub.hub_name("openai/whisper-tiny", MODEL) and not hub.hub_name("openai/whisper-tiny", {})
    assert hub.hub_problems("openai/whisper-tiny") == []
    cache(tmp_path, "openai/pickled", "config.json", "pytorch_model.bin")
    assert hub.cached_folder("openai/pickled") is None
    unnamed = cache(tmp_path, "openai/whisper-base", "config.json", "model.safetensors")
    (tmp_path / "hub" / "models--openai--whisper-base" / "refs" / "main").unlink()
    assert hub.cached_folder("openai/whisper-base") == unnamed


def test_a_mirror_and_a_proxy_are_asked_in_the_hubs_place(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def refuse(place: Any, **_: Any) -> None:
        asked.append(place)
        raise OSError

    monkeypatch.setattr(hub.socket, "create_connection", refuse)
    for name in ("HTTPS_PROXY", "https_proxy", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    hub.hub_problems("openai/whisper-tiny")
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example")
    hub.hub_problems("openai/whisper-tiny")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    hub.hub_problems("openai/whisper-tiny")
    assert asked == [("huggingface.co", 443), ("mirror.example", 443), ("proxy.example", 3128)]


@pytest.mark.parametrize("offline", [False, True])
def test_without_a_network_it_says_so_in_a_second(monkeypatch: pytest.MonkeyPatch, offline: bool) -> None:
    answer = threading.Event()  # never comes while the question stands

    def silent(*_: Any, **__: Any) -> None:
        answer.wait()
        raise OSError

    monkeypatch.setattr(hub.socket, "create_connection", silent)
    if offline:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (sentence,) = hub.hub_problems("openai/whisper-tiny")  # a question that nobody answers is not awaited
    answer.set()
    assert (
        "weights=openai/whisper-tiny is not in the cache" in sentence and "hf download openai/whisper-tiny" in sentence
    )
    assert ("HF_HUB_OFFLINE is set" if offline else "does not answer") in sentence


def test_folders_are_looked_at_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "whisper"}')
    assert "holds no model.safetensors" in hub.folder_problems(tmp_path, MODEL)[0]
    (tmp_path / "pytorch_model.bin").touch()
    assert "holds pytorch_model.bin alone" in hub.folder_problems(tmp_path, MODEL)[0]
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "one.safetensors"}}')
    assert "lacks one.safetensors" in hub.folder_problems(tmp_path, MODEL)[0]
    (tmp_path / "model.safetensors").touch()
    assert hub.folder_problems(tmp_path, MODEL) == []
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert "is of a bert and not of whisper" in hub.folder_problems(tmp_path, MODEL)[0]


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"weight_map": 3}'])
def test_a_damaged_index_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / hub.INDEX).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"model\.safetensors\.index\.json cannot be read .*: fetch it again"):
        hub.weight_files(tmp_path, f"weights={tmp_path}")
