"""Demonstrations: experts written here, .npz files and Minari's folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.data.control.demonstration_files import read
from experiments.data.control.demonstrations import Demonstrations
from experiments.data.control.experts import EXPERTS, demonstrate
from experiments.errors import UserError

pytest.importorskip("gymnasium")


def demonstrations(path: Path | None = None, **changes: Any) -> Demonstrations:
    settings: dict[str, Any] = {
        "path": path, "demonstrations": None if path else 4, "validation": 0.25, "test": 0.25, "limit": None,
        "batch_size": 16, "env": "CartPole-v1", "options": {}, "environments": 2, "validation_episodes": 2,
        "test_episodes": 2, "physics": {}, "test_physics": {}, "randomise": None, "workers": 0, "seed": 0,
    }  # fmt: skip
    data = Demonstrations(**settings | changes)
    data.setup()
    return data


def test_the_cart_pole_s_expert_is_one() -> None:
    played = demonstrate("CartPole-v1", {}, {}, 3)
    assert [len(actions) for _, actions in played] == [500, 500, 500]
    assert set(EXPERTS) == {"CartPole", "Pendulum", "MountainCar", "MountainCarContinuous", "Acrobot"}


def test_episodes_are_split_and_steps_served() -> None:
    data = demonstrations()
    assert data.splits == {"train": 1000, "validation": 500, "test": 500}
    observations, actions = next(iter(data.train_dataloader()))
    assert (observations.shape, actions.shape) == ((16, 4), (16,))
    count, mean, var = data.moments()
    assert count == 1000 and mean.shape == var.shape == (4,)
    data._memory = 8  # as of a policy with a memory
    observations, actions, mask = next(iter(data.train_dataloader()))
    assert (observations.shape, actions.shape, int(mask.sum())) == ((1, 500, 4), (1, 500), 500)
    assert demonstrations(limit=1).splits["train"] == 500


@pytest.mark.parametrize("names", [("observations", "actions", "terminals"), ("obs", "actions", "episode_starts")])
def test_npz_files_are_cut_where_episodes_end(tmp_path: Path, names: tuple[str, str, str]) -> None:
    flags = np.zeros(30, bool)
    flags[9 if names[2] == "terminals" else 10] = flags[-1 if names[2] == "terminals" else 0] = True
    content = {names[0]: np.random.rand(30, 4), names[1]: np.random.randint(2, size=(30, 1)), names[2]: flags}
    np.savez(tmp_path / "demos.npz", **content)
    assert [actions.shape for _, actions in read(tmp_path / "demos.npz")] == [(10,), (20,)]


def test_minari_s_folders_are_read(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    (tmp_path / "data").mkdir()
    with h5py.File(tmp_path / "data" / "main_data.hdf5", "w") as file:
        for number in (10, 2, 1):
            group = file.create_group(f"episode_{number}")
            group["observations"] = np.full((number + 6, 3), number, np.float64)  # one more than actions
            group["actions"] = np.zeros((number + 5, 1), np.float32)
    episodes = read(tmp_path)
    assert [len(actions) for _, actions in episodes] == [6, 7, 15]
    assert all(len(seen) == len(done) for seen, done in episodes)
    data = demonstrations(tmp_path, env=None)
    assert data.spec.environment == "" and not data.spec.discrete
    assert len(data.val_dataloader()) == 1  # nothing is played


def saved(tmp_path: Path, **content: Any) -> Path:
    np.savez(tmp_path / "demos.npz", **content)
    return tmp_path / "demos.npz"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"observations": np.zeros((9, 3)), "actions": np.zeros(9, int)}, ["3 numbers", "CartPole-v1 has 4"]),
        ({"observations": np.zeros((9, 4)), "actions": np.zeros((9, 1))}, ["continuous", "CartPole-v1 has discrete"]),
        ({"observations": np.zeros((9, 4)), "actions": np.full(9, 2)}, ["action 2", "0 to 1"]),
        ({"observations": np.zeros((9, 4)), "actions": np.zeros(8, int)}, ["9 observations and 8 actions"]),
        ({"observations": np.zeros((9, 4)), "actions": np.arange(9) - 1}, ["action -1", "0 to 1"]),
        (
            {"observations": np.zeros((9, 4)), "actions": np.zeros(9, int), "terminals": np.zeros(5)},
            ["5 terminals and 9"],
        ),
        ({"observations": np.full((9, 4), "a"), "actions": np.zeros(9, int)}, ["observations that are no numbers"]),
        ({"observations": np.zeros((9, 4))}, ["no actions"]),
        ({"observations": np.full((9, 4), np.nan), "actions": np.zeros(9, int)}, ["not finite"]),
        ({"observations": np.zeros((9, 2, 2)), "actions": np.zeros(9, int)}, ["shape (2, 2)", "flatten"]),
        ({"observations": np.zeros((0, 4)), "actions": np.zeros(0, int)}, ["no step"]),
    ],
)
def test_other_demonstrations_are_refused(tmp_path: Path, content: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        demonstrations(saved(tmp_path, **content))
    assert all(word in str(caught.value) for word in ["data.path=", *words]), caught.value


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no")
    for path, word in ((tmp_path / "text.npz", "no .npz file"), (tmp_path / "gone.npz", "does not exist")):
        with pytest.raises(UserError, match=word):
            read(path)
    with pytest.raises(UserError, match=r"nobody wrote an expert for data\.env=MountainCar2"):
        demonstrate("MountainCar2-v0", {}, {}, 1)
    with pytest.raises(UserError, match="too few"):
        demonstrations(saved(tmp_path, observations=np.zeros((2, 4)), actions=np.zeros(2, int)))
