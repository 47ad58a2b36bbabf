"""Configs of the many cells of a sweep: what Hydra composes for each, in a tenth of its time. Never imports torch.

Hydra reads and merges every file anew for each cell. Here each file is read once, each choice of options is merged once, on
plain dictionaries, and a cell then only sets its values. What is out of the ordinary (typed configs, deletions of groups,
interpolations that are more than names) is left to Hydra itself, cell by cell.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from hydra._internal import defaults_list
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from experiments.config.compose import GROUPS, missing_sentence, place_weights, settle
from experiments.config.preprocessing import take_over_published
from experiments.config.pretrained_texts import take_over_texts

Plain = dict[str, Any]

_NAME = r"[A-Za-z_][\w-]*"
_REFERENCE = re.compile(rf"\$\{{({_NAME}(?:\.{_NAME})*)\}}")
_RESOLVER = re.compile(r"\$\{(?!hydra:)[\w.]+:[^${}]*\}")
_EITHER = re.compile(f"{_REFERENCE.pattern}|{_RESOLVER.pattern}")


class _Unusual(Exception):
    """Hydra has to compose this one itself."""


class Composer:
    """Resolved configs, as plain dictionaries, for the cells of one sweep.

    Args:
        loader: Hydra's, of this sweep.
        master: the sweep's own config, with Hydra's part.
        config_dirs: folders of configs beside ours, as they are to be recorded.
    """

    def __init__(self, loader: Any, master: DictConfig, config_dirs: Sequence[str]) -> None:
        self.loader, self.master, self.config_dirs = loader, master, list(config_dirs)
        self.by_hydra = 0  # cells that were left to it
        self._fixed = list(master.hydra.overrides.hydra)
        self._name = master.hydra.job.config_name
        self._parser = OverridesParser.create()
        self._repository = loader._parse_overrides_and_create_caching_repo(self._name, self._fixed)[1]
        self._files: dict[str, Plain] = {}
        self._merged: dict[tuple[str, ...], tuple[Plain, Plain]] = {}
        self._resolved: dict[tuple[str, ...], Plain] = {}
        self._parsed: dict[str, tuple[Override, bool]] = {}
        self._answers: dict[str, Any] = {}

    def compose(self, words: Sequence[str], folder: str, number: int = 0, whole: bool = True) -> Plain:
        """The resolved config of a cell.

        Args:
            words: its overrides.
            folder: where it will run.
            number: of the job, for configs that ask Hydra for it.
            whole: whether what has no default must be given.

        Raises:
            UserError: when a value is missing or refers to what is not there.
            HydraException: as Hydra does.
        """
        try:
            return self._compose(words, folder, whole)
        except _Unusual:
            self.by_hydra += 1
            job = self.loader.load_sweep_config(self.master, list(words))
            job.hydra.job.num = number
            config = settle(job, words, self.config_dirs, folder, whole)
            return OmegaConf.to_container(config)  # type: ignore[return-value]

    def defaults(self, words: Sequence[str], folder: str) -> Plain:
        """The resolved config of the same options without values of the cell's own; what has no default may be missing there.

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
        config = _copy(merged)
        for override, group in parsed:
            if not group:
                _apply(override, config)
        run = config.setdefault("run", {})
        run |= {"dir": folder, "choices": dict(choices), "overrides": list(words), "config_dirs": self.config_dirs}
        resolved = self._resolve(config, config, 0)
        if whole:
            missing_sentence(_missing(resolved, ""))
        take_over_published(resolved)
        place_weights(resolved)
        take_over_texts(resolved)
        return resolved

    def _parse(self, word: str) -> tuple[Override, bool]:
        """An override, and whether it chooses an option of a group."""
        if word not in self._parsed:
            override = self._parser.parse_override(word)
            self._parsed[word] = override, self._repository.group_exists(override.key_or_group)
        return self._parsed[word]

    def _merge(self, groups: tuple[str, ...]) -> tuple[Plain, Plain]:
        """What the files of some options say together, interpolations as they are, and the options chosen."""
        if groups not in self._merged:
            overrides = self._parser.parse_overrides([*self._fixed, *groups])
            if any(isinstance(override.value(), dict) for override in overrides):
                raise _Unusual
            with _interpolation_map_on_demand():
                found = defaults_list.create_defaults_list(
                    repo=self._repository,
                    config_name=self._name,
                    overrides_list=overrides,
                    prepend_hydra=True,
                    skip_missing=False,
                )
            config: Plain = {}
            for default in found.defaults:
                package = default.package or ""
                if default.config_path is None or package.split(".")[0] == "hydra":
                    continue
                content: Any = self._file(default.config_path)
                for part in reversed(package.split(".") if package else []):
                    content = {part: content}
                _merge_into(config, content)
            config.pop("hydra", None)
            chosen = found.overrides.known_choices
            self._merged[groups] = config, {group: chosen.get(group) for group in GROUPS}
        return self._merged[groups]

    def _file(self, path: str) -> Plain:
        if path not in self._files:
            loaded = self._repository.load_config(config_path=path)
            typed = loaded is None or loaded.is_schema_source or not isinstance(loaded.config, DictConfig)
            if (
                typed
                or OmegaConf.get_type(loaded.config) is not dict
                or self._repository.get_schema_source().is_config(path)
            ):
                raise _Unusual
            content = OmegaConf.to_container(loaded.config, resolve=False)
            if not isinstance(content, dict):
                raise _Unusual
            self._files[path] = {str(key): value for key, value in content.items() if key != "defaults"}
        return self._files[path]

    # Interpolations

    def _resolve(self, node: Any, root: Plain, depth: int) -> Any:
        if isinstance(node, dict):
            return {key: self._resolve(value, root, depth) for key, value in node.items()}
        if isinstance(node, list):
            return [self._resolve(value, root, depth) for value in node]
        if not isinstance(node, str) or "${" not in node:
            return node
        if "\\" in node or depth > 20:
            raise _Unusual
        if whole := _REFERENCE.fullmatch(node):
            return self._resolve(_find(root, whole.group(1)), root, depth + 1)
        if _RESOLVER.fullmatch(node):
            return self._answer(node)

        def text(part: re.Match[str]) -> str:
            value = self._resolve(part.group(0), root, depth + 1)
            if isinstance(value, (dict, list)):
                raise _Unusual
            return str(value)

        if "${" in _EITHER.sub("", node):
            raise _Unusual
        return _EITHER.sub(text, node)

    def _answer(self, text: str) -> Any:
        """What a resolver without references gives; asked once a sweep, as Hydra does for the time."""
        if text not in self._answers:
            asked = OmegaConf.create({"answer": text})
            OmegaConf.copy_cache(self.master, asked)
            if OmegaConf.is_config(asked.answer):
                raise _Unusual
            self._answers[text] = asked.answer
        return self._answers[text]


@contextlib.contextmanager
def _interpolation_map_on_demand() -> Iterator[None]:
    """Hydra copies all choices into a config of its own at every file, for defaults that refer to others: here when one does."""
    original = getattr(defaults_list, "_create_interpolation_map", None)
    if original is None:
        yield
        return

    def on_demand(overrides: Any, defaults: Sequence[Any], *rest: Any) -> Any:
        return original(overrides, defaults, *rest) if any("${" in str(vars(one)) for one in defaults) else None

    defaults_list._create_interpolation_map = on_demand  # type: ignore[assignment]
    try:
        yield
    finally:
        defaults_list._create_interpolation_map = original


def _copy(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _copy(value) for key, value in node.items()}
    return [_copy(value) for value in node] if isinstance(node, list) else node


def _merge_into(target: Plain, source: Plain) -> None:
    """OmegaConf's merge of untyped configs: dictionaries key by key, all else replaced, what is missing left as it was."""
    for key, value in source.items():
        before = target.get(key)
        if isinstance(value, dict):
            if isinstance(before, dict):
                _merge_into(before, value)
                continue
            if isinstance(before, str) and "${" in before:
                raise _Unusual
        elif value == "???" and key in target:
            continue
        target[key] = _copy(value)


def _apply(override: Override, config: Plain) -> None:
    """Sets a value as Hydra does; what it would refuse, and what is not a plain value, is left to it."""
    value: Any = override.value()
    parts = override.key_or_group.split(".")
    if override.package is not None or isinstance(value, dict) or any(not re.fullmatch(_NAME, part) for part in parts):
        raise _Unusual
    if override.is_delete() or (isinstance(value, str) and value == "???"):
        raise _Unusual
    value = OmegaConf.to_container(OmegaConf.create(value)) if isinstance(value, list) else value
    adds = override.is_add() or override.is_force_add()
    node: Any = config
    for part in parts[:-1]:
        if adds and isinstance(node, dict):
            node.setdefault(part, {})
        if not isinstance(node, dict) or not isinstance(node.get(part), dict):
            raise _Unusual
        node = node[part]
    if (parts[-1] in node) == adds and not override.is_force_add():
        raise _Unusual
    if isinstance(node.get(parts[-1]), dict):
        raise _Unusual
    node[parts[-1]] = value


def _find(root: Plain, name: str) -> Any:
    node: Any = root
    for part in name.split("."):
        if (isinstance(node, str) and "${" in node) or not isinstance(node, dict) or part not in node:
            raise _Unusual
        node = node[part]
    if node == "???":
        raise _Unusual
    return node


def _missing(node: Any, prefix: str) -> list[str]:
    if isinstance(node, dict):
        return [
            found for key, value in node.items() for found in _missing(value, f"{prefix}.{key}" if prefix else str(key))
        ]
    if isinstance(node, list):
        return [found for index, value in enumerate(node) for found in _missing(value, f"{prefix}[{index}]")]
    return [prefix] if node == "???" else []
