"""A model that makes no classes chooses the task that learns from what it makes."""

from __future__ import annotations

import pytest

from experiments.config.fitting_task import with_fitting_task


@pytest.mark.parametrize(
    ("words", "task"),
    [
        (["model=autoencoder", "data=mnist"], "reconstruction"),
        (["model=conv_autoencoder"], "reconstruction"),
        (["model=conv_vae"], "variational"),
        (["model=autoencoder", "data=ett"], "reconstruction"),
        (["model=lenet5"], None),
        (["model=gru", "data=ett"], None),
        (["model=autoencoder", "task=denoising"], None),
        (["model=seq2seq", "data=digits"], None),
        (["data=digits"], None),
        (["model=whisper_tiny", "data=generated_words"], "transcription"),
        (["model=text_cnn", "data=generated_text"], None),
        (["model=lenet6"], None),
    ],
    ids=str,
)
def test_the_task_that_fits_is_added(words: list[str], task: str | None) -> None:
    assert with_fitting_task(words) == ([*words, f"task={task}"] if task else words)


def test_sweeps_choose_it_too(experiments) -> None:
    code, output, errors = experiments("check", "-m", "model=autoencoder,mlp", "data=digits")
    assert code == 0, errors
    assert "2 runs: 2 to run" in output


@pytest.mark.parametrize("word", ["fine_tuning", "finetune", "full"])
def test_usual_words_are_answered_with_ours(word: str, experiments) -> None:
    code, _, errors = experiments("check", "data=digits", f"freezing={word}")
    assert code == 2
    assert f"freezing={word} is freezing=none here" in errors
