"""A broken file of the user's options ends in one sentence with the file, and the line where one is known."""

from __future__ import annotations

from pathlib import Path

import pytest

BROKEN = {
    "a bracket": (b"lr: [1\nmomentum: 0.9\n", "x.yaml, line 2 is no YAML that can be read"),
    "a tab": (b"betas:\n\tfirst: 1\n", "x.yaml, line 2 is no YAML that can be read"),
    "a list": (b"- lr\n", "x.yaml holds a list where keys belong"),
    "a text": (b"adam\n", "x.yaml holds the single value 'adam' where keys belong"),
    "nothing": (b"# later\n", "x.yaml is empty: write its keys into it"),
    "Latin-1": (b"lr: 1\nname: caf\xe9\n", "x.yaml, line 2 is no text in UTF-8 (byte 0xe9): save the file in UTF-8"),
    "a key twice": (b"lr: 1\nlr: 2\n", "x.yaml, line 2 is no YAML that can be read (the key lr is there twice)"),
    "depth": (b"lr: " + b"[" * 3000 + b"]" * 3000, "nested more than 100 levels deep"),
    "aliases": (
        b"a: &a [1,1,1,1,1,1,1,1,1,1]\n" + b"".join(
            b"%c: &%c [%s]\n" % (98 + at, 98 + at, b",".join([b"*%c" % (97 + at)] * 10)) for at in range(7)
        ),
        "its aliases stand for more than 200,000 values",
    ),
    "a number as a key": (b"1: 2\n", "x.yaml has the key 1, which is no text: put it in quotes"),
    "defaults without dashes": (b"defaults: {optimizer: adam}\n", "x.yaml: defaults is no list"),
    "a number among defaults": (b"defaults: [3]\n", "x.yaml: 3 among its defaults names no option"),
    "defaults that are not there": (b"defaults: [nowhere]\n", "x.yaml: its defaults name optimizer/nowhere"),
    "a folder": (None, "x.yaml is a folder: mend it"),
}  # fmt: skip
READ_BY_LIST = ("a bracket", "a list", "nothing", "Latin-1", "a folder")


def _write(path: Path, content: bytes | None) -> None:
    path.parent.mkdir(parents=True)
    path.mkdir() if content is None else path.write_bytes(content)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_option_is_named(experiments, tmp_path: Path, kind: str) -> None:
    content, sentence = BROKEN[kind]
    _write(tmp_path / "conf" / "optimizer" / "x.yaml", content)
    lines = [["check", "optimizer=x"], ["train", "optimizer=x"], ["check", "-m", "optimizer=x,sgd"]]
    if kind in READ_BY_LIST:
        lines += [["list", "optimizers"], ["explain", "optimizer=x"]]
    for words in lines:
        code, _, errors = experiments(*words, "--config-dir", "conf")
        assert code == 2 and len(errors.splitlines()) == 1, errors
        assert sentence in errors


def test_a_broken_file_that_is_not_chosen_stops_nothing(experiments, tmp_path: Path) -> None:
    _write(tmp_path / "conf" / "optimizer" / "x.yaml", BROKEN["a bracket"][0])
    assert experiments("check", "optimizer=sgd", "--config-dir", "conf")[0] == 0


@pytest.mark.parametrize("content", [b"seed: [1\n", None])
def test_broken_defaults_of_this_machine_are_named(experiments, tmp_path: Path, content: bytes | None) -> None:
    _write(tmp_path / "conf" / "local" / "default.yaml", content)
    for words in (["check"], ["train"], ["check", "-m", "seed=1,2"], ["explain", "seed"]):
        code, _, errors = experiments(*words, "--config-dir", "conf")
        assert code == 2 and len(errors.splitlines()) == 1 and f"{Path('local', 'default.yaml')}" in errors


def test_an_experiment_without_a_package_is_refused(experiments, tmp_path: Path) -> None:
    _write(tmp_path / "conf" / "experiment" / "x.yaml", b"seed: 7\n")
    for words in (["check", "experiment=x"], ["check", "-m", "experiment=x", "seed=1,2"]):
        code, _, errors = experiments(*words, "--config-dir", "conf")
        assert code == 2 and "begin its file with the line `# @package _global_`" in errors
