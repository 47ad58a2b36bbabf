"""Words and files that are refused before a config is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.config.refusals import refuse_filled_in, refuse_hidden, refuse_lists, refuse_missing, refuse_names
from experiments.errors import UserError


def test_keys_that_a_run_fills_in() -> None:
    refuse_filled_in(["seed=1", "run_dir=x"], "hydra.run.dir")
    with pytest.raises(UserError, match=r"run\.dir=here has no effect.*: write hydra\.run\.dir=here"):
        refuse_filled_in(["+run.dir=here"], "hydra.run.dir")
    with pytest.raises(UserError, match="leave it out"):
        refuse_filled_in(["run.choices=x"], "hydra.run.dir")


def test_a_list_in_the_place_of_an_option() -> None:
    refuse_lists(["model=mlp", "data.classes=[a,b]"])
    with pytest.raises(UserError, match="write model=mlp, or sweep over them with -m model=mlp,lenet5"):
        refuse_lists(["model=[mlp,lenet5]"])
    with pytest.raises(UserError, match=r"takes one option: write model=mlp$"):
        refuse_lists(["model=[mlp]"])


def test_a_file_with_the_name_of_ours(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("_target_: a.B\n")
    refuse_hidden([str(tmp_path)])
    (tmp_path / "model" / "mlp.yaml").write_text("_target_: a.B\n")
    with pytest.raises(UserError, match=r"rename it, as model/my_mlp\.yaml"):
        refuse_hidden([str(tmp_path)])


def test_names_where_keys_belong() -> None:
    refuse_names({"model": {"hidden": [1]}}, {"model": "mlp"})
    with pytest.raises(UserError, match="write `- override /model: mlp`"):
        refuse_names({"model": "mlp"}, {})
    with pytest.raises(UserError, match="begin its file with the line `# @package _global_`"):
        refuse_names({"experiment": {"lr": 1}}, {"experiment": "mine"})
    refuse_names({"experiment": {"lr": 1}, "optimizer": {"lr": "${experiment.lr}"}}, {"experiment": "mine"})


def test_values_that_are_missing() -> None:
    refuse_missing([], {})
    with pytest.raises(UserError, match=r"data\.a has no default: add data\.a=…"):
        refuse_missing(["data.b", "data.a"], {})
