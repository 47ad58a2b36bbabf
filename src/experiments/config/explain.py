"""`experiments explain KEY`: what a key, an option or a word of the course means, its value by default, and what it may be."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from experiments.config.broken_options import description, descriptions, not_a_file
from experiments.config.command_suggestions import as_option
from experiments.config.command_words import split_words
from experiments.config.comments import comment_of, comments, files_of
from experiments.config.compose import GROUPS, compose, dotted
from experiments.config.course_words import course_word
from experiments.config.glossary import glossary, glossary_word
from experiments.config.key_meanings import HYDRA_KEYS, meaning, taken
from experiments.config.options import option_files
from experiments.config.refusals import OF_ALL
from experiments.config.suggestions import not_a_key, unknown_option, usual_key
from experiments.config.value_rules import rule_of
from experiments.errors import UserError, unknown
from experiments.system.terminal import fitted

_NOT_SET = re.compile(r"(.*\.)?(_target_|_partial_|dir)$|about|gives|reads|makes|pretrained|checked_by|needs_channels")


def explain_key(key: str, overrides: Sequence[str] = (), config_dirs: Sequence[str] = ()) -> str:
    """Return what is known of a key such as `data.validation`, of a group such as `freezing`, or of an option such as
    `freezing=lora`.

    Args:
        key: what is asked for.
        overrides: choices under which the key is looked at, as `data=cifar10`.
        config_dirs: further folders of configs.

    Raises:
        UserError: nothing has this name.
    """
    group, equals, option = key.partition("=")
    if equals and group in GROUPS:
        return _option(group, option, config_dirs)
    if key in GROUPS:
        return _group(key, overrides, config_dirs)
    config = compose(list(overrides), config_dirs, whole=False)
    choices = config.run.choices
    plain: dict[str, Any] = OmegaConf.to_container(config)  # type: ignore[assignment]
    keys = [inner for inner in dotted(plain) if not inner.startswith("run.")]
    group, _, rest = key.partition(".")
    if key in keys:
        lines = [key, *_said(comment_of(key, choices, config_dirs) or meaning(key, plain))]
        value = OmegaConf.select(config, key)
        where = f" ({group}={choices[group]})" if choices.get(group) else ""
        lines.append(f"  {'value' if overrides else 'default'}   {_shown(value)}{where}")
        lines += [f"  must be   {rule}"] if (rule := rule_of(key)) else []
        if isinstance(plain.get(group), dict) and OmegaConf.is_dict(value):
            lines += [
                f"  {inner}" for inner in keys if inner.startswith(f"{key}.") and inner.count(".") == key.count(".") + 1
            ]
        return "\n".join([*lines, *_elsewhere(group, rest, str(choices.get(group)), config_dirs)])
    others = _elsewhere(group, rest, "", config_dirs) if rest and group in GROUPS else []
    if others:
        return "\n".join([key, f"  not a key of {group}={choices.get(group)}", *others])
    if key in HYDRA_KEYS:
        return f"{key}\n  {HYDRA_KEYS[key]}"
    if key in ("claim", "claims"):
        raise UserError(f"{key} is no key and no group: experiments claim --list shows all claims")
    if target := taken(key, plain):
        return "\n".join([key, *_said(meaning(key, plain)), f"  default   that of {target}; {key}=… sets it"])
    entry = glossary_word(key)
    if about_word := course_word(key):
        word, meaning_here, commands = about_word
        hindi = [_in_hindi(entry)] if entry else []
        return "\n".join(
            [word.replace("_", " "), f"  {meaning_here}", *hindi, *(f"    {command}" for command in commands)]
        )
    if usual := usual_key(key):
        name = usual.split()[-1].partition("=")[0]
        asked = usual if usual.partition("=")[0] in GROUPS and " " not in usual else name
        if entry:
            return f"{_worded(entry)}\n  {key} is {usual} here: write experiments explain {asked}"
        raise UserError(f"{key} is {usual} here: write experiments explain {asked}")
    reason = not_a_key(key)
    if entry:
        return _worded(entry) + (f"\n  {key} is no key: {reason}" if reason else "")
    if reason:
        raise UserError(f"{key} is no key and no group: {reason}")
    if (meant := as_option(key, config_dirs)) and not meant.endswith("…"):
        raise UserError(f"{key} is {meant} here: write experiments explain {meant}")
    terms = [term for entry in glossary() for term in entry["term"].split(", ")]
    raise UserError(unknown(key, "no key, no group and no word of the glossary", key, [*GROUPS, *keys, *terms]))


def _worded(entry: Mapping[str, str]) -> str:
    return f"{entry['term']}\n  {entry['en']}\n{_in_hindi(entry)}\n    {entry['see']}"


def _in_hindi(entry: Mapping[str, str]) -> str:
    return f"  हिन्दी में: {entry['hi']}"


def _said(comment: str) -> list[str]:
    return [f"  {comment}"] if comment else []


def _shown(value: Any) -> str:
    plain = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    return json.dumps(plain, ensure_ascii=False)


def _elsewhere(group: str, rest: str, chosen: str, config_dirs: Sequence[str]) -> list[str]:
    """Return what other options of the group say of the same key."""
    lines = []
    for name in option_files(group, config_dirs) if rest and group in GROUPS else ():
        if name == chosen:
            continue
        comment = next(
            (comment_ for path in files_of(group, name, config_dirs) if (comment_ := comments(path).get(rest))), ""
        )
        if comment:
            lines.append((name, comment))
    if not lines or (chosen and len({comment for _, comment in lines}) <= 1):
        return []
    width = max(len(name) for name, _ in lines)
    return ["  with other options:", *(f"    {group}={name:<{width}}  {comment}" for name, comment in lines[:12])]


def _group(group: str, overrides: Sequence[str], config_dirs: Sequence[str]) -> str:
    titles = {name: about["title"] for name, about in descriptions(group, config_dirs).items()}
    chosen = compose(list(overrides), config_dirs, whole=False).run.choices.get(group)
    width = max((len(name) for name in titles), default=0)
    about = meaning(group, {})
    head = [
        group,
        *([f"  {about}"] if about else []),
        f"  default   {group}={chosen}" if chosen else "  default   none",
    ]
    return "\n".join([*head, "  options", *(f"    {name:<{width}}  {title}" for name, title in titles.items())])


def _option(group: str, option: str, config_dirs: Sequence[str]) -> str:
    files = option_files(group, config_dirs)
    if option not in files:
        raise UserError(not_a_file(group, option, config_dirs) or unknown_option(group, option, list(files)))
    about = description(files[option])
    lines = [f"{group}={option}", f"  {about['title']}"]
    lines += [f"  {about['paper']} ({about['year']})"] if about.get("paper") and about.get("year") else []
    seen: dict[str, str] = {}
    for path in files_of(group, option, config_dirs):
        for name, comment in comments(path).items():
            seen.setdefault(name, comment)
    if group not in OF_ALL:
        seen = _in_the_config(group, option, seen, config_dirs)
    above = "" if group in OF_ALL else f"{group}."
    width = max((len(name) for name in seen), default=0)
    return "\n".join([*lines, *(f"  {above}{name:<{width}}  {comment}" for name, comment in seen.items())])


def _in_the_config(group: str, option: str, seen: Mapping[str, str], config_dirs: Sequence[str]) -> dict[str, str]:
    """Return what is said of the keys of an option, in their order, and what their classes say of those without a comment."""
    plain: dict[str, Any]
    plain = OmegaConf.to_container(compose([f"{group}={option}"], config_dirs, whole=False))  # type: ignore[assignment]
    by_key = {}
    for key in dotted({group: plain.get(group)}):
        name = key.removeprefix(f"{group}.")
        comment = seen.get(name, "") or ("" if _NOT_SET.match(name) else meaning(key, plain))
        if comment and "." in key:
            by_key[name] = comment
    return {name: comment for name, comment in seen.items() if name not in by_key} | by_key


def main(words: list[str]) -> int:
    """Prints what is known of a key, a group or an option."""
    keys, folders, switches = split_words(words)
    asked = keys[:1] + [word for word in keys[1:] if "=" not in word]
    if not keys or switches:
        raise UserError("explain needs a key: experiments explain data.validation [data=cifar10 …]")
    chosen = [word for word in keys[1:] if "=" in word]
    whole = " ".join(asked)
    if len(asked) > 1 and (course_word(whole) or glossary_word(whole)):  # last layer, transfer learning
        asked = [whole]
    print(fitted("\n\n".join(explain_key(key, chosen, folders) for key in asked)))
    return 0
