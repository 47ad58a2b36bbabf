"""Encoder-decoders and the search for translations: padding, caches, and a reference that takes one word after another."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from experiments.batches import END, START, Pairs, Sequences, pad
from experiments.config.compose import compose
from experiments.run.build import build_model
from experiments.run.layer_table import layer_table
from experiments.spec import PairSpec
from experiments.tasks.parts.beam_search import NEVER, beam_search, normalised

SPEC = PairSpec(20, 17, False, 6, 5, 9, 9, ("English", "Hindi"))
KINDS = {
    "none": ["model=seq2seq", "model.attention=none"],
    "luong": ["model=seq2seq", "model.cell=lstm", "model.layers=2"],
    "fed": ["model=seq2seq", "model.input_feeding=true", "model.cell=rnn", "model.bidirectional=false"],
    "bahdanau": ["model=seq2seq", "model.attention=bahdanau", "model.layers=2", "model.share=target"],
    "transformer": ["model=transformer_seq2seq", "model.size=16", "model.heads=2", "model.share=target"],
}


def build(kind: str, spec: PairSpec = SPEC, *words: str) -> Any:
    small = (
        ["model.embedding=8", "model.hidden=12"] if KINDS[kind][0].split("=")[1] == "seq2seq" else ["model.inner=16"]
    )
    torch.manual_seed(1)
    model = build_model(compose(["data=generated_pairs", *KINDS[kind], *small, *words]), spec)
    for parameter in model.parameters():  # far from each other, so that searches have something to choose between
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.5)
    return model


def some_pairs() -> Pairs:
    sources = [torch.randint(4, 20, (length,)) for length in (6, 1, 4)]
    targets = [torch.tensor([START, *torch.randint(4, 17, (length,)).tolist()]) for length in (2, 7, 4)]
    return Pairs(pad(sources), pad(targets))


@pytest.mark.parametrize("kind", KINDS)
def test_stages_gradients_and_padding(kind: str) -> None:
    model, pairs = build(kind), some_pairs()
    stages = [name for name, _ in model.named_children()]
    assert stages[:2] == ["embedding", "encoder1"]
    assert stages[-2:] == ["decoder", "head"]
    model.train()
    model(pairs).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    model.eval()
    wide = Pairs(*(pad([row[:length] for row, length in zip(*pair, strict=True)], 11) for pair in pairs))
    for tensor in wide:
        tensor.values[~tensor.mask()] = 9
    together, padded = model(pairs), model(wide)
    for row in range(3):
        own = Pairs(
            *(Sequences(pair.values[row : row + 1, : pair.lengths[row]], pair.lengths[row : row + 1]) for pair in pairs)
        )
        alone, steps = model(own)[0], int(pairs.target.lengths[row])
        torch.testing.assert_close(together[row, :steps], alone, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(padded[row, :steps], alone, rtol=1e-4, atol=1e-5)
    table = layer_table(model, SPEC)
    assert table.flops > 0
    assert [row.name for row in table.rows if row.depth == 0] == stages


@pytest.mark.parametrize("kind", KINDS)
def test_word_by_word_is_what_teacher_forcing_computes(kind: str) -> None:
    model, pairs = build(kind).eval(), some_pairs()
    with torch.no_grad():
        expected, state = model(pairs), model.begin(pairs.source)
        for step in range(int(pairs.target.lengths.max())):
            scores, state = model.advance(pairs.target.values[:, step], state)
            there = pairs.target.lengths > step
            torch.testing.assert_close(scores[there], expected[there, step], rtol=1e-4, atol=1e-5)
        weights = model.attention(pairs)
    if kind == "none":
        assert weights is None
        return
    torch.testing.assert_close(weights.sum(2), torch.ones(weights.shape[:2]))
    assert not weights.masked_select(~pairs.source.mask()[:, None].expand_as(weights)).any()


def chances_after(model: Any, source: Tensor, words: list[int]) -> Tensor:
    """Log-probabilities of the next word, all computed anew from the whole sentence."""
    pairs = Pairs(pad([source]), pad([torch.tensor([START, *words])]))
    chances = model(pairs)[0, -1].log_softmax(0)
    chances[list(NEVER)] = -torch.inf
    return chances


def naive_greedy(model: Any, source: Tensor, longest: int) -> list[int]:
    words: list[int] = []
    while len(words) < longest:
        word = int(chances_after(model, source, words).argmax())
        if word == END:
            break
        words.append(word)
    return words


def naive_beams(model: Any, source: Tensor, beams: int, penalty: float, longest: int) -> list[tuple[list[int], float]]:
    open_ones, done = [([], 0.0)], []
    while open_ones:
        ranked = sorted(
            (
                (total + value, words, word)
                for words, total in open_ones
                for word, value in enumerate(chances_after(model, source, words).tolist())
                if value > -1e30
            ),
            key=lambda beam: -beam[0],
        )[: 2 * beams]
        length = len(ranked[0][1]) + 1
        for total, words, word in ranked[:beams]:
            if word == END and len(done) < beams:
                done.append((words, float(normalised(torch.tensor(total), length, penalty))))
        open_ones = [([*words, word], total) for total, words, word in ranked if word != END][:beams]
        if len(done) >= beams:
            break
        if length >= longest:
            done += [(words, float(normalised(torch.tensor(total), length, penalty))) for words, total in open_ones]
            break
    return sorted(done, key=lambda beam: -beam[1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beams", [1, 3])
@torch.no_grad()
def test_the_search_finds_what_one_sentence_at_a_time_finds(kind: str, beams: int) -> None:
    model = build(kind).eval()
    sources = [torch.randint(4, 20, (length,)) for length in (6, 1, 4, 2, 5)]
    longest = torch.tensor([6, 3, 9, 5, 7])
    searched = beam_search(model, pad(sources), beams=beams, penalty=0.6, longest=longest, best=beams)
    assert len({len(hypothesis[0].tokens) for hypothesis in searched}) > 1  # some end by themselves or at other lengths
    for source, limit, hypotheses in zip(sources, longest.tolist(), searched, strict=True):
        expected = naive_beams(model, source, beams, 0.6, limit)[:beams]
        assert [hypothesis.tokens for hypothesis in hypotheses] == [words for words, _ in expected]
        assert [hypothesis.score for hypothesis in hypotheses] == pytest.approx(
            [score for _, score in expected], abs=1e-4
        )
        if beams == 1:
            assert hypotheses[0].tokens == naive_greedy(model, source, limit)


LIBRARY = ("t5_tiny", "bart_tiny", "marian_tiny")


def of_the_library(name: str) -> Any:
    pytest.importorskip("transformers")
    torch.manual_seed(3)
    spec = PairSpec(20, 20, True, 6, 5, 9, 9, ("English", "Hindi"))
    words = [
        "data=generated_pairs",
        f"model={name}",
        "model.size=16",
        "model.inner=24",
        "model.heads=2",
        "model.layers=2",
    ]
    model = build_model(compose(words), spec).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.4)
    return model


@pytest.mark.parametrize("name", LIBRARY)
@torch.no_grad()
def test_library_models_go_on_from_what_they_have_computed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers of the whole sentence read at once, in every row; each step gives the decoder one word."""
    model, pairs = of_the_library(name), some_pairs()
    expected, state, read = model(pairs), model.begin(pairs.source), []
    run = model.decoder.decoder.forward
    monkeypatch.setattr(
        model.decoder.decoder, "forward", lambda **words: read.append(words["input_ids"].shape) or run(**words)
    )
    for step in range(int(pairs.target.lengths.max())):
        before = state
        scores, state = model.advance(pairs.target.values[:, step], state)
        there = pairs.target.lengths > step
        torch.testing.assert_close(scores[there], expected[there, step], rtol=1e-4, atol=1e-5)
        swapped, _ = model.advance(pairs.target.values[[2, 0], step], before.take(torch.tensor([2, 0])))
        torch.testing.assert_close(swapped, scores[[2, 0]], rtol=1e-4, atol=1e-5)
    assert {shape[1] for shape in read} == {1}


def test_a_checkpoint_from_before_heads_had_a_bias_is_read() -> None:
    model = of_the_library("bart_tiny")
    state = {name: tensor for name, tensor in model.state_dict().items() if not name.endswith("final_logits_bias")}
    model.head.final_logits_bias.fill_(1.0)
    assert len(state) == len(model.state_dict()) - 1
    model.load_state_dict(state)
    assert not model.head.final_logits_bias.any()


@pytest.mark.parametrize("name", LIBRARY)
@pytest.mark.parametrize("beams", [1, 3])
@torch.no_grad()
def test_library_models_say_what_its_generate_says(name: str, beams: int) -> None:
    import transformers

    model = of_the_library(name)
    library = transformers.AutoModelForSeq2SeqLM.from_config(model.config).eval()
    ours = model.state_dict()
    library.load_state_dict({there: ours[here] for there, here in model.published_names.items()}, strict=False)
    sources = pad([torch.randint(4, 20, (length,)) for length in (6, 1, 4)])
    wanted = library.generate(
        input_ids=sources.values, attention_mask=sources.mask().long(), num_beams=beams, max_length=8, do_sample=False,
        decoder_start_token_id=START, eos_token_id=END, pad_token_id=0, bos_token_id=None, forced_eos_token_id=None,
        suppress_tokens=list(NEVER), length_penalty=0.0, early_stopping=True,
    )  # fmt: skip
    searched = beam_search(model, sources, beams=beams, penalty=0.0, longest=torch.full((3,), 7))
    for hypotheses, row in zip(searched, wanted[:, 1:].tolist(), strict=True):
        assert hypotheses[0].tokens == row[: row.index(END) if END in row else len(row)]


def test_sharing_needs_one_vocabulary_and_shares() -> None:
    with pytest.raises(Exception, match=r"data\.tokenizers\.shared=true"):
        build("transformer", SPEC, "model.share=all")
    spec = PairSpec(20, 20, True, 6, 5, 9, 9, ("English", "Hindi"))
    for kind in ("luong", "transformer"):
        model = build(kind, spec, "model.share=all")
        tables = [parameter for parameter in model.parameters() if parameter.shape[0] == 20 and parameter.ndim == 2]
        assert len(tables) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["model.cell=qrnn"], "model.cell=qrnn"),
        (["model.attention=soft"], "model.attention=soft"),
        (["model.share=some"], "model.share=some"),
        (["model.attention=none", "model.input_feeding=true"], "model.input_feeding=true"),
        (["model.dropout=1.0"], "model.dropout=1"),
        (["model=transformer_seq2seq", "model.heads=5"], "model.heads=5"),
    ],
)
def test_values_out_of_range_are_named(words: list[str], sentence: str) -> None:
    with pytest.raises(Exception, match=sentence.replace(".", r"\.")):
        build_model(compose(["data=generated_pairs", *words]), SPEC)
