"""Bad input: one sentence with the value, the rule and the cure, exit code 2, nothing left behind, torch never imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from experiments.cli import COMMANDS
from experiments.config.compose import compose
from experiments.config.value_types import type_problems

PLAIN = ("check", "list", "layers", "explain", "status", "evaluate")  # whose help is that of `experiments --help`
BAD = [
    (["modle=mlp"], ["modle", "model"]),
    (["model=lenet"], ["model=lenet", "lenet5"]),
    (["data=mnits"], ["data=mnits", "mnist"]),
    (["optimizer.lrr=1"], ["optimizer.lrr", "optimizer.lr"]),
    (["foo.bar=1"], ["foo.bar", "choose from"]),
    (["optimizer.lr=fast"], ["optimizer.lr=fast", "number above 0"]),
    (["optimizer.lr=0"], ["optimizer.lr=0", "number above 0"]),
    (["trainer.max_epochs=ten"], ["trainer.max_epochs=ten", "whole number"]),
    (["trainer.max_epochs=1.5"], ["trainer.max_epochs=1.5", "whole number"]),
    (["model=mlp", "model.dropout=high"], ["model.dropout=high", "a number"]),
    (["model.activation=[1]"], ["model.activation=[1]", "text"]),
    (["seed=-1"], ["seed=-1", "0 or more"]),
    (["data.limit=0"], ["data.limit=0", "share"]),
    (["data.batch_size=0"], ["data.batch_size=0", "1 or more"]),
    (["data=mnist", "data.size=28"], ["lenet5", "32×32", "28×28", "data.size=32"]),
    (["model=simple_cnn", "data.size=3"], ["simple_cnn", "4×4", "3×3", "data.size=4"]),
    (["data=image_folder"], ["data.root"]),
    (
        ["data=yesno", "model=transformers"],
        ["makes symbols", "name a network of sound, as model.name=hubert or its weights=FOLDER"],
    ),
    (
        ["data=fsdd", "model=transformers"],
        ["gives audio", "name a network of sound, as model.name=hubert or its weights=FOLDER"],
    ),
    (["data=yesno", "data.unknown=keep"], ["data.unknown=keep", "published weights", "set data.unknown=drop"]),
    (["trainer=gpu", "trainer.devices=99"], ["GPU"]),
    (["trainer=cpu", "precision=16-mixed"], ["16-mixed", "GPU", "bf16-mixed"]),
    (["trainer=cpu", "precision=16-true"], ["16-true", "GPU"]),
    (["trainer.devices=0", "trainer=cpu"], ["trainer.devices=0"]),
    (["trainer.devices=two", "trainer=cpu"], ["trainer.devices=two", "a list of numbers", "trainer.devices=1"]),
    (["data.classes=3"], ["data.classes=3", "a list of names"]),
    (["trainer=cpu", "trainer.devices=[0]"], ["trainer.devices=[0]", "trainer.devices=2"]),
    (["trainer=cpu", "trainer.devices=-1"], ["trainer.devices=-1", "trainer.devices=2"]),
    (["trainer=cpu", "trainer.num_nodes=2"], ["trainer.num_nodes=2", "torchrun", "trainer.num_nodes=1"]),
    (["trainer.max_steps=0"], ["trainer.max_steps=0", "-1 for no limit"]),
    (["optimizer.lr=inf"], ["optimizer.lr=inf", "number above 0"]),
    (["data.size=abc"], ["data.size=abc", "pixels"]),
    (["callbacks.checkpoint.mode=foo"], ["callbacks.checkpoint.mode=foo", "max, min or null"]),
    (["callbacks.progress=off_please"], ["callbacks.progress=off_please", "a group of keys"]),
    (["+callbacks.stop.patience=3"], ["callbacks.stop names no class that takes patience", "callbacks.stop=null"]),
    (["+logger.wandb.tags=[a]"], ["logger.wandb names no class that takes tags"]),
    (["+mine=${oc.env:NO_SUCH_VARIABLE}"], ["export NO_SUCH_VARIABLE=…", "reads the variable"]),
    (["data.augment=none"], ["data.augment=none", "a group of keys"]),
    (["data.validation=1.5"], ["data.validation=1.5", "a share below 1, or a number of examples"]),
    (["optimizer.betas=[0.9]"], ["optimizer.betas=[0.9]", "two or more numbers"]),
    (["optimizer=sgd", "optimizer.momentum=-1"], ["optimizer.momentum=-1", "below 1"]),
    (["scheduler=step", "scheduler.factor=2"], ["scheduler.factor=2", "below 1"]),
    (["scheduler=cosine", "scheduler.warmup_epochs=-1"], ["scheduler.warmup_epochs=-1", "0 or more"]),
    (["model=mlp", "model.hidden=[1.5]"], ["model.hidden=[1.5]", "a list of whole numbers", "[256]"]),
    (["model=mlp", "model.hidden=64"], ["model.hidden=64", "a list of whole numbers"]),
    (["trainer.accelerator=foo"], ["trainer.accelerator=foo", "auto, cpu, gpu, cuda, mps or tpu"]),
    (["trainer.deterministic=maybe"], ["trainer.deterministic=maybe", "true, false or warn"]),
    (["task.label_smoothing=1.5"], ["task.label_smoothing=1.5", "below 1"]),
    (["model=mlp", "model.dropout=1"], ["model.dropout=1", "below 1"]),
    (["trainer.threads=x"], ["trainer.threads=x", "whole number"]),
    (["trainer.gradient_clip_val=-1"], ["trainer.gradient_clip_val=-1", "above 0"]),
    (["trainer.accumulate_grad_batches=0"], ["trainer.accumulate_grad_batches=0", "1 or more"]),
    (["trainer.limit_train_batches=1.5"], ["trainer.limit_train_batches=1.5", "share up to 1.0"]),
    (["trainer.limit_val_batches=-3"], ["trainer.limit_val_batches=-3", "share up to 1.0"]),
    (["callbacks.checkpoint.every_n_steps=0"], ["callbacks.checkpoint.every_n_steps=0", "1 or more"]),
    (["callbacks.checkpoint.every_minutes=soon"], ["callbacks.checkpoint.every_minutes=soon", "minutes"]),
    (["trainer=cpu_2", "data.batch_size=33"], ["data.batch_size=33", "2 processes", "34"]),
    (["weights=pretrained"], ["lenet5", "no published weights"]),
    (["weights=nowhere.ckpt"], ["nowhere.ckpt", "does not exist"]),
    (["data=text_table", "data.path=nowhere.csv"], ["data.path=nowhere.csv", "does not exist"]),
    (
        ["data=text_table", "data.path=.", "data.test_path=nowhere.csv"],
        ["data.test_path=nowhere.csv", "does not exist"],
    ),
    (["data=generated_text", "model.truncate=0"], ["model.truncate=0", "1 or more"]),
    (["data=generated_pairs", "task.search.beams=0"], ["task.search.beams=0", "1 or more"]),
    (["data=generated_pairs", "task.search.length_penalty=-1"], ["task.search.length_penalty=-1", "0 or more"]),
    (["resume=nowhere"], ["nowhere", "does not exist", "folder of a run"]),
    (["model=[a"], ["model=[a", "key=value"]),
    (["=3"], ["3"]),
    (["+optimizer.lr=0.1"], ["+optimizer.lr=0.1 would add what the config has", "drop the +, as in optimizer.lr=0.1"]),
    (["+model=mlp"], ["+model=mlp would add", "drop the +, as in model=mlp"]),
    (["seed=0,1"], ["seed=0,1 gives one run several values", "add -m for a run with each"]),
    (["callbacks=none,default"], ["add -m for a run with each\n"]),
    (["run.dir=a/x0"], ["run.dir=a/x0 has no effect", "write hydra.run.dir=a/x0"]),
]


@pytest.mark.parametrize(("words", "sentence"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_bad_input_is_one_sentence(experiments, tmp_path: Path, words: list[str], sentence: list[str]) -> None:
    code, output, errors = experiments("train", *words)
    assert code == 2
    assert output == ""
    assert len(errors.splitlines()) == 1, errors
    assert errors.startswith("error: ")
    assert all(part in errors for part in sentence), errors
    assert list(tmp_path.iterdir()) == []


def test_models_are_listed_by_what_they_read_and_in_families(experiments) -> None:
    code, printed, _ = experiments("list", "models")
    assert code == 0
    rows = printed.splitlines()[2:]
    names = [row.split()[1 if not row.startswith(" ") else 0] for row in rows if row[:1].isspace()]
    assert rows[0].startswith("image ")
    order = [name for name in names if name in ("resnet18", "resnet34", "resnet101", "resnet152")]
    assert order == ["resnet18", "resnet34", "resnet101", "resnet152"]
    assert names.index("vgg16_bn") - names.index("vgg16") == 1
    kinds = [row.split("  ")[0] for row in rows if not row.startswith(" ")]
    assert len(kinds) == len(set(kinds))


OPTIONS = {  # files of one group, and what is listed of them
    "base": ("# The base.\nkey: 1", "The base."),
    "heir": ("# Another one\n# on two lines (et al., 2.5). More.\n#\n# And more.\ndefaults:\n  - base", "Another one on two lines (et al., 2.5)."),
    "named": ("# Its comment.\ndefaults:\n  - base\nabout:\n  title: its title", "its title"),
    "plain": ("# @package _global_\n\n# No full stop\nkey: 1\n# Of a key.", "No full stop"),
    "silent": ("defaults:\n  - base\n# Of a key.\nkey: 2", "The base."),
}  # fmt: skip


def test_every_option_is_listed_with_its_own_sentence(experiments, tmp_path: Path) -> None:
    from experiments.config.compose import GROUPS
    from experiments.config.options import describe, option_files

    (tmp_path / "sweep").mkdir()
    for name, (text, _) in OPTIONS.items():
        (tmp_path / "sweep" / f"{name}.yaml").write_text(text)
    _, printed, _ = experiments("list", "sweeps", "--config-dir", str(tmp_path))
    listed = dict(line.split(maxsplit=1) for line in printed.splitlines())
    assert {name: listed[name] for name in OPTIONS} == {name: title for name, (_, title) in OPTIONS.items()}
    for group in GROUPS:
        titles = [describe(path)["title"] for path in option_files(group).values()]
        assert all(titles) and len(set(titles)) == len(titles), group


@pytest.mark.parametrize(
    "words",
    [
        ["trian"],
        ["list"],
        ["list", "modles"],
        ["check", "--fast"],
        ["layers", "-x"],
        ["layers", "run"],
        ["evaluate"],
        ["benchmark", "--seconds", "0"],
    ],
)
def test_wrong_commands(experiments, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").touch()
    code, _, errors = experiments(*words)
    assert code == 2
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_explain_themselves(experiments, capsys, command: str) -> None:
    try:
        code, printed, errors = experiments(command, "--help")
    except SystemExit as leaving:  # as argparse leaves
        code, (printed, errors) = leaving.code, capsys.readouterr()
    assert (code, errors) == (0, "")
    assert printed.removeprefix("usage: ").startswith(f"experiments {command} ")
    if command in PLAIN:
        assert all(command in line for line in printed.splitlines()[:-1])


@pytest.mark.slow
def test_unlike_data_model_and_task(experiments, tmp_path: Path) -> None:
    (tmp_path / "conf" / "data").mkdir(parents=True)
    (tmp_path / "conf" / "data" / "words.yaml").write_text(
        "defaults:\n  - /task@_global_.task: classification\n_target_: nowhere.Words\ngives: {kind: smell}\nbatch_size: 8\n"
    )
    code, _, errors = experiments("train", "data=words", "--config-dir", "conf")
    assert code == 2
    assert "task=classification reads image or text or sequence or audio and data=words gives smell" in errors


def test_task_asks_for_what_the_model_makes(experiments, tmp_path: Path) -> None:
    folder = tmp_path / "conf" / "task"
    folder.mkdir(parents=True)
    (folder / "copying.yaml").write_text(
        "defaults:\n  - /model@_global_.model: lenet5\n_target_: none.Copying\nreads: [image]\nmakes: image\n"
    )
    code, _, errors = experiments("check", "task=copying", "model=mlp", "data=digits", "--config-dir", "conf")
    assert code == 2
    assert "task=copying learns from a model that makes image and model=mlp makes classes" in errors
    assert "add task=classification" in errors


def test_check_says_what_it_would_run(experiments) -> None:
    code, output, _ = experiments("check", "model=mlp", "data=digits")
    assert code == 0
    assert "model=mlp" in output
    assert "can run" in output


def test_check_says_every_problem(experiments) -> None:
    code, _, errors = experiments("check", "seed=-1", "optimizer.lr=-2", "trainer=cpu", "precision=16-mixed")
    assert code == 2
    assert len(errors.splitlines()) == 3


def test_folder_that_cannot_be_made(experiments, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, errors = experiments("train", "hydra.run.dir=file/run")
    assert code == 2
    assert "file" in errors
    assert "choose another folder" in errors


def test_debugging_shows_the_traceback(experiments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPERIMENTS_DEBUG", "1")
    code, _, errors = experiments("train", "model=lenet")
    assert code == 2
    assert "Traceback" in errors


LIGHT = [
    ["--help"],
    ["list", "models"],
    ["list", "data"],
    ["check", "model=mlp"],
    ["train", "model=lenet"],
    ["train", "optimizer.lr=x"],
]


@pytest.mark.parametrize("words", LIGHT, ids=" ".join)
def test_no_torch_before_a_config_is_checked(words: list[str], tmp_path: Path) -> None:
    program = (
        "import sys\nfrom experiments.cli import main\n"
        f"main({words!r})\n"
        "heavy = [name for name in ('torch', 'lightning', 'numpy', 'matplotlib', 'torchvision') if name in sys.modules]\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_run_imports_no_more_than_it_uses(tmp_path: Path) -> None:
    """Nor does a test of it."""
    program = (
        "import sys\nfrom experiments.cli import main\n"
        "code = main(sys.argv[1:])\n"
        "names = ('torchvision', 'scipy', 'transformers', 'torch._dynamo', 'triton', 'sympy', 'sklearn', 'matplotlib', 'tensorboard', 'pandas')\n"
        "heavy = [name for name in names if name in sys.modules]\n"
        "sys.exit(f'imported {heavy}' if heavy else code)\n"
    )
    for words in (
        "train trainer=quick trainer.accelerator=cpu logger=csv callbacks=none hydra.run.dir=run",
        "evaluate run data.batch_size=50",
    ):
        typed = [sys.executable, "-c", program, *words.split()]
        done = subprocess.run(typed, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_hidden_packages_are_there_when_asked_for() -> None:
    program = (
        "from experiments.speedups.lean_imports import import_lightning\nimport_lightning()\n"
        "import torch\n"
        "model = torch.compile(torch.nn.Linear(2, 2), backend='eager')\n"
        "assert model(torch.ones(1, 2)).shape == (1, 2)\n"
        "from lightning.pytorch.utilities.compile import OptimizedModule\n"
        "from lightning.pytorch.utilities.model_summary import ModelSummary\n"
        "from lightning.pytorch.demos.boring_classes import BoringModel\n"
        "boring = BoringModel(); boring.example_input_array = torch.ones(1, 32)\n"
        "assert ModelSummary(boring).total_flops == 2 * 32 * 2\n"
        "assert isinstance(model, OptimizedModule) and not isinstance(torch.nn.Linear(2, 2), OptimizedModule)\n"
        "for cls in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.Adagrad):\n"
        "    weight = torch.nn.Parameter(torch.ones(2)); optimizer = cls([weight], lr=0.1)\n"
        "    weight.sum().backward(); optimizer.step(); assert weight[0] < 1\n"
        "import scipy.signal, torchvision\n"
        "from torchmetrics.utilities.imports import _SCIPY_AVAILABLE, _TORCHVISION_AVAILABLE\n"
        "assert _SCIPY_AVAILABLE and _TORCHVISION_AVAILABLE\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "word", ["hydra.run.dir=${oc.env:NOWHERE,/tmp}/x", r"hydra.run.dir=a\,b", "hydra.run.dir='a,b'"]
)
def test_commas_that_separate_no_values(experiments, word: str) -> None:
    code, _, errors = experiments("check", word)
    assert code == 0, errors


@pytest.mark.parametrize("words", [["optimizer=ASGD", "optimizer.alpha=1"], ["optimizer.lr=1e9"], ["data.std=0.0039"]])
def test_values_that_are_large_or_small_and_meant(experiments, words: list[str]) -> None:
    code, _, errors = experiments("check", *words)
    assert code == 0, errors


def picture(path: Path, colour: int = 0) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20 + colour % 7, 24), (colour, 255 - colour, 90)).save(path)


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (lambda root: (root / "cat" / "0.png").write_bytes(b""), ["0.png", "empty"]),
        (lambda root: (root / "cat" / "0.png").write_bytes((root / "cat" / "1.png").read_bytes()[:60]), ["0.png"]),
        (lambda root: (root / "bird").mkdir(), ["bird"]),
        (lambda root: [path.unlink() for path in root.rglob("*.png")], ["image"]),
    ],
    ids=["empty file", "cut file", "class without images", "no image at all"],
)
def test_bad_folders_of_images(experiments, tmp_path: Path, break_it, sentence: list[str]) -> None:
    root = tmp_path / "photos"
    for number in range(20):
        picture(root / ("cat" if number % 2 else "dog") / f"{number // 2}.png", number * 12)
    break_it(root)
    words = [
        "data=image_folder",
        f"data.root={root}",
        "data.size=16",
        "model=mlp",
        "trainer=quick",
        "hydra.run.dir=run",
    ]
    code, _, errors = experiments("train", *words, "trainer.accelerator=cpu")
    assert code == 2
    assert len(errors.strip().splitlines()) == 1, errors
    assert all(part in errors for part in sentence), errors


def test_missing_data_says_what_goes_where(experiments) -> None:
    code, _, errors = experiments("train", "data=mnist", "data.root=elsewhere", "hydra.run.dir=run")
    assert code == 2
    assert all(part in errors for part in ("elsewhere", "train-images-idx3-ubyte", "digits", "data.download=true"))


@pytest.mark.parametrize("words", [["train"], ["check", "-m"]], ids=" ".join)
def test_a_file_that_ours_would_hide_is_refused(experiments, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "mlp.yaml").write_text("_target_: experiments.models.dense.MLP\nhidden: [7]\n")
    code, _, errors = experiments(*words, "--config-dir", "conf", "model=mlp")
    assert code == 2
    assert "conf/model/mlp.yaml has the name of an option that is there already" in errors and "my_mlp.yaml" in errors


def test_a_file_that_names_an_option_where_its_keys_belong_is_told_the_line(experiments, tmp_path: Path) -> None:
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    for group, name in (("model", "lenet5"), ("precision", "auto")):
        (folder / "own.yaml").write_text(
            f"# @package _global_\ndefaults:\n  - override /data: digits\n{group}: {name}\n"
        )
        code, _, errors = experiments("check", "--config-dir", "conf", "experiment=own")
        assert code == 2
        assert f"write `- override /{group}: {name}`" in errors


def test_values_of_the_usual_type_are_checked_without_a_second_composition(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["data=mnist", "model=lenet5", "data.root=somewhere", "data.split_seed=3", "optimizer.fused=false"]
    config = compose(words)
    monkeypatch.setattr("experiments.config.value_types.compose", None)
    assert type_problems(config, None) == []
    monkeypatch.setattr("experiments.config.value_types.inherited", None)  # a sweep brings the defaults of its runs
    assert type_problems(config, compose(words[:2])) == []


def test_a_value_of_another_type_is_refused(experiments) -> None:
    code, _, errors = experiments("check", "data=mnist", "model=lenet5", "data.split_seed=abc", "data.root=[1]")
    assert code == 2 and "data.split_seed=abc must be a whole number" in errors and "data.root" in errors
    assert type_problems(compose(["data=coco", "data.root=.", "data.test=val"]), None) == []  # a word that it takes
