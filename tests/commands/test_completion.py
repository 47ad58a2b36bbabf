"""Tab in bash, zsh and fish, driven as a person would press it, and what the words may become."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.cli import COMMANDS
from experiments.commands.completion import SWITCHES, candidates_of_line


def offered(line: str) -> list[str]:
    return candidates_of_line(f"experiments {line}", COMMANDS)


@pytest.mark.slow
def test_what_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("outputs/runs/one", "outputs/sweeps/two", "my data"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "outputs/runs/one/config.yaml").write_text("")
    (tmp_path / "outputs/sweeps/two/sweep.json").write_text("{}")
    assert offered("tr") == ["train"]
    assert offered("list m") == ["models"] and offered("list models --reads te") == ["text"]
    assert offered("train model=len") == ["model=lenet5", "model=lenet5_modern"]
    assert offered("train model=mlp,len") == ["model=mlp,lenet5", "model=mlp,lenet5_modern"]
    assert {"optimizer=", "optimizer."} <= set(offered("train opt"))
    assert "optimizer.lr=" in offered("train optimizer=adam optimizer.l")
    assert offered("train trainer.benchmark=") in ([], ["trainer.benchmark=false", "trainer.benchmark=true"])
    assert "outputs/runs/one" in offered("predict ") and "outputs/runs/" in offered("show outputs/r")
    assert set(offered("train resume=outputs/")) >= {"resume=outputs/runs/one", "resume=outputs/sweeps/two"}
    assert offered("train data.root=my") == ["data.root=my data/"]
    assert offered("show outputs/runs/") == ["outputs/runs/one"]  # once, not also with a slash
    assert offered("train trainer.accelerator=g") == ["trainer.accelerator=gpu"]
    assert offered("train optimizer=adam optimizer.lr=") == ["optimizer.lr=0.001"]
    assert offered("explain optimizer.l") == ["optimizer.lr"] and "model" in offered("explain mo")
    assert offered("explain model=lenet5_") == ["model=lenet5_modern"] and offered("list models lenet5_") == [
        "lenet5_modern"
    ]
    assert offered("status mod") == [] and offered("show conv") == ["convolution"]
    assert offered("export outputs/runs/one --format s") == ["safetensors"] and offered(
        "benchmark --precisions 32-true,64"
    ) == ["32-true,64-true"]
    (tmp_path / "outputs/runs/one/record.json").write_text('{"metrics": {"test/accuracy": 1}}')
    (tmp_path / "outputs/sweeps/two/record.json").write_text("[{")  # damaged
    assert offered("compare outputs --metric te") == ["test/accuracy"]
    assert "--quiet" in offered("train -") and offered("compare --ht") == ["--html"]
    for odd in ("nothing x", "list 'm", "train model=(", "train ++=", 'train "', "train model=lenet5 model.nothing."):
        assert isinstance(offered(odd), list)


@pytest.mark.slow
def test_no_torch_and_never_an_error(command: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    for line in ("experiments list m", "experiments list nothing x", "experiments 'a"):
        done = command("-sc", "query=bash", env={"COMP_LINE": line, "COMP_POINT": str(len(line))})
        assert done.returncode == 0 and done.stderr == ""
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from experiments.cli import main; main(['completion', 'line', 'experiments train optimizer.l']);"
         "print([name for name in ('torch', 'lightning', 'numpy') if name in sys.modules])"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["optimizer.lr=", "[]"]


def test_every_switch_of_the_help_is_offered(experiments: Callable[..., tuple[int, str, str]]) -> None:
    for command in sorted(set(COMMANDS) - {"train"}):
        switches = set(re.findall(r"^ +(?:-\w.*, )?(--[a-z][a-z-]+)", experiments(command, "--help")[1], re.M))
        assert switches - {"--help", "--trust", "--config-dir"} <= set(SWITCHES.get(command, ())), command


def test_completion_says_how(experiments: Callable[..., tuple[int, str, str]]) -> None:
    code, output, _ = experiments("completion", "bash")
    assert code == 0 and 'eval "$(experiments completion bash)"' in output
    code, _, errors = experiments("completion", "tcsh")
    assert code == 2 and "bash, zsh, fish" in errors


_START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--private", "-i"],
}
_SOURCE = {
    "bash": 'PS1="$ "; eval "$(experiments completion bash)"; echo rea""dy\n',
    "zsh": 'PS1="$ "; eval "$(experiments completion zsh)"; echo rea""dy\n',
    "fish": 'experiments completion fish | source; echo rea""dy\n',
}


def _on_path(folder: Path) -> str:
    """A PATH whose first `experiments` is the one under test."""
    place = folder / "bin"
    place.mkdir()
    (place / "experiments").write_text(f'#!/bin/sh\nexec {sys.executable} -m experiments "$@"\n')
    (place / "experiments").chmod(0o755)
    return os.pathsep.join([str(place), os.environ["PATH"]])


@pytest.mark.slow
@pytest.mark.parametrize("shell", sorted(_START))
def test_tab_in_a_shell(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = _on_path(tmp_path)
    for name in ("one", "a name", "broken"):
        (tmp_path / "outputs" / "runs" / name).mkdir(parents=True)
        (tmp_path / "outputs" / "runs" / name / "config.yaml").write_text("{{{")
    main, sub = pty.openpty()
    env = os.environ | {"PATH": path, "TERM": "xterm", "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "COLUMNS": "120"}  # fmt: skip
    job = subprocess.Popen(_START[shell], cwd=tmp_path, stdin=sub, stdout=sub, stderr=sub, env=env, start_new_session=True,
                           preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))  # fmt: skip
    os.close(sub)

    def until(wanted: str, seconds: float = 120) -> str:
        screen, end = "", time.monotonic() + seconds
        while wanted not in screen and time.monotonic() < end:
            if select.select([main], [], [], 0.2)[0]:
                screen += os.read(main, 65536).decode(errors="replace")
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen)

    try:
        os.write(main, _SOURCE[shell].encode())
        screen = until("ready\r\n")
        assert "ready" in screen
        for typed, wanted in (
            ("experiments expl\t", "explain"),
            ("experiments list mod\t", "models"),
            ("experiments train experi\t", "experiment="),
            ("experiments train model=lenet5_m\t", "lenet5_modern"),
            ("experiments train -m model=mlp,lenet5_m\t", "lenet5_modern"),
            ("experiments train optimizer.l\t", "lr="),
            ("experiments train trainer.accelerator=g\t", "gpu"),
            ("experiments export outputs/runs/one --format s\t", "safetensors"),
            ("experiments predict outputs/runs/on\t", "one"),
            ("experiments train resume=outputs/runs/a\\ n\t", "name"),
        ):
            os.write(main, typed.encode())
            screen = until(wanted)
            assert wanted in screen and "rror" not in screen and "Traceback" not in screen, screen
            os.write(main, b"\x15")  # clears the line
    finally:
        job.kill()
        job.wait()
        os.close(main)
