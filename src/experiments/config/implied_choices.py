"""Options that the words of a command line imply and do not name."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.config.fitting_task import with_fitting_task
from experiments.config.own_loaders import with_own_loaders
from experiments.config.sound_networks import with_sound_network


def with_implied_choices(words: Sequence[str], config_dirs: Sequence[str] = ()) -> list[str]:
    """Add to overrides the options that they imply: see each of these.

    Raises:
        UserError: as `with_own_loaders`.
    """
    for add in (with_own_loaders, with_sound_network, with_fitting_task):
        words = add(words, config_dirs)
    return list(words)
