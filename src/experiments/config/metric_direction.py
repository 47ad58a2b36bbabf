"""Which way a metric improves, by its name: one rule for checkpoints, early stopping, schedules, searches, comparisons and pictures."""

from __future__ import annotations

import difflib
import re
from functools import cache
from typing import Any, Literal

from experiments.config.signatures import is_a
from experiments.errors import UserError

Direction = Literal["min", "max"]

_LOWER = frozenset({
    "loss", "losses", "error", "errors", "err", "perplexity", "ppl", "mae", "mse", "rmse", "nrmse", "mase", "mape",
    "smape", "wmape", "msle", "rmsle", "wer", "cer", "mer", "wil", "nll", "fid", "kid", "kl", "divergence", "lpips",
    "ece", "brier", "entropy", "distance", "hausdorff", "deviation", "deviance", "crps", "fpr", "fnr", "bits",
    "bytes", "bpc", "bpd", "bpp",
})  # fmt: skip
_HIGHER = frozenset({
    "acc", "accuracy", "top", "f", "fbeta", "auc", "auroc", "auprc", "ap", "map", "mar", "precision", "recall",
    "sensitivity", "specificity", "iou", "miou", "jaccard", "dice", "score", "bleu", "chrf", "rouge", "meteor",
    "return", "returns", "reward", "rewards", "elbo", "likelihood", "psnr", "ssim", "r2", "spearman", "pearson",
    "kendall", "kappa", "mcc", "matthews", "correlation", "concordance", "match", "em", "retrieval", "hits", "mrr",
    "ndcg", "similarity", "purity", "gain", "explained", "tpr", "tnr",
})  # fmt: skip
# After a metric these make another quantity of it, whose better way nobody knows: accuracy_gap, loss_reduction, f1_std.
_CHANGED = frozenset({
    "gap", "drop", "reduction", "improvement", "increase", "decrease", "change", "delta", "diff", "difference", "std",
    "stdev", "var", "variance", "spread", "scale", "weight", "slope",
})  # fmt: skip
# Ends of words, as in testloss and valacc.
_JOINED: dict[str, Direction] = {"loss": "min", "error": "min", "acc": "max", "accuracy": "max", "auroc": "max"}
_OTHER: dict[Direction, Direction] = {"min": "max", "max": "min"}
_WORD = re.compile(r"r2|[a-z]+")  # numbers aside, as in map50 and top5
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@cache
def improves(metric: str) -> Direction | None:
    """Tell whether less ("min") or more ("max") of a metric is better; None where its name does not say.

    The last word that says so decides: `top1_error` is an error, `val/loss_epoch` a loss, `MeanAbsoluteError` an error. The
    score of an error is one, too: `brier_score`. A negative score is better where it is less. A gap or a spread of a metric
    says neither.
    """
    for name in reversed(metric.split("/")):
        words = _words(name)
        for place, word in reversed(list(enumerate(words))):
            if word == "score" and words[place - 1] in _LOWER:
                continue
            direction: Direction | None = "min" if word in _LOWER else "max" if word in _HIGHER else None
            direction = direction or next((way for end, way in _JOINED.items() if word.endswith(end)), None)
            if direction and word != "explained" and _CHANGED & set(words[place + 1 :]):
                return None
            if direction:  # a negative before it, but not recall_negative, which is of a class
                return _OTHER[direction] if {"negative", "neg"} & set(words[:place]) else direction
    return None


def _words(name: str) -> list[str]:
    """Return the words of a name: MeanAbsoluteError has three, mIoU and nDCG are one."""
    words: list[str] = []
    for part in re.findall(r"[A-Za-z0-9]+", name):
        whole = _WORD.findall(part.lower())
        known_word = len(whole) == 1 and whole[0] in _LOWER | _HIGHER
        words += whole if known_word else _WORD.findall(_HUMP.sub("_", part).lower())
    return words


def direction(metric: str, key: str) -> Direction:
    """Tell which way a metric improves that a key such as `callbacks.checkpoint` watches.

    Raises:
        UserError: when the name does not say.
    """
    better = improves(metric)
    if better is None:
        raise UserError(_unclear(metric, key))
    return better


def is_plateau(scheduler: Any) -> bool:
    """Tell whether the node of a schedule lowers the rate where a metric no longer improves: ours, or torch's."""
    return str(scheduler.get("_target_")).lower().endswith("plateau")


def stops_early(name: str, callback: Any) -> bool:
    """Tell whether the node of a callback is early stopping, or made from it; where its source does not say, its name does."""
    early = is_a(str(callback.get("_target_")), ("EarlyStopping",))
    return name == "early_stopping" if early is None else early


def problems(config: Any) -> list[str]:
    """Refuse a metric that is watched without a mode, where its name does not say which way it improves.

    Tasks that are not ours say themselves what they watch, so that only building tells.
    """
    from experiments.config.view import is_group  # here: comparisons read names alone, without OmegaConf

    if not str(config.task.get("_target_", "")).startswith("experiments."):
        return []
    callbacks, scheduler = config.get("callbacks") or {}, config.get("scheduler") or {}
    nodes: dict[str, Any] = {f"callbacks.{name}": callbacks.get(name) for name in ("checkpoint", "early_stopping")}
    if is_plateau(scheduler):  # others step without looking at it
        nodes["scheduler"] = scheduler
    return [
        _unclear(str(node["monitor"]), key)
        for key, node in nodes.items()
        if is_group(node)
        and node.get("monitor")
        and node.get("mode") is None
        and improves(str(node["monitor"])) is None
    ]


def _unclear(metric: str, key: str) -> str:
    path, name = metric[: metric.rfind("/") + 1], metric[metric.rfind("/") + 1 :]
    near = difflib.get_close_matches(name, sorted(_LOWER | _HIGHER), n=1, cutoff=0.75)
    cure = f"add {key}.mode=min or max"
    cure = f"did you mean {path}{near[0]}? Else {cure}" if near else cure
    return f"{key}.monitor={metric} does not say which way it improves: {cure}"
