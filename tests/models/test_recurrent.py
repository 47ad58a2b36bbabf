"""Recurrent networks: padding changes nothing, and every path agrees with torch's own layers."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

from experiments.batches import Sequences, pad
from experiments.models.recurrent import POOLINGS, Recurrent
from experiments.models.recurrent_layer import CELLS, RecurrentLayer

LENGTHS = [7, 1, 4, 5]
KEYS: dict[str, Any] = {
    "cell": "lstm",
    "embedding": 6,
    "hidden": 5,
    "layers": 2,
    "nonlinearity": "tanh",
    "bidirectional": False,
    "pooling": "last",
    "initial": "learned",
    "layer_norm": False,
    "input_dropout": 0.0,
    "dropout": 0.0,
    "output_dropout": 0.0,
    "truncate": None,
    "forget_bias": None,
}


def network(**keys: Any) -> Recurrent:
    torch.manual_seed(0)
    model = Recurrent(**({"vocabulary": 11, "num_classes": 3} | KEYS | keys))
    with torch.no_grad():  # a learned state that is zero would hide a mistake
        for layer in model.layers:
            if layer.initial is not None:
                layer.initial.normal_()
    return model


def tokens() -> list[torch.Tensor]:
    torch.manual_seed(1)
    return [torch.randint(1, 11, (length,)) for length in LENGTHS]


@pytest.mark.parametrize(("cell", "pooling", "both"), list(product(CELLS, POOLINGS, (False, True))))
def test_padding_and_company_change_nothing(cell: str, pooling: str, both: bool) -> None:
    model = network(cell=cell, pooling=pooling, bidirectional=both, layer_norm=both).eval()
    items = tokens()
    together, longer, turned = model(pad(items)), pad(items, 12), model(pad(items[::-1])).flip(0)
    longer.values[~longer.mask()] = 9  # whatever stands there
    for index, item in enumerate(items):
        alone = model(pad([item]))[0]
        for other in (together[index], model(longer)[index], turned[index]):
            torch.testing.assert_close(other, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("both", [False, True])
def test_padding_changes_no_step_and_no_gradient(both: bool) -> None:
    model = network(every_step=True, bidirectional=both)
    items = tokens()
    out, longer = model(pad(items)), pad(items, 12)
    longer.values[~longer.mask()] = 9
    wide = model(longer)
    assert out.shape == (4, 7, 3)
    for index, length in enumerate(LENGTHS):
        torch.testing.assert_close(wide[index, :length], out[index, :length])
    gradients = []
    for result, batch in ((out, pad(items)), (wide, longer)):
        model.zero_grad()
        result[batch.mask()].square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])  # type: ignore[union-attr]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("cell", CELLS)
def test_a_layer_in_both_directions_is_torch_s_over_packed_sequences(cell: str) -> None:
    torch.manual_seed(0)
    whole = CELLS[cell](6, 5, bidirectional=True, batch_first=True)
    layer = RecurrentLayer(6, 5, cell=cell, bidirectional=True)
    for direction, end in zip(layer.directions, ("", "_reverse"), strict=True):
        direction.load_state_dict({name: whole.state_dict()[name + end] for name in direction.state_dict()})
    batch = pad([torch.randn(length, 6) for length in LENGTHS])
    packed = nn.utils.rnn.pack_padded_sequence(batch.values, batch.lengths, batch_first=True, enforce_sorted=False)
    expected, _ = nn.utils.rnn.pad_packed_sequence(whole(packed)[0], batch_first=True)
    out = layer(batch).values * batch.mask()[..., None]
    torch.testing.assert_close(out, expected)


def test_float_vectors_forecast_and_stages() -> None:
    model = network(vocabulary=None, features=4, horizon=6)
    assert model(pad([torch.randn(9, 4), torch.randn(3, 4)])).shape == (2, 6, 3)
    assert [name for name, _ in model.named_children()] == ["layer1", "layer2", "pooling", "head"]
    assert next(name for name, _ in network().named_children()) == "embedding"


@pytest.mark.parametrize("cell", CELLS)
def test_a_carried_state_goes_on_where_it_stopped(cell: str) -> None:
    model = network(cell=cell, every_step=True).eval()
    values = torch.randint(1, 11, (3, 12))
    whole = model(Sequences(values, torch.full((3,), 12)))
    for _ in range(2):  # the second time because `carry` forgets
        model.carry(True)
        pieces = [model(Sequences(piece, torch.full((3,), 4))) for piece in values.split(4, dim=1)]
        torch.testing.assert_close(torch.cat(pieces, dim=1), whole)
    model.carry(False)
    torch.testing.assert_close(model(Sequences(values, torch.full((3,), 12))), whole)


def test_truncation_cuts_gradients_and_nothing_else() -> None:
    vectors = torch.randn(2, 10, 4)
    results, gradients = [], []
    for truncate in (None, 5):
        model = network(vocabulary=None, features=4, layers=1, truncate=truncate)
        inputs = vectors.clone().requires_grad_()
        results.append(model(Sequences(inputs, torch.tensor([10, 10]))))
        results[-1].sum().backward()
        gradients.append(inputs.grad)
    torch.testing.assert_close(*results)
    assert gradients[0][:, 0].abs().sum() > 0
    assert gradients[1][:, :5].abs().sum() == 0
    torch.testing.assert_close(gradients[0][:, 5:], gradients[1][:, 5:])


def test_forget_bias_and_relu() -> None:
    kernel = network(forget_bias=1.0).layers[0].directions[0]
    assert (kernel.bias_ih_l0 + kernel.bias_hh_l0)[5:10].tolist() == [1.0] * 5
    assert network(cell="rnn", nonlinearity="relu").layers[1].directions[0].nonlinearity == "relu"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"cell": "elman"}, ["model.cell=elman", "rnn", "gru"]),
        ({"pooling": "sum"}, ["model.pooling=sum", "attention"]),
        ({"hidden": 0}, ["model.hidden=0"]),
        ({"dropout": 1.0}, ["model.dropout=1.0"]),
        ({"truncate": 0}, ["model.truncate=0"]),
    ],
)
def test_values_out_of_range_are_named(keys: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        network(**keys)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("cell", CELLS)
def test_mixed_precision_on_any_processor(cell: str) -> None:
    """A processor without arithmetic for bf16 has no such LSTM kernel; the answer is near that in 32 bits all the same."""
    model = network(cell=cell).eval()
    batch = pad(tokens())
    with torch.no_grad():
        plain = model(batch)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = model(batch)
    torch.testing.assert_close(mixed.float(), plain, rtol=0.05, atol=0.03)
