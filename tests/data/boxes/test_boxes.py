"""Images with boxes: five forms of annotations, and what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.data.boxes.annotations import turn_point
from experiments.data.boxes.augment import BoxAugment
from experiments.data.boxes.box_data import BoxData
from experiments.data.boxes.coco import COCO
from experiments.data.boxes.generated_boxes import GeneratedBoxes
from experiments.data.boxes.instance_masks import Painted
from experiments.data.boxes.penn_fudan import PennFudan
from experiments.data.boxes.voc import BCCD, VOC
from experiments.data.boxes.yolo import YOLO
from experiments.data.common.coco_outlines import Polygons, Runs
from experiments.data.images.image_files import ImageHeader
from experiments.errors import UserError

KEYS: dict[str, Any] = {
    "batch_size": 2,
    "workers": 0,
    "seed": 7,
    "validation": 0.25,
    "test": 0.25,
    "classes": None,
    "limit": None,
    "bad_boxes": "refuse",
    "exif": "auto",
    "targets": "boxes",
    "augment": {},
}
RUNS = {"size": [30, 40], "counts": [0, 300, 900]}
BARE = {"difficult": True, "unannotated": "refuse"}


def image(path: Path, width: int = 40, height: int = 30, turn: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", (width, height), (90, 120, 200))
    exif = picture.getexif()
    exif[0x0112] = turn
    picture.save(path, exif=exif)
    return path


def xml(path: Path, boxes: list[tuple[str, float, float, float, float]], size: tuple[int, int] = (40, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    objects = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for name, a, b, c, d in boxes
    )
    path.write_text(
        f"<annotation><size><width>{size[0]}</width><height>{size[1]}</height></size>{objects}</annotation>"
    )


def voc_folder(root: Path, count: int = 8) -> Path:
    for number in range(count):
        image(root / "JPEGImages" / f"{number}.jpg")
        xml(root / "Annotations" / f"{number}.xml", [("cat", 1, 2, 11, 12), ("dog", 5, 5, 39, 29)])
    return root


def coco_content(count: int = 8) -> dict[str, Any]:
    """Categories with a gap, a polygon, a crowd as run lengths, and an image without any object."""
    images = [{"id": 10 + n, "file_name": f"{n}.png", "width": 40, "height": 30} for n in range(count)]
    annotations = []
    for number in range(count - 1):
        polygon = [[2, 2, 12, 2, 12, 12, 2, 12]]
        annotation = {
            "id": 2 * number + 1,
            "image_id": 10 + number,
            "category_id": 7,
            "bbox": [2, 2, 10, 10],
            "iscrowd": 0,
        }
        annotations.append(annotation | {"area": 100, "segmentation": polygon})
        counts = [0, 300, 900]
        two = annotation | {"id": 2 * number + 2, "category_id": 3, "bbox": [0, 0, 10, 30], "iscrowd": 1}
        annotations.append(two | {"segmentation": {"size": [30, 40], "counts": counts}})
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 7, "name": "tree"}, {"id": 3, "name": "hut"}],
    }


def coco_folder(root: Path, change: Callable[[dict[str, Any]], None] = lambda content: None) -> Path:
    content = coco_content()
    for entry in content["images"]:
        image(root / "images" / entry["file_name"])
    change(content)
    (root / "instances.json").write_text(json.dumps(content))
    return root


def ready(data: BoxData) -> BoxData:
    data.setup()
    return data


def test_voc_is_read_split_and_batched(tmp_path: Path) -> None:
    data = ready(VOC(root=str(voc_folder(tmp_path)), **BARE, **KEYS))
    assert data.spec.classes == ("cat", "dog")
    assert (data.spec.height, data.spec.width) == (30, 40)
    assert {part: data.splits[part] for part in ("train", "validation", "test")} == {
        "train": 4,
        "validation": 2,
        "test": 2,
    }
    images, targets = data.sample("train", 2)
    assert images[0].shape == (3, 30, 40) and images[0].min() >= 0 and images[0].max() <= 1
    assert targets[0]["boxes"].tolist() == [[1, 2, 11, 12], [5, 5, 39, 29]]
    assert targets[0]["labels"].tolist() == [0, 1]


def test_photographs_of_twelve_bits_are_not_black(tmp_path: Path) -> None:
    voc_folder(tmp_path)
    for path in sorted((tmp_path / "JPEGImages").glob("*.jpg")):
        size = Image.open(path).size
        path.unlink()
        Image.fromarray(np.full(size[::-1], 2048, np.uint16)).save(path.with_suffix(".png"))
        note = tmp_path / "Annotations" / f"{path.stem}.xml"
        note.write_text(note.read_text().replace(path.name, path.with_suffix(".png").name))
    data = ready(VOC(root=str(tmp_path), **BARE, **KEYS))
    assert data.spec.bits == 12
    assert data.sample("train", 1)[0][0].unique().tolist() == pytest.approx([128 / 255])
    assert data.prepare([path.with_suffix(".png")])[0].unique().tolist() == pytest.approx([128 / 255])
    before = data.digest("test", False)
    data.spec = replace(data.spec, bits=16)
    assert data.digest("test", False) != before, "cached features of other pixels would be read"


def test_voc_lists_say_the_parts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    voc_folder(tmp_path)
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for name, members in (("train", "0 1 2 3"), ("val", "4 5"), ("test", "6")):
        (lists / f"{name}.txt").write_text("\n".join(members.split()) + "\n")
    data = ready(VOC(root=str(tmp_path), **BARE, **KEYS))
    assert [data.splits[part] for part in ("train", "validation", "test")] == [4, 2, 1]
    assert not caplog.text
    (lists / "test.txt").write_text("6\n0\n")
    ready(VOC(root=str(tmp_path), **BARE, **KEYS))
    assert "voc: 1 image is in the train split and in the test split too" in caplog.text
    for content, why in ((b"0\nlost\n", "lost"), (b"\xff\xfe0\0", "as text in UTF-8"), (b"\n", "names no image")):
        (lists / "train.txt").write_bytes(content)
        with pytest.raises(UserError, match=why):
            ready(VOC(root=str(tmp_path), **BARE, **KEYS))


@pytest.mark.parametrize(
    ("box", "why"),
    [
        ((5, 5, 5, 5), "is empty"),
        ((20, 5, 10, 9), "swapped"),
        ((50, 40, 60, 50), "outside"),
        ((30, 5, 60, 20), "reaches outside"),
        ((float("nan"), 5, 6, 7), "no four numbers"),
    ],
)
def test_bad_boxes_are_refused_or_dropped_with_their_number(tmp_path: Path, box: tuple[float, ...], why: str) -> None:
    voc_folder(tmp_path)
    xml(tmp_path / "Annotations" / "3.xml", [("cat", *box), ("dog", 1, 1, 20, 20)])  # type: ignore[arg-type]
    with pytest.raises(UserError, match=why) as caught:
        ready(VOC(root=str(tmp_path), **BARE, **KEYS))
    assert "3.xml" in str(caught.value) and "data.bad_boxes=drop" in str(caught.value)
    dropped = ready(VOC(root=str(tmp_path), **BARE, **KEYS | {"bad_boxes": "drop"}))
    assert dropped.splits["dropped_boxes"] == 1
    clipped = ready(VOC(root=str(tmp_path), **BARE, **KEYS | {"bad_boxes": "clip"}))
    assert clipped.splits.get("clipped_boxes", 0) == (1 if "reaches" in why else 0)


def test_annotations_and_images_must_match(tmp_path: Path) -> None:
    voc_folder(tmp_path)
    (tmp_path / "JPEGImages" / "2.jpg").unlink()
    with pytest.raises(UserError, match=r"2\.xml has no image"):
        ready(VOC(root=str(tmp_path), **BARE, **KEYS))
    image(tmp_path / "JPEGImages" / "2.jpg")
    (tmp_path / "Annotations" / "4.xml").unlink()
    with pytest.raises(UserError, match=r"4\.jpg has no XML file"):
        ready(VOC(root=str(tmp_path), **BARE, **KEYS))
    data = ready(VOC(root=str(tmp_path), **BARE | {"unannotated": "empty"}, **KEYS))
    assert sum(not picture.objects for pictures in data.pictures.values() for picture in pictures) == 1


def test_odd_images_and_classes_are_refused(tmp_path: Path) -> None:
    voc_folder(tmp_path)
    image(tmp_path / "JPEGImages" / "2.jpg", 1, 1)
    xml(tmp_path / "Annotations" / "2.xml", [], (1, 1))
    with pytest.raises(UserError, match="1×1 pixels"):
        ready(VOC(root=str(tmp_path), **BARE, **KEYS))
    image(tmp_path / "JPEGImages" / "2.jpg", 50, 30)
    xml(tmp_path / "Annotations" / "2.xml", [], (40, 30))
    with pytest.raises(UserError, match="give the image that was annotated"):
        ready(VOC(root=str(tmp_path), **BARE, **KEYS))
    voc_folder(tmp_path)
    with pytest.raises(UserError, match="cow"):
        ready(VOC(root=str(tmp_path), **BARE, **KEYS | {"classes": ["cow"]}))
    assert ready(VOC(root=str(tmp_path), **BARE, **KEYS | {"classes": ["dog"]})).splits["train_objects"] == 4
    for number in range(8):
        xml(tmp_path / "Annotations" / f"{number}.xml", [])
    with pytest.raises(UserError, match="has an object"):
        ready(VOC(root=str(tmp_path), **BARE, **KEYS))
    (tmp_path / "Annotations" / "1.xml").write_text("<annotation>")
    with pytest.raises(UserError, match="cannot be read as XML"):
        ready(VOC(root=str(tmp_path), **BARE, **KEYS))


@pytest.mark.parametrize("turn", range(1, 9))
def test_points_of_turned_photographs_go_where_the_pixels_go(tmp_path: Path, turn: int) -> None:
    from PIL import ImageOps

    picture = Image.new("L", (7, 5))
    picture.putpixel((2, 1), 255)
    exif = picture.getexif()
    exif[0x0112] = turn
    picture.save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as opened:
        shown = np.asarray(ImageOps.exif_transpose(opened))
    row, column = np.argwhere(shown == 255)[0]
    assert turn_point(2.5, 1.5, ImageHeader(5, 7, turn)) == (column + 0.5, row + 0.5)
    from experiments.data.boxes.instance_masks import Drawn, Turned

    inside = np.zeros((5, 7), bool)
    inside[1, 2] = True
    if turn > 1:
        assert np.argwhere(Turned(Drawn(inside), turn, (5, 7)).decode(shown.shape)).tolist() == [[row, column]]


def test_boxes_turn_with_their_photograph(tmp_path: Path) -> None:
    voc_folder(tmp_path)
    image(tmp_path / "JPEGImages" / "0.jpg", 40, 30, turn=6)  # shown as 30 × 40
    data = ready(VOC(root=str(tmp_path), **BARE, **KEYS))  # the annotation says 40 × 30: as it is stored
    picture = next(picture for part in data.pictures.values() for picture in part if picture.where.endswith("0.xml"))
    assert picture.size == (40, 30)
    assert picture.objects[0].box == (18, 1, 28, 11)
    xml(tmp_path / "Annotations" / "0.xml", [("cat", 1, 2, 11, 12)], (0, 0))
    with pytest.raises(UserError, match=r"data\.exif=upright"):
        ready(VOC(root=str(tmp_path), **BARE, **KEYS))
    ready(VOC(root=str(tmp_path), **BARE, **KEYS | {"exif": "upright"}))


def test_coco_with_gaps_crowds_and_masks(tmp_path: Path) -> None:
    pytest.importorskip("faster_coco_eval")
    data = ready(
        COCO(root=str(coco_folder(tmp_path)), annotations=None, images=None, **KEYS | {"targets": "instances"})
    )
    assert data.spec.classes == ("hut", "tree") and data.spec.masks
    _, targets = data.sample("train", 2)
    assert targets[0]["labels"].tolist() == [1] and targets[0]["masks"].sum() == 100  # the crowd is not learned from
    whole = [target for target in data.sample("test", 2)[1] if len(target["labels"])]
    assert whole[0]["iscrowd"].tolist() == [0, 1] and whole[0]["masks"][1].sum() == 300


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda c: c["annotations"].append(c["annotations"][0]), "two annotations with the id 1"),
        (lambda c: c["images"].append(c["images"][0]), "two images with the id 10"),
        (lambda c: c["categories"].append(c["categories"][0]), "two categories with the id"),
        (lambda c: c["annotations"][0].update(image_id=99), "image 99"),
        (lambda c: c["annotations"][0].update(category_id=5), "category 5"),
        (lambda c: c["images"][1].update(file_name="lost.png"), r"lost\.png"),
        (lambda c: c["annotations"][0].update(segmentation=[[1, 1, 5, 5]]), "under three points"),
        (
            lambda c: c["annotations"][0].update(segmentation={"size": [7, 8], "counts": [0, 56]}),
            "run lengths of 8×7 in an",
        ),
        (lambda c: c["annotations"][0].update(bbox=[1, 2, 3]), "bbox"),
        (lambda c: c["categories"].append({"id": 9, "name": "hut"}), "one name"),
        (lambda c: c.pop("categories"), "not in COCO's form"),
        (lambda c: c["annotations"].clear(), "has an object"),
        (lambda c: [annotation.update(iscrowd=1) for annotation in c["annotations"]], "has an object that is no crowd"),
        (lambda c: c["categories"][0].pop("name"), "category 7 has no name"),
        (lambda c: c["categories"][0].update(id=[7]), "categories without an id"),
        (lambda c: c["images"][0].pop("file_name"), "image 10 has no file_name"),
        (lambda c: c["images"][0].update(height="tall"), "image 10 has height='tall', which is no number"),
        (lambda c: c["images"][1].update(file_name="0.png"), "0.png twice, as images 10 and 11"),
        (lambda c: c["annotations"][0].update(image_id=[10]), r"of image \[10\]"),
        (lambda c: c["annotations"][0].update(area="big"), "annotation 1 has area='big', which is no number"),
        (lambda c: c["annotations"][0].update(segmentation=[["a"] * 6]), "no list of x and y"),
        (lambda c: c["annotations"][0].update(segmentation="round"), "no list of x and y"),
        (lambda c: c["annotations"][0].update(segmentation=RUNS | {"counts": [1500, -600, 300]}), "length of -600"),
        (lambda c: c["annotations"][0].update(segmentation=RUNS | {"counts": "round!"}), "that cannot be read"),
        (lambda c: c["annotations"][0].update(segmentation=RUNS | {"counts": None}), "that cannot be read"),
        (lambda c: c["annotations"][0].update(segmentation=RUNS | {"size": [30]}), "that cannot be read"),
    ],
)
def test_damaged_coco_files_are_refused(tmp_path: Path, change: Callable[[dict[str, Any]], None], why: str) -> None:
    root = coco_folder(tmp_path, change)
    with pytest.raises(UserError, match=why):
        ready(COCO(root=str(root), annotations=None, images=None, **KEYS))


def test_images_that_no_coco_file_names_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = coco_folder(tmp_path)
    ready(COCO(root=str(root), annotations=None, images=None, **KEYS))
    assert "no JSON file names" not in caplog.text
    annotated = next(path for path in root.rglob("*") if path.suffix in (".jpg", ".png"))
    for name in ("zz1.png", "zz2.png"):
        Image.new("RGB", (40, 40)).save(annotated.parent / name)
    ready(COCO(root=str(root), annotations=None, images=None, **KEYS))
    assert "zz1.png, which is not used, nor are 1 more." in caplog.text


def test_coco_without_masks_is_for_boxes_alone(tmp_path: Path) -> None:
    root = coco_folder(tmp_path, lambda content: content["annotations"][0].pop("segmentation"))
    ready(COCO(root=str(root), annotations=None, images=None, **KEYS))
    with pytest.raises(UserError, match="1 of 14 objects have no mask"):
        ready(COCO(root=str(root), annotations=None, images=None, **KEYS | {"targets": "instances"}))


def yolo_folder(root: Path, line: str = "1 0.5 0.5 0.25 0.2") -> Path:
    for part in ("train", "val", "test"):
        for number in range(3):
            image(root / "images" / part / f"{number}.png")
            note = root / "labels" / part / f"{number}.txt"
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text("" if number == 2 else f"0 0.25 0.5 0.5 1.0\n{line}\n")
    (root / "data.yaml").write_text("names:\n  0: hut\n  1: tree\n")
    return root


def test_yolo_is_read(tmp_path: Path) -> None:
    data = ready(YOLO(root=str(yolo_folder(tmp_path)), unannotated="empty", **KEYS))
    assert data.spec.classes == ("hut", "tree")
    picture = data.pictures["test"][0]
    assert [thing.box for thing in picture.objects] == [(0, 0, 20, 30), (15, 12, 25, 18)]
    assert not data.pictures["test"][2].objects  # an empty file: no object, which is legal
    (tmp_path / "data.yaml").unlink()
    assert ready(YOLO(root=str(tmp_path), unannotated="empty", **KEYS)).spec.classes == ("0", "1")


@pytest.mark.parametrize(
    ("line", "why"),
    [("2 0.5 0.5 0.1 0.1", "class 2"), ("1 0.5 0.5", "3 numbers"), ("tree 0.5 0.5 0.1 0.1", "row of numbers"), ("1 0.9 0.5 0.4 0.1", "reaches outside"), ("1 0.5 0.5 -0.4 0.1", "swapped")],
)  # fmt: skip
def test_damaged_yolo_files_are_refused(tmp_path: Path, line: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        ready(YOLO(root=str(yolo_folder(tmp_path, line)), unannotated="empty", **KEYS))


@pytest.mark.parametrize("names", ["{0: hut, 0: tree}", "{1: hut, '01': tree}"])
def test_a_number_of_yolo_stands_for_one_class(tmp_path: Path, names: str) -> None:
    (yolo_folder(tmp_path) / "data.yaml").write_text(f"names: {names}\n")
    with pytest.raises(UserError, match="twice"):
        ready(YOLO(root=str(tmp_path), unannotated="empty", **KEYS))


def test_yolo_notes_need_images(tmp_path: Path) -> None:
    yolo_folder(tmp_path)
    (tmp_path / "images" / "val" / "1.png").unlink()
    with pytest.raises(UserError, match=r"1\.txt has no image"):
        ready(YOLO(root=str(tmp_path), unannotated="empty", **KEYS))


def test_masks_decode_alike(tmp_path: Path) -> None:
    inside = np.zeros((30, 40), bool)
    inside[5:9, 10:20] = True
    Image.fromarray(inside.astype(np.uint16) * 700).save(tmp_path / "mask.png")  # 16 bits
    assert (Painted(tmp_path / "mask.png", 700).decode((30, 40)) == inside).all()
    with pytest.raises(UserError, match="images' own size"):
        Painted(tmp_path / "mask.png", 700).decode((30, 41))
    down = inside.T.reshape(-1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], down.astype(int), [0]])))
    counts = tuple(np.diff(np.concatenate([[0], edges, [down.size]])).tolist())
    assert (Runs((30, 40), counts).decode((30, 40)) == inside).all()
    mask = pytest.importorskip("pycocotools.mask")
    text = mask.encode(np.asfortranarray(inside.astype(np.uint8)))["counts"].decode()
    assert (Runs((30, 40), text).decode((30, 40)) == inside).all()
    assert (Polygons(((10, 5, 20, 5, 20, 9, 10, 9),)).decode((30, 40)) == inside).all()


@pytest.mark.parametrize("name", ["flip", "vertical_flip", "crop", "zoom_out", "colour"])
def test_boxes_and_masks_move_with_the_image(name: str) -> None:
    """A box stays the box around the bright part, and around its mask."""
    data = ready(GeneratedBoxes(count=8, side=64, **KEYS | {"targets": "instances"}))
    change = BoxAugment.of({name: 1.0})
    for index in range(6):
        given = data.dataset("train").read(index, crowds=False)  # type: ignore[attr-defined]
        image, target = change(*given, seed=index)
        again = change(*given, seed=index)
        assert torch.equal(image, again[0]) and torch.equal(target["boxes"], again[1]["boxes"])
        for box, mask in zip(target["boxes"], target["masks"], strict=True):
            rows, columns = torch.nonzero(mask.any(1))[:, 0], torch.nonzero(mask.any(0))[:, 0]
            around = torch.tensor([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]).float()
            if name != "crop":  # whose boxes are those of the whole object, cut
                assert (box - around).abs().max() <= 1
            else:
                assert (around[:2] >= box[:2] - 1).all() and (around[2:] <= box[2:] + 1).all()
    assert data.dataset("train").augment == BoxAugment()  # type: ignore[attr-defined]


def test_augmentation_keys_are_checked() -> None:
    with pytest.raises(UserError, match=r"data\.augment\.turn is unknown"):
        BoxAugment.of({"turn": 1})
    with pytest.raises(UserError, match="chance from 0 to 1"):
        BoxAugment.of({"flip": 2})


@pytest.mark.slow
def test_bccd_has_two_bad_boxes(real: Callable[[str], Path]) -> None:
    root = real("bccd").parent
    with pytest.raises(UserError, match=r"is empty \(bad boxes in all: 2\)"):
        ready(BCCD(root=str(root), **BARE, **KEYS))
    data = ready(BCCD(root=str(root), **BARE, **KEYS | {"bad_boxes": "drop"}))
    assert [data.splits[part] for part in ("train", "validation", "test", "dropped_boxes")] == [205, 87, 72, 2]
    assert sum(data.splits[f"{part}_objects"] for part in ("train", "validation", "test")) == 4886


def test_coco_sample_and_penn_fudan(real: Callable[[str], Path]) -> None:
    data = ready(COCO(root=str(real("coco_sample")), annotations=None, images=None, **KEYS))
    assert data.spec.num_classes == 80
    people = ready(PennFudan(root=str(real("penn_fudan_subset").parent), **KEYS | {"targets": "instances"}))
    assert people.spec.classes == ("pedestrian",)
    images, targets = people.sample("validation", 1)
    assert targets[0]["masks"].shape[1:] == images[0].shape[1:]


def sizes(data: BoxData) -> list[int]:
    ready(data)
    return [data.splits[part] for part in ("train", "validation", "test")]


def yolo_split(images: Path, labels: Path, count: int) -> None:
    labels.mkdir(parents=True)
    for number in range(count):
        image(images / f"{images.parent.name}{images.name}{number}.jpg")
        (labels / f"{images.parent.name}{images.name}{number}.txt").write_text("0 .5 .5 .2 .2\n")
        (images / f"._{number}.jpg").write_bytes(b"\0\5\x16\7")
        (labels / f"._{number}.txt").write_bytes(b"\0\5\x16\7")


@pytest.mark.parametrize(
    ("images", "labels"),
    [("images/{}", "labels/{}"), ("{}/images", "{}/labels"), ("pictures/{}/images", "pictures/{}/labels")],
)
@pytest.mark.parametrize("names", [("Train", "Valid", "Testing"), ("train2017", "val2017", "test2017")])
def test_yolo_parts_by_other_usual_names(tmp_path: Path, images: str, labels: str, names: tuple[str, ...]) -> None:
    """Never all of it as the training split; what a system leaves behind is no label."""
    for name, count in zip(names, (5, 3, 2), strict=True):
        yolo_split(tmp_path / images.format(name), tmp_path / labels.format(name), count)
    keys = ("train", "val", "test")
    stated = "".join(f"{key}: ../{images.format(name)}\n" for key, name in zip(keys, names, strict=True))
    (tmp_path / "data.yaml").write_text(f"names: [cat]\n{stated if images.startswith('pictures') else ''}")
    assert sizes(YOLO(root=str(tmp_path), unannotated="empty", **KEYS)) == [5, 3, 2]


def test_yolo_parts_that_the_yaml_file_leaves_out(tmp_path: Path) -> None:
    for name, count in (("train", 5), ("val", 3), ("test", 2)):
        yolo_split(tmp_path / "images" / name, tmp_path / "labels" / name, count)
    (tmp_path / "data.yaml").write_text("names: [cat]\ntrain: images/train\nval: images/val\ntest:\n")
    assert sizes(YOLO(root=str(tmp_path), unannotated="empty", **KEYS)) == [5, 3, 2]
    for names in ("[cat]", "{0: cat}"):
        (tmp_path / "data.yaml").write_text(f"names: {names}\nnc: 2\n")
        with pytest.raises(UserError, match="states nc=2 and 1 names"):
            sizes(YOLO(root=str(tmp_path), unannotated="empty", **KEYS))


def test_voc_parts_by_other_usual_names(tmp_path: Path) -> None:
    for name, count in (("Training", 5), ("Valid", 3), ("testing", 2)):
        voc_folder(tmp_path / name, count)
        (tmp_path / name / "Annotations" / "._0.xml").write_bytes(b"\0\5\x16\7")
    assert sizes(VOC(root=str(tmp_path), **BARE, **KEYS)) == [5, 3, 2]
    (tmp_path / "Training").rename(tmp_path / "else")
    with pytest.raises(UserError, match="has Valid and testing but no train folder"):
        VOC(root=str(tmp_path), **BARE, **KEYS).setup()


@pytest.mark.parametrize(
    ("file", "folder"),
    [
        ("annotations/instances_{}2017.json", "{}2017"),
        ("annotations/instances_{}_small.json", "images"),
        ("{}.json", "images/{}"),
        ("{}/_annotations.coco.json", "{}"),
    ],
)
def test_coco_parts_by_other_usual_names(tmp_path: Path, file: str, folder: str) -> None:
    for name, count in (("Train", 5), ("val", 3), ("Testing", 2)):
        content = coco_content()
        content["images"] = content["images"][:count]
        kept = {entry["id"] for entry in content["images"]}
        content["annotations"] = [entry for entry in content["annotations"] if entry["image_id"] in kept]
        for entry in content["images"]:
            image(tmp_path / folder.format(name) / entry["file_name"])
        path = tmp_path / file.format(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
        path.with_name(f"captions_{name}2017.json").write_text("[]") if "annotations/" in file else None
    assert sizes(COCO(root=str(tmp_path), annotations=None, images=None, **KEYS)) == [5, 3, 2]
