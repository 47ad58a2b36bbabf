"""YAML as OmegaConf reads it, by the C library where there is one, which takes a tenth of the time."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import yaml

_FLOAT = "tag:yaml.org,2002:float"
_NUMBER = re.compile(
    r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?$"
    r"|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+$"
    r"|\.[0-9_]+(?:[eE][-+]?[0-9]+)?$"
    r"|[-+]?\.(?:inf|Inf|INF)$"
    r"|\.(?:nan|NaN|NAN)$"
)


@lru_cache(maxsize=1)
def dumper() -> Any:
    """Return the class that writes YAML; a text that reads as a number is quoted."""
    return _with_numbers(getattr(yaml, "CSafeDumper", yaml.SafeDumper))


@lru_cache(maxsize=1)
def loader() -> Any:
    """Return the class that reads YAML."""
    return _with_numbers(getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@lru_cache(maxsize=1)
def strict_loader() -> Any:
    """Return the class that reads YAML and refuses a key written twice, as OmegaConf does."""
    return refusing_twice(loader())


def refusing_twice(base: Any) -> Any:
    """Return a class that reads YAML as another does, and refuses a key written twice."""

    class Once(base):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag == "tag:yaml.org,2002:str":
                    if key.value in seen:
                        raise yaml.constructor.ConstructorError(
                            None, None, f"the key {key.value} is there twice", key.start_mark
                        )
                    seen.add(key.value)
            return super().construct_mapping(node, deep)

    return Once


def _with_numbers(base: type[Any]) -> type[Any]:
    """Return a loader or dumper to which `1e-3` is a number and `2026-01-01` a text, as they are to OmegaConf."""
    kind: Any = type(base.__name__, (base,), {})
    kind.yaml_implicit_resolvers = {
        first: [(tag, rule) for tag, rule in rules if tag not in (_FLOAT, "tag:yaml.org,2002:timestamp")]
        for first, rules in base.yaml_implicit_resolvers.items()
    }
    kind.add_implicit_resolver(_FLOAT, _NUMBER, list("-+0123456789."))
    return kind
