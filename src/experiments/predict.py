"""`experiments predict`: classes and probabilities of image files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from experiments.errors import UserError
from experiments.tables import comma_separated, table

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


def image_files(paths: list[Path]) -> list[Path]:
    """The image files among some paths and in the folders among them.

    Raises:
        UserError: when a path does not exist, or there is no image.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(one for one in path.rglob("*") if one.suffix.lower() in IMAGES and one.is_file())
        elif path.is_file():
            found.append(path)
        else:
            raise UserError(f"{path} does not exist: name image files or folders of them")
    if not found:
        raise UserError(f"{' '.join(map(str, paths))} holds no image: name files such as photo.jpg")
    return found


def main(words: list[str]) -> int:
    """Prints the most probable classes of each image as a table, CSV or JSON."""
    parser = argparse.ArgumentParser("experiments predict", description="Classes and probabilities of image files.")
    parser.add_argument("run", metavar="RUN", help="the folder of a run")
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="image files, or folders of them")
    parser.add_argument("--top", type=int, default=3, metavar="K", help="classes an image (default: 3)")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    options = parser.parse_args(words)
    if options.top < 1:
        raise UserError(f"--top {options.top} must be 1 or more: try --top 3")
    files = image_files(options.images)
    from experiments.loading import load

    loaded = load(options.run)
    classes, rows = loaded.data.spec.classes, []
    for start in range(0, len(files), 64):
        some = files[start : start + 64]
        probabilities, order = loaded.predict(some).topk(min(options.top, len(classes)), dim=1)
        for file, best, indices in zip(some, probabilities.tolist(), order.tolist(), strict=True):
            rows.append((str(file), [(classes[index], value) for index, value in zip(indices, best, strict=True)]))
    if options.format == "json":
        content = [
            {"image": file, "classes": [{"class": name, "probability": round(p, 6)} for name, p in best]}
            for file, best in rows
        ]
        print(json.dumps(content, indent=2, ensure_ascii=False))
        return 0
    cells = [[file, str(place), name, f"{p:.4f}"] for file, best in rows for place, (name, p) in enumerate(best, 1)]
    head = ["image", "rank", "class", "probability"]
    print(comma_separated(head, cells) if options.format == "csv" else table(head, cells, right=(1, 3)))
    return 0
