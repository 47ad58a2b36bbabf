"""What is said on terminals of any width, off them, and by -q and -v."""

from __future__ import annotations

import ast
import io
import json
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.callbacks.progress_screens import Lines, Notebook
from experiments.cli import COMMANDS, main
from experiments.system import terminal

TINY = ("data=digits", "model=logistic_regression", "data.limit=64", "trainer.max_epochs=2", "callbacks.figures=null", "logger=none")  # fmt: skip
ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.mark.usefixtures("colours")
def test_plain_in_ci_and_without_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert terminal.fancy(Terminal()) and not terminal.fancy(io.StringIO())
    for name, value in (("CI", "true"), ("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert not terminal.fancy(Terminal())


@pytest.mark.usefixtures("colours")
@pytest.mark.parametrize("wide", [40, 80, 200])
def test_the_line_of_an_epoch_is_never_cut(monkeypatch: pytest.MonkeyPatch, wide: int) -> None:
    monkeypatch.setenv("COLUMNS", str(wide))
    out = Terminal()
    screen = Lines(out)
    screen.draw(["epoch 10/10", "━" * 24 + " 3/10", "1:02 left", "12,345 examples/s"])
    assert len(ANSI.sub("", out.getvalue())) <= wide
    metrics = {"train/loss": 0.12345, "val/loss": 1234.5, "val/accuracy": 0.98765}
    screen.keep("epoch 10/10", metrics, "1:02:03", "12,345 examples/s", True)
    line = ANSI.sub("", out.getvalue()).rpartition("\r")[2]
    assert all(name in line for name in metrics) and "0.9877" in line and "best" in line and line.endswith("\n")
    assert ("examples/s" in line) == (wide == 200)


@pytest.mark.usefixtures("colours")
@pytest.mark.parametrize("command", ["", *COMMANDS, "show convolution", "show attention", "show batchnorm"])
def test_no_help_is_wider_than_the_terminal(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    page = Terminal()
    monkeypatch.setattr("sys.stdout", page)
    monkeypatch.setattr("sys.stderr", page)
    assert main([*command.split(), "--help"]) == 0
    lines = ANSI.sub("", re.sub(r"[^\n]*\r", "", page.getvalue())).splitlines()
    assert len(lines) > 1 and not lines[0].startswith("reading")  # what was waited for is gone
    assert not [line for line in lines if len(line) > 80]


def test_the_text_of_a_help_is_filled_and_its_lists_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "42")
    text = "Writes a long network and more besides as one\nfile.\n  onnx   for others\n\nThe end."
    filled = "Writes a long network and more besides\nas one file.\n  onnx   for others\n\nThe end."
    assert terminal.filled(text) == filled
    monkeypatch.setenv("COLUMNS", "200")
    assert max(map(len, terminal.filled("word " * 100).splitlines())) <= 98


@pytest.mark.parametrize(
    ("line", "folded"),
    [
        ("a: 1      # of the first and the second weights too", "a: 1      # of the first and the second\n            weights too"),
        ("model: alexnet, autoencoder, lenet5, mlp, and others", "model: alexnet, autoencoder, lenet5,\n  mlp, and others"),
    ],
)  # fmt: skip
def test_a_folded_line_stays_under_its_column(line: str, folded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "42")
    assert terminal.fitted(line, Terminal()) == folded


def test_a_notebook_gets_a_table() -> None:
    page = Notebook()
    page._rows.append(("1/2", {"val/<loss>": 0.5}, "0:01", "10 examples/s", True))
    page._line = "epoch 2/2"
    assert "<th>val/&lt;loss&gt;</th>" in page.html() and "best" in page.html() and "epoch 2/2" in page.html()


def test_banner_result_and_next_commands(experiments: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, output, errors = experiments("train", *TINY, "hydra.run.dir=run")
    assert code == 0, errors
    assert "model        logistic_regression: 650 parameters, all learn" in errors
    assert "data         digits: 64 train, 144 validation, 360 test examples of 1 × 8 × 8\n" in errors
    assert "resume       experiments train resume=run" in errors and "\x1b" not in errors + output
    epochs = [line for line in errors.splitlines() if line.startswith("epoch ")]
    assert len(epochs) == 2 and all(name in epochs[0] for name in ("train/loss", "val/loss", "val/accuracy"))
    for command in ("predict run INPUT", "show run", "compare ."):
        assert f"experiments {command}" in output
    assert json.loads((tmp_path / "run" / "record.json").read_text())["judged"] == {"metric": "val/accuracy", "mode": "max"}  # fmt: skip


@pytest.mark.slow
def test_quiet_and_verbose(experiments: Callable[..., tuple[int, str, str]]) -> None:
    code, output, errors = experiments("train", "-q", *TINY, "hydra.run.dir=one")
    assert (code, output, errors) == (0, "one\n", "")
    code, output, errors = experiments("train", *TINY, "-v", "hydra.run.dir=two")
    assert code == 0 and "choices      model=logistic_regression" in errors and "versions     torch" in errors
    assert "EXPERIMENTS_OUTPUT" not in os.environ


@pytest.mark.slow
def test_a_sweep_ends_with_its_table(experiments: Callable[..., tuple[int, str, str]]) -> None:
    words = [word.replace("logistic_regression", "logistic_regression,mlp") for word in TINY]
    code, output, errors = experiments("train", "-m", *words, "hydra.sweep.dir=s")
    assert code == 0, errors
    end = output[output.index("val/accuracy") :]
    assert "TensorBoard" not in end, "logger=none leaves nothing to see"
    assert "test/" not in end and "best         " in end and "experiments compare s --html report.html" in end


@pytest.mark.slow
def test_options_fit_the_terminal(
    experiments: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from experiments.commands import list_options

    for wide in (80, 120, 200):
        monkeypatch.setattr(list_options, "_wide", lambda wide=wide: wide)
        for group in ("models", "data", "freezing", "experiment"):
            code, output, _ = experiments("list", group)
            assert code == 0 and max(map(len, output.splitlines())) <= wide, (group, wide)
    code, output, _ = experiments("list", "models", "--reads", "text")
    assert code == 0 and "text_cnn" in output and "lenet5" not in output
    assert experiments("list", "models", "Whisper")[0] == 0
    assert "did you mean text?" in experiments("list", "models", "--reads", "txt")[2]
    assert experiments("list", "models", "nothing-like-it")[0] == 2


def test_texts_in_columns_are_folded_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.cli import HELP

    lines = HELP.splitlines()
    assert terminal.fitted(HELP, io.StringIO()) == HELP
    for wide in (60, 80, 120, 200):
        monkeypatch.setenv("COLUMNS", str(wide))
        folded = terminal.fitted(HELP, Terminal())
        assert max(map(len, folded.splitlines())) <= wide
        assert folded.split() == HELP.split()
        assert all(line in folded for line in lines if len(line) <= wide)


@pytest.mark.parametrize("wide", [60, 80, 100])
def test_tables_are_folded_between_words_and_numbers_stay_whole(wide: int) -> None:
    from experiments.viz.tables import narrowest, table

    head = ["cell", "difference", "p", "verdict"]
    rows = [
        ["resnet18 · feature_extraction · lr=0.001 · bf16-mixed", "−0.0417", "0.75", "not distinguishable"],
        ["mlp", "+0.0010", "0.03", "better"],
    ]
    drawn = table(head, rows, (1, 2), wide=wide)
    assert narrowest(head, rows, (1, 2)) <= 60 and max(map(len, drawn.splitlines())) <= wide
    assert sorted(drawn.replace("─", "").split()) == sorted(" ".join(map(" ".join, [head, *rows])).split())
    assert table(head, rows, (1, 2), wide=200) == table(head, rows, (1, 2))


@pytest.mark.parametrize("wide", [60, 80, 200])
def test_a_comparison_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wide: int) -> None:
    from experiments.compare.compare import as_text, compare
    from tests.compare.records import make_sweep

    make_sweep(tmp_path, {"lenet5": [0.9, 0.92], "wide_resnet50_2": [0.8], "mlp": [0.7]})
    monkeypatch.setenv("COLUMNS", str(wide))
    comparison = compare([tmp_path])
    whole = as_text(comparison).partition("\n\n")[0]
    shown = as_text(comparison, terminal=True)
    first = shown.partition("\n\n")[0].splitlines()
    named = "in a wider terminal, or by --html FILE: "
    assert max(len(ANSI.sub("", line)) for line in first if named not in line) <= wide
    assert any(named in line for line in first) == (wide == 60) or wide == 80
    assert "wider terminal" not in whole


@pytest.mark.slow
@pytest.mark.parametrize("wide", [80, 200])
def test_in_a_real_terminal(tmp_path: Path, wide: int) -> None:
    """Something is seen within seconds, the bar says what is left, and nothing of a kept line is cut."""
    import fcntl
    import struct
    import termios

    main, sub = pty.openpty()
    fcntl.ioctl(sub, termios.TIOCSWINSZ, struct.pack("HHHH", 40, wide, 0, 0))
    env = {key: value for key, value in os.environ.items() if key not in ("CI", "NO_COLOR", "COLUMNS")}
    words = [sys.executable, "-m", "experiments", "train", *TINY, "hydra.run.dir=run"]
    with subprocess.Popen(words, cwd=tmp_path, stdin=sub, stdout=sub, stderr=sub, env=env | {"TERM": "xterm-256color"}) as job:  # fmt: skip
        os.close(sub)
        screen = b""
        while select.select([main], [], [], 60)[0]:
            try:
                screen += os.read(main, 65536)
            except OSError:  # its end
                break
    text = screen.decode()
    assert job.returncode == 0, text
    assert text.index("reading the config") < text.index("importing PyTorch") < text.index("epoch 1/2")
    lines = [ANSI.sub("", line.rpartition("\r")[2]) for line in text.split("\r\n")]
    kept = [line for line in lines if line.startswith("epoch ")]
    assert len(kept) == 2 and all("val/accuracy" in line and len(line) < wide for line in kept)
    assert any("accuracy (judged)" in line for line in lines)


def test_no_colour_still_says_what_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def screen(**variables: str) -> str:
        for name in ("CI", "NO_COLOR", "TERM"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        stream = Terminal()
        monkeypatch.setattr("sys.stderr", stream)
        with terminal.waiting("loading"):
            return stream.getvalue()

    assert "\x1b[2mloading" in screen()
    assert screen(NO_COLOR="1") == "loading …"
    assert screen(CI="true") == screen(TERM="dumb") == ""


@pytest.mark.parametrize(
    "file", sorted(Path(terminal.__file__).parents[1].glob("commands/**/*.py")), ids=lambda f: f.stem
)
def test_tables_that_commands_print_fit_the_terminal(file: Path) -> None:
    printed = [
        call
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
        for call in node.args
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "table"
    ]
    assert all("wide" in {keyword.arg for keyword in call.keywords} for call in printed)
