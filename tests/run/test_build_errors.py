"""Which metrics the config of a callback names."""

from __future__ import annotations

from omegaconf import OmegaConf

from experiments.run.build_errors import _named_in


def test_only_the_file_name_of_a_checkpoint_names_metrics() -> None:
    node = OmegaConf.create(
        {"_target_": "lightning.pytorch.callbacks.ModelCheckpoint", "filename": "{epoch}-{val/x:.2f}"}
    )
    assert _named_in(node) == ["val/x"]
    node["_target_"] = "lightning.pytorch.callbacks.Timer"  # a callback of anyone's may mean anything by it
    assert _named_in(node) == []
    del node["filename"]
    assert _named_in(node) == _named_in(None) == []
