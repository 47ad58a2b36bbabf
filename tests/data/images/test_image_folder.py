from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.data.images.image_files import bits_used, decode
from experiments.data.images.image_folder import ImageFolder, Streamed
from experiments.errors import UserError
from tests.data.conftest import FOLDER, fake_folder, save_image


def ready(root: Path, **changed: object) -> ImageFolder:
    data = ImageFolder(root=str(root), **{**FOLDER, **changed})
    data.prepare_data()
    data.setup()
    return data


def counts(data: ImageFolder) -> tuple[object, ...]:
    return tuple(data.splits[part] for part in ("train", "validation", "test"))


@pytest.mark.parametrize(
    ("parts", "changed", "expected"),
    [
        (("train", "val", "test"), {}, (20, 20, 20)),
        (("train", "valid"), {"test": 0.3}, (14, 20, 6)),
        (("train", "validation"), {"test": "val"}, (16, 4, 20)),
        (("train", "test"), {"validation": 6}, (14, 6, 20)),
        (("train",), {}, (12, 4, 4)),
        (("",), {}, (12, 4, 4)),
    ],
)
def test_layouts(tmp_path: Path, parts: tuple[str, ...], changed: dict, expected: tuple[int, ...]) -> None:
    fake_folder(tmp_path, parts)
    data = ready(tmp_path, **changed)
    assert counts(data) == expected or (changed == {} and sum(map(int, counts(data))) == 20)  # type: ignore[arg-type]
    assert data.spec.classes == ("ants", "bees")
    assert data.spec.inputs == {"in_channels": 3, "image_size": (12, 12)}
    if parts in (("train",), ("",)):
        values = [set(data.sets[part].source[:, 0, 0, 0].tolist()) for part in ("train", "validation", "test")]
        assert len(set.union(*values)) == 20


@pytest.mark.parametrize("memory", [100, 0])
def test_modes_sizes_and_odd_files(tmp_path: Path, memory: int, caplog: pytest.LogCaptureFixture) -> None:
    fake_folder(tmp_path, each=4)
    folder = tmp_path / "train" / "ants"
    save_image(folder / "grey.png", "L", (30, 20))
    save_image(folder / "alpha.png", "RGBA", (20, 30))
    save_image(folder / "cmyk.jpg", "CMYK", (9, 9))
    save_image(folder / "deep.png", "I;16", (16, 16))
    save_image(folder / "bits.png", "1", (16, 16), 1)
    save_image(folder / "palette.png", "P", (16, 16))
    save_image(folder / "deeper" / "nested.JPEG", "RGB", (64, 48))
    save_image(folder / ".hidden.png")
    save_image(folder / "button.gif", "P")
    (folder / "notes.txt").write_text("not an image")
    with caplog.at_level(logging.WARNING):
        data = ready(tmp_path, size=8, memory=memory, augment={"crop": 1, "flip": True, "resized_crop": 0.5})
    assert sum(map(int, counts(data))) == 15  # type: ignore[arg-type]
    assert [record.getMessage() for record in caplog.records if "ignored" in record.getMessage()] == [
        f"{tmp_path / 'train'}: ignored files that are no photographs: 2, such as {folder / 'button.gif'}"
    ]
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        for batch in loader:
            images, _ = data.on_after_batch_transfer(batch, 0)
            assert images.shape[1:] == (3, 8, 8)
            assert images.isfinite().all()


def test_decoding(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    save_image(path, "I;16", value=100)
    assert (decode(path, None, True) == 100).all()
    save_image(path, "RGBA", value=0)
    assert (decode(path, (6, 6), False) == 255).all()  # transparent: the white beneath
    save_image(path, "L", (30, 10), 7)
    assert decode(path, (10, 10), False).shape == (3, 10, 10)
    assert decode(path, None, True).shape == (
        1,
        10,
        30,
    )

    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[:, :10] = 255
    picture = Image.fromarray(pixels)
    exif = picture.getexif()
    exif[0x0112] = 6  # the camera was held upright: turn clockwise
    picture.save(path, exif=exif)
    upright = decode(path, None, False)
    assert upright.shape == (3, 20, 10)
    assert upright[:, :10].min() == 255
    assert upright[:, 10:].max() == 0
    window = decode(path, (4, 4), False, (0.5, 0.0, 0.5, 1.0))
    assert window.shape == (3, 4, 4)
    assert window[:, 1:].max() == 0  # the first row blends in what lies above


def test_new_images_are_prepared_as_for_evaluation(tmp_path: Path) -> None:

    fake_folder(tmp_path, ("train", "val"))
    data = ready(tmp_path)
    path = tmp_path / "val" / "ants" / "0.png"
    with Image.open(path) as opened:
        prepared = data.prepare([str(path), path, opened.copy(), np.asarray(opened)])
    assert torch.equal(prepared, data.sample("validation", 1)[0].expand(4, -1, -1, -1))
    assert data.prepare([np.zeros((30, 50), np.uint8)]).shape == (1, 3, 12, 12)
    assert data.class_counts == [8, 8]
    for wrong in (np.zeros((4, 4)), np.zeros((4, 4, 2), np.uint8), np.zeros(4, np.uint8)):
        with pytest.raises(UserError, match="is no image: give uint8"):
            data.prepare([wrong])
    with pytest.raises(UserError, match="there is no such file"):
        data.prepare([tmp_path / "nothing.png"])


@pytest.mark.slow
def test_streaming_gives_what_memory_gives(tmp_path: Path) -> None:
    fake_folder(tmp_path, ("train", "val"), each=12)
    settings = {"crop": 2, "flip": True, "rotation": 10, "cutout": 3}
    stored = ready(tmp_path, augment=settings)
    for workers in (0, 2):
        streamed = ready(tmp_path, augment=settings, memory=0, workers=workers)
        assert isinstance(streamed.train_dataloader().dataset, Streamed)
        assert streamed.spec == stored.spec
        assert streamed.splits == stored.splits
        for name in ("train_dataloader", "val_dataloader"):
            pairs = zip(getattr(stored, name)(), getattr(streamed, name)(), strict=True)
            for pair, other in pairs:
                left, right = (
                    stored.on_after_batch_transfer(pair, 0),
                    streamed.on_after_batch_transfer(other, 0),
                )
                assert torch.equal(left[0], right[0])
                assert torch.equal(left[1], right[1])


@pytest.mark.parametrize("memory", [100, 0])
@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_broken_file_is_named_before_training(tmp_path: Path, memory: int, content: bytes) -> None:
    fake_folder(tmp_path)
    broken = tmp_path / "train" / "bees" / "broken.jpg"
    broken.write_bytes(content)
    with pytest.raises(UserError, match=r"bees/broken\.jpg is no readable image \(.*data\.skip_broken=true") as caught:
        ready(tmp_path, memory=memory, size=8)
    assert "\n" not in str(caught.value)
    assert sum(map(int, counts(ready(tmp_path, memory=memory, size=8, skip_broken=True)))) == 20  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_cut_short(tmp_path: Path, workers: int) -> None:
    fake_folder(tmp_path, ("train", "val", "test"))
    path = tmp_path / "train" / "ants" / "cut.jpg"
    save_image(path, size=(200, 200))
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(UserError, match=r"cut\.jpg is no readable image"):
        ready(tmp_path, size=8)
    data = ready(tmp_path, size=8, memory=0, workers=workers, mean=[0.5] * 3, std=[0.5] * 3)  # its header is whole
    with pytest.raises(UserError, match=r"^[^\n]*cut\.jpg is no readable image[^\n]*$"):
        list(data.train_dataloader())


def test_sizes_that_differ_need_a_size(tmp_path: Path) -> None:
    fake_folder(tmp_path)
    save_image(tmp_path / "train" / "bees" / "z.png", size=(40, 30))
    for memory in (0, 100):
        with pytest.raises(UserError, match=r"z\.png has 30 × 40 pixels and others 12 × 12; set data\.size"):
            ready(tmp_path, memory=memory, skip_broken=True)


def test_folders_that_cannot_be(tmp_path: Path) -> None:
    def refused(message: str, **changed: object) -> None:
        with pytest.raises(UserError, match=message):
            ready(tmp_path / "set", **changed)

    refused("is not a folder")
    fake_folder(tmp_path / "set", ("val",))
    refused("has val but no train folder")
    fake_folder(tmp_path / "set", ("train",))
    refused("data.test=some must be a share below 1, a number of examples, or val", test="some")
    refused("data.memory=-1", memory=-1)
    fake_folder(tmp_path / "set", ("valid",))
    refused("has both val and valid")
    fake_folder(tmp_path / "other", ("train", "test"))
    with pytest.raises(UserError, match="needs a val folder"):
        ready(tmp_path / "other", test="val")
    save_image(tmp_path / "other" / "test" / "wasps" / "a.png")
    with pytest.raises(UserError, match="test/wasps is of no class in train, which has ants, bees"):
        ready(tmp_path / "other")
    (tmp_path / "other" / "train" / "wasps").mkdir()
    with pytest.raises(UserError, match="train/wasps holds no image"):
        ready(tmp_path / "other")
    save_image(tmp_path / "single" / "cats" / "a.png")
    with pytest.raises(UserError, match="holds 1 class folders"):
        ready(tmp_path / "single")


@pytest.mark.slow
def test_cifar10_subset(real: Callable[[str], Path]) -> None:
    data = ready(real("cifar10_subset"), validation=400)
    assert counts(data) == (3600, 400, 1000)
    assert data.spec.inputs == {"in_channels": 3, "image_size": (32, 32)}
    assert data.spec.num_classes == 10


@pytest.mark.slow
def test_hymenoptera(real: Callable[[str], Path], caplog: pytest.LogCaptureFixture) -> None:
    """The placeholder among the ants is a GIF, and so left out; the usual count is 244 + 153."""
    data = ready(real("hymenoptera_data"), size=64, test="val")
    assert sum(map(int, counts(data))) == 397
    assert data.splits["test"] == 153
    assert "imageNotFound.gif" in caplog.text


@pytest.mark.parametrize("memory", [100, 0])
def test_resize_leaves_a_margin_around_the_middle(tmp_path: Path, memory: float) -> None:
    """White within a black frame: cut to the middle, only white is left."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[8:56, 8:56] = 255
    for number in range(6):
        path = tmp_path / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
    given = {"size": 16, "memory": memory, "validation": 0.34, "test": 0.34, "mean": [0.0] * 3, "std": [1.0] * 3}
    for resize, least in ((None, 0.0), (24, 0.99)):
        data = ready(tmp_path, resize=resize, **given)
        images = data.sample("test", 2)[0]
        assert images.shape[1:] == (3, 16, 16)
        assert float(images.min()) >= least
        assert torch.equal(data.prepare([tmp_path / "class0" / "0.png"])[0], images[0])
        assert (float(images.min()) < 0.5) == (resize is None)
    with pytest.raises(UserError, match=r"data\.resize=8.*data\.size=16"):
        ready(tmp_path, resize=8, **given)


@pytest.mark.parametrize("memory", [100, 0])
def test_interpolation(tmp_path: Path, memory: float) -> None:
    """At an edge bicubic overshoots, bilinear makes values between, nearest makes none; the features kept differ too."""
    pixels = np.full((16, 16, 3), 50, np.uint8)
    pixels[:, 8:] = 200
    for number in range(6):
        path = tmp_path / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
    given = {"size": 24, "memory": memory, "validation": 0.34, "test": 0.34, "mean": [0.0] * 3, "std": [1.0] * 3}
    pixels_by_rule, digests = {}, set()
    for name in (None, "bilinear", "bicubic", "nearest"):
        data = ready(tmp_path, interpolation=name, **given)
        images = data.sample("test", 2)[0]
        assert torch.equal(data.prepare([tmp_path / "class0" / "0.png"])[0], images[0])
        pixels_by_rule[name] = sorted(set((images * 255).round().flatten().int().tolist()))
        digests.add(data.digest("test", False))
    assert pixels_by_rule[None] == pixels_by_rule["bilinear"]
    assert pixels_by_rule["bilinear"][0] == 50
    assert len(pixels_by_rule["bilinear"]) > 2
    assert pixels_by_rule["bicubic"][0] < 50
    assert pixels_by_rule["nearest"] == [50, 200]
    assert len(digests) == 3
    with pytest.raises(UserError, match=r"data\.interpolation=cubic is not known: choose bilinear, bicubic"):
        ready(tmp_path, interpolation="cubic", **given)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_bits_that_files_of_sixteen_use(bits: int, tmp_path: Path) -> None:

    ramp = np.linspace(0, 2**bits - 1, 64).reshape(8, 8).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    assert bits_used([tmp_path / "ramp.png"]) == bits
    pixels = decode(tmp_path / "ramp.png", None, grey=True, bits=bits)
    assert pixels.min() == 0 and pixels.max() == 255


def deep_png(path: Path, pixels: np.ndarray) -> None:
    """Colours of 16 bits each, which Pillow does not write."""
    import struct
    import zlib

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    height, width, channels = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("channels", [3, 4])
def test_bits_of_colours_of_sixteen(bits: int, channels: int, tmp_path: Path) -> None:
    ramp = np.linspace(0, 2**bits - 1, 64).reshape(8, 8, 1).astype(np.uint16).repeat(channels, axis=2)
    if channels != 3:
        ramp[..., -1] = 2**bits - 1  # opaque
    deep_png(tmp_path / "ramp.png", ramp)
    assert bits_used([tmp_path / "ramp.png"]) == bits
    pixels = decode(tmp_path / "ramp.png", None, grey=False, bits=bits)
    assert np.array_equal(pixels, (ramp[..., 0] >> (bits - 8)).astype(np.uint8)[None].repeat(3, axis=0))


def test_images_of_eight_bits_beside_those_of_twelve(tmp_path: Path) -> None:
    """Neither hides the bits of the other, and what has more bits than all others is named."""
    Image.fromarray(np.full((4, 4), 200, np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.full((4, 4), 4000, np.uint16)).save(tmp_path / "b.png")
    assert bits_used([tmp_path / "a.png", tmp_path / "b.png"]) == 12
    assert decode(tmp_path / "a.png", None, grey=True, bits=12).max() == 200
    Image.fromarray(np.full((4, 4), 5000, np.uint16)).save(tmp_path / "c.png")
    with pytest.raises(UserError, match=r"c\.png .*its values go up to 5000, and those .* have 12 bits"):
        decode(tmp_path / "c.png", None, grey=True, bits=12)
    Image.fromarray(np.full((4, 4), 70000, np.int32)).save(tmp_path / "d.tif")
    with pytest.raises(UserError, match="from 70000 to 70000: save it with 8 or 16 bits"):
        decode(tmp_path / "d.tif", None, grey=True)


def test_an_image_of_pillow_out_of_range() -> None:
    with pytest.raises(UserError, match=r"a Pillow image of mode I cannot be read \(its values go from 70000 to 70000"):
        decode(Image.fromarray(np.full((4, 4), 70000, np.int32)), None, grey=True)


def test_images_of_floating_point(tmp_path: Path) -> None:

    for name, values in {"share": [0.0, 0.5, 1.0], "bytes": [0.0, 128.0, 255.0], "beyond": [0.0, 1.0, 4000.0]}.items():
        Image.fromarray(np.array([values], np.float32)).save(tmp_path / f"{name}.tif")
    assert decode(tmp_path / "share.tif", None, grey=True).ravel().tolist() == [0, 128, 255]
    assert decode(tmp_path / "bytes.tif", None, grey=True).ravel().tolist() == [0, 128, 255]
    with pytest.raises(UserError, match="from 0 to 4000: save it with values from 0 to 1"):
        decode(tmp_path / "beyond.tif", None, grey=True)
    # A resampled image of 0 to 1 exceeds 1 a little, and as one of 0 to 255 it would be black.
    Image.fromarray(np.array([[0.0, 0.5, 1.2]], np.float32)).save(tmp_path / "overshoot.tif")
    with pytest.raises(UserError, match=r"from 0 to 1\.2: save it with values from 0 to 1"):
        decode(tmp_path / "overshoot.tif", None, grey=True)
    Image.fromarray(np.array([[0.0, 1.0, 3.5]], np.float32)).save(tmp_path / "dark.tif")
    assert decode(tmp_path / "dark.tif", None, grey=True).ravel().tolist() == [0, 1, 4]


def test_a_stack_is_refused_and_a_preview_is_none(tmp_path: Path) -> None:
    page, small = Image.new("L", (8, 8), 200), Image.new("L", (4, 4), 10)
    page.save(tmp_path / "preview.tif", save_all=True, append_images=[small])
    assert decode(tmp_path / "preview.tif", None, grey=True).mean() == 200
    page.save(tmp_path / "stack.tif", save_all=True, append_images=[page, page])
    with pytest.raises(UserError, match="it has 3 pages of one size: save each as a file of its own"):
        decode(tmp_path / "stack.tif", None, grey=True)


def test_folders_of_no_split_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fake_folder(tmp_path / "beside", ("train", "eval"))
    with caplog.at_level(logging.WARNING):
        assert ready(tmp_path / "beside").spec.num_classes == 2
        assert "left out folders that are of no split: eval" in caplog.text
        fake_folder(tmp_path / "short", ("trn", "tst"))
        assert ready(tmp_path / "short").spec.classes == ("trn", "tst")
    assert "took trn, tst for classes, and all of them hold the folders" in caplog.text
    assert "call the folders train, val and test if they are splits" in caplog.text
