"""Labels that a run has never seen: by what follows from a text, or by what a language model would rather read behind it.

Yin, Hay and Roth, "Benchmarking zero-shot text classification" (2019): a run that was trained on entailment judges whether
"This text is about sport." follows. A language model is asked how much likelier that sentence becomes behind the text
(Holtzman et al., "Surface form competition", 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments.contracts import ContinuesTexts, positions_of
from experiments.errors import UserError
from experiments.spec import AGAINST, FOLLOWS

TEMPLATE = "This text is about {}."


def zero_shot(
    loaded: Any, texts: Sequence[str], labels: Sequence[str], template: str, top: int
) -> list[dict[str, Any]]:
    """Return the labels of each text with their probabilities, best first.

    Args:
        loaded: a run of pairs of texts with a class entailment, or of a language model.
        texts: N texts.
        labels: two or more.
        template: the sentence of a label, with {} in its place.
        top: labels that are told of each text.

    Raises:
        UserError: when the run can judge no labels, or there are fewer than two of them.
    """
    import torch

    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise UserError(
            f"--labels {','.join(labels) or ','} must name two labels or more, each once: try --labels sport,politics"
        )
    if "{}" not in template:
        raise UserError(f"--template {template} has no {{}} where the label goes: try --template '{TEMPLATE}'")
    sentences = [template.format(label) for label in labels]
    if FOLLOWS in getattr(loaded.spec, "classes", ()) and _paired(loaded):
        judge = _entailment
    elif isinstance(loaded.task, ContinuesTexts):
        judge = _likelihood
    else:
        raise UserError(
            f"--labels asks for labels this run has never seen, and {loaded.folder} was trained neither on pairs with a "
            f"class {FOLLOWS} (data=snli) nor as a language model: name such a run"
        )
    for label in labels:
        read = loaded.reader.prepare([(label, label) if _paired(loaded) else label]) if label.strip() else None
        if read is None or set(read.values.flatten().tolist()) <= set(loaded.spec.special):
            raise UserError(f"nothing of '{label}' is a token that this run knows: choose another word in --labels")
    answers = []
    with torch.inference_mode():
        for text in texts:
            chances = judge(loaded, text, sentences).softmax(0)
            best = chances.argsort(descending=True)[:top].tolist()
            answers.append(
                {"labels": [{"label": labels[number], "probability": float(chances[number])} for number in best]}
            )
    return answers


def _paired(loaded: Any) -> bool:
    """Tell whether the run reads pairs of texts."""
    return bool(getattr(loaded.reader, "paired", False))


def _entailment(loaded: Any, text: str, sentences: Sequence[str]) -> Any:
    """Of each sentence, the logarithm of how surely it follows from the text."""
    chances = loaded.task.report.predict(loaded.reader.prepare([(text, sentence) for sentence in sentences])).float()
    classes = list(loaded.spec.classes)
    follows = chances[:, classes.index(FOLLOWS)].clamp(min=1e-9)
    against = chances[:, classes.index(AGAINST)] if AGAINST in classes else 1 - follows
    return (follows / (follows + against)).log()


def _likelihood(loaded: Any, text: str, sentences: Sequence[str]) -> Any:
    """Of each sentence, how much its log-probability rises behind the text."""
    return _log_likelihood(loaded, [f"{text} {sentence}" for sentence in sentences]) - _log_likelihood(
        loaded, sentences
    )


def _log_likelihood(loaded: Any, texts: Sequence[str]) -> Any:
    """Sums of the log-probabilities of all tokens but the first, of the end of each text where it is too long: (N,)."""
    import torch

    inputs = loaded.reader.prepare(texts)
    sees = positions_of(loaded.model)
    if sees is not None and inputs.values.shape[1] > sees:
        rows = [row[:length][-sees:] for row, length in zip(inputs.values, inputs.lengths.tolist(), strict=True)]
        lengths = torch.tensor([len(row) for row in rows])
        inputs = type(inputs)(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths)
    scores = loaded.model(inputs).float().log_softmax(2)[:, :-1]
    chosen = scores.gather(2, inputs.values[:, 1:, None])[..., 0]
    return (chosen * inputs.mask()[:, 1:]).sum(1)
