"""Folders of every family as `transformers` writes them: the network and values that the library itself reads there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

transformers = pytest.importorskip("transformers")

from experiments.batches import Sequences  # noqa: E402
from experiments.config.pretrained_network import take_network  # noqa: E402
from experiments.models.library.language_models import language_model  # noqa: E402
from experiments.transfer.library_folder import library_state  # noqa: E402

SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
OTHER = {
    "distilbert": {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 24},
    "gpt2": {"n_embd": 16, "n_layer": 1, "n_head": 2},  # n_inner is null, for four times the size
}


@pytest.mark.parametrize(
    ("name", "head", "pooler_is_new"),
    [
        ("bert", "AutoModelForMaskedLM", True),
        ("roberta", "AutoModelForMaskedLM", True),  # its lm_head.dense is no classifier.dense
        ("distilbert", "AutoModelForMaskedLM", True),
        ("electra", "AutoModelForMaskedLM", True),
        ("gpt2", "AutoModelForCausalLM", False),
        ("llama", "AutoModelForCausalLM", False),
        ("bert", "AutoModel", False),
    ],
)
def test_the_layers_of_a_folder_are_those_the_library_reads(
    name: str, head: str, pooler_is_new: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = transformers.AutoConfig.for_model(name, vocab_size=30, **OTHER.get(name, SIZES))
    getattr(transformers, head).from_config(config).save_pretrained(tmp_path)
    model_keys: dict[str, Any] = {"name": "bert", "size": 128, "layers": 2, "heads": 2, "inner": 512, "positions": 512}
    model_keys |= {"dropout": 0.1, "settings": {}, "pooling": "first"}
    chosen: dict[str, Any] = {"model": model_keys, "run": {"choices": {"model": "transformers"}, "overrides": []}}
    take_network(chosen, tmp_path)
    model: Any = language_model(30, 2, **model_keys)
    model.load_state_dict(library_state(model, tmp_path, with_head=False))
    assert ("nothing for the stage pooler" in caplog.text) == pooler_is_new
    model.eval()
    tokens = torch.randint(4, 30, (2, 5))
    values: Any = Sequences(tokens, torch.tensor([5, 5]))
    for stage, layer in model.named_children():
        if stage in ("pooler", "head"):
            break
        values = layer(values)
    out = values.values if head != "AutoModelForCausalLM" else model.pooler.norm(values.values)
    library = transformers.AutoModel.from_pretrained(tmp_path).eval()
    assert torch.allclose(out, library(tokens).last_hidden_state, atol=1e-5)
