"""A run folder from elsewhere runs nothing, writes nowhere else, and takes no more memory than it says."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import shutil
import struct
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from omegaconf import OmegaConf
from PIL import Image

from experiments.errors import UserError

READING = (
    ["evaluate", "run"],
    ["predict", "run", "x.png"],
    ["export", "run", "--format", "safetensors"],
    ["show", "run"],
    ["train", "resume=run", "trainer.max_epochs=3"],
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from experiments.cli import main

    folder = tmp_path_factory.mktemp("made") / "run"
    words = ["data=digits", "data.limit=60", "model=mlp", "model.hidden=[8]", "trainer=cpu", "trainer.max_epochs=1"]
    assert main(["train", *words, "callbacks.figures=null", "logger=csv", "-q", f"hydra.run.dir={folder}"]) == 0
    return folder


@pytest.fixture
def received(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy whose signature does not fit, as that of somebody else's run."""
    folder = tmp_path / "run"
    shutil.copytree(made, folder)
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.rpartition("#")[0])
    Image.new("L", (8, 8), 200).save(tmp_path / "x.png")
    return folder


def refused(experiments, words: list[str], tmp_path: Path) -> str:
    code, _, errors = experiments(*words)
    assert code == 2 and sum(line.startswith("error: ") for line in errors.splitlines()) == 1, errors
    assert not (tmp_path / "executed").exists()
    return errors


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.open, (str(self.path), os.O_CREAT | os.O_WRONLY)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["pickle", "torch", "old torch"])
def test_no_pickle_is_run(experiments, received: Path, tmp_path: Path, form: str) -> None:
    for name in ("best.ckpt", "last.ckpt"):
        path = received / "checkpoints" / name
        path.unlink()
        content = {"state_dict": {"a": torch.zeros(1)}, "loops": {}, "evil": Touch(tmp_path / "executed")}
        if form == "pickle":
            path.write_bytes(pickle.dumps(content))
        else:
            torch.save(content, path, _use_new_zipfile_serialization=form == "torch")
    for words in READING:
        assert ".ckpt" in refused(experiments, words, tmp_path)
    words = ["trainer=quick", "data=digits", "model=mlp", "model.hidden=[8]", "weights=run"]
    refused(experiments, ["train", *words], tmp_path)


def test_what_reads_a_run_builds_no_trainer_of_it(experiments, tmp_path: Path, monkeypatch) -> None:
    """Of a plain LightningModule, too, whose layers may be made late."""
    from experiments import load

    monkeypatch.chdir(tmp_path)
    for group, name in (("task", "BoringModel"), ("data", "BoringDataModule")):
        path = tmp_path / "conf" / group / "boring.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(f"_target_: lightning.pytorch.demos.boring_classes.{name}\n")
    words = ["--config-dir", "conf", "task=boring", "data=boring", "trainer=quick", "logger=none", "hydra.run.dir=run"]
    code, _, errors = experiments("train", *words, "trainer.accelerator=cpu")
    assert code == 0, errors
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    config["trainer"]["strategy"] = {"_target_": "shutil.copy", "src": "run/record.json", "dst": "executed"}
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(config))
    assert type(load("run").task).__name__ == "BoringModel"
    assert "shutil.copy" in refused(experiments, ["evaluate", "run"], tmp_path)
    refused(experiments, ["export", "run", "--format", "transformers"], tmp_path)


@pytest.mark.slow
def test_merge_keys_and_tags_bring_no_class(experiments, received: Path, tmp_path: Path) -> None:
    text = (received / "config.yaml").read_text()
    command = f"touch {tmp_path}/executed"
    merged = text.replace(
        "\nmodel:\n", f"\nevil: &evil {{_target_: os.system, command: {command}}}\nmodel:\n  <<: *evil\n", 1
    )
    merged = merged.replace("  _target_: experiments.models.dense.MLP\n", "", 1)
    assert merged.count("_target_: experiments.models") == 0
    tagged = text.replace("seed: 0\n", f'seed: !!python/object/apply:os.system ["{command}"]\n', 1)
    assert tagged != text
    for content in (merged, tagged):
        (received / "config.yaml").write_text(content)
        for words in READING:
            refused(experiments, words, tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.checked_by", "evil.run"),
        ("model.checked_by", "subprocess.call"),
        ("data.pretrained_cfg_overlay", {"file": "run/evil.pth"}),
        ("data.transform", {"_target_": "experiments.transfer.strategies.re.enum.bltns.exec", "_args_": ["evil"]}),
    ],
)
def test_nothing_else_names_code(experiments, received: Path, tmp_path: Path, key: str, value: object) -> None:
    (tmp_path / "evil.py").write_text("open('executed', 'w').close()\ndef run(config): return []\n")
    config = yaml.safe_load((received / "config.yaml").read_text())
    group, _, name = key.partition(".")
    config[group][name] = value
    (received / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    for words in READING:
        message = refused(experiments, words, tmp_path)
        assert key in message and "nothing of it was run" in message


@pytest.mark.parametrize("words", [["evaluate", "run", "data.batch_size=7"], ["lr", "run", "optimizer.lr=0.1"]])
def test_its_words_name_no_code_either(experiments, received: Path, tmp_path: Path, words: list[str]) -> None:
    """Where further words have the config composed anew."""
    (tmp_path / "evil.py").write_text("open('executed', 'w').close()\ndef run(config): return []\n")
    text = (received / "config.yaml").read_text()
    for evil in ("+model.checked_by=evil.run", "model._target_=evil.run"):
        config = yaml.safe_load(text)
        config["run"]["overrides"].append(evil)
        (received / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        assert "evil.run" in refused(experiments, words, tmp_path)


def test_aliases_that_grow_are_refused_by_count(experiments, received: Path, tmp_path: Path) -> None:
    levels = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with open(received / "config.yaml", "a") as file:
        file.write("\n".join(levels) + "\n")
    for words in READING:
        assert "config.yaml" in refused(experiments, words, tmp_path)


@pytest.mark.parametrize("name", [".lock", "metrics.csv", "checkpoints", "record.json", "tokenizer.json"])
def test_no_link_leads_a_write_out_of_the_folder(experiments, received: Path, tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    if name == "checkpoints":
        shutil.move(received / name, victim)
    else:
        victim.write_text("mine")
    (received / name).unlink(missing_ok=True)
    (received / name).symlink_to(victim)
    before = {path: path.read_bytes() for path in ([victim] if victim.is_file() else victim.iterdir())}
    message = refused(experiments, ["train", "resume=run", "trainer.max_epochs=3"], tmp_path)
    assert "link" in message or "cannot be written to" in message
    assert {path: path.read_bytes() for path in before} == before
    if name != ".lock":  # a run of one's own may keep its checkpoints on another disk
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EXPERIMENTS_TRUST", "mine")
            assert "is a link to" not in experiments("train", "resume=run", "trainer.max_epochs=3")[2]


def test_a_checkpoint_that_unpacks_to_more_than_the_memory(received: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.system import files
    from experiments.transfer.weight_files import read_checkpoint

    path = received / "bomb.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data/0", bytes(8 << 20))
    assert path.stat().st_size < 1 << 16
    monkeypatch.setattr(files, "free_memory", lambda: 16 << 20)
    with pytest.raises(UserError, match=r"takes 0\.0 GB unpacked"):
        read_checkpoint(path)


def test_packed_data_that_grow_are_refused_by_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.data.common import packed

    member = gzip.compress(bytes(1 << 20))
    (tmp_path / "idx.gz").write_bytes(member * 64)  # which is one file to gzip
    with pytest.raises(ValueError, match="more than 4,194,304 bytes unpacked"):
        packed.unpacked(tmp_path / "idx.gz", 4 << 20)
    np.savez_compressed(tmp_path / "huge.npz", images=np.zeros(1 << 22, np.uint8))
    monkeypatch.setattr(packed, "free_memory", lambda: 1 << 20)
    with pytest.raises(ValueError, match="GB of memory are free"):
        packed.refuse_too_large(tmp_path / "huge.npz")


@pytest.mark.parametrize("name", ["questions.json.gz", "questions.zip", "table.xlsx", "table.parquet"])
def test_packed_tables_that_grow_are_refused_by_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from experiments.data.common import packed
    from experiments.data.common.typed_tables import typed_rows
    from experiments.data.text.squad_layout import read_questions

    path = tmp_path / name
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(bytes(8 << 20)))
    elif path.suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pytest.importorskip("pyarrow").table({"text": ["same"] * (2 << 20)}), path)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("questions.json", bytes(8 << 20))
    assert path.stat().st_size < 1 << 16
    monkeypatch.setattr(packed, "free_memory", lambda: 1 << 20)
    with pytest.raises(UserError, match=r"GB of memory are free|more than 524,288 bytes unpacked"):
        list(typed_rows(path) if path.stem == "table" else read_questions(path))


def test_an_image_bomb_is_named(experiments, received: Path, tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 60000, 60000, 1, 0, 0, 0, 0)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = zlib.compress(bytes(7501 * 100))
    (tmp_path / "x.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    code, output, errors = experiments("predict", "run", "x.png")
    assert code == 2 and "x.png" in output + errors and "pixels" in output + errors


def test_a_class_with_control_codes_and_formulas(experiments, received: Path, tmp_path: Path) -> None:
    record = json.loads((received / "record.json").read_text())
    evil = ["=HYPERLINK(1)", "\x1b[31mred", "\u202egnol", "+1", "@cmd", "e", "f", "g", "h", "i"]
    record["spec"]["classes"] = evil
    (received / "record.json").write_text(json.dumps(record))
    code, output, errors = experiments("predict", "run", "x.png", "--out", "answers.csv")
    text = output + errors + "".join(path.read_text() for path in tmp_path.glob("answers.csv/*.csv"))
    assert code == 0 and "\x1b" not in text and "\u202e" not in text, errors
    assert not any(f",{start}" in text for start in ("=", "@cmd")), text


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names of files are Unicode there")
def test_names_that_are_no_utf8(experiments, tmp_path: Path) -> None:
    """Bytes of another encoding, as old archives bring them: of classes and of files."""
    for name, level in ((b"caf\xe9", 40), (b"th\xe9", 200)):
        folder = os.path.join(os.fsencode(tmp_path), b"images", name)
        os.makedirs(folder)
        for number in range(5):
            with open(os.path.join(folder, b"\xe9%d.png" % number), "wb") as file:
                Image.new("L", (8, 8), level + number).save(file, "PNG")
    words = [
        "data=image_folder",
        "data.root=images",
        "data.size=8",
        "data.validation=2",
        "data.test=2",
        "model=mlp",
        "trainer=cpu",
    ]
    code, _, errors = experiments(
        "train", *words, "trainer.max_epochs=1", "callbacks.figures=null", "hydra.run.dir=run"
    )
    assert code == 0, errors
    for more in (
        ["evaluate", "run"],
        ["predict", "run", "images", "--out", "said"],
        ["export", "run", "--format", "safetensors"],
    ):
        code, _, errors = experiments(*more)
        assert code == 0, errors
    assert json.loads((tmp_path / "run" / "record.json").read_text())["spec"]["classes"] == ["caf\udce9", "th\udce9"]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"kind": "Nope"}, "'Nope'"),
        ({"channels": "one"}, "channels is no int"),
        ({"classes": 3}, "classes is no tuple"),
        ({"more": 1}, "more"),
    ],
)
def test_a_spec_that_is_none_is_read_from_the_checkpoint(
    experiments, received: Path, changed: dict[str, object], sentence: str
) -> None:
    record = json.loads((received / "record.json").read_text())
    record["spec"].update(changed)
    (received / "record.json").write_text(json.dumps(record))
    code, _, errors = experiments("predict", "run", "x.png")
    assert code == 0 and sentence in errors and "best.ckpt are read in its place" in errors, errors


def test_a_finished_run_without_its_checkpoint(experiments, received: Path, tmp_path: Path) -> None:
    """The cure is none that does nothing."""
    (received / "checkpoints" / "best.ckpt").unlink()
    assert "restore it from a copy, or train again" in refused(experiments, ["predict", "run", "x.png"], tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.parametrize("kind", ["pipe", "endless"])
@pytest.mark.parametrize(
    ("name", "code", "sentence"),
    [
        ("config.yaml", 2, "it is no plain file"),
        ("record.json", 0, "it is no plain file"),
        ("checkpoints/best.ckpt", 2, "it is no plain file"),
    ],
)
def test_what_is_no_plain_file_is_not_waited_for(
    experiments, received: Path, name: str, code: int, sentence: str, kind: str
) -> None:
    path = received / name
    path.unlink()
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    for words in READING[:3]:
        status, _, errors = experiments(*words)
        assert status == code and f"{path.name}" in errors and sentence in errors, errors


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes with a name")
def test_a_pipe_for_a_table_is_not_waited_for(experiments, received: Path) -> None:
    (received / "metrics.csv").unlink()
    os.mkfifo(received / "metrics.csv")
    assert experiments("compare", "run", "--html", "report.html")[0] == 0
    code, _, errors = experiments("train", "resume=run", "trainer.max_epochs=2")
    assert code == 0 and (received / "metrics.csv").is_file(), errors
    assert (received / "metrics.csv.damaged").is_fifo()  # which a warning says


@pytest.mark.parametrize("content", ["3", "[]", "x", "half", "data: {_target_: null}"])
def test_a_config_that_is_none_is_said_in_plain_words(
    experiments, received: Path, content: str, tmp_path: Path
) -> None:
    path = received / "config.yaml"
    text = path.read_text()
    path.write_text(text[: text.index("\noptimizer:")].rpartition("_target_:")[0] if content == "half" else content)
    for words in READING:
        message = refused(experiments, words, tmp_path)
        assert "config.yaml" in message and "from a copy" in message and "None" not in message, message
        assert not any(f"holds a {name}" in message for name in ("int", "str")), message


@pytest.mark.parametrize("name", ["checkpoints", "checkpoints/last.ckpt", "checkpoints/best.ckpt", "tokenizer.json"])
def test_what_is_in_the_way_of_a_checkpoint_is_said_before_training(
    experiments, received: Path, name: str, tmp_path: Path
) -> None:
    path = received / name
    if name == "checkpoints":
        shutil.rmtree(path)
        path.write_text("")
    else:
        path.unlink(missing_ok=True)
        path.mkdir()
    message = refused(experiments, READING[-1], tmp_path)
    assert f"{path} is " in message and "remove it" in message and "epoch" not in message, message


@pytest.mark.parametrize("key", ["tested", "judged", "checkpoints", "kept"])
@pytest.mark.parametrize("odd", [float("nan"), [1], "x", True])
def test_a_record_of_another_form_is_read_from_the_rest(experiments, received: Path, key: str, odd: object) -> None:
    record = json.loads((received / "record.json").read_text())
    (received / "record.json").write_text(json.dumps(record | {key: odd}))
    code, _, errors = experiments("predict", "run", "x.png")
    assert code == 0 and f"(its {key} is " in errors and "read in its place" in errors, errors


def test_a_sweep_is_signed_by_its_own_signature_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.run.signature import signature_of
    from experiments.run.trust import require_trusted_words

    monkeypatch.setenv("EXPERIMENTS_CACHE", str(tmp_path / "cache"))
    content = {"settings": ["model._target_=os.system"]}
    require_trusted_words(tmp_path, content | {"signature": signature_of(content)})
    for signature in ("", "\u00e9", None):
        with pytest.raises(UserError, match=r"os\.system"):
            require_trusted_words(tmp_path, content | {"signature": signature})
    monkeypatch.setenv("EXPERIMENTS_CACHE", "/dev/null/nowhere")  # where no key can be kept
    with pytest.raises(UserError, match=r"os\.system"):
        require_trusted_words(tmp_path, content | {"signature": ""})


@pytest.mark.parametrize(
    "key", ["callbacks.checkpoint.dir", "callbacks.figures.dir", "trainer.default_root_dir", "run.dir"]
)
def test_no_path_leads_a_write_out_of_the_folder(experiments, received: Path, tmp_path: Path, key: str) -> None:
    """Not that of another run, whose checkpoint would be written over."""
    config = OmegaConf.load(received / "config.yaml")
    OmegaConf.update(config, key, str(tmp_path / "victim"))
    OmegaConf.save(config, received / "config.yaml")
    message = refused(experiments, ["train", "resume=run", "trainer.max_epochs=3"], tmp_path)
    assert "would be written to: nothing was written" in message
    assert not (tmp_path / "victim").exists()
