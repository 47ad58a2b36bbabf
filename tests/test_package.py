"""What a release needs: a version from the tag, metadata, files for contributors that can be read."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).parents[1]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]


def _version_in(folder: Path) -> str:
    (folder / "scripts").mkdir(exist_ok=True)
    (folder / "scripts" / "version.py").write_text((TOP / "scripts" / "version.py").read_text())
    code = "import sys; sys.path.insert(0, 'scripts'); import version; print(version.version())"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_version_follows_the_tag(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        own = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"]
        subprocess.run(["git", *own, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    assert _version_in(tmp_path) == "0.1.0"
    git("commit", "--allow-empty", "-m", "one")
    git("tag", "v1.2.3")
    assert _version_in(tmp_path) == "1.2.3"
    git("commit", "--allow-empty", "-m", "two")
    assert re.fullmatch(r"1\.2\.3\.dev1\+g[0-9a-f]+", _version_in(tmp_path))
    (tmp_path / "PKG-INFO").write_text("Metadata-Version: 2.4\nName: lightning-experiments\nVersion: 9.9\n")
    assert _version_in(tmp_path) == "9.9", "a source archive says it itself"


def test_metadata() -> None:
    assert PROJECT["name"] == "lightning-experiments" and "version" in PROJECT["dynamic"]
    assert {"Typing :: Typed", "Programming Language :: Python :: 3.14"} <= set(PROJECT["classifiers"])
    assert (TOP / "src/experiments/py.typed").exists()
    everything = set(PROJECT["optional-dependencies"])
    dev = next(word for word in PROJECT["optional-dependencies"]["dev"] if word.startswith("lightning-experiments["))
    assert set(dev.removeprefix("lightning-experiments[").rstrip("]").split(",")) <= everything
    readme = (TOP / "README.md").read_text()
    assert len(readme.splitlines()) < 150
    assert all(f"`{extra}`" in readme for extra in ("notebook", "demo", "serve", "language", "search"))


@pytest.mark.parametrize("name", ["CITATION.cff", ".pre-commit-config.yaml", *(str(path.relative_to(TOP)) for path in (TOP / ".github").rglob("*.yml"))])  # fmt: skip
def test_files_of_the_project_can_be_read(name: str) -> None:
    assert isinstance(yaml.safe_load((TOP / name).read_text()), dict)


def test_workflows_run_what_there_is() -> None:
    """Every make target and command of a workflow exists."""
    targets = set(re.findall(r"^(\w+):", (TOP / "Makefile").read_text(), re.M))
    for path in (TOP / ".github" / "workflows").glob("*.yml"):
        for target in re.findall(r"run: make (\w+)", path.read_text()):
            assert target in targets, (path, target)
