"""Panels of a policy: an episode as an animation, its observations, the policy over two of them, and how the return grew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from experiments.commands.show.panel import Look, NotShown, Panel, Picture
from experiments.errors import UserError

FRAMES = 250  # of the animation at most


def animation(look: Look) -> Iterator[Picture]:
    """Yield the first episode of the test, as it looks; `inputs` may name another one by its number."""
    from experiments.viz.animation import gif

    _playable(look)
    numbers = [_number(word, look.run.data.counts["test"]) for word in look.wanted.inputs] or [0]
    for number in numbers:
        pictures, per_second, total = look.run.data.filmed(look.run.task, number, FRAMES)
        name = "animation" if len(numbers) == 1 else f"animation_{number}"
        caption = f"Episode {number} of the test, return {total:.4g}, by the best actions."
        yield Picture(name, "An episode", caption, gif(pictures, per_second))


def episode(look: Look) -> Iterator[Picture]:
    """Observations and actions of that episode."""
    trace = _trace(look)
    caption = f"What is observed and done in the first episode of the test, step by step; return {trace[2].sum():.4g}."
    yield Picture("episode", "Step by step", caption, look.run.task.draw_episode(trace))


def policy(look: Look) -> Iterator[Picture]:
    """Yield what the policy does over the two observations that vary most."""
    if len(look.run.spec.observations) < 2:
        raise NotShown("there is one observation alone")
    caption = "What the policy does, over the two observations that vary most in the episode, the others at its median."
    yield Picture("policy", "The policy", caption, look.run.task.draw_policy(_trace(look)[0]))


def returns(look: Look) -> Iterator[Picture]:
    """Yield the return over the steps of training, as the record has it."""
    from experiments.viz.control import return_curve

    steps = look.run.record.get("steps")
    history = steps.get("return_by_steps") if isinstance(steps, dict) else steps
    if not history:
        raise NotShown("the run learned from demonstrations, or has not been tested")
    try:
        history = [{str(key): float(value) for key, value in row.items()} for row in history]
        curve = return_curve(history, look.run.spec.threshold)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise NotShown("steps.return_by_steps of its record is damaged") from error
    caption = "Mean return of the last training episodes, with random actions, and of validation, with the best ones."
    yield Picture("return", "Return", caption, curve)


def _number(word: Any, count: int) -> int:
    if not str(word).isdecimal() or int(word) >= count:
        raise UserError(f"{word} is no episode of the test: give a number from 0 to {count - 1}")
    return int(word)


def _playable(look: Look) -> None:
    if not look.run.spec.environment:
        raise NotShown("the demonstrations came without an environment")


def _trace(look: Look) -> Any:
    _playable(look)
    return look.once("trace", lambda: look.run.data.play(look.run.task, "test", [0]).trace)


PANELS = (
    Panel("animation", "An episode", animation),
    Panel("episode", "Step by step", episode),
    Panel("policy", "The policy", policy),
    Panel("return", "Return", returns),
)
