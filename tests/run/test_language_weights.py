"""Published language models by their folder: their tokenizer, their network, and what does not fit, from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

transformers = pytest.importorskip("transformers")

QUICK = [
    "data=generated_reviews",
    "data.count=120",
    "trainer=quick",
    "logger=none",
    "callbacks=none",
    "hydra.run.dir=run",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT for masked words in the library's own layout, with a WordPiece tokenizer."""
    from experiments.data.text import tokens
    from experiments.data.text.generated_reviews import write

    place = tmp_path_factory.mktemp("published")
    tokenizer = tokens.fit(tokens.Rule("wordpiece", 300, 1, True, ends=True), list(write(200, 0).lines))
    tokens.keep(tokenizer, place / "tokenizer.json")
    config = transformers.BertConfig(
        vocab_size=tokenizer.get_vocab_size() + 3,  # tables are often larger than the vocabulary
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=24,
        hidden_act="relu",
    )
    transformers.BertForMaskedLM(config).save_pretrained(place)
    return place


def copied(folder: Path, to: Path, without: str = "") -> Path:
    to.mkdir()
    for file in folder.iterdir():
        if file.name != without:
            (to / file.name).write_bytes(file.read_bytes())
    return to


@pytest.mark.slow
def test_a_folder_brings_network_and_tokenizer(experiments, tmp_path: Path, folder: Path, caplog) -> None:
    code, _, errors = experiments("train", *QUICK, "model=transformers", f"weights={folder}", "freezing=last_stage")
    assert code == 0, errors
    assert "nothing for the stage pooler" in caplog.text
    run = tmp_path / "run"
    assert json.loads((run / "tokenizer.json").read_text())["model"]["type"] == "WordPiece"
    record = json.loads((run / "record.json").read_text())
    assert record["spec"]["longest"] <= 24 and record["spec"]["marks"] == [0, 1, 2, 3]
    assert [row["stage"] for row in record["freezing"]] == ["embeddings", "layer1", "layer2", "pooler", "head"]
    from experiments.run.loaded import load

    net = transformers.BertModel.from_pretrained(folder)
    model = load(run).model
    assert model.config.hidden_act == "relu"
    assert model.embeddings.embeddings.word_embeddings.weight.equal(net.embeddings.word_embeddings.weight)
    query = "attention.self.query.weight"
    assert model.layer2.layer.get_parameter(query).equal(net.encoder.layer[1].get_parameter(query))
    code, output, errors = experiments("predict", "run", "a good film", "--format", "json")
    assert code == 0, errors
    assert len(json.loads(output)) == 1


@pytest.mark.slow
def test_a_run_brings_its_network_and_tokenizer(experiments, tmp_path: Path, folder: Path) -> None:
    assert experiments("train", *QUICK, "model=transformers", f"weights={folder}")[0] == 0
    words = [
        "model=transformers",
        "weights=run",
        "freezing=feature_extraction",
        "hydra.run.dir=second",
        "data.count=90",
    ]
    code, _, errors = experiments("train", *QUICK[:1], *QUICK[2:-1], *words)
    assert code == 0, errors
    first, second = (json.loads((tmp_path / name / "tokenizer.json").read_text()) for name in ("run", "second"))
    assert first["model"]["vocab"] == second["model"]["vocab"]
    from experiments.run.loaded import load

    trained, other = (load(tmp_path / name).model.layer2.state_dict() for name in ("run", "second"))
    assert all(trained[key].equal(other[key]) for key in trained)


@pytest.mark.parametrize(
    ("change", "words", "sentence"),
    [
        ("no config.json", [], ["no config.json"]),
        ("no tokenizer.json", [], ["no tokenizer.json", "data.tokenizer.source"]),
        ("pickled", [], ["pytorch_model.bin", "save_pretrained"]),
        ("other tokenizer", [], ["do not", "tokens"]),
        ("few tokens", [], ["do not", "has 9"]),
        ("", ["model=bert_tiny"], ["size=32", "model=bert_tiny has 128", "model=transformers"]),
        ("", ["model=roberta_tiny"], ["family bert", "model=roberta_tiny"]),
        ("", ["data.tokenizer.kind=bpe"], ["data.tokenizer.kind=bpe", "brings its own"]),
        ("", ["data.max_length=30"], ["data.max_length=30", "24", "data.max_length=24"]),
    ],
)
def test_what_does_not_fit_is_refused_before_training(
    experiments, tmp_path: Path, folder: Path, change: str, words: list[str], sentence: list[str]
) -> None:
    place = copied(
        folder, tmp_path / "weights", {"no config.json": "config.json", "pickled": "model.safetensors"}.get(change, "")
    )
    if change == "pickled":
        (place / "pytorch_model.bin").write_bytes(b"pickle")
    elif change == "no tokenizer.json":
        (place / "tokenizer.json").unlink()
    elif change == "other tokenizer":
        content = json.loads((place / "tokenizer.json").read_text())
        content["model"]["vocab"] |= {f"word{number}": 1000 + number for number in range(5)}
        (place / "tokenizer.json").write_text(json.dumps(content))
    elif change == "few tokens":
        content = json.loads((place / "tokenizer.json").read_text())
        first = sorted(content["model"]["vocab"].items(), key=lambda entry: entry[1])[:9]
        content["model"]["vocab"] = dict(first)
        (place / "tokenizer.json").write_text(json.dumps(content))
    given = ["model=transformers", f"weights={place}", *words]
    for command in ("check", "train"):
        code, output, errors = experiments(command, *QUICK, *given)
        assert code == 2
        assert all(word in output + errors for word in sentence), output + errors
    assert not (tmp_path / "run").exists()


def test_published_names_are_not_asked_for_offline(experiments, tmp_path: Path, monkeypatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("socket.create_connection", lambda *words, **_: asked.append(words))
    monkeypatch.setattr("socket.getaddrinfo", lambda *words, **_: asked.append(words))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    code, _, errors = experiments("train", *QUICK, "model=bert_tiny", "weights=pretrained")
    assert code == 2 and not asked
    assert "google/bert_uncased_L-2_H-128_A-2" in errors and "HF_HUB_OFFLINE" in errors and "weights=FOLDER" in errors
    assert errors.count("\n") == 1


@pytest.mark.slow
def test_a_run_is_exported_as_the_library_loads_it(experiments, tmp_path: Path, folder: Path) -> None:
    assert experiments("train", *QUICK, "model=transformers", f"weights={folder}", "freezing=lora")[0] == 0
    code, output, errors = experiments("export", "run", "--format", "transformers", "--to", "out")
    assert code == 0, errors
    assert "agreement" in output
    out = tmp_path / "out"
    net = transformers.AutoModelForSequenceClassification.from_pretrained(out).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    assert set(net.config.id2label.values()) == {"negative", "positive"}
    import torch

    from experiments.run.loaded import load

    texts = ["a good film", "a dull and long story"]
    with torch.no_grad():
        theirs = net(**tokenizer(texts, padding=True, return_tensors="pt")).logits.softmax(1)
    assert torch.allclose(theirs, load("run").predict(texts), atol=1e-5)
    code, _, errors = experiments("train", *QUICK[:-1], "model=transformers", "weights=out", "hydra.run.dir=second")
    assert code == 0, errors
    code, _, errors = experiments("export", "run", "--format", "transformers", "--to", "out")
    assert code == 2 and "is there already" in errors


@pytest.mark.slow
def test_a_writer_is_exported_with_its_tokenizer(experiments, tmp_path: Path) -> None:
    """Its data is one long text, of which there are no single examples."""
    words = [
        "data=generated_text",
        "task=language_modelling",
        "model=gpt2_tiny",
        "model.layers=1",
        "model.size=16",
        "data.steps=16",
    ]
    code, _, errors = experiments("train", *words, *QUICK[2:])
    assert code == 0, errors
    code, output, errors = experiments("export", "run", "--format", "transformers", "--to", "out")
    assert code == 0 and "agreement" in output and "left out" not in output, errors
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    from experiments.run.loaded import load

    run = load(tmp_path / "run")
    assert tokenizer("a good film").input_ids == run.prepare(["a good film"]).values[0].tolist()
    assert tokenizer.eos_token_id == run.reader.tokenizer.token_to_id("</s>")
