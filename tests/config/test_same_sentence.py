"""What `train` refuses before its first batch, `check` refuses with the same sentence: exit code 2, and nothing is left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

# Where only a class or the files of a dataset know it.
BUILT = """
trainer=quick model=mlp model.hidden=[0]
trainer=quick model=mlp model.hidden=[a]
trainer=quick model=mlp +model.foo=3
trainer=quick model=resnet18 model.stem=tiny
trainer=quick data.augment.crop=-3
trainer=quick data.augment.flip=abc
trainer=quick task.class_weights=balance
trainer=quick task.class_weights=[1,2]
trainer=quick model=mlp freezing=stages freezing.learn=[layer4,fc]
trainer=quick task.class_weights=[nan,1,1,1,1,1,1,1,1,1]
trainer=quick task.class_weights=[-1,1,1,1,1,1,1,1,1,1]
trainer=quick task.class_weights=[0,0,0,0,0,0,0,0,0,0]
trainer=quick data=control data.options=abc
trainer=quick data=generated_series data.history=100000
trainer=quick data=generated_series data.horizon=5000
trainer=quick data.limit=1000000
trainer=quick data.validation=5000
trainer=quick callbacks.checkpoint.monitor=val/foo
trainer=quick trainer.max_time=soon
trainer=quick trainer.strategy=foo
trainer=quick data=image_folder data.root=empty
trainer=quick data=mnist data.root=empty
trainer=quick data=generated_entities data.count=60 data.max_length=1
trainer=quick data=generated_series data.season=100000
trainer=quick data=generated_series task.block=1000
trainer=quick data=generated_reviews data.count=60 data.tokenizer.min_count=9999
trainer=quick data=generated_text data.limit=100000000
trainer=quick data=generated_text data.steps=9000
trainer=quick data=generated_masks model.depth=9
trainer=quick data=shapes data.count=1000000
trainer=quick data=generated_pairs data.tokenizers.source.size=null
trainer=quick data=generated_entities data.count=60 data.tokenizer.source=-1
trainer=quick data=generated_boxes model=ssdlite model.mean=[1,2]
trainer=quick data=generated_boxes model=ssdlite model.std=[1,1,0]
trainer=quick data=digits optimizer=SparseAdam
"""
# Where a rule says it.
RULED = """
modle=mlp
model=lenet
model=[mlp]
model=mlp,lenet5
model
==
model=mlp=3
~nosuch
foo.bar=1
+seed=1
seed=-1
seed=1.5
optimizer.lr=10000000000
hydra.run.dir=a,b
data=generated_masks data.std=[58,58,58]
seed=abc
seed=null
seed=99999999999999999999
trainer=none
trainer.max_epochs=0
trainer.max_epochs=-1
trainer.max_epochs=null
trainer.max_epochs=1e3
trainer.max_epochs=[1]
trainer.min_epochs=5 trainer.max_epochs=2
trainer.min_epochs=-2
trainer.limit_train_batches=0
trainer.limit_train_batches=abc
trainer.limit_val_batches=-1
trainer.limit_test_batches=1.5
trainer.accumulate_grad_batches=1.5
trainer.accumulate_grad_batches=0
trainer.check_val_every_n_epoch=0
trainer.val_check_interval=5.5
trainer.val_check_interval=0
trainer.gradient_clip_val=abc
trainer.gradient_clip_val=0
trainer.gradient_clip_algorithm=foo
trainer.deterministic=2
trainer.benchmark=maybe
trainer.devices=0
trainer.devices=cpu
trainer.num_nodes=0
trainer.num_nodes=inf
trainer.limit_train_batches=inf
trainer.val_check_interval=inf
callbacks.early_stopping=[a]
model.makes=2
task.answers=true
data.gives.size=4
model.reads.size=abc
features.dir=0.999
callbacks.projector.dir=[a]
callbacks.figures.dir=null
logger.csv.dir=3
trainer.threads=0
trainer.threads=abc
trainer.memory_format=foo
trainer.compile=maybe
trainer.log_every_n_steps=-1
trainer.log_every_n_steps=abc
trainer.num_sanity_val_steps=-5
trainer.enable_progress_bar=5
trainer.overfit_batches=abc
trainer.fast_dev_run=abc
trainer.max_steps=1.5
trainer.max_steps=0
trainer.profiler=foo
trainer.inference_mode=perhaps
trainer.detect_anomaly=5
trainer.reload_dataloaders_every_n_epochs=-1
trainer.sync_batchnorm=abc
trainer.foo=1
+trainer.precision=16
+trainer.logger=false
+trainer.callbacks=[]
precision=8
precision=16-mixed trainer=cpu
precision=bf16-mixed trainer=cpu trainer.gradient_clip_val=1 optimizer.fused=true
model=mlp model.dropout=-0.1
model=mlp model.dropout=abc
model=mlp model.dropout=1
model=mlp model.foo=3
model=vgg11 data.size=16
model=lenet5 data.size=31
model=lenet5 data.size=0
model=lenet5 data.size=-3
model=lenet5 data.size=3.5
data=none
data.limit=-1
data.limit=0
data.limit=1.5
data.limit=abc
data.limit=[3]
data.validation=0
data.validation=-0.1
data.validation=abc
data.workers=-1
data.workers=abc
data.batch_size=0
data.batch_size=1.5
data.batch_size=abc
data.batch_size=null
data.batch_size=-3
data.split_seed=-1
data.split_seed=abc
data.seed=-1
data.seed=abc
data.classes=[]
data.classes=3
data.augment=none
data.augment.foo=1
data.augment.rotation=[1,2]
task=foo
task=translation
task=forecasting
task=segmentation
task.label_smoothing=-0.1
task.label_smoothing=1
task.label_smoothing=abc
task.foo=1
optimizer=foo
optimizer.lr=-1
optimizer.lr=0
optimizer.lr=null
optimizer.lr=nan
optimizer.lr=inf
optimizer.lr=[1]
optimizer.weight_decay=-1
optimizer.weight_decay=abc
optimizer.betas=[0.9,1.5]
optimizer.betas=[0.9]
optimizer.betas=0.9
optimizer.betas=[a,b]
optimizer.foo=1
optimizer=sgd optimizer.momentum=2
scheduler=foo
callbacks=early_stopping trainer.limit_val_batches=0
callbacks=early_stopping trainer.check_val_every_n_epoch=3 trainer.max_epochs=2
scheduler=CosineAnnealingLR scheduler.T_max=0
scheduler=StepLR scheduler.step_size=0
optimizer.betas=[0.9,0.99,0.999]
data._target_=nowhere.Data
task._target_=nowhere.Task
scheduler=step scheduler.every_epochs=0
scheduler=step scheduler.factor=0
scheduler=step scheduler.factor=abc
scheduler=cosine scheduler.warmup_epochs=abc
scheduler=cosine scheduler.warmup_epochs=-1
scheduler=cosine scheduler.foo=1
scheduler=one_cycle scheduler.warmup_share=1.5
scheduler=plateau scheduler.patience=-1
scheduler=plateau scheduler.factor=1
scheduler=plateau trainer.check_val_every_n_epoch=3 trainer.max_epochs=2
scheduler=plateau trainer.limit_val_batches=0
freezing=foo
freezing=fine_tuning
freezing=last_stage freezing.count=0
freezing=stages freezing.learn=[]
freezing=gradual freezing.every_epochs=0
freezing=gradual freezing.depth=0
freezing=discriminative freezing.decay=0
freezing=discriminative freezing.decay=2
freezing=feature_extraction freezing.head_epochs=20
freezing=feature_extraction freezing.views=-1
freezing=lora freezing.rank=0
freezing=lora freezing.rank=abc
freezing=lora freezing.alpha=0
freezing.norm=foo
weights=pretrained
weights=nowhere
weights=nowhere.ckpt
callbacks=foo
callbacks.checkpoint.mode=up
callbacks.checkpoint.every_n_steps=abc
callbacks.checkpoint.every_n_steps=0
callbacks.checkpoint.every_minutes=0
callbacks.checkpoint.foo=1
callbacks=early_stopping callbacks.early_stopping.patience=-1
callbacks=early_stopping callbacks.early_stopping.mode=up
callbacks.progress=yes
logger=foo
features.gigabytes=0
features.gigabytes=abc
run.dir=x
experiment=foo
sweep=foo
optimizer.lr=0.1,0.2
data=text_table data.path=nowhere.csv
data=series_table data.path=nowhere.csv
data=image_folder
data=speech_manifest
data=generated_series task.quantiles=[]
data=generated_masks model.depth=9000
data=generated_boxes data.side=100000
data=generated_reviews data.count=10000000000
model=mlp model.hidden=[100000000000]
data.workers=100000
trainer.threads=1000000
data.transform=[]
data=text_file data.path=
data=adding task=classification
data=generated_reviews data.tokenizer.kind=letters
data=generated_reviews data.tokenizer.size=3
data=generated_reviews data.max_length=0
data=generated_reviews data.empty=maybe
data=generated_questions data.stride=400
data=generated_questions data.unanswerable=2
data=generated_text data.validation=0.7
data=generated_text model=gpt_mini model.heads=7
data=generated_text task.sample.temperature=-1
data=generated_pairs task.search.beams=0
data=generated_pairs data.tokenizers.shared=maybe
data=generated_reviews model=bert_tiny task=masked_language_modelling task.share=2
data=generated_boxes data.bad_boxes=keep
data=generated_boxes model.min_size=8
data=generated_boxes task.threshold=2
data=generated_boxes task.tile=3
data=generated_boxes data.augment.flip=7
data=generated_masks data.size=[1,2,3]
data=generated_masks task.loss=iou
data=generated_masks task.tolerance=0.9
data=generated_masks data.augment.crop=-3
data=generated_masks task.class_weights=[1]
data=generated_words task.beam=0
data=generated_words data.gap=99
data=generated_words data.rate=5
data=generated_words model.bands=0
data=generated_tones data.memory=-5
data=generated_series task.centre=middle
data=generated_series task.loss=l3
data=generated_series data.borrow=5
data=generated_entities model.heads=3
data=digits model=vae task.beta=-1
data=digits model=autoencoder model.latent_size=0
+sweep.dir=x
+features.foo=2
+launcher.foo=2
data=copy_memory task=regression
data=parity task=labelling
data=generated_reviews task=language_modelling
data=generated_text task=classification
data=generated_boxes model=maskrcnn_resnet50 task=detection
data=shapes model=autoencoder task=colourisation
sweep=seeds
callbacks.figures=7
callbacks.checkpoint=5
callbacks.early_stopping=5
logger.csv=5
data=generated_reviews data.tokenizer=3
data=generated_pairs data.tokenizers=3
scheduler=StepLR scheduler.step_size=abc
scheduler=plateau scheduler.monitor=val/nothing
optimizer._target_=torch.nn.Linear
freezing=lora freezing.rank=1.5
task.metrics.x._target_=torchmetrics.NoSuch
data.std={a:1}
data.mean=abc
data=control data.env=[1,2]
data=generated_series data.rows=0
data=generated_homographs data.after=-1
data=generated_boxes model=ssdlite model.size=0
data=generated_boxes model=ssdlite model.mean=null
data=generated_words model.band_masks=-1
data=generated_words model.time_mask=2
data=generated_words model=wav2vec2_tiny model.source=-1
data=generated_words model=wav2vec2_tiny model.source=nowhere
data=digits model=vae task.judge=3
data=generated_words model=wav2vec2_tiny model.position_kernel=0
data=digits model=vae task.few_labels=[abc]
data=digits model=conv_vae model.channels=null
data=digits model=conv_vae model.channels=[a,b]
data=digits model=vq_autoencoder model.commitment=-1
freezing=lora freezing.layers=3
freezing=lora freezing.layers={a:1}
optimizer=rmsprop optimizer.alpha=1e30
optimizer=rmsprop optimizer.alpha=1
optimizer.eps=1e30
data.augment.mixup=1e30
data.mean=123.7
data.std=1e-30
data=generated_masks data.std=[58,58,58]
data=generated_boxes model=ssdlite model.mean=[123,117,104]
data=generated_words data.augment.noise=1e30
data=generated_pairs data.tokenizers.target.file=-1
data=digits task=reconstruction task.sparse.weight=-1
data.workers=null
optimizer.amsgrad=7
optimizer.maximize=maybe
optimizer=NAdam optimizer.momentum_decay=abc
scheduler=ExponentialLR scheduler.gamma=abc
callbacks=early_stopping callbacks.early_stopping.min_delta=abc
callbacks=early_stopping callbacks.early_stopping.min_delta=nan
hydra.run.dir=
hydra.run.dir=null
trainer.accelerator=tpu
trainer.gradient_clip_algorithm=value
"""


def lines(table: str) -> list[str]:
    return table.strip().splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("line", lines(RULED))
def test_a_bad_value_is_refused_alike(experiments, tmp_path: Path, line: str) -> None:
    _refused_alike(experiments, tmp_path, line)


@pytest.mark.slow
@pytest.mark.parametrize("line", lines(BUILT))
def test_what_only_building_tells_is_refused_alike(experiments, tmp_path: Path, line: str) -> None:
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    (tmp_path / "empty" / "dog").mkdir()
    _refused_alike(experiments, tmp_path, line)


def _refused_alike(experiments, folder: Path, line: str) -> None:
    before = sorted(folder.rglob("*"))
    code, output, checked = experiments("check", *line.split())
    assert (code, output) == (2, ""), f"check says {output or checked}"
    code, _, trained = experiments("train", *line.split())
    assert code == 2 and trained.splitlines()[-1] == checked.splitlines()[-1]
    assert all(line.startswith("error: ") for line in checked.splitlines())
    assert sorted(folder.rglob("*")) == before, "something is left behind"


def test_the_table_is_long() -> None:
    assert len(lines(RULED)) + len(lines(BUILT)) >= 150


def test_a_plateau_waits_for_validations(experiments) -> None:
    words = ["data.limit=64", "model=mlp", "trainer=cpu", "trainer.max_epochs=3", "callbacks=none", "logger=none"]
    code, _, errors = experiments("train", *words, "scheduler=plateau", "trainer.check_val_every_n_epoch=2")
    assert code == 0, errors


def test_clipping_leaves_out_the_fused_optimizer(experiments) -> None:
    words = ["model=mlp", "trainer=quick", "trainer.accelerator=cpu", "callbacks=none", "logger=none"]
    code, _, errors = experiments("train", *words, "precision=bf16-mixed", "trainer.gradient_clip_val=1")
    assert code == 0, errors


@pytest.mark.slow
def test_an_optimizer_that_lays_gradients_end_to_end(experiments) -> None:
    """LBFGS takes views of them, which weights with channels last do not give."""
    words = [
        "data=digits",
        "data.limit=64",
        "model=lenet5",
        "trainer=quick",
        "trainer.accelerator=cpu",
        "callbacks=none",
    ]
    code, _, errors = experiments("train", *words, "logger=none", "optimizer=LBFGS")
    assert code == 0, errors
