from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from experiments.data.images.cifar import CIFAR10, CIFAR100
from experiments.data.images.digits import Digits
from experiments.data.images.image_data import ImageData
from experiments.data.images.image_store import ImageSplit, channel_statistics, resize
from experiments.data.images.mnist import KMNIST, MNIST, FashionMNIST
from experiments.data.images.moved_digits import MovedDigits
from experiments.data.images.shapes import Shapes
from experiments.errors import UserError
from tests.data.conftest import PLAIN, fake_cifar, fake_mnist, write_idx


def ready(data: ImageData) -> ImageData:
    data.prepare_data()
    data.setup()
    return data


def everything(data: ImageData, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    return data.sample(part, len(data.sets[part].labels))


def members(data: ImageData, part: str) -> set[bytes]:
    return {image.numpy().tobytes() for image in data.sets[part].source}


def test_digits() -> None:
    data = ready(Digits(**{**PLAIN, "validation": 0.1}))
    assert {part: data.splits[part] for part in ("train", "validation", "test")} == {
        "train": 1293,
        "validation": 144,
        "test": 360,
    }
    assert (data.spec.channels, data.spec.height, data.spec.width, data.spec.num_classes) == (1, 8, 8, 10)
    assert data.sets["train"].source.max() == 255
    for part in ("train", "validation", "test"):
        counts = np.bincount(data.sets[part].labels, minlength=10)
        assert counts.max() <= 1.15 * counts.min()
    assert len(members(data, "train") | members(data, "validation") | members(data, "test")) == 1797
    again = ready(Digits(**{**PLAIN, "validation": 0.1, "seed": 8}))
    assert again.splits == data.splits
    assert (
        ready(Digits(**{**PLAIN, "validation": 0.1, "split_seed": 1})).splits["fingerprint"]
        != data.splits["fingerprint"]
    )


def test_moved_digits_are_moved_in_the_test_alone() -> None:
    plain, still, moved = (ready(kind(**{**PLAIN, **keys})) for kind, keys in
                           ((Digits, {}), (MovedDigits, {"shift": 0}), (MovedDigits, {"shift": 3})))  # fmt: skip
    assert (moved.spec.height, moved.spec.width) == (24, 24)
    for part in ("train", "validation", "test"):
        images, before = (data.sets[part].source for data in (moved, plain))
        assert torch.equal(still.sets[part].source[:, :, 8:16, 8:16], before)
        if part != "test":
            assert torch.equal(images, still.sets[part].source)
        assert torch.equal(images.sum((1, 2, 3)), before.sum((1, 2, 3))), "nothing is pushed over the edge"
    test = moved.sets["test"].source
    assert torch.equal(test[0, :, 5:13, 5:13], plain.sets["test"].source[0])
    assert torch.equal(test[7, :, 11:19, 11:19], plain.sets["test"].source[7])
    with pytest.raises(UserError, match=r"data\.shift=9 must be a whole number from 0 to 8"):
        MovedDigits(**{**PLAIN, "shift": 9})


def test_digits_are_found_without_importing_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    ready(Digits(**PLAIN))
    assert "sklearn" not in sys.modules


def test_modules_import_no_heavy_library() -> None:
    """Lightning itself brings torchvision where it is installed; our files must not name it at module level."""
    for file in Path(sys.modules[ImageData.__module__].__file__ or "").parent.glob("*.py"):
        for line in file.read_text().splitlines():
            assert not line.startswith(("import torchvision", "from torchvision", "import PIL", "from PIL")), file
            assert not line.startswith(("import sklearn", "from sklearn", "import matplotlib")), file


def test_setup_is_idempotent_and_normalises_by_the_training_part() -> None:
    data = ready(Shapes(count=200, **PLAIN))
    store = data.sets["train"].source
    data.setup("fit")
    data.setup("test")
    assert data.sets["train"].source is store
    images, targets = everything(data, "train")
    assert images.mean().abs() < 1e-3
    assert (images.std() - 1).abs() < 1e-3
    assert images.dtype == torch.float32
    assert targets.dtype == torch.int64


def test_parts_taken_over_are_those_it_would_read(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, alone = (Digits(**{**PLAIN, "seed": seed, "augment": {"crop": 1}}) for seed in (0, 1, 1))
    ready(first), ready(alone)
    assert first.bytes == 64 * 1797
    monkeypatch.setattr(Digits, "read", None)
    second.take_over(first)
    assert second.spec == alone.spec
    assert second.splits == alone.splits
    for images, expected in zip(
        next(iter(second.train_dataloader())), next(iter(alone.train_dataloader())), strict=True
    ):
        assert images is expected is None or torch.equal(images, expected)
    assert first.sets["train"].source.shape[2:] == (8, 8), "the border for its crops is a copy"


def test_statistics_come_after_the_limit_or_from_the_user() -> None:
    small, large = ready(Shapes(count=200, **{**PLAIN, "limit": 8})), ready(Shapes(count=200, **PLAIN))
    assert small.spec.mean != large.spec.mean
    assert small.splits["train"] == 8
    assert [small.splits[part] for part in ("validation", "test")] == [40, 50]
    assert torch.equal(small.sets["validation"].source, large.sets["validation"].source)
    given = ready(Digits(**PLAIN, mean=[0.5], std=[0.25]))
    assert (given.spec.mean, given.spec.std) == ((0.5,), (0.25,))
    pixels = given.sets["test"].source.float() / 255
    assert torch.allclose(everything(given, "test")[0], (pixels - 0.5) / 0.25, atol=1e-6)


def test_statistics_are_exact() -> None:
    images = torch.randint(0, 256, (3000, 2, 5, 4), dtype=torch.uint8)
    mean, std = channel_statistics(images)
    values = images.double() / 255
    assert mean == pytest.approx(values.mean(dim=(0, 2, 3)).tolist(), abs=1e-12)
    assert std == pytest.approx(values.std(dim=(0, 2, 3), correction=0).tolist(), abs=1e-12)
    assert channel_statistics(images * 0) == ([0.0, 0.0], [1.0, 1.0])


def test_resize_keeps_the_middle() -> None:
    assert resize(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), 32).shape == (2, 1, 32, 32)
    wide = torch.zeros(1, 3, 10, 30, dtype=torch.uint8)
    wide[..., 10:20] = 200
    assert torch.equal(resize(wide, 10), wide[..., 10:20])
    flat = torch.full((1, 1, 28, 28), 77, dtype=torch.uint8)
    assert resize(flat, 9).eq(77).all()
    assert resize(flat, None) is flat


@pytest.mark.parametrize(("kind", "packed"), [(MNIST, False), (FashionMNIST, True), (KMNIST, True)])
def test_idx_files(tmp_path: Path, kind: type[MNIST], packed: bool) -> None:
    fake_mnist(tmp_path, kind.__name__, packed)
    data = ready(kind(**PLAIN, root=str(tmp_path)))
    assert {**data.splits, "fingerprint": ""} == {
        "train": 48,
        "validation": 12,
        "test": 20,
        "fingerprint": "",
    }
    assert data.spec.inputs == {"in_channels": 1, "image_size": (28, 28)}
    assert not members(data, "train") & members(data, "validation")
    assert ready(kind(**{**PLAIN, "size": 32}, root=str(tmp_path))).spec.height == 32


def test_idx_is_what_torchvision_reads(real: Callable[[str], Path]) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    root = real("MNIST").parent
    data = ready(MNIST(**{**PLAIN, "validation": 5000}, root=str(root)))
    theirs = datasets.MNIST(root, train=False)
    assert torch.equal(data.sets["test"].source[:, 0], theirs.data)
    assert data.sets["test"].labels.tolist() == theirs.targets.tolist()
    assert [data.splits[part] for part in ("train", "validation", "test")] == [55000, 5000, 10000]
    assert data.spec.mean[0] == pytest.approx(0.1307, abs=5e-4)
    assert data.spec.std[0] == pytest.approx(0.3081, abs=5e-4)


@pytest.mark.parametrize(("kind", "classes"), [(CIFAR10, 10), (CIFAR100, 100)])
def test_cifar_batches(tmp_path: Path, kind: type[CIFAR10], classes: int) -> None:
    fake_cifar(tmp_path, hundred=classes == 100, count=40 if classes == 10 else 300)
    data = ready(kind(**{**PLAIN, "validation": 20}, root=str(tmp_path)))
    assert data.spec.num_classes == classes
    assert data.spec.classes[3] == "class 3"
    assert data.spec.inputs == {"in_channels": 3, "image_size": (32, 32)}
    assert data.splits["validation"] == 20


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    fake_cifar(tmp_path)
    bad = tmp_path / "cifar-10-batches-py" / "data_batch_2"
    bad.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UserError, match=r"data_batch_2 cannot be read \(it wants to run os\.system\)"):
        ready(CIFAR10(**PLAIN, root=str(tmp_path)))
    bad.write_bytes(b"")
    with pytest.raises(UserError, match="data_batch_2 cannot be read"):
        ready(CIFAR10(**PLAIN, root=str(tmp_path)))


@pytest.mark.parametrize(
    ("kind", "file"), [(MNIST, "train-images-idx3-ubyte"), (CIFAR10, "data_batch_1"), (CIFAR100, "train")]
)
def test_missing_files_are_named(tmp_path: Path, kind: type[ImageData], file: str) -> None:
    with pytest.raises(UserError) as caught:
        kind(**PLAIN, root=str(tmp_path)).prepare_data()
    message = str(caught.value)
    assert file in message
    assert str(tmp_path) in message
    assert "digits and shapes need no network" in message
    assert "data.download=true" in message
    assert "\n" not in message


def test_a_failed_download_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: MNIST) -> None:
        raise RuntimeError("no route to host\nmore")

    monkeypatch.setattr(MNIST, "_download", fail)
    with pytest.raises(UserError, match=r"downloading failed \(no route to host\)"):
        MNIST(**PLAIN, root=str(tmp_path), download=True).prepare_data()


def test_download_is_made_once_by_two_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from threading import Thread

    calls = []

    def slow(self: MNIST) -> None:
        calls.append(1)
        fake_mnist(tmp_path)

    monkeypatch.setattr(MNIST, "_download", slow)
    both = [Thread(target=MNIST(**PLAIN, root=str(tmp_path), download=True).prepare_data) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert len(calls) == 1


def test_damaged_idx_files(tmp_path: Path) -> None:
    fake_mnist(tmp_path)
    labels = tmp_path / "MNIST/raw/train-labels-idx1-ubyte"
    whole = labels.read_bytes()
    for content, why in ((b"", "does not begin"), (whole[:-5], "holds 55 values where its header says 60")):
        labels.write_bytes(content)
        with pytest.raises(UserError, match=why):
            ready(MNIST(**PLAIN, root=str(tmp_path)))
    write_idx(labels, np.arange(60) % 11)
    with pytest.raises(UserError, match="label 10 in the train split is outside 0 to 9"):
        ready(MNIST(**PLAIN, root=str(tmp_path)))
    write_idx(labels, np.arange(60) % 9)
    with pytest.raises(UserError, match="class 9 has no training example"):
        ready(MNIST(**PLAIN, root=str(tmp_path)))
    write_idx(labels, np.zeros(59))
    with pytest.raises(UserError, match="do not belong together"):
        ready(MNIST(**PLAIN, root=str(tmp_path)))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("batch_size", 0, "data.batch_size=0"),
        ("batch_size", 2.5, "data.batch_size=2.5"),
        ("size", -1, "data.size=-1"),
        ("workers", -1, "data.workers=-1"),
        ("validation", 0, "data.validation=0"),
        ("limit", 0, "data.limit=0"),
        ("limit", 3, "leaves classes empty"),
        ("limit", 1000, "more than the 80"),
        ("validation", 100, "would take all"),
        ("validation", 98, "class .* has no training example"),
    ],
)
def test_values_that_cannot_be(key: str, value: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ready(Shapes(count=100, **{**PLAIN, key: value}))


def test_normalisation_that_cannot_be() -> None:
    for changed, message in (
        ({"mean": [0.1, 0.2]}, "has 2 values"),
        ({"std": [0.0]}, "above 0"),
        ({"std": 0}, "above 0"),
    ):
        with pytest.raises(UserError, match=message):
            ready(Digits(**PLAIN, **changed))


def test_a_number_normalises_the_one_channel() -> None:
    assert ready(Digits(**PLAIN, mean=0.25, std=0.5)).spec.mean == (0.25,)


def test_an_empty_part_is_refused() -> None:
    class Empty(Shapes):
        def read(self):  # type: ignore[no-untyped-def]
            classes, parts = super().read()
            return classes, {**parts, "test": ImageSplit(parts["test"].source[:0], parts["test"].labels[:0])}

    with pytest.raises(UserError, match="test split is empty"):
        ready(Empty(count=100, **PLAIN))


def on(data: ImageData, rank: int, world: int) -> ImageData:
    plain = SimpleNamespace(convert_input=lambda values: values)
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    data.trainer = SimpleNamespace(  # type: ignore[assignment]
        global_rank=rank, world_size=world, strategy=strategy, precision_plugin=plain
    )
    return data


def test_processes_take_equal_shares() -> None:
    data = ready(Shapes(count=100, **PLAIN))
    alone = [batch.targets for batch in data.train_dataloader()]
    shares = [[batch.targets for batch in on(data, rank, 2).train_dataloader()] for rank in range(2)]
    assert all(torch.equal(whole, torch.cat(parts)) for whole, *parts in zip(alone, *shares, strict=True))
    test = [batch.targets for rank in range(2) for batch in on(data, rank, 2).test_dataloader()]
    assert torch.cat(test).tolist() == data.sets["test"].labels.tolist()
    with pytest.raises(UserError, match=r"data\.batch_size=16 is the total over all processes and must divide by 3"):
        on(data, 0, 3).train_dataloader()
    mixed = ready(Shapes(count=100, **{**PLAIN, "batch_size": 6, "augment": {"mixup": 0.1}}))
    with pytest.raises(UserError, match="take a multiple of 4"):
        on(mixed, 0, 2).train_dataloader()


def test_loaders_in_a_trainer() -> None:
    """Epochs are honoured and inputs arrive in the precision's type."""
    import lightning.pytorch as pl

    class Watch(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(28 * 28, 4)
            self.seen: list[tuple[int, list[int], torch.dtype]] = []

        def training_step(self, batch, index):  # type: ignore[no-untyped-def]
            images, targets = batch
            self.seen.append((self.current_epoch, targets.argmax(dim=1).tolist(), images.dtype))
            return torch.nn.functional.cross_entropy(self.layer(images.flatten(1)), targets)

        def validation_step(self, batch, index):  # type: ignore[no-untyped-def]
            assert batch[0].dtype == torch.float64

        def configure_optimizers(self):  # type: ignore[no-untyped-def]
            return torch.optim.SGD(self.parameters(), lr=0.01)

    data = ready(Shapes(count=100, **{**PLAIN, "workers": 1, "augment": {"mixup": 0.1, "crop": 2}}))
    model = Watch()
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        precision="64-true",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(model, datamodule=data)
    epochs = [[labels for epoch, labels, _ in model.seen if epoch == number] for number in range(2)]
    assert len(epochs[0]) == len(epochs[1]) == 5
    assert epochs[0] != epochs[1]
    assert {dtype for _, _, dtype in model.seen} == {torch.float64}
