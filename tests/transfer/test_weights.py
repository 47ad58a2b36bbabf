"""First values from elsewhere: what loads, under which names, and what is said where something does not."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from experiments.config.compose import compose
from experiments.config.options import option_files
from experiments.config.preprocessing import KEYS, take_over
from experiments.errors import UserError
from experiments.models.cifar_resnet import CifarResNet
from experiments.models.resnet import ResNet
from experiments.models.squeezenet import SqueezeNet
from experiments.run.instantiate import make
from experiments.spec import ImageSpec
from experiments.transfer.weight_files import read_state_dict
from experiments.transfer.weights import load_weights

CIFAR = ["data.mean=[0.485,0.456,0.406]", "data.std=[0.229,0.224,0.225]"]


def same(state: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return state.keys() == other.keys() and all(torch.equal(state[key], other[key]) for key in state)


def written(folder: Path, state: dict[str, Tensor], form: str) -> Path:
    """The state dict in a file, in one of the forms in which weights come."""
    path = folder / f"weights.{'safetensors' if form == 'safetensors' else 'pt'}"
    if form == "safetensors":
        from safetensors.torch import save_file

        save_file(state, path)
        return path
    content: object = state
    if form == "lightning":
        content = {"state_dict": {f"model.{key}": value for key, value in state.items()}, "epoch": 3}
    elif form == "data parallel":
        content = {"state_dict": {f"module.{key}": value for key, value in state.items()}, "best": 91.7}
    torch.save(content, path)
    return path


@pytest.mark.parametrize("form", ["plain", "lightning", "data parallel", "safetensors"])
def test_forms_of_files(tmp_path: Path, form: str) -> None:
    source, target = (CifarResNet(depth=8) for _ in range(2))
    assert not same(source.state_dict(), target.state_dict())
    load_weights(target, str(written(tmp_path, source.state_dict(), form)), "resnet8")
    assert same(source.state_dict(), target.state_dict())


def test_names_of_the_library(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    library, ours = resnet18(num_classes=10).eval(), ResNet(num_classes=10).eval()
    load_weights(ours, str(written(tmp_path, library.state_dict(), "plain")), "resnet18")
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(ours(images), library(images))


def test_another_number_of_classes_leaves_the_head_alone(tmp_path: Path) -> None:
    source, target = SqueezeNet(num_classes=5), SqueezeNet(num_classes=2)
    head = target.head[1].weight.clone()
    path = written(tmp_path, source.state_dict(), "plain")
    load_weights(target, str(path), "squeezenet1_0")
    assert torch.equal(target.head[1].weight, head)
    assert same(source.stem.state_dict(), target.stem.state_dict())
    with pytest.raises(UserError, match=r"head for 5 classes and the data has 2.*train it first"):
        load_weights(target, str(path), "squeezenet1_0", with_head=True)
    with pytest.raises(UserError, match="is of another model than resnet8"):
        load_weights(CifarResNet(depth=8), str(path), "resnet8", with_head=True)


@pytest.mark.slow
def test_grey_images_get_the_sum_over_colours(tmp_path: Path) -> None:
    colour, grey = ResNet(num_classes=3).eval(), ResNet(in_channels=1, num_classes=3).eval()
    load_weights(grey, str(written(tmp_path, colour.state_dict(), "plain")), "resnet18")
    images = torch.randn(1, 1, 64, 64)
    assert torch.allclose(grey(images), colour(images.expand(-1, 3, -1, -1)), atol=1e-4)
    back = ResNet(num_classes=3).eval()
    load_weights(back, str(written(tmp_path, grey.state_dict(), "plain")), "resnet18")
    assert torch.allclose(grey(images), back(images.expand(-1, 3, -1, -1)), atol=1e-4)


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({"stem.conv1.weight": torch.zeros(1)}, ["lacks", "and ", "choose the model"]),
        (CifarResNet(depth=14).state_dict(), ["has besides", "layer1.1.bn1.bias"]),
        (
            {
                key: value / 0 if key == "layer2.0.conv1.weight" else value
                for key, value in CifarResNet(depth=8).state_dict().items()
            },
            ["not finite", "layer2.0.conv1.weight"],
        ),
        ({}, ["holds no state dict"]),
        ({"a": 1}, ["holds no state dict"]),
        ({"model_ema": {"a": 1}, "epoch": torch.zeros(1)}, ["holds no state dict (it holds model_ema, epoch)"]),
    ],
)
def test_what_does_not_fit(tmp_path: Path, state: dict[str, Tensor], sentence: list[str]) -> None:
    path = tmp_path / "weights.pt"
    torch.save(state, path)
    with pytest.raises(UserError) as caught:
        load_weights(CifarResNet(depth=8), str(path), "resnet8")
    assert all(part in str(caught.value) for part in sentence), caught.value


def test_files_with_code_and_of_other_kinds_are_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(1, 1), tmp_path / "model.pt")
    with pytest.raises(
        UserError, match=r"cannot be read \(it holds torch.nn.*Linear, .*not run here\): save.*state_dict"
    ):
        read_state_dict(tmp_path / "model.pt")
    (tmp_path / "half.pt").write_bytes((tmp_path / "model.pt").read_bytes()[:-100])
    for name, content in (
        ("page.md", "# About"),
        ("table.csv", "epoch,loss"),
        ("w.safetensors", "{"),
        ("empty.pt", ""),
    ):
        (tmp_path / name).write_text(content)
    for name in ("half.pt", "page.md", "table.csv", "w.safetensors", "empty.pt"):
        with pytest.raises(UserError, match=r"cannot be read \(it is no file of weights, or damaged\): give "):
            read_state_dict(tmp_path / name)


def test_folders_without_a_best_checkpoint(experiments, tmp_path: Path) -> None:
    for name in ("run/checkpoints/last.ckpt", "other/checkpoints/best.ckpt", "photos/one.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    for folder, cure in (
        ("run", "give run/checkpoints/last.ckpt,"),
        ("other/checkpoints", "give other/checkpoints/best.ckpt,"),
        ("photos", "give a run's folder"),
    ):
        with pytest.raises(UserError, match=f"{folder} holds no checkpoints/best.ckpt: {cure}"):
            read_state_dict(Path(folder), f"weights={folder}")


def test_published_weights_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file lies in the library's cache nothing is fetched; where it does not, one sentence says where it goes."""
    from torchvision.models import squeezenet1_0

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", _offline(tmp_path))
    published = {"weights": "SqueezeNet1_0_Weights.IMAGENET1K_V1"}
    model = SqueezeNet()
    with pytest.raises(UserError) as caught:
        load_weights(model, "pretrained", "squeezenet1_0", published)
    assert "squeezenet1_0-b66bff10.pth" in str(caught.value)
    assert str(tmp_path / "checkpoints") in str(caught.value)
    library = squeezenet1_0()
    (tmp_path / "checkpoints").mkdir()
    torch.save(library.state_dict(), tmp_path / "checkpoints" / "squeezenet1_0-b66bff10.pth")
    load_weights(model, "pretrained", "squeezenet1_0", published)
    assert torch.equal(model.head[1].weight, library.classifier[1].weight)


def _offline(folder: Path):
    """The library's loader where there is no network."""

    def load(url: str, **options: object) -> dict[str, Tensor]:
        path = folder / "checkpoints" / Path(url).name
        if not path.exists():
            raise OSError("Name or service not known")
        return torch.load(path, weights_only=True)

    return load


@pytest.mark.parametrize("name", [name for name in sorted(option_files("model")) if "pretrained" in option_files("model")[name].read_text()])  # fmt: skip
def test_stated_preprocessing_is_the_library_s(name: str) -> None:
    from experiments.transfer.published import expected_images

    model = compose([f"model={name}"], whole=False).model
    stated = model.pretrained
    if model.get("makes") not in (None, "classes"):
        pytest.skip("published for another task than classes of images: the tests of these networks hold it")
    if "size" not in stated:
        pytest.skip("the library says it at run time")
    by_key = {key: stated.get(key, "bilinear") for key in KEYS}
    assert by_key == expected_images(stated)


@pytest.mark.parametrize(
    "words",
    [
        ["model=timm", "model.name=convnext_atto"],
        ["model=inception_v4"],
        ["model=torchvision", "model.name=convnext_tiny"],
        ["model=resnet18"],
    ],
)
def test_new_images_are_made_as_the_library_makes_them(words: list[str]) -> None:
    """Bicubic where the weights were trained so; nothing of a network is fetched."""
    from experiments.transfer.published import expected_images, torchvision_weights

    config = compose([*words, "weights=pretrained", "data=image_folder", "data.root=photos"])
    published = config.model.pretrained
    take_over(config.data, expected_images(published))
    data = make(config.data)
    colours = np.random.default_rng(0).integers(0, 256, (2 * data.short // 8, 2 * data.short // 8, 3), np.uint8)
    photo = Image.fromarray(colours).resize((2 * data.short, 2 * data.short))  # halved, the cut falls on whole pixels
    if published.get("library") == "timm":
        from timm.data import create_transform, resolve_model_data_config  # type: ignore[import-untyped]
        from timm.models import get_pretrained_cfg  # type: ignore[import-untyped]

        stated = resolve_model_data_config(None, pretrained_cfg=get_pretrained_cfg(published["name"]).to_dict())
        theirs = create_transform(**stated)(photo)
    else:
        theirs = torchvision_weights(published).transforms()(photo)
    mean, std = config.data.mean, config.data.std
    data.spec = ImageSpec(3, data.size, data.size, ("a", "b"), tuple(mean), tuple(std))
    levels = 255 * torch.tensor(list(std))[:, None, None]
    apart = {}
    for data.interpolation in ("bilinear", "bicubic"):
        apart[data.interpolation] = float(((data.prepare([photo])[0] - theirs) * levels).abs().max())
    expected = config.data.interpolation
    assert apart.pop(expected) < 1.01, expected
    assert min(apart.values()) > 5


def test_the_data_takes_over_what_the_weights_expect() -> None:
    words = ["model=squeezenet1_0", "data=image_folder", "data.root=photos"]
    data = compose([*words, "weights=pretrained"]).data
    assert (data.size, data.resize, data.mean, data.std) == (224, 256, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    given = compose([*words, "weights=pretrained", "data.size=112", "data.mean=[0.5,0.5,0.5]"]).data
    assert (given.size, given.resize, given.mean) == (112, 128, [0.5, 0.5, 0.5])
    grey = compose(["model=squeezenet1_0", "data=mnist", "weights=pretrained"]).data
    assert grey.size == 224
    assert len(grey.mean) == len(grey.std) == 1
    assert compose(words).data.mean is None


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "file", "accuracy"), [(20, "12fca82f", 0.915), (32, "d509ac18", 0.928)])
def test_published_cifar_weights(experiments, real_data: Path, depth: int, file: str, accuracy: float) -> None:
    words = [f"model=resnet{depth}", f"weights={real_data}/weights/resnet{depth}-{file}.th", "trainer.accelerator=cpu"]
    code, output, errors = experiments(
        "evaluate", *words, *CIFAR, "data=image_folder", f"data.root={real_data}/cifar10_subset"
    )
    assert code == 0, errors
    shown = dict(line.split() for line in output.splitlines())
    assert float(shown["test/accuracy"]) == accuracy


@pytest.mark.slow
def test_published_imagenet_weights_name_photographs(experiments, real_data: Path) -> None:
    weights = f"weights={real_data}/weights/squeezenet1_0_imagenet.pt"
    photos = real_data / "imagenet_sample"
    code, output, errors = experiments(
        "predict", "model=squeezenet1_0", weights, str(photos), "--top", "5", "--format", "csv"
    )
    assert code == 0, errors
    rows = list(csv.DictReader(io.StringIO(output)))

    def plain(text: str) -> str:
        return re.sub("[^a-z]", "", text.lower())

    right = {rank: [plain(row["class"]) == plain(Path(row["image"]).stem.split("_", 1)[1]) for row in rows if row["rank"] in rank] for rank in ("1", "12345")}  # fmt: skip
    assert len(right["1"]) == 50
    assert sum(right["1"]) / 50 > 0.55
    assert sum(right["12345"]) / 50 > 0.75


def test_evaluate_and_predict_without_weights_say_what_is_missing(experiments, tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save("photo.png")
    Path("own.pt").touch()
    for words, sentence in (
        (["evaluate", "model=resnet20"], "needs a run"),
        (["predict", "model=lenet5", "weights=pretrained", "photo.png"], "says no classes"),
        (
            ["predict", "model=resnet20", "weights=own.pt", "photo.png"],
            f"names the classes of weights={tmp_path / 'own.pt'}: train a run",
        ),
    ):
        code, _, errors = experiments(*words)
        assert code == 2
        assert sentence in errors
        assert len(errors.splitlines()) == 1


def test_the_head_is_matched_by_the_names_of_classes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def network() -> CifarResNet:
        return CifarResNet(depth=20, in_channels=3, image_size=(8, 8), num_classes=3)

    source, path = network(), None
    path = written(tmp_path, source.state_dict(), "plain")
    name = next(key for key, value in source.state_dict().items() if key.startswith("head.") and value.ndim == 2)
    model, before = network(), network().state_dict()
    load_weights(model, str(path), "resnet20", names=["b", "c", "a"], trained_names=["a", "b", "c"])
    assert torch.equal(model.state_dict()[name], source.state_dict()[name][[1, 2, 0]])
    model.load_state_dict(before)
    load_weights(model, str(path), "resnet20", names=["a", "b", "d"], trained_names=["a", "b", "c"])
    assert torch.equal(model.state_dict()[name], before[name]) and "does not know the classes d" in caplog.text
    with pytest.raises(UserError, match="does not know the classes d"):
        load_weights(model, str(path), "resnet20", None, True, ["a", "b", "d"], ["a", "b", "c"])


def test_columns_and_languages_are_never_met_by_position() -> None:
    from experiments.run.names_of_data import require_names
    from experiments.spec import SeriesSpec

    def spec(*columns: str) -> SeriesSpec:
        return SeriesSpec(columns, 4, 2, 1, (0.0,) * len(columns), (1.0,) * len(columns), (1.0,) * len(columns))

    require_names(spec("a", "b"), spec("a", "b"), "data=x", "the run")
    with pytest.raises(UserError, match=r"columns in another order \(b, a\) than the run \(a, b\)"):
        require_names(spec("b", "a"), spec("a", "b"), "data=x", "the run")
    with pytest.raises(UserError, match=r"columns that the run does not know \(c\); it knows a, b"):
        require_names(spec("a", "c"), spec("a", "b"), "data=x", "the run")
