"""The Python API as a person uses it in a script or a notebook."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import experiments
from experiments import UserError
from experiments.api import TrainedRecord

QUICK = ("trainer.max_epochs=1", "trainer=cpu", "callbacks.figures=null", "logger=csv")


class MyNet(nn.Module):
    """No stages, and only some of the shapes that the data say."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU())
        self.out = nn.Linear(16, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.out(self.body(images))


class MyData(lightning.LightningDataModule):
    def setup(self, stage: str | None = None) -> None:
        labels = torch.arange(120) % 3
        images = torch.randn(120, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + labels[:, None, None, None]
        self.parts = [
            TensorDataset(images[rows], labels[rows]) for rows in (slice(80), slice(80, 100), slice(100, 120))
        ]

    def train_dataloader(self) -> Any:
        return DataLoader(self.parts[0], 20, shuffle=True)

    def val_dataloader(self) -> Any:
        return DataLoader(self.parts[1], 20)

    def test_dataloader(self) -> Any:
        return DataLoader(self.parts[2], 20)


class Lit(lightning.LightningModule):
    def __init__(self, lr: float = 0.1) -> None:
        super().__init__()
        self.net, self.lr = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), lr

    def training_step(self, batch: Any, index: int) -> Any:
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch: Any, index: int) -> None:
        self.log("val_loss", self.training_step(batch, index))

    def test_step(self, batch: Any, index: int) -> None:
        self.log("test_loss", self.training_step(batch, index))

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), self.lr)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_a_module_class_on_our_data() -> None:
    record = experiments.train(*QUICK, "hydra.run.dir=a", model=MyNet, data="digits")
    assert isinstance(record, dict) and len(repr(record).splitlines()) == 2, "a notebook does not show it whole"
    assert record["choices"]["model"] == "MyNet" and record["cost"]["parameters"] == 64 * 16 + 16 + 170
    run = experiments.load(record)
    assert repr(run).startswith("Run(MyNet on digits, seed 0: val/accuracy ") and repr(run).endswith("; a)")
    assert "<th>validation, epoch 1</th>" in run._repr_html_()
    assert list(run.history.index) == [1] and "val/accuracy" in run.history
    assert isinstance(run.model, MyNet) and run.predict([str(_picture())]).shape == (1, 10)
    several = run.predict([str(_picture())])
    assert torch.equal(run.predict("one.png"), several) and torch.equal(run.predict(_picture()), several), "one input"
    assert list(run.show([_picture()], only="evidence", to="seen")) == ["evidence"]
    again = experiments.evaluate(record)["test/accuracy"]
    assert again == pytest.approx(record["metrics"]["test/accuracy"], abs=1e-6)
    with pytest.raises(UserError, match="no picture"):
        run.figures["nothing"]


def _picture() -> Path:
    from PIL import Image

    Image.new("L", (8, 8), 200).save("one.png")
    return Path("one.png")


@pytest.mark.slow
def test_objects_are_copied_and_compared() -> None:
    net, data = MyNet(3), MyData()
    before = net.out.weight.clone()
    first = experiments.train(*QUICK, "hydra.run.dir=o/a", model=net, data=data)
    second = experiments.train(*QUICK, "hydra.run.dir=o/b", model=Lit(0.2), data=data)
    assert torch.equal(net.out.weight, before), "what was given is copied"
    assert not torch.equal(experiments.load(first).model.out.weight, before)
    assert second["choices"]["task"] == second["choices"]["model"] == "Lit"
    assert experiments.load(second).task.lr == 0.2
    datasets = lightning.LightningDataModule.from_datasets(*data.parts, batch_size=20)
    fourth = experiments.train(*QUICK, "hydra.run.dir=d", model=net, data=datasets)
    assert "test/accuracy" in fourth["metrics"]
    third = experiments.train(*QUICK, "hydra.run.dir=o/c", "optimizer.lr=0.1", model=net, data=data)
    assert experiments.evaluate(experiments.load(third))["test/loss"] == pytest.approx(third["metrics"]["test/loss"])
    table = experiments.compare(first, experiments.load(third))
    with pytest.raises(UserError, match="the list of runs is empty"):
        experiments.compare([])
    assert experiments.compare([first, third], by="optimizer.lr").text().startswith("optimizer.lr  test/accuracy")
    assert list(table["optimizer.lr"].sort_values()) == ["0.001", "0.1"] and set(table["metric"]) == {"test/accuracy"}
    assert table.plot() is not None and type(table.head(1)).__name__ == "DataFrame"
    with pytest.raises(UserError, match=r"choose from|did you mean"):
        table.plot("nothing")
    assert table.report("r.html").read_text().startswith("<!")


@pytest.mark.slow
def test_mistakes_are_sentences() -> None:
    with pytest.raises(UserError, match="did you mean lenet5"):
        experiments.train(model="lenet6")
    with pytest.raises(UserError, match=r"neither a torch.nn.Module nor a LightningModule"):
        experiments.train(model=dict)
    with pytest.raises(UserError, match=r"no LightningDataModule.*from_datasets\(train, val, test"):
        experiments.train(data=[1, 2])
    with pytest.raises(UserError, match="a sweep trains in others"):
        experiments.sweep(model=[MyNet, "mlp"])
    with pytest.raises(UserError, match="no `spec`"):
        experiments.train(*QUICK, model=MyNet, data=type("Odd", (MyData,), {"train_dataloader": lambda self: [torch.zeros(2, 3)]}))  # fmt: skip
    record = experiments.train(*QUICK, "hydra.run.dir=a", model="mlp", data="digits")
    with pytest.raises(UserError, match="leave model= out"):
        experiments.load(record, model=MyNet)


@pytest.mark.slow
def test_another_process_needs_the_class() -> None:
    """A class that can be imported is found again; one of a session is asked for."""
    Path("mine.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self, num_classes):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(64, num_classes))\n"
    )
    words = "'trainer.max_epochs=1', 'callbacks.figures=null', 'logger=none', data='digits'"
    script = (
        "import experiments\nfrom mine import Net\n"
        "class Own(Net): pass\n"
        f"experiments.train({words}, model=Net, **{{'hydra.run.dir': 'a'}})\n"
        f"experiments.train({words}, model=Own, **{{'hydra.run.dir': 'b'}})\n"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join([".", os.environ.get("PYTHONPATH", "")])}
    subprocess.run([sys.executable, "-c", script], env=env, check=True, capture_output=True)
    sys.path.insert(0, os.getcwd())
    try:
        assert type(experiments.load("a").model).__name__ == "Net"
        with pytest.raises(UserError, match=r"experiments.load\(RUN, model=Own\) where Own is defined"):
            experiments.load("b")
        from mine import Net

        assert experiments.load("b", model=Net).model[1].out_features == 10
    finally:
        sys.path.remove(os.getcwd())


@pytest.mark.slow
def test_a_sweep_gives_a_table() -> None:
    table = experiments.sweep(*QUICK, "data.limit=64", model=["logistic_regression", "mlp"])
    assert len(table) == 2 and set(table["metric"]) == {"val/accuracy"}
    assert callable(experiments.search) and callable(experiments.compare) and experiments.__version__


def test_nothing_heavy_is_imported() -> None:
    code = "import sys, experiments; experiments.train; print([n for n in ('torch', 'hydra', 'pandas', 'rich', 'numpy') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


CELLS = [
    "import experiments\nfrom torch import nn\nrecord = experiments.train('trainer.max_epochs=2', data='digits', model='lenet5')",
    "run = experiments.load(record)\nrun",
    "run.history[['train/loss', 'val/loss']]",
    "run.figures",
    "class MyNet(nn.Module):\n"
    "    def __init__(self, num_classes):\n"
    "        super().__init__()\n"
    "        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))\n"
    "    def forward(self, images):\n"
    "        return self.net(images)\n"
    "own = experiments.train('trainer.max_epochs=1', 'callbacks.figures=null', data='digits', model=MyNet)",
    "table = experiments.compare('outputs')\ntable",
    "table.plot()",
    "try:\n    experiments.train(model='lenet6')\nexcept experiments.UserError as error:\n    print(error)",
    "experiments.sweep('trainer.max_epochs=1', 'callbacks=none', data='digits', model=['mlp', 'logistic_regression'])",
]


def test_a_notebook_shows_of_a_mistake_its_line_and_its_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError) as caught:
        experiments.train(model="lenet6")
    line, sentence = caught.value._render_traceback_()
    assert 'train(model="lenet6")' in line and sentence.startswith("UserError: model=lenet6") and "lenet5" in sentence
    monkeypatch.setenv("EXPERIMENTS_DEBUG", "1")
    assert not hasattr(caught.value, "_render_traceback_"), "then all of it is shown"


@pytest.mark.slow
def test_in_a_notebook() -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3", resources={"metadata": {"path": "."}}).execute()
    shown = [
        "".join(str(output.get("data", "")) + output.get("text", "") for output in cell.get("outputs", []))
        for cell in book.cells
    ]
    assert "<table>" in shown[0] and "val/accuracy" in shown[0], "a live table, and the result"
    assert "stderr" not in [output.get("name") for output in book.cells[0]["outputs"]], "nothing on red ground"
    assert "Run(lenet5 on digits" in shown[1] and "data:image/png" in shown[1]
    assert "train/loss" in shown[2] and "confusion" in shown[3]
    assert "MyNet" in shown[5] and "image/png" in shown[6] and "did you mean lenet5" in shown[7]
    assert "val/accuracy" in shown[8]


def test_texts_need_no_quotes_of_hydra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.api import _word
    from experiments.config.compose import parse

    monkeypatch.chdir(tmp_path)
    Path("one, two").mkdir()
    for text in (
        "my shapes, क=ख",
        "it's/a, b=c",
        "a'b\\",
        "C:\\x=y\\it's",
        'say "x", y=1',
        "plain",
        "a b",
        "",
        "one, two",
    ):
        assert parse([_word("data.root", text)])[0].value() == text
    assert parse([_word("data.root", Path("one, two"))])[0].value() == "one, two"
    for text in (
        ",".join(map(str, range(2000))),
        "lenet5,mlp",
        "tag(log,interval(1e-4,1e-1))",
        "[1,2]",
    ):  # Hydra's own words stay what they are
        assert _word("key", text, True) == f"key={text}"


def test_dictionaries_are_keys_below_a_group() -> None:
    with pytest.raises(UserError, match=r"^optimizer\.lr=-1 must be"):
        experiments.train(data="digits", optimizer={"lr": -1})


def test_lazy_layers_are_refused_with_what_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lazy(torch.nn.Module):
        def __init__(self, num_classes: int) -> None:
            super().__init__()
            self.head = torch.nn.LazyLinear(num_classes)

    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"Lazy has lazy layers.*write the sizes"):
        experiments.train("data.limit=64", "trainer=cpu", data="digits", model=Lazy)


def test_a_record_names_what_has_the_attributes_of_its_run() -> None:
    record = TrainedRecord({"dir": "run", "status": "finished"})
    with pytest.raises(AttributeError, match=r"no attribute history: experiments.load\(record\).history is"):
        _ = record.history
    with pytest.raises(AttributeError, match=r"no attribute statsu: its keys are record\[KEY\]"):
        _ = record.statsu
    assert copy.deepcopy(record) == record and pickle.loads(pickle.dumps(record)) == record
