"""The tables of the course: whole in both languages, with the verdicts of their rows, and what they name is there."""

from __future__ import annotations

import re

import pytest
import yaml

from experiments.claims.claim import claim_names
from experiments.claims.course_tables import hindi_verdicts, read_table, table_names
from experiments.cli import COMMANDS
from experiments.config.options import conf_dir, option_files

DRAWN = """sequence_tasks limits_of_an_rnn generations_of_cnns layers_of_a_cnn what_layers_see training kinds_of_autoencoders
autoencoder_against_pca pretrained_models uses_of_pretrained_models extraction_against_fine_tuning
traditional_against_transfer lstm_against_gru lstm_or_gru"""


def test_every_table_of_the_course_is_there() -> None:
    assert set(DRAWN.split()) == set(table_names())


@pytest.mark.parametrize("name", table_names())
def test_a_table_is_whole_and_names_what_is_there(name: str) -> None:
    table = read_table(name)
    for language in ("en", "hi"):
        assert {len(row) for row in table.rows[language]} == {len(table.head[language])}, language
        assert all(all(row) for row in table.rows[language])
    assert set(filter(None, table.claims)) <= set(claim_names())
    for group, value in re.findall(r"\b(model|data|task)=(\w+)", str([table.rows, table.see])):
        assert value in option_files(group), f"{group}={value}"
    assert table.see and all(command.split()[1] in COMMANDS for command in table.see)


def test_the_terminal_shows_them_with_what_was_measured(experiments) -> None:
    code, output, errors = experiments("list", "tables")
    assert code == 0, errors
    assert all(name in output for name in table_names())
    code, output, _ = experiments("list", "tables", "autoencoder", "pca")
    assert code == 0 and "fixed by the data" in output and "holds" in output and "pca_basis_is_fixed" in output
    code, output, _ = experiments("list", "tables", "lstm_against_gru", "--language", "hi")
    assert code == 0 and "मापा गया" in output and not any(word in output for word in hindi_verdicts())
    row = next(line for line in output.splitlines() if line.startswith("जटिलता"))
    assert "सही निकला" in row, "the comparison of parameters counts, not the whole claim"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("lstm_againts_gru",), "did you mean lstm_against_gru or lstm_or_gru?"),
        (("--langauge", "hi"), "does not know --langauge"),
        (("--language", "fr"), "choose from en, hi"),
    ],
)
def test_a_wrong_word_is_answered_in_one_sentence(experiments, words: tuple[str, ...], sentence: str) -> None:
    code, _, errors = experiments("list", "tables", *words)
    assert code == 2 and sentence in errors


def test_verdicts_have_the_words_of_the_lessons() -> None:
    path = conf_dir().parent / "docs" / "lessons" / "claims_hi.yaml"
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["verdicts"] == hindi_verdicts()
