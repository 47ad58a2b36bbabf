"""What the values of keys must be: one rule a key, with its words and the cure. `explain` shows the same words."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from omegaconf import ListConfig

from experiments.config.rule_makers import TIME, ValueRule, amount, below_one, is_time, one_of, whole_number
from experiments.config.view import MISSING, of_known_class, select, shown
from experiments.errors import UserError

_SHARE = ValueRule(float, "a number from 0, below 1", below_one, "0.1")


_ANY_SHARE = ValueRule(float, "a share from 0 to 1", lambda v: 0 <= v <= 1, "0.1")
_NOT_NEGATIVE = ValueRule(float, "a number, 0 or more", lambda v: 0 <= v < math.inf, "0")


_FILE = ValueRule(str, "the name of a file", lambda v: bool(v), "'${run.dir}/tokenizer.json'")


_LIMIT = amount(whole=True)._replace(words="null, a number of examples, or a share up to 1.0", optional=True)


_BATCHES = ValueRule(
    float,
    "null, a number of batches, or a share up to 1.0",
    lambda v: 0 <= v <= 1 or (1 < v < math.inf and v == int(v)),
    "10",
    True,
)


RULES = {
    "seed": ValueRule(int, "a whole number, 0 or more and below 2^63", lambda v: 0 <= v < 2**63, "0"),
    "data.seed": ValueRule(int, "a whole number, 0 or more and below 2^63", lambda v: 0 <= v < 2**63, "0"),
    "trainer.max_epochs": whole_number(1, "10"),
    "trainer.min_epochs": whole_number(1, "1", True),
    "trainer.num_nodes": whole_number(1, "1"),
    "trainer.log_every_n_steps": whole_number(0, "50", True),
    "trainer.num_sanity_val_steps": ValueRule(
        int, "a whole number, 0 or more, -1 for all, or null", lambda v: v >= -1, "0", True
    ),
    "trainer.val_check_interval": ValueRule(
        object,
        f"a number of batches, a share above 0 and up to 1.0, or {TIME}",
        lambda v: 0 < v <= 1 or (1 < v < math.inf and v == int(v)) if isinstance(v, (int, float)) else is_time(v),
        "0.5",
        True,
    ),
    "trainer.max_time": ValueRule(object, f"{TIME}, or null", is_time, "'00:12:00:00'", True),
    "trainer.reload_dataloaders_every_n_epochs": whole_number(0, "0"),
    "trainer.threads": whole_number(1, "1", True),
    "trainer.accumulate_grad_batches": whole_number(1, "2"),
    "trainer.check_val_every_n_epoch": whole_number(1, "1", True),
    "trainer.gradient_clip_val": ValueRule(float, "a number above 0, or null", lambda v: v > 0, "1.0", True),
    "trainer.limit_train_batches": _BATCHES._replace(holds=lambda v: v > 0 and _BATCHES.holds(v)),
    "trainer.limit_val_batches": _BATCHES,
    "trainer.limit_test_batches": _BATCHES,
    "trainer.max_steps": ValueRule(
        int, "a whole number, 1 or more, or -1 for no limit", lambda v: v >= 1 or v == -1, "-1"
    ),
    "trainer.accelerator": one_of("auto", "cpu", "gpu", "cuda", "mps", "tpu"),
    "trainer.deterministic": ValueRule(
        object, "true, false or warn", lambda v: v in (True, False, "warn"), "true", True
    ),
    "callbacks.checkpoint.mode": one_of("max", "min", optional=True),
    "callbacks.early_stopping.mode": one_of("min", "max", optional=True),
    "callbacks.early_stopping.patience": whole_number(0, "5"),
    "callbacks.checkpoint.every_n_steps": whole_number(1, "100", True),
    "callbacks.checkpoint.every_minutes": ValueRule(
        float, "minutes, a number above 0, or null", lambda v: v > 0, "15", True
    ),
    "optimizer.lr": ValueRule(float, "a number above 0", lambda v: 0 < v < math.inf, "0.001"),
    "optimizer.weight_decay": ValueRule(float, "a number, 0 or more", lambda v: 0 <= v < math.inf, "0"),
    "optimizer.momentum": _SHARE,
    "optimizer.betas": ValueRule(
        list, "two or more numbers from 0, below 1", lambda v: len(v) >= 2 and all(map(below_one, v)), "[0.9,0.999]"
    ),
    "scheduler.every_epochs": whole_number(1, "10"),
    "scheduler.T_max": whole_number(1, "10", True),
    "scheduler.T_0": whole_number(1, "10"),
    "scheduler.step_size": whole_number(1, "10"),
    "scheduler.factor": ValueRule(float, "a number above 0 and below 1", lambda v: 0 < v < 1, "0.1"),
    "scheduler.warmup_epochs": ValueRule(float, "a number, 0 or more", lambda v: 0 <= v < math.inf, "1"),
    "scheduler.final": _ANY_SHARE._replace(cure="0"),
    "scheduler.patience": whole_number(0, "3"),
    "scheduler.warmup_share": ValueRule(float, "a share above 0 and below 1", lambda v: 0 < v < 1, "0.3"),
    "task.label_smoothing": _SHARE,
    "task.search.beams": whole_number(1, "4"),
    "task.search.length_penalty": ValueRule(float, "a number, 0 or more", lambda v: v >= 0, "0.6"),
    "model.dropout": _SHARE._replace(words="a number from 0, below 1, or null", optional=True),
    "model.truncate": whole_number(1, "100", True),
    "model.time_mask": _ANY_SHARE,
    "model.feature_mask": _ANY_SHARE,
    "model.time_masks": whole_number(0, "2"),
    "model.position_kernel": whole_number(1, "128"),
    "model.band_mask": whole_number(0, "6"),
    "model.band_masks": whole_number(0, "2"),
    "model.commitment": _NOT_NEGATIVE._replace(cure="0.25"),
    "task.contractive": _NOT_NEGATIVE,
    "task.free_bits": _NOT_NEGATIVE,
    "task.sparse.weight": _NOT_NEGATIVE._replace(cure="0.01"),
    "task.judge": ValueRule(str, "the folder of a run, or null", lambda v: bool(v), "null", True),
    "task.few_labels": ValueRule(
        list,
        "a list of whole numbers, 1 or more",
        lambda v: all(type(number) is int and number >= 1 for number in v),
        "[100]",
    ),
    "data.tokenizer.file": _FILE,
    "data.tokenizers.source.file": _FILE._replace(cure="'${run.dir}/source_tokenizer.json'"),
    "data.tokenizers.target.file": _FILE._replace(cure="'${run.dir}/target_tokenizer.json'"),
    "data.after": _ANY_SHARE._replace(cure="0.5"),
    "data.rows": whole_number(1, "1000"),
    "data.split_seed": whole_number(0, "0"),
    "data.batch_size": whole_number(1, "128"),
    "data.size": ValueRule(int, "pixels, a whole number, or null", lambda v: v >= 1, "32", True),
    "data.workers": whole_number(0, "0"),
    "data.validation": amount()._replace(optional=True),
    "data.count": whole_number(1, "1000"),
    "data.cut": whole_number(4, "128", True),
    "data.empty": one_of("error", "drop"),
    "data.missing": one_of("error", "drop", "fill"),
    "data.bad_boxes": one_of("refuse", "drop", "clip"),
    "data.exif": one_of("auto", "upright", "stored"),
    "data.unannotated": one_of("refuse", "empty"),
    "task.threshold": _SHARE,
    "task.overlap": _SHARE,
    "task.tile": whole_number(32, "640", True),
    "model.min_size": whole_number(32, "320"),
    "model.max_size": whole_number(32, "640"),
    "model.samples": whole_number(1, "512"),
    "model.detections": whole_number(1, "100"),
    "data.history": whole_number(1, "96"),
    "data.horizon": whole_number(1, "24"),
    "data.season": whole_number(1, "24"),
    "data.max_length": whole_number(1, "400", True),
    "data.max_tokens": whole_number(1, "4000", True),
    "data.classes": ValueRule(list, "a list of names, or null", lambda v: len(v) > 0, '["0","1"]', True),
    "data.randomise": ValueRule(object, "true, a number, ranges, or null", lambda v: True, "true", True),
    "task.entropy": ValueRule(float, "a number, 0 or more", lambda v: 0 <= v < math.inf, "0.01"),
    "task.value_weight": ValueRule(float, "a number, 0 or more", lambda v: 0 <= v < math.inf, "0.5"),
    "data.environments": whole_number(1, "8"),
    "data.steps": whole_number(1, "128"),
    "data.rollouts": whole_number(1, "10"),
    "data.validation_episodes": whole_number(1, "10"),
    "data.test_episodes": whole_number(1, "50"),
    "task.passes": whole_number(1, "10"),
    "task.discount": ValueRule(float, "a number from 0 to 1", lambda v: 0 <= v <= 1, "0.99"),
    "task.trace": ValueRule(float, "a number from 0 to 1", lambda v: 0 <= v <= 1, "0.95"),
    "task.clip": ValueRule(
        object,
        "true, false, or a number above 0",
        lambda v: isinstance(v, (bool, int, float)) and (isinstance(v, bool) or v > 0),
        "0.2",
    ),
    "task.max_gradient": ValueRule(float, "a number above 0, or null", lambda v: v > 0, "0.5", True),
    "data.limit": _LIMIT,
    "freezing.head_epochs": whole_number(0, "0"),
    "freezing.head_rate": ValueRule(float, "a number above 0", lambda v: v > 0, "1.0"),
    "freezing.views": whole_number(0, "0"),
    "freezing.count": whole_number(1, "1"),
    "freezing.every_epochs": whole_number(1, "1"),
    "freezing.depth": whole_number(1, "2", True),
    "freezing.rank": whole_number(1, "8"),
    "freezing.alpha": ValueRule(float, "a number above 0", lambda v: v > 0, "16.0"),
    "features.dir": ValueRule(str, "the name of a folder", bool, "features"),
    "features.gigabytes": ValueRule(float, "a number above 0", lambda v: v > 0, "10"),
}


_SIDES = ValueRule(
    object,
    "pixels, a whole number, height and width as in [180,240], or null",
    lambda v: (
        all(
            isinstance(number, int) and not isinstance(number, bool) and number >= 1
            for number in (v if isinstance(v, (list, ListConfig)) else [v])
        )
        and (not isinstance(v, (list, ListConfig)) or len(v) == 2)
    ),
    "256",
    True,
)


def _all_numbers(value: Any, holds: Callable[[float], bool]) -> bool:
    """Tell whether what holds of a number holds of a value, one or a list; what is no number is refused by its type."""
    numbers = value if isinstance(value, (list, ListConfig)) else [value]
    return all(holds(number) for number in numbers if isinstance(number, (int, float)))


_PIXEL_RULES = {  # pixels go from 0 to 1: other numbers leave a network images that all look alike
    "mean": ValueRule(
        object,
        "numbers from 0 to 1, as pixels are (divide those of bytes by 255)",
        lambda v: _all_numbers(v, lambda number: not (number < 0 or number > 1)),
        "0.5",
        True,
    ),
    "std": ValueRule(
        object,
        "numbers above 0 and up to 1, as pixels are (divide those of bytes by 255)",
        lambda v: _all_numbers(v, lambda number: not (number < 1e-6 or number > 1)),
        "0.25",
        True,
    ),
}
_IMAGE_RULES = {f"data.{key}": rule for key, rule in _PIXEL_RULES.items()}
_CHANNEL_RULES = {
    key: rule._replace(cure=f"[{rule.cure},{rule.cure},{rule.cure}]") for key, rule in _PIXEL_RULES.items()
}
_MASK_RULES = {  # of keys that other data and tasks have with other values, or not at all
    **{f"data.{key}": rule for key, rule in _CHANNEL_RULES.items()},
    "data.size": _SIDES,
    "data.fit": one_of("cover", "stretch", "pad"),
    "data.bad": one_of("refuse", "drop"),
    "data.test": amount(),
    "data.memory": ValueRule(float, "megabytes, 0 or more", lambda v: v >= 0, "2000"),
    "data.border_weight": ValueRule(float, "a number, 0 or more", lambda v: 0 <= v < math.inf, "10"),
    "data.border_sigma": ValueRule(float, "a number above 0", lambda v: 0 < v < math.inf, "5"),
    "data.augment.crop": _SIDES._replace(cure="128"),
    "data.augment.elastic": ValueRule(float, "pixels, from 0 to 1000", lambda v: 0 <= v <= 1000, "10"),
    "task.loss": one_of("cross_entropy", "dice", "focal", "cross_entropy+dice", "focal+dice"),
    "task.gamma": ValueRule(float, "a number, 0 or more", lambda v: 0 <= v < 100, "2"),
    "task.tolerance": ValueRule(float, "a share below 0.5", lambda v: 0 <= v < 0.5, "0.0075"),
    "task.overlap": ValueRule(float, "a share below 0.9", lambda v: 0 <= v < 0.9, "0.25"),
}


_SOUND_RULES = {
    "data.augment.speed": ValueRule(float, "a share from 0 to 0.5", lambda v: 0 <= v <= 0.5, "0.1"),
    "data.augment.noise": ValueRule(float, "a number, 0 or more", lambda v: 0 <= v < math.inf, "0.1"),
}
_CONTROL_RULES = {  # likewise
    "task.clip": ValueRule(float, "a number above 0", lambda v: v > 0, "0.2"),
    "data.env": ValueRule(str, "the name of an environment", lambda v: True, "CartPole-v1"),
}
_BOX_RULES = {  # of sequences the size is the length of a vector
    "model.size": whole_number(32, "320"),
    **{f"model.{key}": rule for key, rule in _CHANNEL_RULES.items()},
}
_DEMONSTRATION_RULES = {"data.demonstrations": whole_number(1, "20", True)}
_RULES_OF_OPTIMIZERS = {"RMSprop": {"optimizer.alpha": _SHARE._replace(cure="0.99")}}  # of ASGD it is a power
_RULES_OF_KINDS = {
    "image": _IMAGE_RULES,
    "masks": _MASK_RULES,
    "boxes": _BOX_RULES,
    "instances": _BOX_RULES,
    "audio": _SOUND_RULES,
    "speech": _SOUND_RULES,
    "control": _CONTROL_RULES,
    "demonstrations": _DEMONSTRATION_RULES,
}


def rule_of(key: str) -> str:
    """Return what the value of a key must be, in words; empty where there is no rule."""
    return RULES[key].words if key in RULES else ""


def choices_of(key: str) -> tuple[str, ...]:
    """Return the words that the value of a key may be; none where it is a number or free."""
    return next((rules[key].choices for rules in (RULES, *_RULES_OF_KINDS.values()) if key in rules), ())


def _problem(key: str, value: Any, rule: ValueRule) -> str | None:
    """Return what is wrong with the value of a key by its rule; None where nothing is."""
    if value is None and rule.optional:
        return None
    kinds = {float: (int, float), list: (list, ListConfig)}.get(rule.kind, (rule.kind,))
    if (isinstance(value, bool) and rule.kind is not object) or not isinstance(value, kinds) or not rule.holds(value):
        return f"{key}={shown(value)} must be {rule.words}: try {key}={rule.cure}"
    return None


def require_values(kind: str, group: str = "data", **values: Any) -> None:
    """Refuses arguments of a class by the rules of their keys, in the sentence that `check` has for them.

    Args:
        kind: of data, as in `gives.kind`.
        group: whose keys the values have.
        values: by the key below the group.

    Raises:
        UserError: for the first value that breaks its rule.
    """
    rules = RULES | _RULES_OF_KINDS.get(kind, {})
    for name, value in values.items():
        if sentence := _problem(f"{group}.{name}", value, rules[f"{group}.{name}"]):
            raise UserError(sentence)


def require_amount(key: str, value: Any, *, whole: bool = False, word: str = "") -> None:
    """Refuses what is neither a count nor a share, in the sentence that `check` has for it.

    Args:
        key: of the config, for the message.
        value: what stands there.
        whole: whether a share may be all, 1.0.
        word: which may stand in its place.

    Raises:
        UserError: when it is none.
    """
    rule = _LIMIT if key == "data.limit" else amount(whole=whole, word=word)
    if sentence := _problem(key, value, rule):
        raise UserError(sentence)


def value_problems(config: Any) -> list[str]:
    """Values of the keys that have a rule."""
    wrong = []
    kind = str(select(config, "data.gives.kind"))
    optimizer = str(select(config, "optimizer._target_")).rpartition(".")[2]
    rules = RULES | _RULES_OF_KINDS.get(kind, {}) | _RULES_OF_OPTIMIZERS.get(optimizer, {})
    for key, rule in rules.items():
        value = select(config, key, MISSING)
        if value is MISSING or not of_known_class(config, key):
            continue
        if key == "trainer.max_epochs" and (select(config, "trainer.max_steps") or -1) > 0:  # the steps end it
            if value == -1:
                continue
            rule = rule._replace(words=f"{rule.words}, or -1 where trainer.max_steps ends the run", cure="-1")
        if sentence := _problem(key, value, rule):
            wrong.append(sentence)
    if "seed" in config and select(config, "data.seed") == config.seed:  # which is said of it
        wrong = [sentence for sentence in wrong if not sentence.startswith("data.seed=")]
    return wrong
