"""The classification datasets of `torchvision.datasets`, by name, from the files that torchvision reads."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from experiments.data.common.published_files import OFFLINE, data_root
from experiments.data.images.image_data import ImageData
from experiments.data.images.image_files import decode
from experiments.data.images.image_store import ImageSplit
from experiments.errors import UserError, first_line, unknown

# Keywords that give a dataset's splits; a split that is not there is held out from the training images.
_BY_TRAIN = {"train": {"train": True}, "test": {"train": False}}
_BY_SPLIT = {"train": {"split": "train"}, "test": {"split": "test"}}
_BY_THREE = _BY_SPLIT | {"validation": {"split": "val"}}
_WHOLE: dict[str, dict[str, Any]] = {"train": {}}
SPLITS: dict[str, dict[str, dict[str, Any]]] = (
    dict.fromkeys(("CIFAR10", "CIFAR100", "EMNIST", "FashionMNIST", "KMNIST", "MNIST", "QMNIST", "USPS"), _BY_TRAIN)
    | dict.fromkeys(("FER2013", "Food101", "GTSRB", "STL10", "StanfordCars", "SVHN"), _BY_SPLIT)
    | dict.fromkeys(("DTD", "FGVCAircraft", "Flowers102", "PCAM", "RenderedSST2"), _BY_THREE)
    | dict.fromkeys(("Caltech101", "Caltech256", "EuroSAT", "FakeData", "SEMEION", "SUN397"), _WHOLE)
    | {
        "Country211": _BY_SPLIT | {"validation": {"split": "valid"}},
        "Imagenette": {"train": {"split": "train"}, "test": {"split": "val"}},
        "OxfordIIITPet": {"train": {"split": "trainval"}, "test": {"split": "test"}},
    }
)
_CALLED = {"EMNIST": {"split": "balanced"}}  # keywords without a default
GIGABYTES = 8.0  # of decoded images in memory, above which the set is refused


class TorchvisionSet(ImageData):
    """Images in memory with one label each, (1, H, W) where the first is grey, else (3, H, W).

    Args:
        name: of the class in `torchvision.datasets`.
        options: further keywords of that class, such as `{split: letters}` of EMNIST.
        test: share or count held out from the training images where the set has no test split.
        rest: the keys of `ImageData`.

    Raises:
        UserError: the name is none of these, or a keyword is not taken.
    """

    def __init__(self, *, name: str, options: Mapping[str, Any] | None, test: float, **rest: Any) -> None:
        from torchvision import datasets  # type: ignore[import-untyped]

        super().__init__(**rest)
        if name not in SPLITS:
            other = " (its examples are no images with one label each)" if hasattr(datasets, name) else ""
            raise UserError(
                unknown(f"data.name={name}", f"no classification dataset of torchvision{other}", name, list(SPLITS))
            )
        self.name, self.kind, self.test = f"torchvision ({name})", name, test
        self._class = getattr(datasets, name)
        self.options = _CALLED.get(name, {}) | dict(options or {})
        taken = self._keywords()
        for key in self.options:
            if key not in taken:
                raise UserError(
                    unknown(f"data.options.{key}", f"no keyword of torchvision.datasets.{name}", key, taken)
                )

    def _keywords(self) -> list[str]:
        """Return what the class takes, with what it hands on to a class above it."""
        accepted: dict[str, Any] = {}
        for base in self._class.__mro__:
            if "__init__" in vars(base):
                parameters = inspect.signature(base.__init__).parameters
                accepted |= parameters
                if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
                    break
        return [
            key for key, parameter in accepted.items() if key != "self" and parameter.kind is not parameter.VAR_KEYWORD
        ]

    def fetch(self) -> None:
        if self.download:
            self._open({}, download=True)

    def held_out(self) -> dict[str, float]:
        return {"validation": self.validation, "test": self.test}

    def read(self) -> tuple[tuple[str, ...], dict[str, ImageSplit]]:
        by_split, names = {}, None
        for split, keywords in SPLITS[self.kind].items():
            opened = self._open(keywords)
            by_split[split] = images_of(self.name, len(opened), opened, self.size)
            names = names or getattr(opened, "classes", None)
        last = max(int(split.labels.max()) for split in by_split.values())
        named = [" ".join(name) if isinstance(name, (tuple, list)) else str(name) for name in names or ()]
        if not last < len(named) or len(set(named)) < len(named):
            named = [str(number) for number in range(last + 1)]
        return tuple(named), by_split

    def _open(self, keywords: Mapping[str, Any], download: bool = False) -> Any:
        taken = self._keywords()
        every = dict(keywords) | self.options
        if "download" in taken:
            every["download"] = download
        if "root" in taken:
            every["root"] = str(data_root("torchvision", self.root))
        try:
            return self._class(**every)
        except (OSError, RuntimeError, ValueError, ModuleNotFoundError) as error:
            cure = "" if self.download else "; data.download=true fetches it where torchvision can"
            raise UserError(
                f"data=torchvision data.name={self.kind}: torchvision cannot read it from {every.get('root')} "
                f"({first_line(error)}){cure}, while {OFFLINE}."
            ) from error


def images_of(name: str, count: int, examples: Iterable[tuple[Any, Any]], size: int | None) -> ImageSplit:
    """Decoded images and labels of a split.

    Args:
        name: of the dataset, for messages.
        count: of examples.
        examples: a Pillow image and an index of a class each.
        size: side that they are brought to; None keeps the first one's, which all must have.

    Raises:
        UserError: when sizes differ, a label is no index, or all together do not fit into memory.
    """
    images: np.ndarray | None = None
    labels = np.empty(count, np.int64)
    place = -1
    for place, (image, label) in enumerate(examples):
        if isinstance(label, (list, tuple)) or not float(label).is_integer():
            raise UserError(
                f"{name}: label {label} of example {place} is no class: choose a set with one label an image"
            )
        if images is None:
            height, width = (size, size) if size else image.size[::-1]
            shape = (count, 1 if image.mode in ("1", "L", "I", "I;16", "F") else 3, height, width)
            if (needed := np.prod(shape, dtype=float) / 1e9) > GIGABYTES:
                raise UserError(
                    f"{name}: {count:,} images of {height} × {width} take {needed:.0f} GB, and {GIGABYTES:g} is the limit: set a "
                    "smaller data.size, or unpack them for data=image_folder"
                )
            images = np.empty(shape, np.uint8)
        if size is None and image.size[::-1] != images.shape[2:]:
            raise UserError(
                f"{name}: example {place} has {image.size[1]} × {image.size[0]} pixels and others {images.shape[2]} × "
                f"{images.shape[3]}; set data.size, such as data.size=64."
            )
        images[place] = decode(image, images.shape[2:], images.shape[1] == 1)  # type: ignore[arg-type]
        labels[place] = int(label)
        if place + 1 == count:  # some sets have no end of their own
            break
    if images is None:
        raise UserError(f"{name}: a split is empty, and needs at least one example.")
    return ImageSplit(images[: place + 1], labels[: place + 1])
