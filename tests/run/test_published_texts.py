"""Published language models without a run: translations into a language by its name, and what is not said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.slow
TEXTS = ["the old cat", "a dog sees the old dog and the cat", "cat"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """mBART-25, whose marks stand behind a text, and mBART-50, whose stand before it, as the library saves them."""
    made = {}
    words = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        *(f"▁{word}" for word in ["the", "old", "cat", "a", "dog", "sees", "and"]),
    ]
    shape = {f"{side}_{key}": value for side in ("encoder", "decoder")
             for key, value in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 16))}  # fmt: skip
    torch.manual_seed(0)
    for name, kind in (("mbart25", transformers.MBartTokenizer), ("mbart50", transformers.MBart50Tokenizer)):
        made[name] = tmp_path_factory.mktemp(name)
        tokenizer = kind(vocab=[(word, -float(place)) for place, word in enumerate(words)], src_lang="en_XX")
        tokenizer.save_pretrained(made[name])
        config = transformers.MBartConfig(
            vocab_size=len(tokenizer), d_model=16, pad_token_id=1, bos_token_id=0, eos_token_id=2, scale_embedding=True,
            decoder_start_token_id=2, max_position_embeddings=32, **shape,
        )  # fmt: skip
        net = transformers.MBartForConditionalGeneration(config)
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
        net.save_pretrained(made[name])
    return made


@pytest.mark.parametrize("name", ["mbart25", "mbart50"])
def test_mbart_translates_into_a_language_by_its_name(name: str, folders: dict[str, Path]) -> None:
    """The library's tokens of a text, and what its generate says when it is told the number of Hindi's mark."""
    from experiments.run.loaded import load_published

    ours = load_published(["model=transformers", f"weights={folders[name]}", "data.languages=[English,hi]"])
    kind = transformers.MBartTokenizer if name == "mbart25" else transformers.MBart50Tokenizer
    tokenizer = kind.from_pretrained(folders[name], src_lang="en_XX", tgt_lang="hi_IN")
    given = tokenizer(TEXTS, return_tensors="pt", padding=True)
    source = ours.prepare(TEXTS).source
    assert (source.values * source.mask()).equal(given.input_ids * given.attention_mask)
    hindi = tokenizer.convert_tokens_to_ids("hi_IN")
    how = {"decoder_start_token_id": hindi} if name == "mbart25" else {"forced_bos_token_id": hindi}
    net = transformers.AutoModelForSeq2SeqLM.from_pretrained(folders[name]).eval()
    translations = ours.task.translate(
        source, ours.task.search._replace(beams=2, length_penalty=0.0, longest_ratio=1e-9)
    )
    written = net.generate(
        **given, **how, num_beams=2, do_sample=False, length_penalty=0.0, early_stopping=True, bos_token_id=None,
        max_new_tokens=10 + (name == "mbart50"), forced_eos_token_id=None, suppress_tokens=ours.task._never,
    )  # fmt: skip
    for hypotheses, row in zip(translations, written[:, 1 + (name == "mbart50") :].tolist(), strict=True):
        end = row.index(2) if 2 in row else len(row)
        assert hypotheses[0].tokens == row[:end]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "data.languages=[source,target] names none of them as the second"),
        (["data.languages=[en,da]"], "data.languages has da, for which these weights have no mark"),
    ],
)
def test_a_language_that_is_not_said_is_asked_for(
    experiments: Any, folders: dict[str, Path], words: list[str], sentence: str
) -> None:
    code, _, errors = experiments("predict", "model=transformers", f"weights={folders['mbart50']}", *words, *TEXTS)
    assert code == 2 and sentence in errors and errors.count("\n") == 1


def test_texts_are_answered_without_a_run(experiments: Any, folders: dict[str, Path]) -> None:
    """A text may hold the sign of keys and values."""
    where = ["model=transformers", f"weights={folders['mbart25']}", "data.languages=[en,hi]"]
    code, output, errors = experiments("predict", *where, "the cat = a dog", "--format", "csv")
    assert code == 0, errors
    assert output.splitlines()[1].startswith("the cat = a dog,1,")


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    """A BERT without the head that it was trained with, as libraries of sentence vectors publish it."""
    from tokenizers import BertWordPieceTokenizer

    tokenizer = BertWordPieceTokenizer()
    tokenizer.train_from_iterator(TEXTS, vocab_size=60, min_frequency=1, show_progress=False)
    folder = tmp_path / "bert"
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]",
    ).save_pretrained(folder)  # fmt: skip
    config = transformers.BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=64, pad_token_id=tokenizer.token_to_id("[PAD]"),
    )  # fmt: skip
    transformers.BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def test_texts_are_compared_without_a_run(experiments: Any, bert: Path, caplog: Any) -> None:
    where = ["predict", "model=transformers", f"weights={bert}", "task=similarity"]
    code, output, errors = experiments(*where, "model.pooling=mean", "the cat ||| the cat", "--format", "json")
    assert code == 0 and '"cosine": 1.0' in output, errors
    code, _, errors = experiments(*where, "model.pooling=mean", f"{'the cat ' * 40}||| a dog")
    assert code == 0 and "texts of more than 64 tokens were cut: 1." in caplog.text, errors
    code, _, errors = experiments(*where, "the cat ||| the cat")
    assert code == 2 and "has nothing for the stage pooler, and without training that tells nothing: set" in errors


def test_a_head_without_values_tells_no_words(experiments: Any, bert: Path) -> None:
    code, output, errors = experiments("predict", "model=transformers", f"weights={bert}", "the [MASK] cat")
    assert code == 2 and not output
    assert "has nothing for the stage head, and without training that tells nothing: train it first" in errors
