"""A run's answers over HTTP and on a page, within limits."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from experiments import train
from experiments.commands.answering import Answerer

pytest.importorskip("fastapi", reason="fastapi is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")


@pytest.fixture(scope="module")
def answerer(tmp_path_factory: pytest.TempPathFactory) -> Answerer:
    folder = tmp_path_factory.mktemp("run")
    train("trainer.max_epochs=1", "trainer=cpu", "callbacks.figures=null", "logger=none", f"hydra.run.dir={folder}/run", data="digits", model="lenet5")  # fmt: skip
    return Answerer(f"{folder}/run", "serve")


def picture(size: int = 8) -> bytes:
    out = io.BytesIO()
    Image.new("L", (size, size), 90).save(out, format="PNG")
    return out.getvalue()


def client(answerer: Answerer, size: int = 1_000_000, seconds: float = 30.0) -> Any:
    from fastapi.testclient import TestClient

    from experiments.commands.serve_app import Limits, application

    return TestClient(application(answerer, Limits(size, 2, seconds)))


def test_it_answers_what_predict_answers(answerer: Answerer, tmp_path: Path) -> None:
    http = client(answerer)
    about = http.get("/").json()
    assert about["input"] == "image" and about["encoding"] == "base64 of a file" and len(about["classes"]) == 10
    sent = base64.b64encode(picture()).decode()
    done = http.post("/predict", json={"inputs": [sent, sent], "top": 2})
    assert done.status_code == 200, done.text
    (tmp_path / "a.png").write_bytes(picture())
    wanted = answerer.loaded.answers([tmp_path / "a.png"], 2)[0]["classes"]
    for answer in done.json()["answers"]:
        assert [one["class"] for one in answer["classes"]] == [one["class"] for one in wanted]
    schema = http.get("/openapi.json").json()["components"]["schemas"]
    assert set(schema["Request"]["properties"]) == {"inputs", "top"} and http.get("/health").json() == {"status": "ok"}


def test_limits(answerer: Answerer, monkeypatch: pytest.MonkeyPatch) -> None:
    http = client(answerer, size=3000)
    sent = base64.b64encode(picture()).decode()

    def said(status: int, **body: Any) -> str:
        done = http.post("/predict", json=body)
        assert done.status_code == status, done.text
        return str(done.json()["detail"])

    assert "send 2 at most" in said(413, inputs=[sent] * 3)
    assert "more than 0.003 MB" in said(413, inputs=["A" * 5000])
    assert "no base64" in said(422, inputs=["é"])
    assert "no image" in said(422, inputs=[base64.b64encode(b"not an image").decode()])
    assert "extra" in said(422, inputs=[sent], code="import os").lower()
    out = io.BytesIO()
    Image.new("1", (9_000, 8_000)).save(out, format="PNG")
    large = client(answerer).post("/predict", json={"inputs": [base64.b64encode(out.getvalue()).decode()]})
    assert large.status_code == 422 and "pixels" in large.json()["detail"]
    slow = client(answerer, seconds=0.05)
    monkeypatch.setattr(answerer, "of_file", lambda content, top=None: time.sleep(0.5) or {})
    done = slow.post("/predict", json={"inputs": [sent]})
    assert done.status_code == 503 and "more than 0.05 s" in done.json()["detail"]


def test_mistakes(experiments: Callable[..., tuple[int, str, str]]) -> None:
    assert experiments("serve", "nowhere")[0] == 2
    code, _, errors = experiments("serve", "nowhere", "--megabytes", "0")
    assert code == 2 and "must be above 0" in errors


def test_the_page_answers(answerer: Answerer) -> None:
    from experiments.commands.demo import answered, examples_of_test

    examples = examples_of_test(answerer, 3)
    assert len(examples) == 3
    scores, drawn = answered(answerer, examples[0][0], True)
    assert len(scores) == 5 and sum(scores.values()) <= 1.0001
    assert drawn.size[0] >= 200, "Grad-CAM over the image"


@pytest.mark.slow
def test_the_page_opens(answerer: Answerer) -> None:
    gradio = pytest.importorskip("gradio", reason="gradio is not installed")
    from experiments.commands.demo import page

    made = page(answerer, 2)
    assert isinstance(made, gradio.Blocks)
    _, url, _ = made.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, share=False)
    try:
        import urllib.request

        assert "lenet5 on digits" in urllib.request.urlopen(url, timeout=30).read().decode()
    finally:
        made.close()
