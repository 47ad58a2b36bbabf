"""Hydra reads and merges the same files once for the whole suite.

Most of the time of a composition goes into merging files, and the suite composes some thousands of configs of few choices
of options. What Hydra makes of one choice is remembered here, and what its grammar makes of a word; it still checks each
command line and sets each value itself. What a test writes into a folder of configs, stores in Hydra's ConfigStore or sets in the environment counts.
EXPERIMENTS_PLAIN=1 turns this off, as it does all that stands in for parts of libraries.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore

CONF = Path(__file__).parents[1] / "conf"  # which no test writes into


@contextmanager
def files_read_once() -> Iterator[None]:
    """Remember what choices of options give, until the end of the block; with another Hydra than is known here, nothing."""
    if not hydra.__version__.startswith("1.3."):
        yield
        return
    from hydra._internal import config_loader_impl, defaults_list
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.plugins import Plugins
    from hydra.plugins.config_source import ConfigSource

    # Asked of Hydra, which loads its plugins' files anew: the class of an import may be another.
    sources: Any = Plugins.instance().discover(ConfigSource)
    reader = next(source for source in sources if source.scheme() == "file")
    read, parse = reader.load_config, OverridesParser.parse_rule
    words: dict[Any, bytes] = {}
    files: dict[Any, bytes] = {}
    listed, merged = config_loader_impl.create_defaults_list, config_loader_impl.ConfigLoaderImpl
    compose = merged._compose_config_from_defaults_list
    lists: dict[Any, tuple[Any, Any, dict[str, Any]]] = {}
    configs: dict[Any, bytes] = {}

    def list_once(repo: Any, config_name: Any, overrides_list: Any, prepend_hydra: bool, skip_missing: bool) -> Any:
        overrides = defaults_list.Overrides(repo=repo, overrides_list=overrides_list)
        values = {id(override) for override in overrides.config_overrides}
        groups = tuple(item.input_line for item in overrides_list if id(item) not in values)
        key = (config_name, groups, prepend_hydra, skip_missing, _state_of(repo, *groups))
        if key not in lists:
            listing = listed(repo, config_name, overrides_list, prepend_hydra, skip_missing)
            lists[key] = listing.defaults, listing.defaults_tree, dict(listing.overrides.known_choices)
            return listing
        defaults, tree, choices = lists[key]
        overrides.known_choices = dict(choices)
        return defaults_list.DefaultsList(list(defaults), tree, overrides.config_overrides, overrides)

    def compose_once(self: Any, defaults: Any, repo: Any) -> Any:
        key = (tuple(repr(entry) for entry in defaults), _state_of(repo))
        if key not in configs:
            config = compose(self, defaults, repo)
            configs[key] = pickle.dumps(config)
            return config
        return pickle.loads(configs[key])

    def read_once(self: Any, config_path: str) -> Any:
        path = Path(self.path) / self._normalize_file_name(config_path)
        state = path.stat() if path.is_file() else None
        key = (self.provider, str(path), state and (state.st_mtime_ns, state.st_size))
        if key not in files:
            result = read(self, config_path)
            files[key] = pickle.dumps(result)
            return result
        return pickle.loads(files[key])

    def parse_once(self: Any, s: str, rule_name: str) -> Any:
        key = (s, rule_name, tuple(self.functions.functions))
        if key not in words:
            result = parse(self, s, rule_name)
            words[key] = pickle.dumps(result)
            return result
        return pickle.loads(words[key])

    OverridesParser.parse_rule = parse_once  # type: ignore[method-assign]
    reader.load_config = read_once
    config_loader_impl.create_defaults_list = list_once
    merged._compose_config_from_defaults_list = compose_once  # type: ignore[method-assign]
    try:
        yield
    finally:
        OverridesParser.parse_rule = parse  # type: ignore[method-assign]
        reader.load_config = read
        config_loader_impl.create_defaults_list = listed
        merged._compose_config_from_defaults_list = compose  # type: ignore[method-assign]


def _state_of(repo: Any, *words: str) -> tuple[Any, ...]:
    """Return what a composition depends on beside its overrides: places and their files, stored configs, and the
    environment, which our own files name in values alone.
    """
    places = tuple((source.scheme(), source.path, *_files_of(source)) for source in repo.get_sources())
    asked = any("oc.env" in word for word in words) or any(files for _, _, *files in places)
    environment = {name: value for name, value in os.environ.items() if asked and name != "PYTEST_CURRENT_TEST"}
    return places, _names_of(ConfigStore.instance().repo), frozenset(environment.items())


def _files_of(source: Any) -> Iterator[tuple[str, int, int]]:
    if source.scheme() == "file" and Path(source.path) != CONF:
        for path in sorted(Path(source.path).rglob("*.yaml")):
            state = path.stat()
            yield str(path), state.st_mtime_ns, state.st_size


def _names_of(node: Any) -> tuple[Any, ...]:
    if isinstance(node, dict):
        return tuple((name, *_names_of(inner)) for name, inner in node.items())
    _alive[id(node)] = node  # else another node could get its number
    return (id(node),)


_alive: dict[int, Any] = {}
