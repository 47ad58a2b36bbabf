"""Decoders and encoder-decoders of transformers in stages: the library's own numbers, padding, and word by word."""

from __future__ import annotations

import pytest
import torch

transformers = pytest.importorskip("transformers")

from experiments.batches import Pairs, Sequences  # noqa: E402
from experiments.config.compose import compose  # noqa: E402
from experiments.config.options import content, option_files  # noqa: E402
from experiments.models.library.language_decoders import Decoder  # noqa: E402
from experiments.models.library.language_models import language_model  # noqa: E402
from experiments.models.library.language_translators import EncoderDecoder  # noqa: E402
from experiments.run.build import make  # noqa: E402

TINY = {"size": 32, "layers": 2, "heads": 4, "inner": 48, "positions": 40, "dropout": 0.1}
SETTINGS = {"gpt2": {}, "llama": {"num_key_value_heads": 2}, "qwen2": {"num_key_value_heads": 2}}
TRANSLATORS = ("t5", "mt5", "bart", "mbart", "marian")


def tokens() -> Sequences:
    return Sequences(torch.randint(4, 99, (3, 9)), torch.tensor([9, 5, 7]))


def test_parameters_are_the_published() -> None:
    """Of GPT-2 and T5-small the head shares the table of tokens."""
    for name, vocabulary, asked in (("gpt2", 50_257, {"every_step": True}), ("t5_small", 32_128, None)):
        node = compose([f"model={name}"]).model
        with torch.device("meta"):
            if asked:
                model = make(node, vocabulary=vocabulary, num_classes=vocabulary, **asked)
            else:
                model = make(node, vocabulary=vocabulary, target_vocabulary=vocabulary, one_vocabulary=True)
        stated = content(option_files("model")[name])["about"]["parameters"]
        assert sum(one.numel() for one in model.parameters()) == stated
        assert stated == {"gpt2": 124_439_808, "t5_small": 60_506_624}[name]


@pytest.mark.parametrize("name", SETTINGS)
def test_decoders_compute_what_the_library_does_also_token_by_token(name: str) -> None:
    model = Decoder(99, 99, every_step=True, name=name, settings=SETTINGS[name], **TINY).eval()
    assert [stage for stage, _ in model.named_children()] == ["embeddings", "layer1", "layer2", "pooler", "head"]
    net = transformers.AutoModelForCausalLM.from_config(model.config).eval()
    state = model.state_dict()
    net.load_state_dict({key: state[ours] for key, ours in model.published_names.items()})
    x, follow = tokens(), torch.randint(4, 99, (2, 3))
    with torch.no_grad():
        whole = model(x)
        assert torch.allclose(whole, net(x.values).logits, atol=1e-5)
        scores, going = model.start(x)
        assert torch.allclose(scores, whole[torch.arange(3), x.lengths - 1], atol=1e-5)
        said = [x.values[row, :length] for row, length in enumerate(x.lengths)]
        for words in follow:
            scores, going = model.advance(words, going)
            said = [torch.cat([row, word[None]]) for row, word in zip(said, words, strict=True)]
            for row, score in zip(said, scores, strict=True):
                alone = model(Sequences(row[None], torch.tensor([len(row)])))[0, -1]
                assert torch.allclose(score, alone, atol=1e-5)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_last_token_speaks_for_a_text(name: str) -> None:
    model = Decoder(99, 3, name=name, settings=SETTINGS[name], **TINY)
    x = tokens()
    model(x).sum().backward()
    assert all(one.grad is not None for one in model.parameters())
    with torch.no_grad():
        whole = model.eval()(x)
        for row, length in enumerate(x.lengths.tolist()):
            alone = Sequences(x.values[row : row + 1, :length], x.lengths[row : row + 1])
            assert torch.allclose(model(alone), whole[row], atol=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.allclose(model(x).float(), whole, atol=0.05)


@pytest.mark.parametrize("name", TRANSLATORS)
def test_translators_compute_what_the_library_does_also_word_by_word(name: str) -> None:
    model = EncoderDecoder(99, 99, True, name=name, settings={}, **TINY).eval()
    net = transformers.AutoModelForSeq2SeqLM.from_config(model.config).eval()
    state = model.state_dict()
    lost = net.load_state_dict({key: state[ours] for key, ours in model.published_names.items()}, strict=False)
    assert set(lost.missing_keys) <= {"final_logits_bias"}
    source = tokens()
    target = Sequences(torch.randint(4, 99, (3, 6)), torch.tensor([6, 3, 4]))
    with torch.no_grad():
        whole = model(Pairs(source, target))
        inside = source.mask().long()
        theirs = net(input_ids=source.values, attention_mask=inside, decoder_input_ids=target.values).logits
        assert torch.allclose(whole, theirs, atol=1e-5)
        going = model.begin(source)
        for step in range(3):
            scores, going = model.advance(target.values[:, step], going)
            assert torch.allclose(scores, whole[:, step], atol=2e-5)
        one = Sequences(source.values[1:2, :5], source.lengths[1:2])
        alone = model(Pairs(one, Sequences(target.values[1:2], target.lengths[1:2])))
        assert torch.allclose(alone[0, :3], whole[1, :3], atol=2e-5)
    model(Pairs(source, target)).sum().backward()
    assert all(one.grad is not None for one in model.parameters() if one.requires_grad)  # Marian's positions are fixed


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data.tokenizers.shared=true"):
        EncoderDecoder(99, 98, False, name="t5", settings={}, **TINY)
    with pytest.raises(ValueError, match=r"model.name=bert.*gpt2"):
        Decoder(99, 3, name="bert", settings={}, **TINY)
    with pytest.raises(ValueError, match=r"sees no later words.*bert"):
        language_model(99, 99, every_step=True, masked=True, name="gpt2", pooling="first", settings={}, **TINY)


def test_t5_translates_by_one_tokenizer_for_both_languages(experiments, tmp_path) -> None:
    words = [
        "data=generated_pairs",
        "data.count=200",
        "model=t5_tiny",
        "model.size=16",
        "model.inner=16",
        "logger=none",
    ]
    code, _, errors = experiments("train", *words, "trainer=quick", "hydra.run.dir=run", "task.search.beams=2")
    assert code == 0, errors
    code, _, errors = experiments("predict", "run", "the old cat sees a dog")
    assert code == 0, errors
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "config.json").write_text('{"model_type": "t5"}')
    code, _, errors = experiments("train", *words, "weights=folder", "hydra.run.dir=other")
    assert code == 2 and "model=t5_tiny cannot read yet" in errors
