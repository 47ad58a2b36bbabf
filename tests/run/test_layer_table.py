"""The layer table and the arithmetic of a forward pass."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from experiments.run.layer_table import as_markdown, as_text, example_input, flops_per_example, layer_table
from experiments.spec import ImageSpec

GREY = ImageSpec(1, 32, 32, tuple("0123456789"), (0.5,), (0.5,))


def lenet() -> nn.Sequential:
    net = nn.Sequential()
    net.conv1 = nn.Sequential(nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2))
    net.conv2 = nn.Sequential(nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2))
    net.fc1 = nn.Sequential(nn.Flatten(), nn.Linear(400, 120), nn.Tanh())
    net.fc2 = nn.Sequential(nn.Linear(120, 84), nn.Tanh())
    net.head = nn.Linear(84, 10)
    return net


def test_lenet() -> None:
    table = layer_table(lenet(), GREY)
    stages = {row.name: row for row in table if row.depth == 0}
    assert list(stages) == ["conv1", "conv2", "fc1", "fc2", "head"]
    assert table.parameters == table.trainable == sum(row.parameters for row in stages.values()) == 61_706
    assert stages["conv2"].output == (16, 5, 5)
    assert stages["head"].output == (10,)
    assert (stages["conv1"].parameters, stages["head"].parameters) == (156, 850)
    multiply_adds = 28 * 28 * 6 * 25 + 10 * 10 * 16 * 150 + 400 * 120 + 120 * 84 + 84 * 10
    assert table.flops == flops_per_example(lenet(), GREY) == 2 * multiply_adds


def test_text_and_markdown() -> None:
    net = lenet()
    net.conv1.requires_grad_(False)
    table = layer_table(net, GREY)
    text = as_text(table)
    assert "61,706 parameters, 61,550 trainable" in text
    assert "6 × 14 × 14" in text
    assert "48,120" in text
    assert len({len(line) for line in text.splitlines() if "─" in line}) == 1
    assert "no" in next(line for line in text.splitlines() if line.startswith("conv1")).split()
    markdown = as_markdown(table)
    assert markdown.splitlines()[1] == "| --- | --- | --- | ---: | ---: |"
    assert all(line.startswith("|") for line in markdown.splitlines()[: len(table) + 2])


def test_model_is_left_as_it_was() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.LazyLinear(10))
    net(torch.randn(2, 1, 32, 32))
    net.train()
    net[1].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    random = torch.get_rng_state()
    layer_table(net, GREY)
    assert [m.training for m in net] == [True, False, True, True, True]
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert torch.backends.mha.get_fastpath_enabled()


def test_model_is_left_as_it_was_when_it_fails() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3, 2)).train()
    with pytest.raises(RuntimeError):
        layer_table(net, GREY)
    assert net.training
    assert not net[0]._forward_hooks


@pytest.mark.parametrize(
    ("kind", "gates", "extra"),
    [(nn.LSTM, 4, {}), (nn.GRU, 3, {}), (nn.RNN, 1, {}), (nn.LSTM, 4, {"proj_size": 5})],
)
def test_recurrent_layers_by_hand(kind: type[nn.RNNBase], gates: int, extra: dict[str, int]) -> None:
    """Rows of the image are read one after another: 32 time steps of 32 values."""

    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = kind(32, 20, num_layers=2, bidirectional=True, batch_first=True, **extra)  # type: ignore[arg-type]

        def forward(self, x: Tensor) -> Tensor:
            return self.rnn(x.squeeze(1))[0]

    out = extra.get("proj_size", 20)
    each = gates * 20 * (32 + out) + gates * 20 * (2 * out + out) + 2 * (20 * out if extra else 0)
    table = layer_table(Rows(), GREY)
    assert table.flops == 2 * 32 * 2 * each
    assert table.rows[0].output == (32, 2 * out)


def test_attention_is_counted() -> None:
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x.squeeze(1))

    length, width = 32, 32
    projections, products = length * width * 4 * width, 2 * length * length * width
    by_hand = projections + products + 2 * length * width * 64
    assert flops_per_example(Encoder(), GREY) == 2 * by_hand


def test_transposed_and_grouped_convolutions() -> None:
    up = nn.ConvTranspose2d(8, 2, 2, stride=2)
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, groups=4), up)
    by_hand = 32 * 32 * 4 * 9 + 30 * 30 * 8 * 9 + 30 * 30 * 8 * 2 * 4
    assert flops_per_example(net, GREY) == 2 * by_hand


def test_shared_parameters_count_once() -> None:
    layer = nn.Linear(32, 32)
    assert layer_table(nn.Sequential(layer, nn.Tanh(), layer), GREY).parameters == 32 * 33


def test_single_layer_and_other_precision() -> None:
    table = layer_table(nn.Conv2d(1, 2, 3).to(torch.bfloat16), GREY)
    assert [row.name for row in table] == ["conv2d"]
    assert table.rows[0].output == (2, 30, 30)


@pytest.mark.slow
def test_the_compiler_is_not_imported() -> None:
    code = (
        "import sys, torch; from torch import nn; from experiments.run.layer_table import layer_table; "
        "from experiments.spec import ImageSpec; "
        "layer_table(nn.Conv2d(1, 2, 3), ImageSpec(1, 8, 8, ('a', 'b'), (0.0,), (1.0,))); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    path = {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=path).returncode == 0


def test_unknown_spec() -> None:
    with pytest.raises(TypeError, match="example_input"):
        example_input(object())
