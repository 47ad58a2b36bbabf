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


@pytest.mark.slow
def test_a_broken_file_that_is_not_chosen_stops_nothing(experiments, tmp_path: Path) -> None:
    _write(tmp_path / "conf" / "optimizer" / "x.yaml", BROKEN["a bracket"][0])
    assert experiments("check", "optimizer=sgd", "--config-dir", "conf")[0] == 0


@pytest.mark.parametrize("content", [b"seed: [1\n", None])
def test_broken_defaults_of_this_machine_are_named(experiments, tmp_path: Path, content: bytes | None) -> None:
    _write(tmp_path / "conf" / "local" / "default.yaml", content)
    for words in (["check"], ["train"], ["check", "-m", "seed=1,2"], ["explain", "seed"]):
        code, _, errors = experiments(*words, "--config-dir", "conf")
        assert code == 2 and len(errors.splitlines()) == 1 and f"{Path('local', 'default.yaml')}" in errors


@pytest.mark.parametrize("content", [b"seed: 7\n", b"defaults:\n  - override /optimizer: sgd\n"])
def test_an_experiment_without_a_package_is_refused(experiments, tmp_path: Path, content: bytes) -> None:
    _write(tmp_path / "conf" / "experiment" / "x.yaml", content)
    for words in (["check", "experiment=x"], ["check", "-m", "experiment=x", "seed=1,2"]):
        code, _, errors = experiments(*words, "--config-dir", "conf")
        assert code == 2 and "begin its file with the line `# @package _global_`" in errors
        assert len(errors.splitlines()) == 1 and "experiment=x" in errors


def test_an_override_at_another_place_is_answered_with_its_line(experiments, tmp_path: Path) -> None:
    for line in (b"override /model: mlp", b"override /model@_global_.model: mlp"):
        path = tmp_path / "conf" / line.decode().partition(":")[0].replace("/", "_") / "trainer" / "x.yaml"
        _write(path, b"defaults:\n  - cpu\n  - %s\n" % line)
        code, _, errors = experiments("check", "data=digits", "trainer=x", "--config-dir", str(path.parents[1]))
        if code:
            assert "write `- override /model@_global_.model: NAME` among its defaults" in errors
    assert code == 0, errors


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"# @package trainer\nmax_epochs: 7\n", []),
        (b"# @package _global_\ndefaults:\n  - override /optimizer: sgd\n", []),
        (b"name: tried\n", ["hydra.run.dir=outputs/${experiment.name}"]),
        (b"name: tried\n", ["+note=${oc.select:experiment.name}"]),
        (b"# @package _global_\nnote: 2024-02-31\n", []),
        (b"# @package _global_\nnote: {1: one, '1': text}\n", []),
    ],
)
def test_other_packages_and_keys_that_something_reads_are_taken(
    experiments, tmp_path: Path, content: bytes, words: list[str]
) -> None:
    _write(tmp_path / "conf" / "experiment" / "x.yaml", content)
    code, output, errors = experiments("check", "experiment=x", *words, "--config-dir", "conf")
    assert code == 0, output + errors


@pytest.mark.slow
def test_user_defined_groups_hold_what_they_like(experiments, tmp_path: Path) -> None:
    _write(tmp_path / "conf" / "extras" / "none.yaml", b"# nothing\n")
    _write(tmp_path / "conf" / "names" / "digits.yaml", b"0: zero\n1: one\n")
    for words in (["check"], ["check", "-m", "seed=1,2"]):
        code, output, errors = experiments(*words, "+extras=none", "+names=digits", "--config-dir", "conf")
        assert code == 0, output + errors


def test_remarks_below_a_group_without_an_option_are_no_file(experiments) -> None:
    assert experiments("check", "+experiment.note=1")[0] == 0
