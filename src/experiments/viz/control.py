"""Pictures of control: the return as it grew, an episode step by step, and what a policy does over two observations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from experiments.viz.canvas import BLUE, GREEN, GREY, INK, ORANGE, RED, SMALL, TEXT, add_axes, figure, quiet
from experiments.viz.labels import shorten

SHOWN = 8  # observations drawn at most
COLOURS = (BLUE, ORANGE, GREEN, RED, "#cc79a7", "#56b4e9", "#f0e442", "#000000")


def return_curve(history: Sequence[Mapping[str, float]], threshold: float | None = None) -> Figure:
    """Return the mean return over the steps of the environment: of the last training episodes, and of validation.

    Args:
        history: a row an epoch: `steps`, and `train` and `val` where they are known.
        threshold: the return that counts as a success; None where there is none.
    """
    width, height = 9.0, 4.6
    fig = figure(width, height, "Return", "mean of episodes, over steps of the environment")
    ax = add_axes(fig, 0.95, 0.75, width - 2.5, height - 1.5)
    quiet(ax)
    for key, colour, name in (("train", BLUE, "training"), ("val", ORANGE, "validation")):
        points = [(row["steps"], row[key]) for row in history if key in row]
        if not points:
            continue
        steps, values = zip(*points, strict=True)
        ax.plot(steps, values, color=colour, linewidth=2.2, marker="o" if len(points) <= 30 else "", markersize=5)
        ax.annotate(
            f" {name}", (steps[-1], values[-1]), fontsize=TEXT, color=colour, weight="bold", va="center",
            xytext=(4, 7 if key == "val" else -7), textcoords="offset points", annotation_clip=False,
        )  # fmt: skip
    if threshold is not None:
        ax.axhline(threshold, color=GREY, linewidth=1.0, linestyle=(0, (3, 3)))
        ax.text(
            0.01,
            threshold,
            f"success: {threshold:g}",
            transform=ax.get_yaxis_transform(),
            fontsize=SMALL,
            color=GREY,
            va="bottom",
        )
    ax.margins(x=0.02, y=0.1)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    ax.set_xlabel("steps", fontsize=SMALL, color=INK)
    return fig


def episode(
    observations: np.ndarray,
    actions: np.ndarray,
    rewards: np.ndarray,
    names: Sequence[str],
    action_names: Sequence[str],
    discrete: bool,
) -> Figure:
    """Observations, a panel each, and below them the actions, over the steps of one episode.

    Args:
        observations: (T, F).
        actions: (T,) numbers of choices, or (T, A).
        rewards: (T,).
        names: of the observations.
        action_names: of the choices or of the action's entries.
        discrete: which of both.
    """
    rows = min(len(names), SHOWN)
    width, tall, gap = 9.0, 0.85, 0.2
    height = 0.75 + (rows + 1) * (tall + gap) + 0.65
    hidden = f", the first {rows} of {len(names)} observations" if rows < len(names) else ""
    fig = figure(width, height, "An episode of the test", f"{len(rewards)} steps, return {rewards.sum():.4g}{hidden}")
    steps = np.arange(len(rewards))
    for row in range(rows + 1):
        bottom = height - 0.75 - (row + 1) * (tall + gap) + gap
        ax = add_axes(fig, 2.25, bottom, width - 2.5, tall)
        quiet(ax)
        name = "action" if row == rows else shorten(names[row], 20)
        fig.text(1.6 / width, (bottom + tall / 2) / height, name, fontsize=SMALL, color=INK, ha="right", va="center")
        if row < rows:
            ax.plot(steps, observations[:, row], color=BLUE, linewidth=1.6)
        elif discrete:
            ax.step(steps, actions, color=ORANGE, linewidth=1.2, where="post")
            ax.set_yticks(range(len(action_names)), [shorten(action, 10) for action in action_names], fontsize=8)
        else:
            for number, entries in enumerate(actions.T[:SHOWN]):
                ax.plot(steps, entries, color=COLOURS[(number + 1) % len(COLOURS)], linewidth=1.3)
        ax.margins(x=0.01, y=0.12)
        if row < rows or not discrete:
            ax.locator_params(axis="y", nbins=3)
        if row < rows:
            ax.set_xticklabels([])
    ax.set_xlabel("steps", fontsize=SMALL, color=INK)
    return fig


def policy(
    values: np.ndarray,
    ends: tuple[tuple[float, float], tuple[float, float]],
    names: Sequence[str],
    actions: Sequence[str],
    discrete: bool,
    path: np.ndarray,
) -> Figure:
    """Return what a policy does over two observations, with the observations of one episode on it.

    Args:
        values: (up, across, choices) probabilities, or (up, across, 1) of the first entry of the action.
        ends: lowest and highest of the observation across, and of the one upwards.
        names: of these two.
        actions: names of the choices or of the entries.
        discrete: which of both.
        path: (T, 2) of an episode.
    """
    width, height = 7.6, 6.0
    if discrete and values.shape[-1] > 2:
        shown, title = values.argmax(-1).astype(float), "likeliest action"
        limits, ticks = (-0.5, values.shape[-1] - 0.5), list(actions)
    elif discrete:
        shown, title, limits, ticks = values[..., 1], f"probability of {actions[1]}", (0.0, 1.0), None
    else:
        shown, title, ticks = values[..., 0], actions[0], None
        most = float(np.abs(shown).max()) or 1.0
        limits = (-most, most)
    fig = figure(width, height, "The policy", f"{title}; dots: an episode")
    ax = add_axes(fig, 0.95, 0.75, width - 2.9, height - 1.6)
    picture = ax.imshow(
        shown,
        origin="lower",
        extent=(*ends[0], *ends[1]),
        aspect="auto",
        cmap="coolwarm",
        vmin=limits[0],
        vmax=limits[1],
    )
    ax.plot(path[:, 0], path[:, 1], ".", color="#222222", markersize=4, alpha=0.7, gid="keep")
    ax.set_xlabel(names[0], fontsize=TEXT, color=INK)
    ax.set_ylabel(names[1], fontsize=TEXT, color=INK)
    ax.tick_params(labelsize=SMALL, length=0, colors=GREY)
    bar = fig.colorbar(picture, cax=add_axes(fig, width - 1.75, 0.75, 0.22, height - 1.6))
    bar.ax.tick_params(labelsize=SMALL, length=0, colors=GREY)
    bar.outline.set_visible(False)
    if ticks:
        bar.set_ticks(range(len(ticks)), labels=[shorten(tick, 14) for tick in ticks])
    return fig
