"""What a composed config says of its own run."""

from __future__ import annotations

from pathlib import Path

from experiments.config.compose import compose


def test_the_folder_of_the_run_is_hydra_s_folder_of_output(tmp_path: Path) -> None:
    config = compose([f"hydra.run.dir={tmp_path}/${{seed}}", "seed=3", "+here='${hydra:runtime.output_dir}'"])
    assert config.here == config.run.dir == f"{tmp_path}/3"
