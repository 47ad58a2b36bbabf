"""BERT and GPT by own code: the library's numbers with its weights, padding, and writing token by token."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from experiments.batches import Joined, Sequences
from experiments.models.bert import Bert
from experiments.models.gpt import GPT

SIZES: dict[str, Any] = {"size": 32, "heads": 4, "layers": 3, "inner": 64, "positions": 40, "dropout": 0.1}
VOCABULARY = 50


def batch() -> tuple[Sequences, Joined]:
    values = torch.randint(4, VOCABULARY, (3, 12))
    lengths = torch.tensor([12, 7, 3])
    return Sequences(values, lengths), Joined(values, lengths, (torch.arange(12) > 4).long().expand(3, 12))


def shaken(model: torch.nn.Module) -> Any:
    """The model with weights far from their first values, in evaluation mode."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


@pytest.mark.parametrize(
    ("kind", "classes", "every_step"),
    [
        ("BertForMaskedLM", 0, True),
        ("BertForSequenceClassification", 5, False),
        ("BertForTokenClassification", 5, True),
        ("BertForQuestionAnswering", 2, True),
    ],
)
def test_bert_gives_the_library_s_numbers(kind: str, classes: int, every_step: bool) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=40, num_labels=max(1, classes),
    )  # fmt: skip
    theirs = shaken(getattr(transformers, kind)(config))
    ours = Bert(VOCABULARY, classes, every_step=every_step, masked=not classes, **SIZES).eval()
    state = theirs.state_dict()
    ours.load_state_dict({name: state[key] for key, name in ours.published_names.items() if key in state})
    assert sum(parameter.numel() for parameter in ours.parameters()) == sum(
        parameter.numel() for parameter in theirs.parameters()
    )
    first, second = batch()
    for inputs, segments in ((first, torch.zeros_like(second.segments)), (second, second.segments)):
        with torch.no_grad():
            wanted = theirs(first.values, attention_mask=first.mask().long(), token_type_ids=segments)
            output = ours(inputs)
        scores = torch.stack([wanted.start_logits, wanted.end_logits], 2) if "Question" in kind else wanted.logits
        judged = first.mask() if every_step else slice(None)
        assert torch.allclose(output[judged], scores[judged], atol=2e-6)


def of_the_library(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """GPT-2's weights under the names here; its dense layers are written the other way round."""
    words = (
        ("transformer.", ""), ("wte", "embeddings.tokens"), ("wpe", "embeddings.positions"), ("ln_f", "pooler.norm"),
        ("lm_head", "head"), ("ln_1", "norm1"), ("ln_2", "norm2"), ("attn.c_attn", "attention.project"),
        ("attn.c_proj", "attention.out"), ("mlp.c_fc", "dense1"), ("mlp.c_proj", "dense2"),
    )  # fmt: skip
    renamed = {}
    for key, value in state.items():
        name = key
        for theirs, ours in words:
            name = name.replace(theirs, ours)
        if name.startswith("h."):
            _, number, rest = name.split(".", 2)
            name, value = f"layer{int(number) + 1}.{rest}", value.t() if value.ndim == 2 else value
        renamed[name] = value
    return renamed


@pytest.fixture
def gpts() -> tuple[Any, GPT]:
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(
        vocab_size=VOCABULARY, n_positions=40, n_embd=32, n_layer=3, n_head=4, n_inner=64, bos_token_id=1, eos_token_id=None
    )  # fmt: skip
    theirs = shaken(transformers.GPT2LMHeadModel(config))
    ours = GPT(VOCABULARY, VOCABULARY, every_step=True, **SIZES).eval()
    ours.load_state_dict(of_the_library(theirs.state_dict()))
    return theirs, ours


def test_gpt_gives_the_library_s_numbers(gpts: tuple[Any, GPT]) -> None:
    theirs, ours = gpts
    inputs = batch()[0]
    with torch.no_grad():
        wanted, output = theirs(inputs.values, attention_mask=inputs.mask().long()).logits, ours(inputs)
    assert torch.allclose(output[inputs.mask()], wanted[inputs.mask()], atol=2e-6)
    assert sum(parameter.numel() for parameter in ours.parameters()) == sum(
        parameter.numel() for parameter in theirs.parameters()
    )


@pytest.mark.parametrize("method", ["greedy", "beam", "repetition"])
def test_what_gpt_writes_is_what_the_library_writes(method: str, gpts: tuple[Any, GPT]) -> None:
    from experiments.tasks.parts.generation import Writing, write

    theirs, ours = gpts
    prompts = batch()[0]
    how, keys = {
        "greedy": (Writing(method="greedy", length=12), {}),
        "beam": (Writing(method="beam", beams=3, length=12), {"num_beams": 3, "length_penalty": 0.0}),
        "repetition": (Writing(method="greedy", length=12, repetition_penalty=1.3), {"repetition_penalty": 1.3}),
    }[method]
    written = write(ours, prompts, how)
    for row, length in enumerate(prompts.lengths.tolist()):
        alone = theirs.generate(prompts.values[row : row + 1, :length], max_new_tokens=12, do_sample=False, pad_token_id=0, **keys)  # fmt: skip
        assert written[row] == alone[0, length:].tolist()


@pytest.mark.parametrize("kind", [Bert, GPT])
def test_stages_gradients_and_padding(kind: Any) -> None:
    inputs = batch()[0]
    for classes, every_step, shape in (
        (5, False, (3, 5)),
        (5, True, (3, 12, 5)),
        (VOCABULARY, True, (3, 12, VOCABULARY)),
    ):
        masked = {"masked": True} if kind is Bert and classes == VOCABULARY else {}
        model = kind(VOCABULARY, classes, every_step=every_step, **masked, **SIZES)
        assert [name for name, _ in model.named_children()] == [
            "embeddings",
            "layer1",
            "layer2",
            "layer3",
            "pooler",
            "head",
        ]
        model(inputs)[inputs.mask() if every_step else slice(None)].square().sum().backward()
        assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
        model.eval()
        wide = Sequences(torch.cat([inputs.values, torch.full((3, 5), 9)], 1), inputs.lengths)
        with torch.no_grad():
            narrow, broad = model(inputs), model(wide)
        assert narrow.shape == shape
        judged = inputs.mask() if every_step else slice(None)
        assert torch.allclose(narrow[judged], broad[:, :12][judged] if every_step else broad, atol=1e-6)


@pytest.mark.parametrize("kind", [Bert, GPT])
def test_sizes_that_cannot_be(kind: Any) -> None:
    with pytest.raises(ValueError, match=r"model.heads=5 must divide model.size=32"):
        kind(VOCABULARY, **SIZES | {"heads": 5})
    with pytest.raises(ValueError, match=r"model.layers=0 must be 1 or more"):
        kind(VOCABULARY, **SIZES | {"layers": 0})
