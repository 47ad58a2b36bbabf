"""One run, from one command to a record."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

SMALL = ["data=shapes", "data.limit=64", "data.batch_size=32", "trainer=cpu", "trainer.max_epochs=1", "model=mlp"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on the scanned digits."""
    from experiments.cli import main

    folder = tmp_path_factory.mktemp("finished") / "run"
    assert (
        main(["train", "data=digits", "model=mlp", "trainer=cpu", "trainer.max_epochs=3", f"hydra.run.dir={folder}"])
        == 0
    )
    return folder


def record(folder: Path) -> dict:
    return json.loads((folder / "record.json").read_text())


def test_the_record_tells_all(finished: Path) -> None:
    content = record(finished)
    assert content["status"] == "finished"
    assert content["error"] is None
    assert (
        content["choices"] | {"model": "mlp", "data": "digits", "precision": "32-true", "seed": 0} == content["choices"]
    )
    assert content["metrics"]["test/accuracy"] > 0.8
    assert {"test/precision", "test/recall", "test/f1", "test/top5", "val/accuracy", "train/loss"} <= content[
        "metrics"
    ].keys()
    cost = content["cost"]
    assert cost["parameters"] == cost["trainable_parameters"] == 64 * 256 + 256 + 2560 + 10
    assert cost["flops_per_example"] == 2 * (64 * 256 + 2560)
    assert cost["seconds"] > cost["train_seconds"] > 0
    assert cost["examples_per_second"] > 0
    assert cost["peak_memory_mb"] > 50
    environment = content["environment"]
    assert environment["versions"]["torch"] == torch.__version__.split("+")[0]
    assert environment["precision"] == "32-true"
    assert environment["device"] == "cpu"
    assert len(content["identity"]) == 16
    assert sum(row["examples"] for row in content["per_class"].values()) == content["data"]["test"]
    assert content["data"]["train"] + content["data"]["validation"] + content["data"]["test"] == 1797


def test_the_folder_holds_what_is_promised(finished: Path) -> None:
    names = {path.relative_to(finished).as_posix() for path in finished.rglob("*") if path.is_file()}
    assert {"config.yaml", "record.json", "metrics.csv", "checkpoints/best.ckpt", "checkpoints/last.ckpt"} <= names
    assert {
        "figures/confusion.png",
        "figures/curves.png",
        "figures/training_batch.png",
        "figures/most_wrong.png",
    } <= names
    assert not [name for name in names if name.split("/")[-1].startswith(".")], "temporary files are left"
    rows = list(csv.DictReader((finished / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert float(rows[-1]["train/loss"]) < float(rows[0]["train/loss"])


@pytest.mark.parametrize("name", ["best", "last"])
def test_checkpoints_hold_tensors_and_plain_python_only(finished: Path, name: str) -> None:
    content = torch.load(finished / "checkpoints" / f"{name}.ckpt", weights_only=True)
    assert content["state_dict"]["model.head.weight"].shape == (10, 256)


def test_tensorboard_shows_scalars_choices_and_final_metrics(finished: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    events = EventAccumulator(str(finished), size_guidance={"images": 0}).Reload()
    tags = events.Tags()
    assert {"train/loss", "val/accuracy", "test/accuracy"} <= set(tags["scalars"])
    assert "hp_metric" not in tags["scalars"]
    assert any("confusion" in tag for tag in tags["images"])
    start = HParamsPluginData.FromString(
        events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    ).session_start_info
    assert start.hparams["model"].string_value == "mlp"
    final = events.Scalars("test/accuracy")[-1].value
    assert final == pytest.approx(record(finished)["metrics"]["test/accuracy"])


def test_evaluate_gives_the_recorded_figures(finished: Path, experiments) -> None:
    code, output, _ = experiments("evaluate", str(finished))
    assert code == 0
    shown = {line.split()[0]: float(line.split()[1]) for line in output.splitlines()}
    for name in ("test/accuracy", "test/loss", "test/f1"):
        assert shown[name] == pytest.approx(record(finished)["metrics"][name], abs=1e-4)


def test_evaluate_uses_the_threads_it_is_given(finished: Path, experiments) -> None:
    before = torch.get_num_threads()
    try:
        assert experiments("evaluate", str(finished), f"trainer.threads={before + 1}")[0] == 0
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_evaluate_refuses_another_network(finished: Path, experiments) -> None:
    code, _, errors = experiments("evaluate", str(finished), "model=lenet5")
    assert code == 2
    assert "another network" in errors


def test_evaluate_on_other_data_needs_the_same_classes(finished: Path, experiments) -> None:
    code, _, errors = experiments("evaluate", str(finished), "data=shapes")
    assert code == 2
    assert len(errors.splitlines()) == 1


def test_evaluate_reads_files_in_the_colours_of_the_run(finished: Path, experiments, tmp_path: Path) -> None:
    from PIL import Image

    for part, count in (("train", 2), ("test", 1)):
        for label in range(10):
            (tmp_path / "photos" / part / str(label)).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (40, 40), (20 * label, 80, 90)).save(tmp_path / f"photos/{part}/{label}/{number}.png")
    code, output, errors = experiments(
        "evaluate", str(finished), "data=image_folder", "data.root=photos", "data.size=8"
    )
    assert code == 0, errors
    assert "test/accuracy" in output


def test_a_run_may_move(finished: Path, experiments, tmp_path: Path) -> None:
    moved = shutil.copytree(finished, tmp_path / "elsewhere")
    code, output, _ = experiments("evaluate", str(moved))
    assert code == 0
    assert "test/accuracy" in output


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["evaluate", "old"], "freezing.norm"),
        (["train", "resume=old", "trainer.max_epochs=4"], "freezing.views"),
        (["train", "resume=old", "trainer.max_epochs=4"], "precision"),
    ],
)
def test_a_run_of_a_version_before_some_key_existed(
    finished: Path, experiments, tmp_path: Path, words: list[str], key: str
) -> None:
    shutil.copytree(finished, tmp_path / "old")
    config, content = OmegaConf.load(tmp_path / "old" / "config.yaml"), record(finished)
    group, _, name = key.rpartition(".")
    del (config[group] if group else config)[name]  # type: ignore[arg-type]
    OmegaConf.save(config, tmp_path / "old" / "config.yaml")
    for written, cure in ((content["environment"]["package_hash"], "YAML file"), ("", "by commit 0123456789; use")):
        content["environment"] |= {"package_hash": written, "git_commit": "0123456789abcdef"}
        (tmp_path / "old" / "record.json").write_text(json.dumps(content))
        code, _, errors = experiments(*words)
        assert code == 2
        (message,) = errors.splitlines()
        assert f"old/config.yaml has no key {key}, which is read today: " in message
        assert cure in message


def test_predict_names_classes_with_probabilities(finished: Path, experiments, tmp_path: Path) -> None:
    from PIL import Image

    from experiments import load

    loaded = load(str(finished))
    part = loaded.data.sets["test"]
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(12):
        Image.fromarray(part.source[number, 0].numpy()).resize((40, 40), Image.Resampling.NEAREST).save(
            pictures / f"{number:02}.png"
        )
    code, output, _ = experiments("predict", str(finished), str(pictures), "--format", "json", "--top", "2")
    assert code == 0
    answers = json.loads(output)
    right = sum(answer["classes"][0]["class"] == str(int(part.labels[n])) for n, answer in enumerate(answers))
    assert right >= 8
    assert all(len(answer["classes"]) == 2 for answer in answers)
    code, output, _ = experiments("predict", str(finished), str(pictures / "00.png"), "--format", "csv")
    assert output.splitlines()[0] == "image,rank,class,probability"
    assert len(output.splitlines()) == 4
    code, output, _ = experiments("predict", str(finished), str(pictures / "00.png"))
    assert "probability" in output


def test_predict_refuses_what_is_no_image(finished: Path, experiments, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no picture")
    (tmp_path / "empty").mkdir()
    for path, sentence in (("note.txt", "note.txt"), ("nowhere.png", "does not exist"), ("empty", "no image")):
        code, _, errors = experiments("predict", str(finished), path)
        assert code == 2
        assert sentence in errors
        assert len(errors.splitlines()) == 1


@pytest.mark.slow
def test_train_and_load_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments import load, train

    monkeypatch.chdir(tmp_path)
    done = train(*SMALL, "callbacks=none", "logger=none", seed=5)
    assert done["status"] == "finished"
    assert done["choices"]["seed"] == 5
    loaded = load(done["dir"])
    images = loaded.data.sets["test"].source[:3].permute(0, 2, 3, 1).numpy()
    probabilities = loaded.predict(list(images))
    assert probabilities.shape == (3, loaded.data.spec.num_classes)
    assert torch.allclose(probabilities.sum(1), torch.ones(3))


def test_a_config_is_read_as_it_was_written(tmp_path: Path) -> None:
    from experiments.run.folder import read_config, write_config

    words = [
        "1e-3",
        "1",
        "yes",
        "null",
        "~",
        "",
        "1_000",
        "12:30",
        "2001-01-01",
        "0x1f",
        ".5",
        "a: b",
        "# c",
        "- d",
        " e",
        "ü 日本 😀",
    ]
    config = {
        "run": {"dir": str(tmp_path), "choices": {}, "overrides": [], "config_dirs": []},
        "model": {},
        "data": {},
        "task": {},
        "words": [*words, "x " * 100, "two\nlines"],
        "numbers": [1e-5, 1.0, 7, None, True],
    }
    for written in (config, OmegaConf.create(config)):
        write_config(written, tmp_path)
        assert OmegaConf.to_container(read_config(tmp_path)) == config
    assert "日本" in (tmp_path / "config.yaml").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run_and_another_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments import train

    monkeypatch.chdir(tmp_path)
    words = [*SMALL, "callbacks=none", "logger=none"]
    first, again, other = (train(*words, seed=seed) for seed in (0, 0, 1))
    assert first["metrics"] == again["metrics"] != other["metrics"]
    assert first["identity"] == again["identity"] != other["identity"]


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
def test_every_precision_of_a_cpu_runs_and_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    from experiments import train

    monkeypatch.chdir(tmp_path)
    done = train(*SMALL, "callbacks=none", "logger=none", f"precision={precision}")
    assert done["environment"]["precision"] == precision


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
@pytest.mark.parametrize("scheduler", ["constant", "step", "cosine", "one_cycle", "plateau"])
def test_every_optimizer_with_every_scheduler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str, scheduler: str
) -> None:
    from experiments import train

    monkeypatch.chdir(tmp_path)
    done = train(*SMALL, "callbacks=none", "logger=none", f"optimizer={optimizer}", f"scheduler={scheduler}")
    assert done["status"] == "finished"


@pytest.mark.slow
def test_early_stopping_ends_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments import train

    monkeypatch.chdir(tmp_path)
    words = [word for word in SMALL if "max_epochs" not in word]
    done = train(
        *words, "trainer.max_epochs=50", "callbacks=early_stopping", "callbacks.early_stopping.patience=1",
        "callbacks.figures=null", "optimizer.lr=1e-12",
    )  # fmt: skip
    rows = list(csv.DictReader((Path(done["dir"]) / "metrics.csv").open()))
    assert len(rows) < 10


@pytest.mark.slow
def test_weights_of_an_earlier_run_and_of_another_model(finished: Path, experiments, tmp_path: Path) -> None:
    words = ["data=digits", "trainer=quick", "trainer.accelerator=cpu", "callbacks=none", "logger=none"]
    code, _, _ = experiments("train", "model=mlp", f"weights={finished}", "optimizer.lr=1e-9", *words)
    assert code == 0
    code, _, errors = experiments("train", "model=lenet5", f"weights={finished}", *words)
    assert code == 2
    assert "another model" in errors
    code, _, errors = experiments("train", "model=mlp", "weights=pretrained", *words)
    assert code == 2
    assert "no published weights" in errors
    (tmp_path / "broken.ckpt").write_bytes(b"PK not really")
    code, _, errors = experiments("train", "model=mlp", "weights=broken.ckpt", *words)
    assert code == 2
    assert "cannot be read" in errors


def test_a_folder_with_a_run_is_not_written_over(finished: Path, experiments) -> None:
    before = (finished / "record.json").read_text()
    code, _, errors = experiments("train", "data=digits", f"hydra.run.dir={finished}")
    assert code == 2
    assert "resume=" in errors
    assert (finished / "record.json").read_text() == before


def test_runs_of_one_second_get_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.config.compose import compose
    from experiments.run.folder import open_run

    monkeypatch.chdir(tmp_path)
    config = compose(["model=mlp"])
    assert len({open_run(config) for _ in range(3)}) == 3


@pytest.mark.slow
def test_a_loss_that_diverges_is_said_and_recorded(experiments, tmp_path: Path, caplog) -> None:
    words = ["trainer=quick", "optimizer=sgd", "optimizer.lr=1e9", "model=mlp", "model.hidden=[16,16,16,16,16,16]"]
    code, _, errors = experiments("train", *words, "hydra.run.dir=run")
    assert code == 0
    assert "val/loss is no finite number any more: try a lower optimizer.lr" in caplog.text + errors
    assert record(tmp_path / "run")["diverged"] is True


def test_failure_is_recorded(experiments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_one.py").write_text(
        "from lightning.pytorch import Callback\n\nclass Broken(Callback):\n"
        "    def on_validation_end(self, *args):\n        raise RuntimeError('broken on purpose')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ["model=mlp", "trainer=quick", "callbacks.broken._target_=broken_one.Broken"]
    code, _, errors = experiments("train", *words, "hydra.run.dir=run")
    assert code == 1 and "broken on purpose" in errors and "resume       experiments train resume=run" in errors
    content = record(tmp_path / "run")
    assert content["status"] == "failed" and "broken on purpose" in content["error"]


def test_an_unknown_metric_is_refused_before_training(experiments, tmp_path: Path) -> None:
    for mode in ("", "max"):
        words = ["trainer=quick", "callbacks=early_stopping", "callbacks.early_stopping.monitor=val/acuracy"]
        words += [f"callbacks.early_stopping.mode={mode}"] if mode else []
        code, _, errors = experiments("train", "model=mlp", *words, "hydra.run.dir=run")
        assert code == 2
        refusals = [line for line in errors.splitlines() if line.startswith("error: ")]
        problem = "is no metric of this run" if mode else "does not say which way it improves"
        assert len(refusals) == 1 and f"monitor=val/acuracy {problem}" in refusals[0] and "val/accuracy" in refusals[0]
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["data=mnist", "data.root=nowhere"], "digits"),  # it says which data needs no network
        (["data=shapes", "data.augment.crop=-1"], "data.augment.crop=-1"),
        (["model=lenet5", "model.pooling=foo"], "model.pooling=foo"),
        (["task.class_weights=[1]"], "task.class_weights"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_run_that_its_values_keep_from_beginning_leaves_no_folder(
    experiments, tmp_path: Path, words: list[str], sentence: str
) -> None:
    code, _, errors = experiments("train", *words, "trainer=quick", "hydra.run.dir=run")
    assert code == 2
    assert len(errors.splitlines()) == 1 and sentence in errors
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
def test_a_full_disk_while_saving(command, tmp_path: Path) -> None:
    # A limit on the size of files is to a writer what a full disk is: the write fails half way.
    (tmp_path / "sitecustomize.py").write_text(
        "import resource, signal, sys\n"
        "sys.dont_write_bytecode = True\n"  # which would be cut off as well
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
    )
    done = command(
        "train", "data=digits", "model=mlp", "trainer=cpu", "trainer.max_epochs=1", "hydra.run.dir=run", "logger=none",
        "callbacks.figures=null", env={"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert record(tmp_path / "run")["status"] == "failed"
    assert list((tmp_path / "run" / "checkpoints").iterdir()) == []


@pytest.mark.slow
def test_hydras_own_switches(experiments) -> None:
    code, output, _ = experiments("train", "--cfg", "job", "model=mlp", "optimizer=sgd")
    assert code == 0
    assert "_target_: experiments.models.dense.MLP" in output
    code, output, _ = experiments("train", "--help")
    assert code == 0
    assert output.startswith("experiments train ")
    assert "model: " in output
    assert "precision: " in output
    assert " _images" not in output
    for group in ("hydra/launcher", "hydra/sweeper"):
        names = sorted(path.stem for path in (Path(__file__).parents[2] / "conf" / group).iterdir())
        assert f"{group}: {', '.join(names)}\n" in output


def test_tab_completion(command) -> None:
    line = "experiments train model=len"
    done = command("-sc", "query=bash", env={"COMP_LINE": line, "COMP_POINT": str(len(line))})
    assert set(done.stdout.split()) >= {"model=lenet5", "model=lenet5_modern"}
    assert "complete" in command("-sc", "install=bash").stdout


@pytest.mark.slow
def test_scripts_are_the_commands(tmp_path: Path) -> None:

    scripts = Path(__file__).parents[2] / "scripts"
    done = subprocess.run(
        [sys.executable, scripts / "train.py", *SMALL, "callbacks=none", "logger=none", "hydra.run.dir=run"],
        cwd=tmp_path, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = subprocess.run([sys.executable, scripts / "compare.py", "run"], cwd=tmp_path, capture_output=True, text=True)
    assert "mlp" in done.stdout


@pytest.mark.slow
def test_a_package_of_the_users_own(command, tmp_path: Path) -> None:
    """A model, a task and a dataset from a folder that is not ours, without touching ours."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("")
    (tmp_path / "mine" / "parts.py").write_text(
        '''
from collections import OrderedDict
from torch import nn
import torch.nn.functional as F
from experiments.data.images.shapes import Shapes
from experiments.tasks.classification import Classification


class Tiny(nn.Sequential):
    def __init__(self, in_channels, image_size, num_classes, *, width):
        features = in_channels * image_size[0] * image_size[1]
        super().__init__(OrderedDict(body=nn.Sequential(nn.Flatten(), nn.Linear(features, width)), head=nn.Linear(width, num_classes)))


class Focal(Classification):
    def step(self, batch):
        images, labels = batch
        logits = self.model(images)
        likelihood = F.cross_entropy(logits, labels, reduction="none")
        return ((1 - (-likelihood).exp()) ** 2 * likelihood).mean(), logits, labels


class MyShapes(Shapes):
    """The same shapes under my own name."""
'''
    )
    for group, name, text in (
        (
            "model",
            "tiny",
            "_target_: mine.parts.Tiny\nwidth: 16\nabout: {title: My net, year: 2026}\nreads: {kind: image}\n",
        ),
        ("task", "focal", "defaults:\n  - /task/classification@_here_\n  - _self_\n_target_: mine.parts.Focal\n"),
        (
            "data",
            "my_shapes",
            "defaults:\n  - shapes\n  - override /task@_global_.task: focal\n  - _self_\n_target_: mine.parts.MyShapes\n",
        ),
    ):
        path = tmp_path / "conf" / group / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    words = [
        "--config-dir",
        "conf",
        "data=my_shapes",
        "model=tiny",
        "trainer=quick",
        "trainer.accelerator=cpu",
        "callbacks=none",
        "logger=none",
        "hydra.run.dir=run",
    ]
    script = Path(sys.executable).with_name("experiments")  # unlike python -m it does not look into this folder
    train = [script, "train", *words]
    done = subprocess.run(train, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    content = record(tmp_path / "run")
    assert content["choices"] | {"model": "tiny", "data": "my_shapes", "task": "focal"} == content["choices"]
    assert set(content["environment"]["own_code"]) == {"mine"}
    done = command("evaluate", "run")
    assert done.returncode == 0, done.stderr
    done = command("list", "models", "--config-dir", "conf")
    assert "My net" in done.stdout
    (tmp_path / "mine" / "parts.py").unlink()
    done = subprocess.run(
        [*train[:-1], "hydra.run.dir=other"], cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    sentences = done.stderr.splitlines()  # one a class
    assert done.returncode == 2
    for sentence, name in zip(sentences, ("Tiny", "Focal", "MyShapes"), strict=True):
        assert f"_target_=mine.parts.{name} cannot be imported (No module named 'mine.parts')" in sentence


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_mixed_targets_and_weights_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, request) -> None:
    from experiments import train

    if name == "mnist":
        monkeypatch.setenv("EXPERIMENTS_DATA", str(request.getfixturevalue("real_data")))
    monkeypatch.chdir(tmp_path)
    done = train(
        f"data={name}", "data.limit=200", "model=simple_cnn", "trainer=quick", "trainer.accelerator=cpu", "data.augment.mixup=0.2",
        "data.augment.cutout=4", "task.label_smoothing=0.1", "task.class_weights=balanced", "callbacks=none", "logger=none",
    )  # fmt: skip
    assert done["status"] == "finished"


@pytest.mark.slow
def test_a_task_brings_its_own_pictures_and_answers(experiments, tmp_path: Path, monkeypatch, finished: Path) -> None:
    """What `figures` draws lies beside the others; what `answers` attaches is written to files beside a CSV."""
    from PIL import Image

    from experiments.tasks.report import Attachment
    from experiments.tasks.reports.classification import ClassificationReport
    from experiments.viz.canvas import figure

    def answers(self: Any, inputs: torch.Tensor, top: int) -> list[dict[str, Any]]:
        return [{"brightness": float(given.mean()), "raw": Attachment(".bin", b"abc")} for given in inputs]

    monkeypatch.setattr(
        ClassificationReport, "figures", lambda self: {"mine": lambda: figure(2, 2), "none": lambda: None}
    )
    monkeypatch.setattr(ClassificationReport, "answers", answers)
    code, _, errors = experiments("train", *SMALL, "logger=none", "hydra.run.dir=run")
    assert code == 0, errors
    names = {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    assert "mine.png" in names and "none.png" not in names
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.new("L", (8, 8), 90).save(tmp_path / folder / "grey.png")
    code, output, errors = experiments("predict", "run", "a/grey.png", "b/grey.png", "--format", "csv")
    assert code == 0, errors
    assert output.splitlines()[0] == "image,brightness,raw"
    assert output == (tmp_path / "run" / "predictions" / "predictions.csv").read_text()
    written = sorted(path.name for path in (tmp_path / "run" / "predictions").glob("*.bin"))
    assert written == ["grey-2_raw.bin", "grey_raw.bin"]
    code, _, errors = experiments("predict", "run", "a/grey.png", "--out", "here")
    assert code == 0, errors
    assert (tmp_path / "here" / "grey_raw.bin").read_bytes() == b"abc"


@pytest.mark.parametrize("key", ["model.nonsense", "data.nonsense", "task.nonsense"])
def test_a_key_that_the_class_does_not_take(experiments, key: str) -> None:
    code, _, errors = experiments(
        "train", "data=shapes", "model=mlp", "trainer=quick", f"+{key}=1", "hydra.run.dir=run"
    )
    assert code == 2
    assert "unexpected keyword argument 'nonsense'; check the keys of its config" in errors
    assert len(errors.splitlines()) == 1


def test_no_checkpoint_is_written_where_none_is_asked_for(experiments, tmp_path: Path) -> None:
    words = ["data=shapes", "model=mlp", "trainer=quick", "callbacks=none", "callbacks.checkpoint=null", "logger=none"]
    code, _, errors = experiments("train", *words, "hydra.run.dir=run")
    assert code == 0, errors
    assert not list(tmp_path.rglob("*.ckpt"))
