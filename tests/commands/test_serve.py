"""A run's answers over HTTP and on a page, within limits."""

from __future__ import annotations

import base64
import io
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from experiments import train
from experiments.commands.answering import Answerer, as_json
from experiments.commands.serve import _listening
from experiments.commands.serve import main as serve
from experiments.errors import Interrupted, UserError
from experiments.run.loaded import load
from experiments.tasks.report import report_of

pytest.importorskip("fastapi", reason="fastapi is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")


@pytest.fixture(scope="module")
def answerer(tmp_path_factory: pytest.TempPathFactory) -> Answerer:
    folder = tmp_path_factory.mktemp("run")
    train("trainer.max_epochs=1", "trainer=cpu", "callbacks.figures=null", "logger=none", f"hydra.run.dir={folder}/run", data="digits", model="lenet5")  # fmt: skip
    return Answerer(load(f"{folder}/run"), "serve")


def picture(size: int = 8) -> bytes:
    out = io.BytesIO()
    Image.new("L", (size, size), 90).save(out, format="PNG")
    return out.getvalue()


def client(answerer: Answerer, size: int = 1_000_000, seconds: float = 600.0) -> Any:
    from fastapi.testclient import TestClient

    from experiments.commands.serve_app import Limits, application

    return TestClient(application(answerer, Limits(size, 2, seconds)))


@pytest.mark.slow
def test_it_answers_what_predict_answers(answerer: Answerer, tmp_path: Path) -> None:
    http = client(answerer)
    about = http.get("/").json()
    assert (
        about["input"] == "image"
        and about["encoding"] == "base64 of a file"
        and about["limits"]["inputs"] == 2
        and len(about["classes"]) == 10
    )
    sent = base64.b64encode(picture()).decode()
    done = http.post("/predict", json={"inputs": [sent, sent], "top": 2})
    assert done.status_code == 200, done.text
    (tmp_path / "a.png").write_bytes(picture())
    wanted = answerer.loaded.answers([tmp_path / "a.png"], 2)[0]["classes"]
    for answer in done.json()["answers"]:
        assert [label["class"] for label in answer["classes"]] == [label["class"] for label in wanted]
    schema = http.get("/openapi.json").json()["components"]["schemas"]
    assert set(schema["Request"]["properties"]) == {"inputs", "top"} and http.get("/health").json() == {"status": "ok"}


@pytest.mark.slow
def test_limits(answerer: Answerer, monkeypatch: pytest.MonkeyPatch) -> None:
    http = client(answerer, size=3000)
    sent = base64.b64encode(picture()).decode()

    def refusal(status: int, **body: Any) -> str:
        done = http.post("/predict", json=body)
        assert done.status_code == status, done.text
        return str(done.json()["detail"])

    assert "send 2 at most" in refusal(413, inputs=[sent] * 3)
    assert "more than 0.003 MB" in refusal(413, inputs=["A" * 5000])
    assert "no base64" in refusal(422, inputs=["é"])
    assert "no image" in refusal(422, inputs=[base64.b64encode(b"not an image").decode()])
    assert refusal(422, inputs=[sent], code="import os") == "code: Extra inputs are not permitted"
    head = {"content-type": "application/json"}
    for odd, place in (
        ('{"inputs": ["a"], "top": 1e400}', "top"),
        ("[]", "the request"),
        ('{"inputs": [', "the request is no JSON"),
        ('{"inputs": [null]}', "input 1 has the wrong form: give an image"),
    ):
        done = http.post("/predict", content=odd, headers=head)
        assert done.status_code == 422 and done.json()["detail"].startswith(place), done.text
    for size in ((9_000, 8_000), (20_000, 20_000)):  # Pillow itself refuses the second
        out = io.BytesIO()
        Image.new("1", size).save(out, format="PNG")
        large = client(answerer).post("/predict", json={"inputs": [base64.b64encode(out.getvalue()).decode()]})
        assert large.status_code == 422 and "pixels" in large.json()["detail"]
    slow = client(answerer, seconds=0.05)
    monkeypatch.setattr(answerer, "of", lambda given, top=None: time.sleep(0.5) or {})
    done = slow.post("/predict", json={"inputs": [sent]})
    assert done.status_code == 503 and "more than 0.05 s" in done.json()["detail"]


def test_mistakes(experiments: Callable[..., tuple[int, str, str]]) -> None:
    assert experiments("serve", "nowhere")[0] == 2
    code, _, errors = experiments("serve", "nowhere", "--megabytes", "0")
    assert code == 2 and "must be above 0" in errors


@pytest.mark.slow
def test_the_page_answers(answerer: Answerer) -> None:
    from experiments.commands.demo import _png, answered
    from experiments.commands.demo_examples import examples_of_test

    examples = examples_of_test(answerer, 3)
    assert len(examples) == 3
    bars, _, pictures, files = answered(answerer, _png(examples[0][0]))
    assert len(bars) == 3 and sum(bars.values()) <= 1.0001 and not files
    assert pictures[0][0].size[0] >= 200, "Grad-CAM over the image"


# Of each kind of data: overrides, the keys of an answer, pictures of the page, and a mistake with its sentence.
KINDS = {
    "text": (["data=generated_reviews"], {"classes"}, 1, ["a", "b"], "give a text"),
    "words": (["data=generated_entities"], {"entities", "labels"}, 0, "", "is empty"),
    "writing": (["data=generated_text"], {"continuation"}, 0, " ", "is empty"),
    "pair": (["data=generated_pairs"], {"translations"}, 1, {"a": "b"}, "a text in English"),
    "question": (["data=generated_questions"], {"answers"}, 1, {"question": "who"}, "[question, passage]"),
    "audio": (["data=generated_tones"], {"classes"}, 1, b"no sound", "give WAV"),
    "speech": (["data=generated_words"], {"seconds", "transcript", "segments"}, 1, [1, 2], "is no file"),
    "series": (["data=generated_series"], {"first", "last", "steps", "generated", "forecast", "picture"}, 1, b"a,b", "the file"),
    "masks": (["data=generated_masks", "data.size=32"], {"classes", "mask", "overlay"}, 2, b"", "is empty"),
    "boxes": (["data=generated_boxes", "data.count=16", "model=ssdlite"], {"objects", "drawn"}, 1, b"", "is empty"),
    "instances": (
        ["data=generated_boxes", "data.count=8", "task=instance_segmentation", "model.backbone=resnet18", "model.min_size=64", "model.score=0"],
        {"objects", "drawn", "masks"}, 2, b"", "is empty",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "kind", [kind if kind == "series" else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]
)
def test_every_kind_is_answered(kind: str, untrained: Callable[..., Answerer]) -> None:
    """By HTTP and on the page, for an example of the test split, with pictures of what decided."""
    from experiments.commands.demo import answered, input_of, legend
    from experiments.commands.demo_examples import examples_of_test

    overrides, keys, pictures, mistake, sentence = KINDS[kind]
    run = untrained(*overrides)
    examples = examples_of_test(run, 2)
    assert len(examples) == 2
    given = input_of(run, examples[0])
    encoded = [base64.b64encode(kind).decode() if isinstance(kind, bytes) else kind for kind in (given, mistake)]
    http = client(run)
    done = http.post("/predict", json={"inputs": encoded[:1]})
    assert done.status_code == 200, done.text
    assert set(done.json()["answers"][0]) == keys
    refused = http.post("/predict", json={"inputs": encoded[1:]})
    assert refused.status_code == 422 and sentence in refused.json()["detail"], refused.text
    bars, table, drawn, _ = answered(run, given)
    assert (bars or table["data"]) and len(drawn) >= pictures
    assert not getattr(report_of(run.loaded.task), "_answered", None), "a server keeps nothing of what it answered"
    assert bool(legend(run.loaded.spec, drawn)) == (kind == "masks")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "keys"),
    [
        (["data.label=relation"], {"classes"}),
        (["data.label=score", "data.numbers=true", "task=regression"], {"number"}),
        (["data.label=score", "data.numbers=true", "task=similarity"], {"cosine", "number"}),
    ],
    ids=["relation", "number", "similarity"],
)
def test_pairs_of_sentences(
    overrides: list[str], keys: set[str], untrained: Callable[..., Answerer], tmp_path: Path
) -> None:
    """In each form that the server takes they are answered alike, and as `Loaded.answers`, which is what predict prints."""
    from experiments.commands.demo import answered, input_of
    from experiments.commands.demo_examples import examples_of_test

    rows = [f"a man plays song {n}\ta man sings {n}\t{n % 3}\t{('yes', 'no')[n % 2]}" for n in range(40)]
    (tmp_path / "pairs.tsv").write_text("\n".join(["first\tsecond\tscore\trelation", *rows]) + "\n")
    run = untrained(
        "data=text_table", f"data.path={tmp_path}/pairs.tsv", "data.text=first", "data.second=second", "model=bert_tiny", *overrides
    )  # fmt: skip
    example = examples_of_test(run, 2)[0]
    assert len(example) == 2
    first, second = example
    http = client(run)
    forms = [[first, second], {"first": first, "second": second}, f"{first} ||| {second}"]
    answers = [http.post("/predict", json={"inputs": [form]}).json()["answers"][0] for form in forms]
    predicted = as_json(run.loaded.answers([f"{first}\t{second}"], 3)[0])
    assert answers == [predicted] * 3 and set(predicted) == keys
    bars, table, _, _ = answered(run, input_of(run, example))
    assert bool(bars) == ("classes" in keys) and (bars or table["data"])


def test_observations_are_given_by_name(untrained: Callable[..., Answerer]) -> None:
    pytest.importorskip("gymnasium", reason="gymnasium is not installed")
    run = untrained("data=control")
    numbers = dict.fromkeys(run.fields, 0.0)
    http = client(run)
    done = http.post("/predict", json={"inputs": [numbers, [0, 0, 0, 0]]}).json()["answers"]
    assert done[0] == done[1] and {action["action"] for action in done[0]["actions"]} == {"left", "right"}
    refused = http.post("/predict", json={"inputs": [numbers | {"wind": 1}]})
    assert refused.status_code == 422 and "a list of 4 numbers" in refused.json()["detail"]


def test_sequences_are_refused(untrained: Callable[..., Answerer]) -> None:
    with pytest.raises(UserError, match="takes no single input: use experiments evaluate"):
        untrained("data=adding")


@pytest.mark.slow
def test_a_text_that_names_a_file_is_a_text(untrained: Callable[..., Answerer], tmp_path: Path) -> None:
    """The page and the server read nothing of this machine's disk for whoever asks."""
    from experiments.commands.demo import answered

    (tmp_path / "secret.txt").write_text("good good good good good good\nbad\n")
    _, _, drawn, _ = answered(untrained("data=generated_reviews"), str(tmp_path / "secret.txt"))
    assert len(drawn) == 1, "one text, not one for each line of the file"


@pytest.mark.slow
def test_the_page_opens(answerer: Answerer) -> None:
    gradio = pytest.importorskip("gradio", reason="gradio is not installed")
    from experiments.commands.demo import page

    made = page(answerer, 2)
    assert isinstance(made, gradio.Blocks)
    _, url, _ = made.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, share=False)
    try:
        import urllib.request

        assert "lenet5 on digits" in urllib.request.urlopen(url, timeout=120).read().decode()
    finally:
        made.close()


def test_a_port_that_is_taken_ends_in_a_sentence() -> None:
    with _listening("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(UserError, match="cannot be opened"):
            _listening("127.0.0.1", port)


def test_ctrl_c_is_how_a_server_ends(answerer: Answerer, monkeypatch: pytest.MonkeyPatch) -> None:
    uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not installed")
    folder = str(answerer.loaded.folder)

    def stopped(signum: int) -> None:
        raise Interrupted(signum)

    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: stopped(signal.SIGINT))
    assert serve([folder, "--port", "0"]) == 0
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: stopped(signal.SIGTERM))
    with pytest.raises(Interrupted):
        serve([folder, "--port", "0"])
