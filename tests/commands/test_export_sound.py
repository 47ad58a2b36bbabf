"""Networks of sound as folders of the library: it loads them, and they begin runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.slow
TINY = [
    "model.hidden=16", "model.inner=16", "model.layers=1", "model.heads=2", "data.rate=16000", "data.count=40",
    "trainer=cpu", "trainer.max_epochs=1", "logger=none", "callbacks=none", "hydra.run.dir=run",
]  # fmt: skip
WAV2VEC2 = [
    "model=wav2vec2_tiny", "model.filters=[8,8]", "model.kernels=[10,8]", "model.strides=[10,8]",
    "model.position_kernel=4", "model.position_groups=2", "model.projection=8",
]  # fmt: skip
EXPORT = ["export", "run", "--format", "transformers", "--to", "out"]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["data=generated_words"], "Wav2Vec2ForCTC"),
        (["data=generated_words", "model.name=wavlm"], "WavLMForCTC"),
        (["data=generated_tones"], "Wav2Vec2ForSequenceClassification"),
    ],
)
def test_the_library_loads_it_and_a_run_begins_with_it(experiments: Any, words: list[str], kind: str) -> None:
    code, _, errors = experiments("train", *WAV2VEC2, *TINY, *words)
    assert code == 0, errors
    code, output, errors = experiments(*EXPORT)
    assert code == 0 and "of scores of test recordings" in output, errors
    config = json.loads(Path("out", "config.json").read_text())
    assert config["architectures"] == [kind]
    spec = json.loads(Path("run", "record.json").read_text())["spec"]
    if "CTC" in kind:
        processor = transformers.AutoProcessor.from_pretrained("out")
        rows = [processor.tokenizer.convert_ids_to_tokens(row) for row in range(config["vocab_size"])]
        assert rows == ["<pad>", *("|" if symbol == " " else symbol for symbol in spec["symbols"])]
    else:
        assert list(config["id2label"].values()) == spec["classes"]
    given = [word for word in words if word.startswith("data")]
    code, output, errors = experiments("evaluate", "model=transformers", "weights=out", "data.rate=16000", "data.count=40", "trainer=cpu", *given)  # fmt: skip
    assert code == 0, errors
    metrics = json.loads(Path("run", "record.json").read_text())["metrics"]
    tested = dict(line.split()[:2] for line in output.splitlines() if line.startswith("test/"))
    assert float(tested["test/loss"]) == pytest.approx(metrics["test/loss"], abs=1e-3)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["data=generated_words"], "this run writes characters of its own: begin with weights=FOLDER"),
        (["data=generated_tones"], "hears the silence behind a recording and this run's does not: use --format"),
    ],
)
def test_what_the_library_has_not_is_refused(experiments: Any, words: list[str], sentence: str) -> None:
    code, _, errors = experiments("train", "model=whisper_tiny", "model.window=4", *TINY, *words)
    assert code == 0, errors
    code, _, errors = experiments(*EXPORT)
    assert code == 2 and sentence in errors and not Path("out").exists()
