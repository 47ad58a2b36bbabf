"""Two processes that are stopped in the middle of an epoch and resumed end as two that never were, whatever the metric: bit for bit."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.run.test_resume import assert_same_run

QUICK = (
    "trainer=cpu_2 trainer.max_epochs=2 trainer.limit_train_batches=3 trainer.limit_val_batches=2 trainer.limit_test_batches=2 "
    "callbacks.figures=null callbacks.progress=null logger=csv callbacks.stop._target_=stopper.Stop"
)
KINDS = {  # what is judged by no sum over examples, and user-defined metrics
    "training": "data=digits model=mlp model.dropout=0.3 data.batch_size=32 task.class_weights=balanced "
    "task.metrics.auroc._target_=torchmetrics.AUROC task.metrics.auroc.task=multiclass "
    "task.metrics.kappa._target_=torchmetrics.CohenKappa task.metrics.kappa.task=multiclass",
    "validation": "data=generated_masks data.count=60 data.validation=16 data.side=32 data.batch_size=4 model=unet model.width=4 model.depth=2 "
    "task.peers=false task.loss=cross_entropy+dice task.class_weights=[0.2,1,2,3,1]",
    "training of boxes": "data=generated_boxes data.count=24 data.side=64 data.batch_size=4 model=ssdlite model.size=64",
    "training of questions": "data=generated_questions data.count=60 data.unanswerable=0.3 data.batch_size=8 model=bert_tiny "
    "model.size=16 model.inner=16",
    "training of entities": "data=generated_entities data.count=120 data.batch_size=8 model=gru model.hidden=8",
    "validation of translations": "data=generated_pairs data.count=200 data.batch_size=16 model.embedding=8 model.hidden=8 "
    "task.scheduled_sampling=0.3 task.validation_bleu=8 task.search.beams=2",
}  # fmt: skip
STOPPER = '''
import os, signal
from lightning.pytorch import Callback

where = None

class Stop(Callback):
    """Sends SIGTERM to the second process, at the second batch of the second epoch."""

    def _stop(self, trainer, here, batch):
        global where
        if here == where and trainer.current_epoch == 1 and batch == 1:
            where = None
            if trainer.global_rank == 1:
                os.kill(os.getpid(), signal.SIGTERM)

    def on_train_batch_start(self, trainer, module, batch, index):
        self._stop(trainer, "training", index)

    def on_validation_batch_start(self, trainer, module, batch, index, loader=0):
        self._stop(trainer, "validation", index)
'''
RANK = """
import json, sys
from pathlib import Path
import stopper
from experiments import train
from experiments.errors import Interrupted
from experiments.run.execute import run
for number, (name, words) in enumerate(json.loads(sys.argv[1]).items()):
    train(*words.split(), f"hydra.run.dir=whole_{number}")
    stopper.where = name.split()[0]
    try:
        train(*words.split(), f"hydra.run.dir=cut_{number}")
        raise SystemExit(f"{name}: nothing was stopped")
    except Interrupted:
        pass
    run(Path(f"cut_{number}").absolute())
"""


@pytest.mark.slow
@pytest.mark.timeout(1900)
@pytest.mark.skipif(sys.platform == "win32", reason="gloo processes are tested on POSIX")
def test_two_processes_stopped_in_mid_epoch(tmp_path: Path) -> None:
    """Both begin once, and train all kinds of runs one after another."""
    (tmp_path / "stopper.py").write_text(STOPPER)
    kinds = {name: f"{words} {QUICK}" for name, words in KINDS.items()}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "NODE_RANK": "0"}
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, json.dumps(kinds)], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
            env=os.environ | shared | {"LOCAL_RANK": rank, "RANK": rank, "PYTHONPATH": path}, stdout=subprocess.DEVNULL,
        )
        for rank in ("0", "1")
    ]  # fmt: skip
    try:
        errors = [rank.communicate(timeout=1800)[1] for rank in ranks]
    finally:
        for rank in ranks:  # one waits for the other for ever where that has failed
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], "".join(errors)
    for number, name in enumerate(KINDS):
        whole, cut = tmp_path / f"whole_{number}", tmp_path / f"cut_{number}"
        assert json.loads((cut / "record.json").read_text())["status"] == "finished", name
        assert_same_run(whole, cut)
