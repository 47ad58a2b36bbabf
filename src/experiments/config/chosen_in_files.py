"""Options of Hydra's own groups that a file chooses: `override /hydra/sweeper: optuna` in an experiment.

Hydra itself takes the first override that it meets, which is that of train.yaml, and leaves the others out without a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from experiments.config.options import GROUPS, content, defaults_of, option_files

_DEPTH = 10  # of files that name one another


def with_choices_of_files(words: Sequence[str], config_dirs: Sequence[str]) -> list[str]:
    """Return some overrides, and those of Hydra's own groups that the options they choose ask for, `hydra/sweeper=optuna`.

    Args:
        words: overrides; what they choose themselves counts more.
        config_dirs: further folders of configs.
    """
    given = {word.lstrip("+~").partition("=")[0] for word in words}
    asked_for: dict[str, str] = {}
    for word in words:
        group, _, option = word.lstrip("+").partition("=")
        if group in GROUPS and option:
            asked_for |= dict(_asked_for(group, option, config_dirs, 0))
    return [*words, *(f"{key}={value}" for key, value in asked_for.items() if key not in given)]


def _asked_for(group: str, option: str, config_dirs: Sequence[str], depth: int) -> Iterator[tuple[str, str]]:
    path = option_files(group, config_dirs, bases=True).get(option)
    if path is None or depth > _DEPTH:
        return
    for entry in defaults_of(content(path), group):
        if not entry.key:
            yield from _asked_for(entry.group, entry.option, config_dirs, depth + 1)
        elif entry.group.startswith("hydra/") and isinstance(entry.option, str):
            yield entry.group, entry.option
