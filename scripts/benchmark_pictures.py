"""The rows of the benchmark that are about boxes and masks; `benchmark.py` runs them.

Everything runs on one thread and counts processor time, so that what else runs on the machine matters little.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from benchmark_language import Built, Samples, per_cpu_second, turns, with_auto


def segmentation(model: str, quick: bool) -> Samples:
    """Images a second of a segmenter's training on generated masks: ours, and the usual loop, which collates single images and
    runs torch's default order of channels; with `auto` ours in precision=auto, where that is bf16."""
    if model.startswith("unet_") and not find_spec("segmentation_models_pytorch"):
        return {}
    import torch

    count, size, batch = (8, 64, 4) if quick else (256 if model.startswith("lraspp") else 64, 128, 8)
    words = ["data=generated_masks", f"data.count={count + 20}", f"data.size={size}", f"data.batch_size={batch}",
             f"model={model}", "optimizer=adamw", "data.augment.flip=0.5"]  # fmt: skip
    built = with_auto(words)
    data = built["ours"].data
    data.setup()
    served: Any = data.dataset("train")
    images = len(served)
    whole = served.__getitems__(range(images))
    pixels, masks = [tensor for tensor in whole if isinstance(tensor, torch.Tensor)][:2]
    spec = data.spec
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (spec.mean, spec.std))

    class Pairs(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return images

        def __getitem__(self, place: int) -> tuple[Any, Any]:
            image, mask = pixels[place].float() / 255, masks[place].long()
            if torch.rand(()) < 0.5:
                image, mask = image.flip(2), mask.flip(1)
            return (image - mean) / std, mask

    def loop() -> None:
        network = built["ours"].network().to(memory_format=torch.contiguous_format)  # ours arranges what it builds
        optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
        for image, mask in torch.utils.data.DataLoader(Pairs(), batch, shuffle=True, drop_last=True):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(image), mask).backward()
            optimizer.step()

    sides: dict[str, Any] = {name: trained.fit for name, trained in built.items()} | {"loop": loop}
    return turns({name: lambda side=side: per_cpu_second(images, side) for name, side in sides.items()}, quick)  # type: ignore[misc]


def detection(quick: bool) -> Samples:
    """Processor seconds of ten steps of SSDlite on generated boxes: our training, and torchvision's own step on a resident batch."""
    import torch

    steps = 2 if quick else 10
    words = [
        "data=generated_boxes",
        "data.batch_size=2",
        "model=ssdlite",
        f"trainer.limit_train_batches={steps}",
        "optimizer=adamw",
    ]
    built = Built(words)
    built.data.setup()
    batch = next(iter(built.data.train_dataloader()))
    images, targets = built.data.transfer_batch_to_device(batch, torch.device("cpu"), 0)

    def own() -> None:
        network = built.network()
        optimizer = torch.optim.AdamW(network.parameters(), 1e-3, fused=True)
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            sum(network(images, targets).values()).backward()
            optimizer.step()

    return turns({"ours": lambda: 1 / per_cpu_second(1, built.fit), "floor": lambda: 1 / per_cpu_second(1, own)}, quick)


def average_precision(quick: bool) -> Samples:
    """Processor seconds of mAP over 100 images with 100 predictions each: ours, and pycocotools."""
    if not (find_spec("faster_coco_eval") and find_spec("pycocotools")):
        return {}
    import contextlib
    import io

    import torch
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    from experiments.tasks.parts.average_precision import AveragePrecision

    draw, images = torch.Generator().manual_seed(0), 4 if quick else 100

    def boxes(count: int) -> dict[str, torch.Tensor]:
        corner = torch.rand(count, 2, generator=draw) * 400
        sides = 10 + torch.rand(count, 2, generator=draw) * 100
        return {
            "boxes": torch.cat([corner, corner + sides], 1),
            "labels": torch.randint(0, 5, (count,), generator=draw),
        }

    true = [boxes(10) for _ in range(images)]
    predicted = [boxes(100) | {"scores": torch.rand(100, generator=draw)} for _ in range(images)]

    def ours() -> None:
        judge = AveragePrecision([f"class {number}" for number in range(5)])
        judge.update(predicted, true)
        judge.compute()

    def theirs() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            labelled, guessed = COCO(), COCO()
            for side, rows in ((labelled, true), (guessed, predicted)):
                listed = []
                for image, objects in enumerate(rows):
                    for place, (box, label) in enumerate(
                        zip(objects["boxes"].tolist(), objects["labels"].tolist(), strict=True)
                    ):
                        wide, high = box[2] - box[0], box[3] - box[1]
                        row = {"id": len(listed) + 1, "image_id": image, "category_id": label, "bbox": [*box[:2], wide, high],
                               "area": wide * high, "iscrowd": 0}  # fmt: skip
                        listed.append(row | ({"score": float(objects["scores"][place])} if "scores" in objects else {}))
                side.dataset = {"images": [{"id": n} for n in range(images)], "annotations": listed,
                                "categories": [{"id": n} for n in range(5)]}  # fmt: skip
                side.createIndex()
            judge = COCOeval(labelled, guessed, "bbox")
            judge.evaluate()
            judge.accumulate()
            judge.summarize()

    return turns(
        {"ours": lambda: 1 / per_cpu_second(1, ours), "pycocotools": lambda: 1 / per_cpu_second(1, theirs)}, quick
    )
