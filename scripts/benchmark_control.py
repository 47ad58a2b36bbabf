"""The row of the benchmark that is about control; `benchmark.py` runs it."""

from __future__ import annotations

import time
import warnings
from importlib.util import find_spec

Samples = dict[str, list[float]]
ENVIRONMENTS, STEPS, BATCH, PASSES = 8, 128, 256, 10


def ppo(quick: bool) -> Samples:
    """Steps a second of CartPole, learning included, of one thread: our run, and PPO of stable-baselines3 with the same networks,
    rollouts, batches and passes. Nothing where that is not installed."""
    if find_spec("stable_baselines3") is None or find_spec("gymnasium") is None:
        return {}
    from experiments.config.compose import compose
    from experiments.run.build import build_data, build_task, prepare_process
    from experiments.run.trainer import build_trainer

    rollouts = 2 if quick else 20
    words = ["data=control", "trainer=cpu", "trainer.max_epochs=1", "trainer.limit_val_batches=0", "trainer.threads=1",
             f"data.environments={ENVIRONMENTS}", f"data.steps={STEPS}", f"data.batch_size={BATCH}",
             f"data.rollouts={rollouts}", f"task.passes={PASSES}", "callbacks=none", "logger=none"]  # fmt: skip
    config = compose([*words, "callbacks.checkpoint=null"])
    prepare_process(config)
    total = rollouts * ENVIRONMENTS * STEPS

    def ours() -> float:
        data = build_data(config)
        task, trainer = build_task(config, data.spec, data), build_trainer(config, callbacks=False)
        began = time.process_time()
        trainer.fit(task, datamodule=data)
        return total / (time.process_time() - began)

    def theirs() -> float:
        from stable_baselines3 import PPO
        from stable_baselines3.common.env_util import make_vec_env

        environments = make_vec_env("CartPole-v1", n_envs=ENVIRONMENTS, seed=0)
        learner = PPO("MlpPolicy", environments, n_steps=STEPS, batch_size=BATCH, n_epochs=PASSES, learning_rate=0.001,
                      gamma=0.98, seed=0, device="cpu")  # fmt: skip
        began = time.process_time()
        learner.learn(total)
        return total / (time.process_time() - began)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours(), theirs()  # imports and first calls
        turns = [(ours(), theirs()) for _ in range(1 if quick else 5)]
    return {"ours": [rate for rate, _ in turns], "stable-baselines3": [other for _, other in turns]}
