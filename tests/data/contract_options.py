"""The options of `data` that the contract is tested on: real files, small files made in the real formats, and none."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tests.data.conftest import fake_cifar, fake_mnist, save_image
from tests.data.masks.conftest import fake_pairs

# Options that are left out: why, and where their test is.
NOT_HERE = {
    "control": "a policy makes its batches: tests/tasks/test_control.py shares them among processes",
    "none": "the task brings its own loaders: tests/run/test_own_loaders.py",
}
REAL = Path(os.environ.get("EXPERIMENTS_DATA", "data"))
# Options that read real files, by the folder that must be there; then the words that name files where the option has no default.
REAL_FILES = {
    "ag_news": "ag_news_test", "bccd": "bccd", "camvid": "camvid_240x180", "coco": "coco_sample",
    "cola": "glue", "conll": "wnut17", "conllu": "ud_english_ewt", "en_hi": "en_hi", "ett": "ETT-small", "fsdd": "fsdd",
    "fsdd_strings": "fsdd", "gutenberg": "gutenberg", "hindi_text": "hindi_text", "hiner": "hiner", "hymenoptera": "hymenoptera_data",
    "isbi_membrane": "isbi_membrane", "librispeech": "librispeech_sample", "ljspeech": "ljspeech_lj001", "mnist": "MNIST",
    "penn_fudan": "penn_fudan_subset", "pneumoniamnist": "pneumoniamnist", "rt_polarity": "rt_polarity", "rte": "glue",
    "series_table": "series", "snli": "snli_validation", "squad": "squad", "stsb": "glue", "tatoeba": "en_hi",
    "text_file": "tinyshakespeare", "tinyshakespeare": "tinyshakespeare", "ud_english_ewt": "ud_english_ewt", "voc": "bccd",
    "wnut17": "wnut17", "yesno": "yesno",
}  # fmt: skip
WORDS = {
    "coco": [f"data.root={REAL}/coco_sample"],
    "conll": [f"data.path={REAL}/wnut17"],
    "conllu": [f"data.path={REAL}/ud_english_ewt"],
    "series_table": [f"data.path={REAL}/series/monthly-sunspots.csv"],
    "text_file": [f"data.path={REAL}/tinyshakespeare/input.txt"],
    "torchvision": [
        "data.name=FakeData",
        "data.options={size:200,num_classes:4,image_size:[3,16,16]}",
        "data.batch_size=16",
    ],
    "voc": [f"data.root={REAL}/bccd/BCCD", "data.bad_boxes=drop"],
}
# Further choices of keys that decide what a batch holds: the option, and the words.
VARIANTS = {
    "boxes, augmented": (
        "generated_boxes",
        ["data.augment.flip=true", "data.augment.crop=0.5", "data.augment.colour=0.5"],
    ),
    "images, augmented": ("digits", ["data.augment.crop=2", "data.augment.flip=true", "data.augment.rotation=10"]),
    "images, mixed": ("digits", ["data.augment.mixup=0.2", "data.augment.cutout=4"]),
    "masks, augmented": (
        "generated_masks",
        ["data.augment.flip=true", "data.augment.rotation=10", "data.augment.elastic=2"],
    ),
    "pairs, by tokens": ("generated_pairs", ["data.batch_size=64", "data.max_tokens=512"]),
    "sounds, augmented": ("generated_tones", ["data.augment.speed=0.1", "data.augment.noise=0.1"]),
    "texts, not bucketed": ("generated_homographs", ["data.bucket=false"]),
}
# Options in which an example comes again in another split, and why.
REPEATED = {
    "cola": "sentences that were published twice",
    "conllu": "sentences of a word or two",
    "delayed_recall": "eight symbols, each alone at the beginning of a silence",
    "generated_entities": "sentences of a few words",
    "generated_reviews": "sentences of a few words",
    "hiner": "sentences that were published twice",
    "parity": "up to ten bits",
    "pneumoniamnist": "photographs that were published twice",
    "sorting": "few digits",
    "stsb": "pairs that were published twice",
    "tatoeba": "sentences that differ in unknown words alone",
    "ud_english_ewt": "sentences of a word or two",
}


def words_of(number: int) -> str:
    """A sentence of its own for each number, of words that come often."""
    return " ".join(f"{place}{digit}" for place, digit in zip("abc", f"{number:03}", strict=True))


def table(folder: Path, line: Callable[[int], str], first: str) -> list[str]:
    (folder / "table.tsv").write_text("\n".join([first, *map(line, range(60))]) + "\n")
    return [f"data.path={folder}/table.tsv"]


def images(folder: Path) -> list[str]:
    rng = np.random.default_rng(0)
    from PIL import Image

    for split in ("train", "val", "test"):
        for name in ("ants", "bees"):
            for number in range(8):
                place = folder / split / name / f"{number}.png"
                place.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(place)
    return [f"data.root={folder}", "data.size=12"]


def digits_of_files(name: str) -> Callable[[Path], list[str]]:
    def made(folder: Path) -> list[str]:
        fake_mnist(folder, name)
        return [f"data.root={folder}", "data.batch_size=16", "data.validation=0.2"]

    return made


def cifar(hundred: bool) -> Callable[[Path], list[str]]:
    def made(folder: Path) -> list[str]:
        fake_cifar(folder, hundred, 400 if hundred else 40)
        return [f"data.root={folder}", "data.batch_size=16", "data.validation=0.5"]

    return made


def masks(folder: Path) -> list[str]:
    fake_pairs(folder / "images", folder / "masks", 16)
    return [f"data.root={folder}", "data.batch_size=4"]


def yolo(folder: Path) -> list[str]:
    for number in range(16):
        save_image(folder / "images" / f"{number}.png", size=(32, 24), value=number)
        (folder / "labels").mkdir(exist_ok=True)
        (folder / "labels" / f"{number}.txt").write_text(f"{number % 2} 0.5 0.5 0.{number + 10} 0.5\n")
    (folder / "classes.txt").write_text("ant\nbee\n")
    return [f"data.root={folder}", "data.batch_size=4"]


def sounds(folder: Path, label: Callable[[int], str]) -> Iterator[Path]:
    import soundfile

    rng = np.random.default_rng(0)
    for number in range(20):
        place = folder / label(number) / f"{number}.wav"
        place.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(place, rng.uniform(-1, 1, 800 + 40 * number), 8000)
        yield place


def sound_folder(folder: Path) -> list[str]:
    list(sounds(folder, lambda number: ("ants", "bees")[number % 2]))
    return [f"data.root={folder}", "data.batch_size=4"]


def manifest(folder: Path) -> list[str]:
    lines = [f"{place}\ta{'b' * number}" for number, place in enumerate(sounds(folder, lambda number: "clips"))]
    (folder / "table.tsv").write_text("\n".join(["path\ttext", *lines]) + "\n")
    return [f"data.path={folder}/table.tsv", "data.batch_size=4"]


def common_voice(folder: Path) -> list[str]:
    import soundfile

    rng = np.random.default_rng(0)
    (folder / "clips").mkdir()
    for split, count in (("train", 12), ("dev", 4), ("test", 4)):
        for number in range(count):
            soundfile.write(folder / "clips" / f"{split}{number}.wav", rng.uniform(-1, 1, 800), 8000)
        lines = [f"id\t{split}{number}.wav\ta{'b' * number}\t2" for number in range(count)]
        (folder / f"{split}.tsv").write_text("\n".join(["client_id\tpath\tsentence\tup_votes", *lines]) + "\n")
    return [f"data.root={folder}", "data.batch_size=4"]


def sst2(folder: Path) -> list[str]:
    (folder / "SST-2").mkdir()
    for split, first in (("train", 0), ("dev", 40)):
        lines = [f"{words_of(first + number)}\t{number % 2}" for number in range(40)]
        (folder / "SST-2" / f"{split}.tsv").write_text("\n".join(["sentence\tlabel", *lines]) + "\n")
    return [f"data.root={folder}"]


def imdb(folder: Path) -> list[str]:
    for number in range(120):
        place = folder / "aclImdb" / ("train", "test")[number // 60] / ("neg", "pos")[number % 2] / f"{number}_7.txt"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(words_of(number))
    return [f"data.root={folder}"]


def texts_in_parquet(folder: Path) -> list[str]:
    import pandas

    rows = {"text": [words_of(number) for number in range(60)], "label": [number % 2 for number in range(60)]}
    pandas.DataFrame(rows).to_parquet(folder / "texts.parquet")
    return [f"data.path={folder}/texts.parquet"]


def coco_masks(folder: Path) -> list[str]:
    numbers = range(1, 13)
    content = {
        "images": [{"id": n, "file_name": f"{n}.png", "height": 24, "width": 32} for n in numbers],
        "categories": [{"id": 1, "name": "ant"}],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "segmentation": [[2, 2, 2 + n, 2, 2 + n, 9, 2, 9]], "area": 7 * n, "iscrowd": 0}
            for n in numbers
        ],
    }  # fmt: skip
    (folder / "instances.json").write_text(json.dumps(content))
    for number in numbers:
        save_image(folder / "images" / f"{number}.png", size=(32, 24), value=10 * number)
    return [f"data.root={folder}", "data.batch_size=4"]


def voc_masks(folder: Path) -> list[str]:
    root = folder / "VOCdevkit" / "VOC2012"
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    for split, numbers in (("train", range(10)), ("val", range(10, 16))):
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("".join(f"{n}\n" for n in numbers))
        for number in numbers:
            save_image(root / "JPEGImages" / f"{number}.jpg", size=(32, 24), value=10 * number)
            save_image(root / "SegmentationClass" / f"{number}.png", "P", size=(32, 24), value=number % 3)
    return [f"data.root={folder}", "data.batch_size=4"]


# Options of small files in the real formats, made here: a function that writes them and returns the words that name them.
MADE: dict[str, Callable[[Path], list[str]]] = {
    "audio_folder": sound_folder,
    "cifar10": cifar(False),
    "cifar100": cifar(True),
    "coco_masks": coco_masks,
    "common_voice": common_voice,
    "fashion_mnist": digits_of_files("FashionMNIST"),
    "huggingface": lambda folder: [f"data.path={folder}", *images(folder)[1:]],
    "huggingface_text": texts_in_parquet,
    "image_folder": images,
    "imdb": imdb,
    "kmnist": digits_of_files("KMNIST"),
    "mask_folder": masks,
    "pairs": lambda folder: table(folder, lambda n: f"{words_of(n)}\tder {words_of(n)}", "en\tde"),
    "sentence_pairs": lambda folder: table(folder, lambda n: f"{words_of(n)}\tthe {words_of(n)}", "first\tsecond"),
    "speech_manifest": manifest,
    "sst2": sst2,
    "text_table": lambda folder: table(folder, lambda n: f"{words_of(n)}\t{('yes', 'no')[n % 2]}", "text\tlabel"),
    "voc_masks": voc_masks,
    "yolo": yolo,
}
HEAVY = {*REAL_FILES, "audio_folder", "cifar100", "image_folder"}  # over a second of CPU
