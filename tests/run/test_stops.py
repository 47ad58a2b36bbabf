"""A stop loses nothing, and what is read is verified and runs nothing: through the command line."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests.run.test_resume import assert_same_run

WORDS = [
    "data=digits", "model=mlp", "model.dropout=0.3", "trainer=cpu", "trainer.max_epochs=2", "data.limit=200",
    "data.batch_size=32", "callbacks.figures=null", "callbacks.progress=null", "logger=csv",
]  # fmt: skip
STOPPER = '''
import os, signal
from lightning.pytorch import Callback

class Stop(Callback):
    """Sends SIGTERM to its process once, at a batch of training, validation or test."""

    def __init__(self, where):
        self.where = where

    def _stop(self, trainer, where, batch):
        if (where, batch) == (self.where, 1) and not os.path.exists("stopped"):
            open("stopped", "w").close()
            os.kill(os.getpid(), signal.SIGTERM)

    def on_train_batch_start(self, trainer, module, batch, index):
        self._stop(trainer, "training", index)

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        self._stop(trainer, "between", index)

    def on_validation_batch_start(self, trainer, module, batch, index, loader=0):
        self._stop(trainer, "validation", index)

    def on_test_batch_start(self, trainer, module, batch, index, loader=0):
        self._stop(trainer, "test", index)
'''


@pytest.fixture
def stopper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stopper.py").write_text(STOPPER)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.fixture
def run(experiments, tmp_path: Path) -> Path:
    code, _, errors = experiments("train", *WORDS, "hydra.run.dir=run")
    assert code == 0, errors
    return tmp_path / "run"


@pytest.mark.slow
@pytest.mark.parametrize("where", ["training", "between", "validation", "test"])
def test_a_run_stopped_anywhere_resumes_to_the_same_end(experiments, stopper: None, tmp_path: Path, where: str) -> None:
    words = [*WORDS, "+callbacks.stop._target_=stopper.Stop", f"+callbacks.stop.where={where}"]
    (tmp_path / "stopped").touch()
    assert experiments("train", *words, "hydra.run.dir=whole")[0] == 0
    (tmp_path / "stopped").unlink()
    code, _, errors = experiments("train", *words, "hydra.run.dir=cut")
    assert code == 143, errors
    assert "run          cut" in errors and "resume       experiments train resume=cut" in errors
    assert (tmp_path / "cut" / "checkpoints" / "last.ckpt").exists()
    assert json.loads((tmp_path / "cut" / "record.json").read_text())["status"] == "interrupted"
    assert not (tmp_path / "cut" / ".lock").exists()
    assert experiments("train", "resume=cut")[0] == 0
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


def test_a_run_from_elsewhere_runs_no_code(experiments, run: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    for key, target in (("optimizer", "subprocess.getoutput"), ("model", "torch.hub.load"), ("task", "builtins.exec")):
        bad = config | {key: {"_target_": target, "cmd": f"touch {tmp_path}/executed"}}
        (run / "config.yaml").write_text(yaml.safe_dump(bad, sort_keys=False))
        code, _, errors = experiments("train", "resume=run", "trainer.max_epochs=3")
        assert code == 2 and "was not written here" in errors and "--trust" in errors
        code, _, errors = experiments("evaluate", "run")
        assert code == (0 if key == "optimizer" else 2), errors
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("key", "word"),
    [
        ("transform", "${evil}"),
        ("transform", "a ${model.evil}"),
        ("transform", "${oc.create:'{_target_: touching.Touch}'}"),
        ("seed", "${oc.decode:'{_target_: touching.Touch}'}"),
        ("seed", "${oc.env:NOBODY,${evil}}"),
    ],
)
def test_no_interpolation_brings_a_class(experiments, run: Path, tmp_path: Path, key: str, word: str) -> None:
    (tmp_path / "touching.py").write_text("open('executed', 'w').close()\nclass Touch: pass\n")
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["evil"] = {"_target_": "touching.Touch"}
    config["data"][key] = word
    (run / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    for words in (["evaluate", "run"], ["train", "resume=run", "trainer.max_epochs=3"]):
        code, _, errors = experiments(*words)
        assert code == 2 and f"says data.{key}=" in errors and "nothing of it was run" in errors
    assert not (tmp_path / "executed").exists()


def test_a_flipped_bit_is_noticed(experiments, run: Path) -> None:
    best = run / "checkpoints" / "best.ckpt"
    content = bytearray(best.read_bytes())
    content[len(content) // 2] ^= 2
    best.unlink()
    best.write_bytes(content)
    code, _, errors = experiments("evaluate", "run")
    assert code == 2 and "best.ckpt" in errors and errors.count("\n") == 1


@pytest.mark.slow
def test_a_changed_tokenizer_is_noticed(experiments, tmp_path: Path) -> None:
    words = ["data=generated_reviews", "data.count=60", "model.hidden=4", "trainer=cpu", "trainer.max_epochs=1"]
    code, _, errors = experiments("train", *words, "callbacks.figures=null", "logger=none", "hydra.run.dir=run")
    assert code == 0, errors
    path = tmp_path / "run" / "tokenizer.json"
    content = json.loads(path.read_text())
    vocabulary = content["model"]["vocab"]
    first, second = sorted(vocabulary, key=vocabulary.get)[-2:]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    path.write_text(json.dumps(content))
    for command in (["evaluate", "run"], ["predict", "run", "a fine film"], ["train", *words, "weights=run"]):
        code, _, errors = experiments(*command)
        assert code == 2 and "tokenizer.json is not the file that its run wrote" in errors, errors


@pytest.mark.slow
def test_a_lost_record_is_read_from_the_rest_and_written_anew(experiments, run: Path) -> None:
    before = json.loads((run / "record.json").read_text())
    for content in ("", "{", "[]", '{"status": 3}', '{"status": "finished", "cost": []}'):
        (run / "record.json").write_text(content)
        code, _, errors = experiments("evaluate", "run")
        assert code == 0 and "warning: " in errors, errors
    (run / "record.json").write_text(json.dumps(before | {"spec": None}))
    code, _, errors = experiments("evaluate", "run")
    assert code == 2 and "has no spec of the data: remove it" in errors
    (run / "record.json").unlink()
    assert experiments("evaluate", "run")[0] == 0  # in this process alone, however many have trained
    code, _, errors = experiments("train", "resume=run")
    assert code == 0, errors
    assert json.loads((run / "record.json").read_text())["metrics"] == before["metrics"]


@pytest.mark.parametrize("content", ["", "[]", "a", "run: 3", "a: &a [*a]", "a: [" * 300, "\x00", "run: {dir: x}"])
def test_a_damaged_config_is_one_sentence(experiments, tmp_path: Path, content: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(content)
    for words in (["evaluate", "run"], ["predict", "run", "x.png"], ["train", "resume=run"]):
        code, _, errors = experiments(*words)
        assert code == 2 and errors.count("\n") == 1 and "config.yaml" in errors, errors


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", {"a": 1}), ("callbacks", -1), ("callbacks.projector", True), ("data.augment", True), ("model.hidden", True),
        ("trainer.limit_val_batches", ["x"]), ("data.gives.size", {"a": 1}), ("model.reads", "x"),
    ],
)  # fmt: skip
def test_a_changed_config_is_one_sentence(experiments, run: Path, key: str, value: object) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    *outer, last = key.split(".")
    inner = config
    for name in outer:
        inner = inner[name]
    inner[last] = value
    (run / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    for words in (["evaluate", "run"], ["train", "resume=run", "trainer.max_epochs=3"]):
        code, _, errors = experiments(*words)
        lines = [line for line in errors.splitlines() if line.startswith(("error", "failed"))]
        assert code == 0 or (code == 2 and len(lines) == 1), errors
        assert code == 0 or lines[0].startswith("error: "), errors


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_refusal_leaves_the_result_of_a_finished_run(experiments, command, tmp_path: Path, processes: int) -> None:
    """One that is to be made longer, and cannot be as its data are away."""

    def start(*words: str) -> tuple[int, str]:
        if processes == 1:
            code, _, errors = experiments(*words)
            return code, errors
        done = command(*words)
        return done.returncode, done.stderr

    for name in ("left", "right"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(8):
            image = Image.new("L", (8, 8), 20 * number + 50 * (name == "left"))
            image.save(tmp_path / "images" / name / f"{number}.png")
    words = ("data=image_folder", "data.root=images", "data.size=8", "data.batch_size=2", "model=logistic_regression")
    more = (
        "trainer=cpu",
        f"trainer.devices={processes}",
        "trainer.max_epochs=1",
        "callbacks.figures=null",
        "logger=none",
    )
    code, errors = start("train", *words, *more, "hydra.run.dir=run")
    assert code == 0, errors
    before = (tmp_path / "run" / "record.json").read_text()
    (tmp_path / "images").rename(tmp_path / "away")
    code, errors = start("train", "resume=run", "trainer.max_epochs=2")
    assert code == 2 and "images" in errors
    assert (tmp_path / "run" / "record.json").read_text() == before
    (tmp_path / "away").rename(tmp_path / "images")
    assert start("evaluate", "run")[0] == 0
    assert start("train", "resume=run", "trainer.max_epochs=2")[0] == 0
    assert json.loads((tmp_path / "run" / "record.json").read_text())["resumed"] == 1


def test_one_process_a_run(experiments, run: Path) -> None:
    from experiments.system.locks import hold

    child = os.fork()
    if child == 0:
        with hold(run / ".lock"):
            (run / "held").touch()
            while (run / "held").exists():
                os.sched_yield()
        os._exit(0)
    while not (run / "held").exists():
        os.sched_yield()
    code, _, errors = experiments("train", "resume=run", "trainer.max_epochs=3")
    (run / "held").unlink()
    os.waitpid(child, 0)
    assert code == 2 and f"at work in another process (process {child}" in errors


@pytest.mark.slow
def test_what_a_killed_writer_left_is_removed(experiments, run: Path) -> None:
    left = run / "checkpoints" / ".last.ckpt.abcd_123"
    left.write_bytes(b"half")
    assert experiments("train", "resume=run", "trainer.max_epochs=3")[0] == 0
    assert not left.exists()


@pytest.mark.slow
def test_secrets_stay_in_the_environment(experiments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", "hunter2")
    code, _, errors = experiments(
        "train",
        *WORDS,
        "+note=${oc.env:MY_SECRET}",
        "+more=x-${note}",
        "model.about.title=${more}",
        "hydra.run.dir=run",
        "logger=default",
    )
    assert code == 0, errors
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert not [path for path in files if b"hunter2" in path.read_bytes()]


def test_no_error_says_a_secret(experiments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", "hunter2")
    code, _, errors = experiments("train", *WORDS, "optimizer.lr=${oc.env:MY_SECRET}", "hydra.run.dir=run")
    assert code == 2 and "optimizer.lr=${oc.env:MY_SECRET} must be" in errors and "hunter2" not in errors
    (tmp_path / "failing.py").write_text(
        "from lightning.pytorch import Callback\n"
        "class Failing(Callback):\n"
        "    def __init__(self, word): self.word = word\n"
        "    def on_train_batch_end(self, *args): raise RuntimeError(f'{self.word} is not known')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    failing = ["+callbacks.failing._target_=failing.Failing", "+callbacks.failing.word=x-${oc.env:MY_SECRET}"]
    code, _, errors = experiments("train", *WORDS, *failing, "hydra.run.dir=run")
    assert code == 1 and "hunter2" not in errors
    assert "x-${oc.env:MY_SECRET} is not known" in json.loads((tmp_path / "run" / "record.json").read_text())["error"]


@pytest.mark.slow
def test_weighted_loss_is_of_the_dataset(experiments, run: Path) -> None:
    shutil.rmtree(run)
    weights = "task.class_weights=[10,1,1,1,1,1,1,1,1,0.1]"
    assert experiments("train", *WORDS, weights, "hydra.run.dir=run")[0] == 0
    recorded = json.loads((run / "record.json").read_text())["metrics"]["test/loss"]
    for batch in (7, 60, 360):
        code, output, errors = experiments("evaluate", "run", f"data.batch_size={batch}")
        assert code == 0, errors
        assert float(output.split()[1]) == pytest.approx(recorded, abs=2e-4)


def test_names_obey_nobody() -> None:
    from experiments.system.outside_text import json_text
    from experiments.viz.tables import comma_separated, table

    evil = ["c\x1b[31m\x1b]0;owned\x07", "x\u202ey", "=cmd()", "-1.5", "हिन्दी"]
    for text in (
        table(["class"], [[name] for name in evil]),
        json_text(evil),
        comma_separated(["class"], [[name] for name in evil]),
    ):
        assert "\x1b" not in text and "\x07" not in text and "\u202e" not in text and "हिन्दी" in text
    assert comma_separated(["class"], [["=cmd()"], ["-1.5"]]) == "class\n'=cmd()\n-1.5"
