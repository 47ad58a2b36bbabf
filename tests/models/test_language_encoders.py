"""Encoders of transformers in stages: their counts, the library's own numbers, padding, gradients, and what is refused."""

from __future__ import annotations

import pytest
import torch

transformers = pytest.importorskip("transformers")

from experiments.batches import Joined, Sequences  # noqa: E402
from experiments.config.compose import compose  # noqa: E402
from experiments.config.options import content, option_files  # noqa: E402
from experiments.models.library.language_encoders import Encoder, network  # noqa: E402
from experiments.models.library.language_families import configuration  # noqa: E402
from experiments.run.build import make  # noqa: E402

TINY = {
    "size": 32,
    "layers": 2,
    "heads": 2,
    "inner": 64,
    "positions": 40,
    "dropout": 0.1,
    "pooling": "first",
    "settings": {},
}
FAMILIES = ("bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert")
WITHOUT_STAGES = ("albert", "mpnet")
# Parameters of the body as published, and of how many tokens.
PUBLISHED = {
    "bert_tiny": (4_385_920, 30_522),
    "bert_base": (109_482_240, 30_522),
    "mbert": (177_853_440, 119_547),
    "roberta_base": (124_645_632, 50_265),
    "xlm_roberta_base": (278_043_648, 250_002),
    "distilbert_base": (66_362_880, 30_522),
    "electra_small": (13_483_008, 30_522),
}


def tokens(rows: int = 3, length: int = 9, seed: int = 0) -> Sequences:
    """Rows of unequal length, each with a separator in its middle and at its end."""
    drawn = torch.randint(4, 99, (rows, length), generator=torch.Generator().manual_seed(seed))
    lengths = torch.tensor([length, 5, 7][:rows])
    for row, end in zip(drawn, lengths, strict=True):
        row[0], row[2], row[end - 1] = 2, 3, 3
    return Sequences(drawn, lengths)


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published(name: str) -> None:
    """Of the whole body, without a head; the pooler of BERT and RoBERTa belongs to it."""
    count, vocabulary = PUBLISHED[name]
    node = compose([f"model={name}"]).model
    assert describe_parameters(name) == count
    with torch.device("meta"):
        model = make(node, vocabulary=vocabulary, num_classes=0)
        whole = network(model.config, 0)
    assert sum(parameter.numel() for parameter in whole.parameters()) == count
    body = [stage for stage, _ in model.named_children() if stage not in ("pooler", "head")]
    ours = sum(parameter.numel() for stage in body for parameter in getattr(model, stage).parameters())
    pooler = sum(parameter.numel() for key, parameter in whole.named_parameters() if key.startswith("pooler."))
    assert ours + pooler == count


def describe_parameters(name: str) -> int:
    return content(option_files("model")[name])["about"]["parameters"]


def theirs(model: Encoder, x: Sequences, every_step: bool, masked: bool, classes: int) -> torch.Tensor:
    """What the library's own network makes of the same tokens with the same weights."""
    net = network(model.config, classes, every_step=every_step, masked=masked).eval()
    state = model.state_dict()
    net.load_state_dict({key: state[ours] for key, ours in model.published_names.items()}, strict=False)
    kinds = {}
    if getattr(model.config, "type_vocab_size", 1) > 1:
        ends = (x.values == 3).long()
        kinds = {"token_type_ids": (ends.cumsum(1) - ends).clamp(max=1)}
    inside = x.mask()
    values = x.values.masked_fill(~inside, model.config.pad_token_id)  # RoBERTa counts places by it
    with torch.no_grad():
        return net(values, attention_mask=inside.long(), **kinds).logits


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("head", ["classes", "steps", "masked"])
def test_stages_compute_what_the_library_does(name: str, head: str) -> None:
    asked = {"every_step": head != "classes", "masked": head == "masked"}
    classes = 99 if head == "masked" else 3
    model = Encoder(99, classes, **asked, name=name, **TINY).eval()
    stages = [stage for stage, _ in model.named_children()]
    assert stages[:3] == ["embeddings", "layer1", "layer2"] and stages[-1] == "head"
    x = tokens()
    with torch.no_grad():
        ours = model(x)
    library = theirs(model, x, **asked, classes=classes)
    if head != "classes":
        ours, library = ours[x.mask()], library[x.mask()]
    assert torch.allclose(ours, library, atol=1e-5)


@pytest.mark.parametrize("name", [*FAMILIES, *WITHOUT_STAGES])
@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_padding_changes_nothing(name: str, pooling: str) -> None:
    model = Encoder(99, 3, name=name, **TINY | {"pooling": pooling}).eval()
    x = tokens()
    with torch.no_grad():
        whole = model(x)
        for row, length in enumerate(x.lengths.tolist()):
            alone = Sequences(x.values[row : row + 1, :length], x.lengths[row : row + 1])
            more = torch.full((1, 6), 50 + row)
            longer = Sequences(torch.cat([alone.values, more], 1), alone.lengths)
            assert torch.allclose(model(alone), whole[row], atol=1e-5)
            assert torch.allclose(model(longer), whole[row], atol=1e-5)


def test_segments_are_those_of_the_separators() -> None:
    model = Encoder(99, 3, name="bert", **TINY).eval()
    x = tokens()
    ends = (x.values == 3).long()
    segments = (ends.cumsum(1) - ends).clamp(max=1).masked_fill(~x.mask(), 0)
    with torch.no_grad():
        assert torch.allclose(model(x), model(Joined(*x, segments)), atol=1e-6)
        assert not torch.allclose(model(x), model(Joined(*x, torch.zeros_like(segments))), atol=1e-6)


@pytest.mark.parametrize("name", [*FAMILIES, *WITHOUT_STAGES])
@pytest.mark.parametrize("every_step", [False, True])
def test_every_parameter_gets_a_gradient(name: str, every_step: bool) -> None:
    model = Encoder(99, 3, every_step=every_step, name=name, **TINY)
    model(tokens()).sum().backward()
    without = [key for key, parameter in model.named_parameters() if parameter.grad is None]
    assert all(name in WITHOUT_STAGES and "pooler" in key for key in without), without


def test_without_classes_come_vectors() -> None:
    model = Encoder(99, 0, name="bert", **TINY | {"pooling": "mean"}).eval()
    x = tokens()
    with torch.no_grad():
        vectors = model(x)
        last = model.layer2(model.layer1(model.embeddings(x))).values
    assert vectors.shape == (3, 32)
    assert torch.allclose(vectors[1], last[1, :5].mean(0), atol=1e-6)


@pytest.mark.parametrize("name", ["bert", "distilbert"])
def test_plain_attention_under_bfloat16_is_close_to_fused(name: str) -> None:
    model = Encoder(99, 3, name=name, **TINY).eval()
    with torch.no_grad():
        exact = model(tokens())
        with torch.autocast("cpu", torch.bfloat16):
            close = model(tokens())
    assert torch.allclose(exact, close.float(), atol=0.03)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": "bret"}, ["model.name=bret", "bert"]),
        ({"name": None}, ["model.name", "weights=FOLDER"]),
        ({"heads": 3}, ["model.heads=3", "model.size=32"]),
        ({"pooling": "max"}, ["model.pooling=max", "first, mean"]),
        ({"settings": {"vocab_size": 50}}, ["50 tokens", "99"]),
    ],
)
def test_what_is_refused(changed: dict[str, object], words: list[str]) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        Encoder(99, 3, **{"name": "bert", **TINY, **changed})
    assert all(word in str(caught.value) for word in words)


def test_settings_of_the_library_are_taken() -> None:
    keys = {key: value for key, value in TINY.items() if key not in ("pooling", "settings")}
    config = configuration("bert", 99, **keys, settings={"hidden_act": "relu"})
    assert (config.hidden_act, config.hidden_size, config.vocab_size) == ("relu", 32, 99)
