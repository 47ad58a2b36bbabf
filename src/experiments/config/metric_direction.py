"""Which way a metric improves, by its name: one rule for checkpoints, early stopping, schedules, searches and comparisons."""

from __future__ import annotations

import difflib
import re
from typing import Any, Literal

from experiments.errors import UserError

Direction = Literal["min", "max"]

_LOWER = frozenset(
    [
        "loss",
        "losses",
        "error",
        "errors",
        "err",
        "perplexity",
        "ppl",
        "mae",
        "mse",
        "rmse",
        "nrmse",
        "mase",
        "mape",
        "smape",
        "wmape",
        "msle",
        "rmsle",
        "wer",
        "cer",
        "mer",
        "wil",
        "nll",
        "fid",
        "kid",
        "kl",
        "divergence",
        "lpips",
        "ece",
        "brier",
        "entropy",
        "distance",
        "hausdorff",
        "deviation",
        "bits",
        "bytes",
        "bpc",
        "bpd",
        "bpp",
    ]
)
_HIGHER = frozenset(
    [
        "acc",
        "accuracy",
        "top",
        "f",
        "fbeta",
        "auc",
        "auroc",
        "auprc",
        "ap",
        "map",
        "mar",
        "precision",
        "recall",
        "sensitivity",
        "specificity",
        "iou",
        "miou",
        "jaccard",
        "dice",
        "score",
        "bleu",
        "chrf",
        "rouge",
        "meteor",
        "return",
        "returns",
        "reward",
        "rewards",
        "elbo",
        "likelihood",
        "psnr",
        "ssim",
        "r2",
        "spearman",
        "pearson",
        "kendall",
        "kappa",
        "mcc",
        "matthews",
        "correlation",
        "concordance",
        "match",
        "em",
        "retrieval",
        "hits",
        "mrr",
        "ndcg",
        "similarity",
        "purity",
        "gain",
    ]
)


_JOINED: dict[str, Direction] = {
    "loss": "min",
    "error": "min",
    "acc": "max",
    "accuracy": "max",
    "auroc": "max",
}  # testloss, valacc
_OTHER: dict[Direction, Direction] = {"min": "max", "max": "min"}


def improves(metric: str) -> Direction | None:
    """Tell whether less ("min") or more ("max") of a metric is better; None where its name does not say.

    The last word that says so decides: `top1_error` is an error, `val/loss_epoch` a loss, `MeanAbsoluteError` an error. A
    negative score is better where it is less.
    """
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", metric).lower()
    words = re.findall(r"r2|[a-z]+", apart)  # numbers aside, as in map50 and top5
    for word in reversed(words):
        found: Direction | None = "min" if word in _LOWER else "max" if word in _HIGHER else None
        found = found or next((way for end, way in _JOINED.items() if word.endswith(end)), None)
        if found:
            return _OTHER[found] if {"negative", "neg"} & set(words) else found
    return None


def direction(metric: str, key: str) -> Direction:
    """Tell which way a metric improves that a key such as `callbacks.checkpoint` watches.

    Raises:
        UserError: when the name does not say.
    """
    found = improves(metric)
    if found is None:
        raise UserError(_unclear(metric, key))
    return found


def problems(config: Any) -> list[str]:
    """Refuse a metric that is watched without a mode, where its name does not say which way it improves.

    Tasks that are not ours say themselves what they watch, so that only building tells.
    """
    if not str(config.task.get("_target_", "")).startswith("experiments."):
        return []
    nodes = {
        f"callbacks.{name}": (config.get("callbacks") or {}).get(name) for name in ("checkpoint", "early_stopping")
    }
    return [
        _unclear(str(node["monitor"]), key)
        for key, node in (nodes | {"scheduler": config.get("scheduler")}).items()
        if node and node.get("monitor") and node.get("mode") is None and improves(str(node["monitor"])) is None
    ]


def _unclear(metric: str, key: str) -> str:
    path, name = metric[: metric.rfind("/") + 1], metric[metric.rfind("/") + 1 :]
    near = difflib.get_close_matches(name, sorted(_LOWER | _HIGHER), n=1, cutoff=0.75)
    cure = f"add {key}.mode=min or max"
    cure = f"did you mean {path}{near[0]}? Else {cure}" if near else cure
    return f"{key}.monitor={metric} does not say which way it improves: {cure}"
