"""Configs of the many runs of a sweep: what Hydra composes for each, in a tenth of its time.

Hydra reads and merges every file anew for each run. Here each file is read once, each choice of options is merged once, on
plain dictionaries, and a run then only sets its values. What is out of the ordinary (typed configs, deletions of groups,
interpolations that are more than names) is left to Hydra itself, run by run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from experiments.config.compose import GROUPS, finish, settle
from experiments.config.hydra_keys import words_given
from experiments.config.implied_choices import with_implied_choices
from experiments.config.misplaced_keys import refuse_unread
from experiments.config.refusals import refuse_missing, refuse_names
from experiments.speedups.option_files import Plain, UnusualError, copied, open_files

_NAME = r"[A-Za-z_][\w-]*"
_REFERENCE = re.compile(rf"\$\{{({_NAME}(?:\.{_NAME})*)\}}")
_RESOLVER = re.compile(r"\$\{(?!hydra:)[\w.]+:[^${}]*\}")
_SELECT = re.compile(rf"\$\{{oc\.select:\s*({_NAME}(?:\.{_NAME})*)\s*(?:,([^${{}}]*))?\}}")
_EITHER = re.compile(f"{_REFERENCE.pattern}|{_RESOLVER.pattern}")


class Composer:
    """Resolved configs, as plain dictionaries, for the runs of one sweep.

    Args:
        loader: Hydra's, of this sweep.
        master: the sweep's own config, with Hydra's part.
        config_dirs: folders of configs beside ours, as they are to be recorded.
    """

    def __init__(self, loader: Any, master: DictConfig, config_dirs: Sequence[str]) -> None:
        self.loader, self.master, self.config_dirs = loader, master, list(config_dirs)
        self.by_hydra = 0  # runs that were left to it
        self._parser = OverridesParser.create()
        self._files = open_files(loader, master.hydra.job.config_name, words_given(master.hydra, "hydra"))
        self._merged: dict[tuple[str, ...], tuple[Plain, Plain]] = {}
        self._resolved: dict[tuple[str, ...], Plain] = {}
        self._parsed: dict[str, tuple[Override, bool]] = {}
        self._answers: dict[str, Any] = {}

    def compose(self, words: Sequence[str], folder: str, number: int = 0, whole: bool = True) -> Plain:
        """Return the resolved config of a run.

        Args:
            words: its overrides.
            folder: where it will run.
            number: of the job, for configs that ask Hydra for it.
            whole: whether what has no default must be given.

        Raises:
            UserError: when a value is missing or refers to what is not there.
            HydraException: as Hydra does.
        """
        words = with_implied_choices(words, self.config_dirs)
        try:
            return self._compose(words, folder, whole)
        except UnusualError:
            self.by_hydra += 1
            job = self.loader.load_sweep_config(self.master, list(words))
            job.hydra.job.num = number
            config = settle(job, words, self.config_dirs, folder, whole)
            return OmegaConf.to_container(config)  # type: ignore[return-value]

    def defaults(self, words: Sequence[str], folder: str) -> Plain:
        """Return the resolved config of the same options without values of the run's own; what has no default may be
        missing there.

        Raises:
            HydraException: as Hydra does.
        """
        groups = tuple(word for word in words if self._parse(word)[1])
        if groups not in self._resolved:
            self._resolved[groups] = self.compose(groups, folder, whole=False)
        return self._resolved[groups]

    def _compose(self, words: Sequence[str], folder: str, whole: bool) -> Plain:
        parsed = [self._parse(word) for word in words]
        merged, choices = self._merge(tuple(word for word, (_, group) in zip(words, parsed, strict=True) if group))
        config = copied(merged)
        for override, group in parsed:
            if not group:
                _apply(override, config)
        others = [OmegaConf.to_container(self.master.hydra.sweep, resolve=False)]
        refuse_names(config, choices, others)
        refuse_unread(words, config, others)
        run = config.setdefault("run", {})
        run |= {"dir": folder, "choices": dict(choices), "overrides": list(words), "config_dirs": self.config_dirs}
        resolved = self._resolve(config, config, 0)
        if whole:
            refuse_missing(_missing(resolved, ""), choices, self.config_dirs)
        finish(resolved)
        return resolved

    def _parse(self, word: str) -> tuple[Override, bool]:
        """Return an override, and whether it chooses an option of a group."""
        if word not in self._parsed:
            override = self._parser.parse_override(word)
            self._parsed[word] = override, self._is_group(override.key_or_group)
        return self._parsed[word]

    def _is_group(self, key: str) -> bool:
        if self._files is not None:
            return self._files.group_exists(key)
        return bool(self.loader.get_group_options(key))

    def _merge(self, groups: tuple[str, ...]) -> tuple[Plain, Plain]:
        """Return what the files of some options say together, interpolations as they are, and the options chosen."""
        if groups not in self._merged:
            if self._files is None:
                job = self.loader.load_sweep_config(self.master, list(groups))
                chosen = dict(job.hydra.runtime.choices)
                config: Any = OmegaConf.to_container(job, resolve=False)
                config.pop("hydra", None)
            else:
                config, chosen = self._files.merged(groups)
            self._merged[groups] = config, {group: chosen.get(group) for group in GROUPS}
        return self._merged[groups]

    # Interpolations

    def _resolve(self, node: Any, root: Plain, depth: int) -> Any:
        if isinstance(node, dict):
            return {key: self._resolve(value, root, depth) for key, value in node.items()}
        if isinstance(node, list):
            return [self._resolve(value, root, depth) for value in node]
        if not isinstance(node, str) or "${" not in node:
            return node
        if "\\" in node or depth > 20:
            raise UnusualError
        if whole := _REFERENCE.fullmatch(node):
            return self._resolve(_find(root, whole.group(1)), root, depth + 1)
        if select := _SELECT.fullmatch(node):
            return self._resolve(_selected(root, select.group(1), select.group(2)), root, depth + 1)
        if _RESOLVER.fullmatch(node):
            return self._answer(node)

        def text(part: re.Match[str]) -> str:
            value = self._resolve(part.group(0), root, depth + 1)
            if isinstance(value, (dict, list)):
                raise UnusualError
            return str(value)

        if "${" in _EITHER.sub("", node):
            raise UnusualError
        return _EITHER.sub(text, node)

    def _answer(self, text: str) -> Any:
        """Return what a resolver without references gives; asked once a sweep, as Hydra does for the time."""
        if text.startswith("${oc.env:") and not text.startswith("${oc.env:EXPERIMENTS_"):
            raise UnusualError  # may be a secret, and stays what it is
        if text not in self._answers:
            asked = OmegaConf.create({"answer": text})
            OmegaConf.copy_cache(self.master, asked)
            if OmegaConf.is_config(asked.answer):
                raise UnusualError
            self._answers[text] = asked.answer
        return self._answers[text]


def _apply(override: Override, config: Plain) -> None:
    """Sets a value as Hydra does; what it would refuse, and what is not a plain value, is left to it."""
    value: Any = override.value()
    parts = override.key_or_group.split(".")
    if override.package is not None or isinstance(value, dict) or any(not re.fullmatch(_NAME, part) for part in parts):
        raise UnusualError
    if override.is_delete() or (isinstance(value, str) and value == "???"):
        raise UnusualError
    value = OmegaConf.to_container(OmegaConf.create(value)) if isinstance(value, list) else value
    adds = override.is_add() or override.is_force_add()
    node: Any = config
    for part in parts[:-1]:
        if adds and isinstance(node, dict):
            node.setdefault(part, {})
        if not isinstance(node, dict) or not isinstance(node.get(part), dict):
            raise UnusualError
        node = node[part]
    if (parts[-1] in node) == adds and not override.is_force_add():
        raise UnusualError
    if isinstance(node.get(parts[-1]), dict):
        raise UnusualError
    node[parts[-1]] = value


def _find(root: Plain, name: str) -> Any:
    node: Any = root
    for part in name.split("."):
        if (isinstance(node, str) and "${" in node) or not isinstance(node, dict) or part not in node:
            raise UnusualError
        node = node[part]
    if node == "???":
        raise UnusualError
    return node


def _selected(root: Plain, name: str, default: str | None) -> Any:
    """Return what `oc.select` gives: a value of the config, or the default where there is none."""
    node: Any = root
    for part in name.split("."):
        if isinstance(node, str) and "${" in node:
            raise UnusualError
        if not isinstance(node, dict) or part not in node or node[part] == "???":
            return None if default is None else yaml.safe_load(default)
        node = node[part]
    return node


def _missing(node: Any, prefix: str) -> list[str]:
    if isinstance(node, dict):
        return [
            missing
            for key, value in node.items()
            for missing in _missing(value, f"{prefix}.{key}" if prefix else str(key))
        ]
    if isinstance(node, list):
        return [missing for index, value in enumerate(node) for missing in _missing(value, f"{prefix}[{index}]")]
    return [prefix] if node == "???" else []
