"""Names that classes had in configs of earlier versions, so that old run folders can still be read."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

_MOVED = {
    "schedulers": "tasks.parts.schedules",
    "loggers.TensorBoard": "loggers.tensorboard.TensorBoard",
    "loggers.CSV": "loggers.csv.CSV",
    "models.library.Torchvision": "models.library.image_networks.Torchvision",
    "models.library.Timm": "models.library.image_networks.Timm",
    "data.augment": "data.images.augment",
    "data.cifar": "data.images.cifar",
    "data.decode": "data.images.image_files",
    "data.digits": "data.images.digits",
    "data.image_folder": "data.images.image_folder",
    "data.image_store": "data.images.image_store",
    "data.images": "data.images.image_data",
    "data.medmnist": "data.images.medmnist",
    "data.mnist": "data.images.mnist",
    "data.shapes": "data.images.shapes",
    "data.generated_reviews": "data.text.generated_reviews",
    "data.imdb": "data.text.imdb",
    "data.letters": "data.text.letters",
    "data.rt_polarity": "data.text.rt_polarity",
    "data.sst2": "data.text.sst2",
    "data.stream": "data.text.text_stream",
    "data.text": "data.text.text_data",
    "data.text_table": "data.text.text_table",
    "data.tokens": "data.text.tokens",
    "data.en_hi": "data.pairs.en_hi",
    "data.generated_pairs": "data.pairs.generated_pairs",
    "data.pair_files": "data.pairs.pair_files",
    "data.pair_store": "data.pairs.pair_store",
    "data.pair_texts": "data.pairs.pair_texts",
    "data.pairs": "data.pairs.pair_data",
    "data.audio": "data.audio.audio_data",
    "data.audio_files": "data.audio.audio_files",
    "data.fsdd": "data.audio.fsdd",
    "data.generated_tones": "data.audio.generated_tones",
    "data.speech_manifest": "data.audio.speech_manifest",
    "data.transcripts": "data.audio.transcripts",
    "data.ett": "data.series.ett",
    "data.gaps": "data.series.gaps",
    "data.generated_series": "data.series.generated_series",
    "data.series": "data.series.series_data",
    "data.series_table": "data.series.series_table",
    "data.table": "data.series.number_table",
    "data.times": "data.series.times",
    "data.diagnostics": "data.generated.diagnostics",
    "data.control.module": "data.control.control_data",
    "run.given.data": "run.python_objects.data",
    "run.given.network": "run.python_objects.network",
    "run.given.module": "run.python_objects.module",
}


@lru_cache(maxsize=1000)  # a comparison asks for the same few names of thousands of runs
def renamed(target: str) -> str:
    """Gives the name of today for a `_target_`, such as `experiments.data.mnist.MNIST`."""
    prefix, _, rest = target.partition(".")
    if prefix != "experiments":
        return target
    for old, new in _MOVED.items():
        if rest == old or (rest.startswith(f"{old}.") and rest.removeprefix(f"{old}.")[:1].isupper()):
            return f"experiments.{new}{rest.removeprefix(old)}"
        if old == "schedulers" and rest.startswith("schedulers."):
            return f"experiments.{new}{rest.removeprefix(old)}"
    return target


def with_new_names(value: Any) -> Any:
    """Gives a copy of plain Python in which every `_target_` has the name of today."""
    if isinstance(value, dict):
        return {
            key: renamed(item) if key == "_target_" and isinstance(item, str) else with_new_names(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [with_new_names(item) for item in value]
    return value
