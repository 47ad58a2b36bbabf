"""Datasets with masks: layouts, values, sizes, parts, and what is refused."""

from __future__ import annotations

import json
import logging
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.data.common.coco_outlines import decoded, run_lengths
from experiments.data.masks.border_weights import border_weights
from experiments.data.masks.camvid import CamVid
from experiments.data.masks.coco_masks import CocoMasks
from experiments.data.masks.generated_masks import GeneratedMasks
from experiments.data.masks.isbi_membrane import IsbiMembrane
from experiments.data.masks.mask_data import MaskData
from experiments.data.masks.mask_folder import MaskFolder
from experiments.data.masks.voc_masks import VocMasks
from experiments.errors import UserError
from tests.data.masks.conftest import MASKS, fake_camvid, fake_pairs, save


def ready(kind: type[MaskData], root: Path | str | None = None, **changed: Any) -> Any:
    data = kind(**{**MASKS, "root": str(root) if root else None, **changed})
    data.prepare_data()
    data.setup()
    return data


def red(images: torch.Tensor, spec: Any) -> torch.Tensor:
    """The first channel as it was in the file."""
    return ((images[:, 0] * spec.std[0] + spec.mean[0]) * 255).round()


@pytest.mark.parametrize(
    "layout", [("images", "masks"), ("img", "labels"), ("train/images", "train/masks"), ("images/train", "masks/train")]
)
def test_layouts_of_folders(tmp_path: Path, layout: tuple[str, str]) -> None:
    fake_pairs(tmp_path / layout[0], tmp_path / layout[1], 10)
    data = ready(MaskFolder, tmp_path)
    assert data.splits["train"] == 6 and data.splits["validation"] == data.splits["test"] == 2
    assert data.spec.classes == ("0", "1", "2")
    assert data.spec.inputs == {"in_channels": 3, "image_size": (12, 16)}
    for part in ("train", "validation", "test"):
        images, masks = data.sample(part, 2)
        assert torch.equal(red(images, data.spec), masks * 40)
    names = [name for part in ("train", "validation", "test") for name in data.names(part, range(data.splits[part]))]
    assert len(set(names)) == 10


def test_images_of_twelve_bits_are_not_black(tmp_path: Path) -> None:
    fake_pairs(tmp_path / "images", tmp_path / "masks", 10)
    for path in (tmp_path / "images").iterdir():
        save(path, np.asarray(Image.open(path))[..., 0].astype(np.uint16) * 16 + 2000)
    data = ready(MaskFolder, tmp_path)
    assert data.spec.bits == 12
    images, masks = data.sample("train", 2)
    assert torch.equal(red(images, data.spec), 125 + masks * 40)
    assert torch.equal(data.prepare([path])[0, 0], next(data.photographs([path])).values[0, 0])
    assert red(data.prepare([path]), data.spec).min() == 125


def test_parts_of_their_own(tmp_path: Path) -> None:
    for part, count in (("train", 5), ("val", 3), ("test", 4)):
        fake_pairs(tmp_path / part / "images", tmp_path / part / "masks", count)
    data = ready(MaskFolder, tmp_path, limit=3, classes=["sky", "road", "tree"])
    assert [data.splits[part] for part in ("train", "validation", "test")] == [3, 3, 4]
    assert data.spec.classes == ("sky", "road", "tree")
    with pytest.raises(UserError, match=r"data\.limit=9 is more than the 5"):
        ready(MaskFolder, tmp_path, limit=9)


@pytest.mark.parametrize("layout", [("{}/images", "{}/masks"), ("images/{}", "masks/{}")])
def test_parts_by_other_usual_names(tmp_path: Path, layout: tuple[str, str]) -> None:
    """Never all of it as the training split; what a system leaves behind is no mask."""
    for name, count in (("Training", 4), ("VALID", 3), ("Test", 2)):
        images, masks = (tmp_path / part.format(name) for part in layout)
        fake_pairs(images, masks, count)
        (masks / "._frame_00.png").write_bytes(b"\0\5\x16\7")
    data = MaskFolder(root=str(tmp_path), **MASKS)
    data.setup()
    assert [data.splits[part] for part in ("train", "validation", "test")] == [4, 3, 2]


def test_camvid(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fake_camvid(tmp_path)
    data = ready(CamVid, tmp_path)
    assert [data.splits[part] for part in ("train", "validation", "test")] == [6, 6, 6]
    assert len(data.spec.classes) == 11 and data.spec.classes[3] == "road"
    _, masks = data.sample("test", 6)
    assert set(masks.unique().tolist()) == {*range(11), 255}
    assert len(data.class_counts) == 11 and sum(data.class_counts) == int(
        (data.by_split["train"].stored[1] != 255).sum()
    )
    for folder in ("test", "testannot"):
        for file in (tmp_path / folder).iterdir():
            file.unlink()
        (tmp_path / folder).rmdir()
    with caplog.at_level(logging.WARNING):
        data = ready(CamVid, tmp_path, validation=2)
    assert "val is the test split" in caplog.text
    assert [data.splits[part] for part in ("train", "validation", "test")] == [4, 2, 6]
    assert data.names("validation", [0, 1]) == ["frame_04.png", "frame_05.png"]  # the end of the drive


@pytest.mark.slow
def test_real_sets(real: Callable[[str], Path]) -> None:
    camvid = ready(CamVid, real("camvid_240x180"), limit=4, validation=4)
    assert camvid.splits["test"] == 101 and camvid.spec.inputs["image_size"] == (180, 240)
    isbi = ready(IsbiMembrane, real("isbi_membrane"), grey=True, validation=3)
    assert [isbi.splits[part] for part in ("train", "validation", "test")] == [21, 3, 6]
    assert isbi.spec.channels == 1 and isbi.spec.classes == ("membrane", "cell")
    share = isbi.class_counts[0] / sum(isbi.class_counts)
    assert 0.15 < share < 0.3  # of membranes
    with pytest.raises(UserError, match="no outline"):  # it has boxes alone
        ready(CocoMasks, real("coco_sample"), size=64)


def test_voc(tmp_path: Path) -> None:
    root = tmp_path / "VOCdevkit" / "VOC2012"
    table = [0, 0, 0, 128, 0, 0, 0, 128, 0] + [0] * 759
    lists = {"train": ["a", "b", "c", "d", "e"], "val": ["f", "g"]}
    for names in lists.values():
        for name in names:
            save(root / "JPEGImages" / f"{name}.jpg", np.full((20, 24, 3), 90, np.uint8))
            mask = Image.fromarray(np.random.default_rng(0).choice(np.array([0, 1, 2, 255], np.uint8), (20, 24)), "P")
            mask.putpalette(table)
            (root / "SegmentationClass").mkdir(exist_ok=True)
            mask.save(root / "SegmentationClass" / f"{name}.png")
    folder = root / "ImageSets" / "Segmentation"
    folder.mkdir(parents=True)
    for part, names in lists.items():
        (folder / f"{part}.txt").write_text("\n".join(names) + "\n")
    data = ready(VocMasks, tmp_path, year=2012)
    assert [data.splits[part] for part in ("train", "validation", "test")] == [4, 1, 2]
    assert data.spec.classes[15] == "person" and data.spec.colours[:3] == ("#000000", "#800000", "#008000")
    assert set(data.sample("test", 2)[1].unique().tolist()) == {0, 1, 2, 255}
    (folder / "train.txt").write_text("a\nzebra\n")
    with pytest.raises(UserError, match=r"names zebra and .*zebra\.jpg is missing"):
        ready(VocMasks, tmp_path, year=2012)


def indexed_png(values: np.ndarray, palette: bytes) -> bytes:
    """A PNG file with indices beyond its palette, which Pillow does not write."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 8, 3, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    chunks = [(b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def test_an_index_without_a_colour_is_refused(tmp_path: Path) -> None:
    """Masks of indices read by colours: a short palette names fewer than 256."""
    for number in range(10):
        save(tmp_path / "images" / f"{number}.png", np.full((8, 8, 3), 90, np.uint8))
        values = np.arange(64, dtype=np.uint8).reshape(8, 8) % (4 if number == 3 else 2)
        (tmp_path / "masks").mkdir(exist_ok=True)
        (tmp_path / "masks" / f"{number}.png").write_bytes(indexed_png(values, bytes([0, 0, 0, 255, 0, 0])))
    colours = {"ground": "#000000", "thing": "#ff0000"}
    with pytest.raises(UserError, match=r"3\.png has 32 pixels of the index 2, and its palette has 2 colours"):
        ready(MaskFolder, tmp_path, size=8, colours=colours)
    assert ready(MaskFolder, tmp_path, size=8, classes=["a", "b", "c", "d"], colours=None).spec.classes[3] == "d"


def coco_file(root: Path, **changed: Any) -> None:
    images = [{"id": 10 * n, "file_name": f"{n}.png", "height": 20, "width": 30} for n in range(1, 6)]
    square = [[5, 5, 15, 5, 15, 15, 5, 15]]
    annotations = [
        {"id": n, "image_id": 10 * n, "category_id": 3, "segmentation": square, "area": 100, "iscrowd": 0}
        for n in range(1, 6)
    ]
    inner = [[8, 8, 12, 8, 12, 12, 8, 12]]
    annotations.append({"id": 7, "image_id": 10, "category_id": 9, "segmentation": inner, "area": 16, "iscrowd": 0})
    crowd = {"size": [20, 30], "counts": [0, 40, 560]}
    annotations.append({"id": 8, "image_id": 20, "category_id": 3, "segmentation": crowd, "area": 40, "iscrowd": 1})
    content: dict[str, Any] = {
        "images": images, "annotations": annotations, "categories": [{"id": 9, "name": "cat"}, {"id": 3, "name": "dog"}]
    } | changed  # fmt: skip
    root.mkdir(exist_ok=True)
    (root / "instances.json").write_text(json.dumps(content))
    for number in range(1, 6):
        save(root / "images" / f"{number}.png", np.full((20, 30, 3), 40 * number, np.uint8))


def test_coco(tmp_path: Path) -> None:
    coco_file(tmp_path)
    data = ready(CocoMasks, tmp_path)
    assert data.spec.classes == ("background", "dog", "cat")  # in the order of their numbers, with their gap
    masks_by_name = {}
    for part in ("train", "validation", "test"):
        names = data.names(part, range(data.splits[part]))
        masks_by_name |= dict(zip(names, data.examples(part, range(data.splits[part]))[1], strict=True))
    first = masks_by_name["1.png"]
    assert (first == 1).sum() == 100 - 16 and (first == 2).sum() == 16 and (first == 0).sum() == 500
    assert first[5:15, 5:15].min() == 1 and bool((first[8:12, 8:12] == 2).all())  # the smaller lies on the larger
    assert (masks_by_name["2.png"] == 255).sum() == 40 and bool(
        (masks_by_name["2.png"][:, :2] == 255).all()
    )  # a crowd is ignored
    only = ready(CocoMasks, tmp_path, classes=["cat"])
    assert only.spec.classes == ("background", "cat")


def test_run_lengths_are_pycocotools_s() -> None:
    library = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask = np.asfortranarray((rng.random((17, 23)) < rng.random()).astype(np.uint8))
        packed = library.encode(mask)
        assert np.array_equal(decoded(run_lengths(packed["counts"]), (17, 23)), mask.astype(bool))
    with pytest.raises(ValueError, match="within a number"):
        run_lengths("o")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"annotations": [{"id": 1, "image_id": 99, "category_id": 3, "segmentation": []}]},
            ["image 99", "not in the file"],
        ),
        ({"annotations": [{"id": 1, "image_id": 10, "category_id": 5, "segmentation": []}]}, ["category 5"]),
        (
            {"annotations": [{"id": 1, "image_id": 10, "category_id": 3, "segmentation": [[1, 1, 2, 2]]}]},
            ["2 points", "data.bad=drop"],
        ),
        ({"categories": [{"id": 3, "name": "dog"}, {"id": 3, "name": "cat"}]}, ["two categories with the id 3"]),
        ({"categories": [{"id": 3, "name": "dog"}, {"id": 9, "name": "dog"}]}, ["two categories of one name"]),
        ({"images": [{"id": 1, "file_name": "1.png"}], "annotations": []}, ["image 1 does not state height and width"]),
        ({"annotations": []}, ["every pixel of all masks is of background"]),
        (
            {"images": [{"id": 1, "file_name": "none.png", "height": 2, "width": 2}], "annotations": []},
            ["none.png", "not in"],
        ),
    ],
)
def test_bad_coco_files(tmp_path: Path, changed: dict[str, Any], words: list[str]) -> None:
    coco_file(tmp_path, **changed)
    with pytest.raises(UserError) as caught:
        ready(CocoMasks, tmp_path)
    assert all(word in str(caught.value) for word in words), caught.value


def test_bad_outlines_may_be_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [{"id": n, "image_id": 10 * n, "category_id": 3, "segmentation": [[5, 5, 9, 5, 9, 9]]} for n in range(1, 6)]
    coco_file(tmp_path, annotations=[*rows, {"id": 6, "image_id": 10, "category_id": 9, "segmentation": [[1, 1]]}])
    with caplog.at_level(logging.WARNING):
        ready(CocoMasks, tmp_path, bad="drop")
    assert "1 outline" in caplog.text


@pytest.mark.parametrize(
    ("file", "images"), [("annotations/instances.json", "images"), ("train/_annotations.coco.json", "train")]
)
def test_coco_files_of_several_layouts(tmp_path: Path, file: str, images: str) -> None:
    coco_file(tmp_path)
    (tmp_path / "images").rename(tmp_path / images)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / "instances.json").rename(tmp_path / file)
    assert ready(CocoMasks, tmp_path).spec.classes == ("background", "dog", "cat")


def test_masks_saved_with_losses_are_no_classes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(4):
        save(tmp_path / "images" / f"{number}.png", np.full((16, 16, 3), 50, np.uint8))
        save(tmp_path / "masks" / f"{number}.jpg", rng.integers(0, 3, (16, 16), dtype=np.uint8) * 100)
    with pytest.raises(UserError, match=r"0\.jpg is saved with losses \(JPEG\).*PNG"):
        ready(MaskFolder, tmp_path)


def test_colours_and_other_values(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colours = np.array([[128, 64, 128], [0, 0, 0], [128, 128, 0]], np.uint8)
    for number in range(6):
        which = rng.integers(0, 3, (10, 10))
        save(tmp_path / "c" / "images" / f"{number}.png", np.full((10, 10, 3), 50, np.uint8))
        save(tmp_path / "c" / "masks" / f"{number}_mask.png", colours[which])
        save(tmp_path / "b" / "images" / f"{number}.jpg", np.full((10, 10), 50, np.uint8))
        save(tmp_path / "b" / "masks" / f"{number}.png", ((which > 0) * 255).astype(np.uint8))
        save(tmp_path / "d" / "images" / f"{number}.png", np.full((10, 10), 50, np.uint8))
        save(tmp_path / "d" / "masks" / f"{number}.png", np.array([0, 7, 255], np.uint16)[which])
    named = {"road": [128, 64, 128], "tree": "#808000"}
    data = ready(MaskFolder, tmp_path / "c", colours=named, ignore="#000000")
    assert data.spec.classes == ("road", "tree") and data.spec.colours == ("#804080", "#808000")
    assert set(data.sample("train", 2)[1].unique().tolist()) == {0, 1, 255}
    assert ready(MaskFolder, tmp_path / "c").spec.classes == ("#000000", "#804080", "#808000")
    (tmp_path / "c" / "class_dict.csv").write_text("name,r,g,b\nroad,128,64,128\nvoid,0,0,0\ntree,128,128,0\n")
    assert ready(MaskFolder, tmp_path / "c").spec.classes == ("road", "void", "tree")
    with pytest.raises(UserError, match=r"colour #808000, which no class has"):
        ready(MaskFolder, tmp_path / "c", colours={"road": [128, 64, 128], "void": [0, 0, 0]})
    black_and_white = ready(MaskFolder, tmp_path / "b", grey=True, classes=["back", "front"])
    assert set(black_and_white.sample("train", 2)[1].unique().tolist()) == {0, 1}
    sixteen = ready(MaskFolder, tmp_path / "d", grey=True)
    assert sixteen.spec.classes == ("0", "7") and 255 in sixteen.sample("train", 2)[1]
    with pytest.raises(UserError, match=r"value 7, and the classes are 0, 1.*data\.ignore=7"):
        ready(MaskFolder, tmp_path / "d", grey=True, classes=["a", "b"])


def test_a_class_whose_value_is_ignored_is_none(tmp_path: Path) -> None:
    fake_pairs(tmp_path / "images", tmp_path / "masks", 6)
    data = ready(MaskFolder, tmp_path, classes=["void", "a", "b"], ignore=0)
    assert data.spec.classes == ("a", "b")
    assert set(data.sample("train", 4)[1].unique().tolist()) == {0, 1, 255}


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (b"\xff\xfename,r,g,b", "as a CSV file in UTF-8"),
        (b"name,r,g,b\na,0,0,0\na,1,1,1\n", "names the class a twice"),
        (b"name,r,g,b\na,0,0,0\nb\n", "not whole numbers"),
    ],
)
def test_tables_of_colours_are_checked(tmp_path: Path, table: bytes, why: str) -> None:
    fake_pairs(tmp_path / "images", tmp_path / "masks", 6)
    (tmp_path / "class_dict.csv").write_bytes(table)
    with pytest.raises(UserError, match=why):
        ready(MaskFolder, tmp_path)


@pytest.mark.parametrize(("turn", "size"), [(3, (12, 16)), (6, (16, 16))])
@pytest.mark.parametrize("memory", [2000, 0])
def test_masks_of_photographs_that_are_to_be_turned(
    tmp_path: Path, turn: int, size: tuple[int, int], memory: int
) -> None:
    """Where the sizes of both are alike, only the user knows; a mask that is turned too lies on its image again."""
    fake_pairs(tmp_path / "images", tmp_path / "masks", 6, size, classes=2)
    for path in (tmp_path / "images").iterdir():
        exif = Image.Exif()
        exif[0x0112] = turn
        Image.open(path).save(path, exif=exif)
    with pytest.raises(UserError, match=rf"EXIF orientation {turn}.*data\.exif=upright"):
        ready(MaskFolder, tmp_path, memory=memory)
    for exif_key, alike in (("stored", True), ("upright", False)):
        data = ready(MaskFolder, tmp_path, memory=memory, exif=exif_key, mean=[0] * 3, std=[1] * 3)
        images, masks = data.examples("test", [0])
        assert torch.equal(images[0, 0] > 0.1, masks[0] == 1) == alike


def test_what_is_refused(tmp_path: Path) -> None:
    def folder(name: str) -> Path:
        fake_pairs(tmp_path / name / "images", tmp_path / name / "masks", 6)
        return tmp_path / name

    no_mask = folder("alone")
    (no_mask / "masks" / "frame_03.png").unlink()
    with pytest.raises(UserError, match=r"frame_03\.png has no mask of its name.*skip_broken"):
        ready(MaskFolder, no_mask)
    assert ready(MaskFolder, no_mask, skip_broken=True).splits["train"] == 3
    two = folder("reverse")
    (two / "images" / "frame_03.png").unlink()
    with pytest.raises(UserError, match=r"frame_03\.png has no image of its name"):
        ready(MaskFolder, two)
    three = folder("sizes")
    save(three / "masks" / "frame_00.png", np.zeros((5, 7), np.uint8))
    with pytest.raises(UserError, match=r"5 × 7 pixels and its image frame_00\.png 12 × 16"):
        ready(MaskFolder, three, classes=["a", "b", "c"])
    four = folder("unlike")
    save(four / "images" / "frame_00.png", np.zeros((9, 9, 3), np.uint8))
    save(four / "masks" / "frame_00.png", np.zeros((9, 9), np.uint8))
    with pytest.raises(UserError, match=r"set data\.size, such as data\.size=9"):
        ready(MaskFolder, four)
    assert ready(MaskFolder, four, size=9).spec.inputs["image_size"] == (9, 9)
    five = folder("empty")
    for number in range(6):
        save(five / "masks" / f"frame_{number:02}.png", np.full((12, 16), 255, np.uint8))
    with pytest.raises(UserError, match="every pixel of the train masks is ignored"):
        ready(MaskFolder, five, classes=["a", "b"], ignore=255)
    with pytest.raises(UserError, match=r"holds? 1 value"):
        ready(MaskFolder, five)
    six = folder("photographs")
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 256, (12, 16, 3)).astype(np.uint8)
        save(six / "masks" / f"frame_{number:02}.png", noise)
    with pytest.raises(UserError, match="too many for classes"):
        ready(MaskFolder, six)
    seven = folder("damaged")
    (seven / "masks" / "frame_02.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"frame_02\.png is no readable mask"):
        ready(MaskFolder, seven, classes=["a", "b", "c"])
    with pytest.raises(UserError, match="neither images/ and masks/"):
        ready(MaskFolder, seven / "images")  # neither


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"size": [3]}, "data.size"),
        ({"fit": "crop"}, "data.fit=crop"),
        ({"augment": {"flop": 1}}, "did you mean flip"),
        ({"augment": {"scale": [2, 1]}}, "data.augment.scale"),
        ({"augment": {"crop": 40}}, "larger than the images"),
        ({"augment": {"turn": True}}, "square images"),
        ({"background": "sea"}, "data.background=sea"),
        ({"border_sigma": 0}, "border_sigma"),
        ({"classes": ["a", "a"]}, "twice"),
        ({"classes": ["a", "b", "c"], "ignore": [0, 2]}, "data.ignore leaves 1 of the classes a, b, c"),
        ({"colours": {"a": "#000000", "b": [0, 0, 0]}}, "data.colours gives a and b one colour, #000000"),
        ({"exif": "turned"}, "data.exif=turned"),
        ({"mean": [0.5]}, "data.mean has 1 values"),
    ],
)
def test_values_out_of_range(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    fake_pairs(tmp_path / "images", tmp_path / "masks", 6)
    with pytest.raises(UserError) as caught:
        ready(MaskFolder, tmp_path, **changed)
    assert words in str(caught.value)


@pytest.mark.parametrize("memory", [100, 0])
def test_sizes_and_streaming(tmp_path: Path, memory: int) -> None:
    """Photographs of unlike sizes, one turned by EXIF, are brought to one size with their masks, from memory or from disk."""
    for number, (tall, wide) in enumerate(((20, 30), (30, 20), (25, 25), (40, 24), (20, 30))):
        mask = np.zeros((tall, wide), np.uint8)
        mask[: tall // 2] = 1
        image = np.stack([mask * 200] * 3, axis=2)
        how: dict[str, Any] = {}
        if number == 4:  # the file lies on its side, and so does its mask
            exif = Image.Exif()
            exif[0x0112] = 6
            how = {"exif": exif}
        save(tmp_path / "images" / f"{number}.png", image, **how)
        save(tmp_path / "masks" / f"{number}.png", mask)
    for fit in ("cover", "stretch", "pad"):
        data = ready(MaskFolder, tmp_path, size=[16, 20], fit=fit, memory=memory, mean=[0.5] * 3, std=[0.5] * 3)
        batch = next(iter(data.train_dataloader()))
        images, masks = data.on_after_batch_transfer(batch, 0)
        assert images.shape[1:] == (3, 16, 20) and masks.shape[1:] == (16, 20)
        for part in ("train", "validation", "test"):
            images, masks = data.sample(part, 9)
            bright = images[:, 0] > -0.2
            labelled = masks < 255
            assert (bright == (masks == 1))[labelled].float().mean() > 0.9
            assert bool(labelled.all()) == (fit != "pad")
        data.class_counts  # noqa: B018 reads all of it


def test_images_of_one_pixel(tmp_path: Path) -> None:
    for number in range(6):
        save(tmp_path / "images" / f"{number}.png", np.full((1, 1, 3), 50, np.uint8))
        save(tmp_path / "masks" / f"{number}.png", np.full((1, 1), number % 2, np.uint8))
    assert ready(MaskFolder, tmp_path).spec.inputs["image_size"] == (1, 1)


def test_generated_masks_are_always_the_same() -> None:
    first, second = (ready(GeneratedMasks, count=12, side=32) for _ in range(2))
    assert first.splits == second.splits
    assert all(torch.equal(a, b) for a, b in zip(first.sample("train", 4), second.sample("train", 4), strict=True))
    assert first.spec.num_classes == 5


def test_border_weights_are_the_paper_s() -> None:
    """Between two squares four pixels apart: d1 + d2 is five in the gap, so the weight is w0 · exp(-25 / 2σ²)."""
    mask = np.zeros((40, 40), np.uint8)
    mask[10:30, 5:15] = 1
    mask[10:30, 19:29] = 1
    weights = border_weights(mask, 10.0, 5.0, 0)
    assert weights[20, 15:19] == pytest.approx(10 * np.exp(-25 / 50), rel=1e-5)
    assert weights[mask == 1].max() == 0 and weights[0, 39] < 0.2
    alone = np.where(np.arange(40) < 20, mask, 0)
    assert border_weights(alone[:, :19], 10.0, 5.0, 0).max() == 0  # one object has no neighbour
    data = ready(GeneratedMasks, count=12, side=32, border_weight=10.0, border_sigma=20.0, batch_size=8)
    batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    assert len(batch) == 3 and float(batch[2].min()) == 1 and float(batch[2].max()) > 1
    assert len(data.on_after_batch_transfer(next(iter(data.val_dataloader())), 0)) == 2


def test_new_images_keep_their_shape(tmp_path: Path) -> None:
    fake_pairs(tmp_path / "images", tmp_path / "masks", 6)
    save(tmp_path / "large.png", np.full((60, 50, 3), 9, np.uint8))
    plain, sized = ready(MaskFolder, tmp_path), ready(MaskFolder, tmp_path, size=8)
    assert plain.prepare([tmp_path / "large.png"]).shape == (1, 3, 12, 16)
    [photo] = plain.photographs([tmp_path / "large.png"])
    assert photo.values.shape == (1, 3, 60, 50) and photo.pixels.shape == (60, 50, 3)
    [photo] = sized.photographs([np.zeros((60, 50, 3), np.uint8)])
    assert photo.values.shape == (1, 3, 10, 8)
