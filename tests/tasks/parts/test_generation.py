"""Writing: the library's rules for what may come next, and texts that do not depend on their company."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from experiments.batches import Sequences
from experiments.errors import UserError
from experiments.models.gpt import GPT
from experiments.models.recurrent import Recurrent
from experiments.tasks.parts.generation import Writing, choose, write

VOCABULARY = 30
RECURRENT: dict[str, Any] = {
    "embedding": 8, "hidden": 12, "layers": 2, "nonlinearity": "tanh", "bidirectional": False, "pooling": "last",
    "initial": "learned", "layer_norm": True, "input_dropout": 0.1, "dropout": 0.1, "output_dropout": 0.1, "truncate": None,
    "forget_bias": None,
}  # fmt: skip


def model(kind: str) -> Any:
    made: Any
    if kind == "gpt":
        made = GPT(
            VOCABULARY, VOCABULARY, every_step=True, size=16, heads=2, layers=2, inner=32, positions=20, dropout=0.1
        )
    else:
        made = Recurrent(VOCABULARY, None, VOCABULARY, every_step=True, cell=kind, **RECURRENT)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return made.eval()


PROMPTS = Sequences(torch.randint(4, VOCABULARY, (4, 9)), torch.tensor([9, 5, 1, 9]))


@pytest.mark.parametrize("kind", ["gpt", "rnn", "lstm", "gru"])
@pytest.mark.parametrize(
    "how",
    [
        Writing(length=45, top_k=9, top_p=0.9, repetition_penalty=1.1),
        Writing(method="greedy", length=45),
        Writing(method="beam", beams=3, length=8),
    ],
    ids=["sample", "greedy", "beam"],
)
def test_texts_do_not_depend_on_their_company(kind: str, how: Writing) -> None:
    writer = model(kind)
    together = write(writer, PROMPTS, how, never=(0, 1, 2), end=3)
    for row, length in enumerate(PROMPTS.lengths.tolist()):
        alone = Sequences(PROMPTS.values[row : row + 1, :length], PROMPTS.lengths[row : row + 1])
        assert write(writer, alone, how, never=(0, 1, 2), end=3) == [together[row]]
    assert all(1 <= len(text) <= how.length or 3 in text for text in together if text)
    assert not {0, 1, 2, 3} & {token for text in together for token in text}


@pytest.mark.parametrize("kind", ["gpt", "lstm"])
def test_steps_by_what_was_kept_are_those_of_the_whole_text(kind: str) -> None:
    writer = model(kind)
    written = write(writer, PROMPTS, Writing(method="greedy", length=10))
    for row, length in enumerate(PROMPTS.lengths.tolist()):
        text = PROMPTS.values[row, :length].tolist()
        for token in written[row]:
            whole = Sequences(torch.tensor([text]), torch.tensor([len(text)]))
            with torch.no_grad():
                assert int(writer(whole)[0, -1].argmax()) == token
            text.append(token)


def test_a_prompt_longer_than_the_model_s_sight_goes_on_from_its_end() -> None:
    writer = model("gpt")
    values = torch.randint(4, VOCABULARY, (1, 50))
    for method in ("greedy", "beam"):
        assert len(write(writer, Sequences(values, torch.tensor([50])), Writing(method=method, length=2))[0]) >= 1


@pytest.mark.parametrize(
    ("top_k", "top_p", "temperature"), [(5, None, 1.0), (None, 0.7, 1.0), (6, 0.8, 0.5), (1, None, 2.0)]
)
def test_what_may_come_next_is_the_library_s_rule(top_k: int | None, top_p: float | None, temperature: float) -> None:
    processors = pytest.importorskip("transformers").generation.logits_process
    scores = torch.randn(1, VOCABULARY) * 2
    theirs = processors.TemperatureLogitsWarper(temperature)(None, scores)
    theirs = theirs if top_k is None else processors.TopKLogitsWarper(top_k)(None, theirs)
    theirs = theirs if top_p is None else processors.TopPLogitsWarper(top_p)(None, theirs)
    how = Writing(temperature=temperature, top_k=top_k, top_p=top_p)
    grid = [(number + 0.5) / 4000 for number in range(4000)]
    drawn = torch.tensor([int(choose(scores, scores > 99, how, (), chance)) for chance in grid])
    shares = torch.bincount(drawn, minlength=VOCABULARY) / len(grid)
    assert torch.allclose(shares, theirs.softmax(1)[0], atol=2 / 4000)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"temperature": 0}, "task.sample.temperature=0 must be above 0"),
        ({"top_p": 1.5}, "task.sample.top_p=1.5 must lie above 0"),
        ({"method": "guess"}, "must be sample, greedy, beam"),
        ({"method": "beam", "repetition_penalty": 1.2}, "is not of beam search"),
        ({"method": "greedy", "top_k": 5}, "are of sampling"),
        ({"lenght": 5}, "task.sample.lenght is unknown"),
        ({"beams": True}, "task.sample.beams=True must be a whole number"),
    ],
)
def test_what_cannot_be_asked_for(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        Writing.of(keys)


def test_keys_of_the_command_line() -> None:
    assert Writing().changed(["top_k=5", "temperature=0.5"], "--sample") == Writing(top_k=5, temperature=0.5)
    assert Writing(top_k=5).changed(["top_k=null", "method=greedy"], "--sample").method == "greedy"
    with pytest.raises(UserError, match="--sample heat=1: write"):
        Writing().changed(["heat=1"], "--sample")
