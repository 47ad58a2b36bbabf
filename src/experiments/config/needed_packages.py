"""Packages that a config needs, named before a run begins where they are missing: of the extras, and of user-defined classes."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from typing import Any

from omegaconf import OmegaConf

from experiments.config.signatures import absent, targets_of
from experiments.config.view import KNOWN_PACKAGES

EXTRAS = {  # a package as it is imported, and the extra that brings it
    "soundfile": "speech",
    "tokenizers": "language",
    "sacrebleu": "translation",
    "skimage": "denoising",
    "gymnasium": "control",
    "faster_coco_eval": "detection",
}
_NEEDS = (  # group, class, package, and the kinds of data that need it
    ("data", r"experiments\.data\.audio\.(?!generated_)", "soundfile", None),
    ("data", r"experiments\.data\.(text|pairs)\.", "tokenizers", None),
    ("data", r"experiments\.data\.masks\.coco_masks\.", "faster_coco_eval", None),
    ("data", r"experiments\.data\.control\.", "gymnasium", None),
    ("task", r"experiments\.tasks\.translation\.", "sacrebleu", None),
    ("task", r"experiments\.tasks\.denoising\.", "skimage", "image"),
)


def missing_packages(config: Any) -> list[str]:
    """Return a sentence for each package that the data or the task of a config need and that is not installed."""
    problems = []
    for group, target, package, kind in _NEEDS:
        node = config[group]
        asked = kind is None or (config["data"].get("gives") or {}).get("kind") == kind
        asked = asked and not ("env" in node and node["env"] is None)  # demonstrations without an environment
        if asked and re.match(target, str(node.get("_target_") or "")) and find_spec(package) is None:
            problems.append(f"{group}={config['run']['choices'].get(group)} {_sentence(package)}")
    return problems


def absent_classes(config: Any) -> list[str]:
    """Return a sentence for each class of a config whose package is not there, or whose module does not have it; nothing is
    imported to find out.
    """
    plain = OmegaConf.to_container(config, resolve=False) if OmegaConf.is_config(config) else config
    return [
        not_imported(target, why)
        for target in dict.fromkeys(targets_of(plain))
        if (package := target.partition(".")[0]).isidentifier() and target != "None"
        if (why := _why_absent(package, target))
    ]


def _why_absent(package: str, target: str) -> str | None:
    if not _is_there(package):
        return f"No module named '{package}'"
    return None if target.startswith(KNOWN_PACKAGES) else absent(target)


def not_imported(target: str, why: str) -> str:
    """Return the sentence for a class or function that cannot be had."""
    return f"_target_={target} cannot be imported ({why}): check the name, and that its package is installed or in this folder"


def _is_there(package: str) -> bool:
    return package in sys.modules or find_spec(package) is not None


def of_import_error(error: ImportError) -> str | None:
    """Return the sentence for a package of the extras that could not be imported; None for any other."""
    package = (error.name or "").partition(".")[0]
    return f"this {_sentence(package)}" if package in EXTRAS else None


def _sentence(package: str) -> str:
    return (
        f"needs the package {package}, which is not installed: pip install 'lightning-experiments[{EXTRAS[package]}]'"
    )
