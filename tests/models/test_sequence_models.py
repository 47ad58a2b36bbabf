"""Every model of sequences by its config: stages, gradients, and padding that changes nothing."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from experiments.batches import pad
from experiments.config.compose import compose
from experiments.models.text_cnn import TextCNN
from experiments.models.text_transformer import TextTransformer
from experiments.run.build import build_model
from experiments.run.layer_table import layer_table
from experiments.spec import SequenceSpec, TextSpec

TEXT = TextSpec(vocabulary=30, length=9, longest=12, classes=("no", "yes", "perhaps"))
VECTORS = SequenceSpec(features=4, length=9, longest=12, classes=("no", "yes", "perhaps"))


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "text_cnn", "text_transformer"])
def test_stages_gradients_and_padding(name: str) -> None:
    config = compose([f"model={name}", "data=generated_reviews", "task=classification"])
    torch.manual_seed(0)
    model = build_model(config, TEXT)
    stages = [stage for stage, _ in model.named_children()]
    assert isinstance(model, nn.Sequential)
    assert stages[0] == "embedding"
    assert stages[-1] == "head"
    rows = [torch.randint(1, 30, (length,)) for length in (7, 1, 4, 5)]
    model.train()
    model(pad(rows)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    model.eval()
    wide = pad(rows, 12)
    wide.values[~wide.mask()] = 9
    together, padded = model(pad(rows)), model(wide)
    assert together.shape == (4, 3)
    for index, row in enumerate(rows):
        alone = model(pad([row]))[0]
        torch.testing.assert_close(together[index], alone, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(padded[index], alone, rtol=1e-5, atol=1e-5)
    table = layer_table(model, TEXT)
    assert table.flops > 0
    assert [row.name for row in table.rows if row.depth == 0] == stages


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_recurrent_networks_read_vectors_too(name: str) -> None:
    model = build_model(compose([f"model={name}", "data=generated_reviews"]), VECTORS)
    assert model(pad([torch.randn(5, 4), torch.randn(2, 4)])).shape == (2, 3)
    assert layer_table(model, VECTORS).flops > 0


def test_the_convolution_sees_windows_at_both_ends() -> None:
    """A filter as wide as three sees the first and the last word of a text of one word."""
    keys = {"embedding": 4, "widths": [3], "filters": 2, "input_dropout": 0.0, "dropout": 0.0}
    model = TextCNN(10, **keys).eval()
    values = model.embedding(pad([torch.tensor([5])])).values
    by_hand = nn.functional.conv1d(
        nn.functional.pad(values.transpose(1, 2), (2, 2)),
        model.windows.convolutions[0].weight,
        model.windows.convolutions[0].bias,
    )
    expected = model.head(by_hand.relu().amax(2))
    torch.testing.assert_close(model(pad([torch.tensor([5])])), expected)


def test_the_transformer_knows_order() -> None:
    keys = {"size": 8, "heads": 2, "layers": 1, "inner": 8, "pooling": "mean", "input_dropout": 0.0, "dropout": 0.0}
    model = TextTransformer(10, output_dropout=0.0, **keys).eval()
    first, other = model(pad([torch.tensor([3, 4, 5]), torch.tensor([5, 4, 3])]))
    assert not torch.allclose(first, other)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: TextCNN(9, embedding=4, widths=[], filters=2, input_dropout=0.0, dropout=0.0), ["model.widths=[]"]),
        (
            lambda: TextTransformer(
                9,
                size=9,
                heads=2,
                layers=1,
                inner=4,
                pooling="mean",
                input_dropout=0.0,
                dropout=0.0,
                output_dropout=0.0,
            ),
            ["model.heads=2", "model.size=9"],
        ),
    ],
)
def test_values_out_of_range_are_named(build: object, words: list[str]) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        build()  # type: ignore[operator]
    assert all(word in str(caught.value) for word in words)
