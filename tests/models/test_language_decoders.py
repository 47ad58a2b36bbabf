"""Decoders and encoder-decoders of transformers in stages: the library's own numbers, padding, and word by word."""

from __future__ import annotations

import json

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


@pytest.mark.slow
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
        assert sum(parameter.numel() for parameter in model.parameters()) == stated
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
        rows = [x.values[row, :length] for row, length in enumerate(x.lengths)]
        for words in follow:
            scores, going = model.advance(words, going)
            rows = [torch.cat([row, word[None]]) for row, word in zip(rows, words, strict=True)]
            for row, score in zip(rows, scores, strict=True):
                alone = model(Sequences(row[None], torch.tensor([len(row)])))[0, -1]
                assert torch.allclose(score, alone, atol=1e-5)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_last_token_speaks_for_a_text(name: str) -> None:
    model = Decoder(99, 3, name=name, settings=SETTINGS[name], **TINY)
    x = tokens()
    model(x).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
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
        second = Sequences(source.values[1:2, :5], source.lengths[1:2])
        alone = model(Pairs(second, Sequences(target.values[1:2], target.lengths[1:2])))
        looked = model.attention(Pairs(source, target))
        assert torch.allclose(looked.sum(2), torch.ones(3, 6)) and not looked[1, :, 5:].any()
        assert torch.allclose(model(Pairs(source, target)), whole, atol=1e-5)
        assert torch.allclose(alone[0, :3], whole[1, :3], atol=2e-5)
    model(Pairs(source, target)).sum().backward()
    assert all(
        parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad
    )  # Marian's positions are fixed


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data.tokenizers.shared=true"):
        EncoderDecoder(99, 98, False, name="t5", settings={}, **TINY)
    with pytest.raises(ValueError, match=r"model.name=bert.*gpt2"):
        Decoder(99, 3, name="bert", settings={}, **TINY)
    with pytest.raises(ValueError, match=r"sees no later words.*bert"):
        language_model(99, 99, every_step=True, masked=True, name="gpt2", pooling="first", settings={}, **TINY)


def test_only_a_translator_with_positions_cuts_sentences() -> None:
    words = ["data=generated_pairs", "model=transformers"]
    assert [compose([*words, f"model.name={name}"]).data.cut for name in ("t5", "bart")] == [None, 512]


@pytest.mark.slow
def test_sentences_beyond_the_positions_are_cut_and_counted(experiments, tmp_path, caplog) -> None:
    from experiments.run.loaded import load

    words = ["data=generated_pairs", "data.count=100", "model=bart_tiny", "model.positions=6", "model.size=16"]
    code, _, errors = experiments(
        "train", *words, "logger=none", "callbacks=none", "trainer=quick", "hydra.run.dir=run"
    )
    assert code == 0, errors
    assert "sentences of more than 6 tokens were cut" in caplog.text
    assert json.loads((tmp_path / "run" / "record.json").read_text())["data"]["cut"] > 0
    code, _, errors = experiments("predict", "run", "the old cat sees a dog " * 20)
    assert code == 0, errors
    run = load(tmp_path / "run")
    run.model.head.final_logits_bias[:, run.spec.marks[3]] = -1e9  # never ends a sentence
    source = run.data.dataset("test").__getitems__(range(2))[0][0]
    written = [best[0].tokens for best in run.task.translate(source)]
    assert len(written[0]) == 5 and run.task.attention(source, written) is not None


@pytest.mark.slow
@pytest.mark.parametrize("command", ["check", "train"])
def test_what_does_not_translate_is_refused_in_a_sentence(command: str, experiments) -> None:
    for words, sentence in (
        (["model=t5_tiny", "weights=pretrained"], "model=t5_tiny has no published weights"),
        (["model=transformers"], "model.name=bert is no encoder-decoder"),
        (["model=transformers", "model.name=t5", "data=generated_reviews"], "take data=pairs"),
        (["model=transformers", "model.name=bart", "data=generated_reviews"], "take data=pairs"),
        (["model=transformers", "model.name=bart", "data.cut=600"], "data.cut=600 is more than the 512 tokens"),
    ):
        code, output, errors = experiments(command, "data=generated_pairs", "trainer=quick", *words)
        assert code == 2 and sentence in output + errors, output + errors


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["t5", "bart", "marian"])
def test_a_folder_of_the_library_translates_as_it_does_there(name: str, experiments, tmp_path) -> None:
    """Published marks stand elsewhere than ours: T5 begins with padding, BART with its end, Marian ends with token 0."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    from experiments.data.pairs.generated_pairs import write
    from experiments.run.loaded import load

    ends = {
        "t5": ["<pad>", "</s>", "<unk>"],
        "bart": ["<s>", "<pad>", "</s>", "<unk>"],
        "marian": ["</s>", "<unk>", "<pad>"],
    }
    pairs = write(60)
    words = sorted({word for text in (*pairs.source, *pairs.target) for word in text.split()})
    vocabulary = {word: number for number, word in enumerate([*ends[name], *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, "<unk>"))
    tokenizer.add_special_tokens(ends[name])
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    frame = "<s> $A </s>" if name == "bart" else "$A </s>"
    tokenizer.post_processor = processors.TemplateProcessing(
        frame, None, [(word, vocabulary[word]) for word in ends[name]]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    padding, end = vocabulary["<pad>"], vocabulary["</s>"]
    first = end if name == "bart" else padding
    config = transformers.AutoConfig.for_model(
        name, vocab_size=len(vocabulary), pad_token_id=padding, eos_token_id=end, decoder_start_token_id=first,
        **({"num_layers": 1, "d_ff": 16, "d_kv": 4, "num_heads": 4} if name == "t5" else {}), d_model=16,
        **({} if name == "t5" else {f"{side}_{key}": value for side in ("encoder", "decoder")
           for key, value in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 16))}),
    )  # fmt: skip
    net = transformers.AutoModelForSeq2SeqLM.from_config(config).eval()
    if name != "t5":
        net.final_logits_bias.normal_()
    net.save_pretrained(tmp_path)
    words = [
        "data=generated_pairs",
        "data.count=60",
        "data.max_length=null",
        "model=transformers",
        f"weights={tmp_path}",
    ]
    quick = ["logger=none", "callbacks=none", "trainer=quick", "optimizer.lr=1e-20", "hydra.run.dir=run"]
    code, _, errors = experiments("train", *words, *quick)
    assert code == 0, errors
    assert "lacks" not in errors and "does not say" not in errors
    run = load(tmp_path / "run")
    batch = run.data.dataset("test").__getitems__(range(3))
    source, _ = batch[0]
    with torch.no_grad():
        loss, scores, _ = run.task.step(batch)
        theirs = net(input_ids=source.values, attention_mask=source.mask().long(), labels=batch[1].values)
        assert torch.allclose(scores, theirs.logits[batch[1].values >= 0], atol=1e-4)
        assert torch.allclose(loss, theirs.loss, atol=1e-4)
    marks = run.spec.marks
    ours = run.task.translate(source, run.task.search._replace(beams=1))[0][0].tokens[:7]  # Bart's last is forced
    suppressed = sorted({*marks[:3]} - {end})
    written = net.generate(source.values, attention_mask=source.mask().long(), max_new_tokens=8, num_beams=1, do_sample=False,
                           suppress_tokens=suppressed)  # fmt: skip
    assert [token for token in written[0, 1:].tolist() if token != end][:7] == ours


@pytest.mark.slow
def test_an_exported_translator_begins_as_the_run_did(experiments, tmp_path) -> None:
    words = ["data=generated_pairs", "data.count=60", "data.tokenizers.start=5", "model=bart_tiny", "model.size=16"]
    code, _, errors = experiments(
        "train", *words, "logger=none", "callbacks=none", "trainer=quick", "hydra.run.dir=run"
    )
    assert code == 0, errors
    code, _, errors = experiments("export", "run", "--format", "transformers", "--to", "out")
    assert code == 0, errors
    stated = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (stated["decoder_start_token_id"], stated["eos_token_id"]) == (5, 3)
