"""What a dataset says of itself. Frozen dataclasses, standard library only."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

FOLLOWS, AGAINST = "entailment", "contradiction"  # classes of pairs of texts, by which labels never seen are judged


@dataclass(frozen=True)
class ImageSpec:
    """Images of one size with one label each.

    Attributes:
        channels: 1 for grey, 3 for colour.
        height: pixels, as the model receives them.
        width: pixels, as the model receives them.
        classes: class names; a label is an index into them.
        mean: one value a channel, of pixels scaled to [0, 1], taken from the training split.
        std: standard deviations, likewise.
        bits: how many bits files of 16 bits use; new images are read alike.
    """

    channels: int
    height: int
    width: int
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bits: int = 16

    @property
    def inputs(self) -> dict[str, Any]:
        """Keyword arguments that every image model takes."""
        return {"in_channels": self.channels, "image_size": (self.height, self.width)}

    @property
    def num_classes(self) -> int:
        return len(self.classes)


@dataclass(frozen=True)
class MaskSpec(ImageSpec):
    """Images of one size with a class for every pixel.

    Attributes:
        colours: of the classes, as "#rrggbb", for drawn and written masks.
        ignored: number in a mask of the pixels that nothing is learned or measured from.
    """

    colours: tuple[str, ...] = ()
    ignored: int = 255


@dataclass(frozen=True)
class TextSpec:
    """Sequences of tokens of unequal length, with a label each or none.

    Attributes:
        vocabulary: number of tokens; 0 is padding and 1 what is unknown.
        length: a usual number of tokens in a sequence (the median of the training split).
        longest: the largest number of tokens that a sequence is cut to.
        classes: class names; a label is an index into them. Empty where a sequence has none.
        values: numbers that are asked of a sequence, for regression.
        mask: the token that hides a word from a masked language model, or None.
        special: tokens that stand for no word: padding, what is unknown, where a text begins and ends.
        marks: the tokens for padding, what is unknown, start and end (-1: there is none), where each text stands between a
            start and an end; else empty.
        apart: whether an example is two texts, each a row of its own.
        end: the token with which a language model ends a text, or None.
    """

    vocabulary: int
    length: int
    longest: int
    classes: tuple[str, ...] = ()
    values: int = 0
    mask: int | None = None
    special: tuple[int, ...] = (0, 1, 2, 3)
    marks: tuple[int, ...] = ()
    apart: bool = False
    end: int | None = None

    @property
    def inputs(self) -> dict[str, Any]:
        """Keyword arguments that every model of tokens takes."""
        return {"vocabulary": self.vocabulary}

    @property
    def hints(self) -> dict[str, Any]:
        """Keyword arguments for models that ask for them by name."""
        return {"marks": self.marks} if self.marks else {}

    @property
    def num_classes(self) -> int:
        return len(self.classes)


@dataclass(frozen=True)
class QuestionSpec(TextSpec):
    """Questions about passages, as tokens of both in one sequence.

    Attributes:
        unanswerable: whether some questions have no answer in their passage.
    """

    unanswerable: bool = False


@dataclass(frozen=True)
class PairSpec:
    """Sentences in two languages, as tokens.

    Attributes:
        vocabulary: number of the source's tokens.
        target_vocabulary: of the target's, likewise.
        shared: whether both are the same.
        length: a usual number of tokens in a source sentence (the median of the training split).
        target_length: of a target sentence, its end included.
        longest: the largest number in any source sentence.
        target_longest: likewise.
        languages: names of source and target.
        marks: the tokens for padding, what is unknown, start and end; the start is what a decoder reads first.
        first: tokens that every translation begins with, such as the mark of its language; none as a rule.
    """

    vocabulary: int
    target_vocabulary: int
    shared: bool
    length: int
    target_length: int
    longest: int
    target_longest: int
    languages: tuple[str, ...]
    marks: tuple[int, ...] = (0, 1, 2, 3)
    first: tuple[int, ...] = ()

    @property
    def inputs(self) -> dict[str, Any]:
        """Keyword arguments that every translating model takes."""
        return {
            "vocabulary": self.vocabulary,
            "target_vocabulary": self.target_vocabulary,
            "one_vocabulary": self.shared,
        }


@dataclass(frozen=True)
class SequenceSpec:
    """Sequences of vectors of unequal length, with a label or some numbers each.

    Attributes:
        features: length of a vector.
        length: a usual number of vectors in a sequence.
        longest: the largest number.
        classes: class names; a label is an index into them. Empty where a sequence has none.
        values: numbers that are asked of a sequence, for regression.
    """

    features: int
    length: int
    longest: int
    classes: tuple[str, ...] = ()
    values: int = 0

    @property
    def inputs(self) -> dict[str, Any]:
        """Keyword arguments that every model of vectors takes."""
        return {"features": self.features}

    @property
    def num_classes(self) -> int:
        return len(self.classes)


@dataclass(frozen=True)
class AudioSpec:
    """Sound of unequal length, one channel, with a label or a transcript each.

    Attributes:
        rate: samples a second.
        length: a usual number of samples (the median of the training split).
        longest: the largest number.
        classes: class names; a label is an index into them. Empty where there are transcripts.
        symbols: characters that transcripts are written in. Empty where there are labels.
    """

    rate: int
    length: int
    longest: int
    classes: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()

    @property
    def inputs(self) -> dict[str, Any]:
        """Keyword arguments that every model of sound takes."""
        return {"sample_rate": self.rate}

    @property
    def num_classes(self) -> int:
        return len(self.classes)


@dataclass(frozen=True)
class SeriesSpec:
    """Windows of a series of numbers: the past as input, the future as target.

    Attributes:
        columns: names; all of them are read and all are forecast.
        history: steps of the past.
        horizon: steps of the future.
        season: steps in a period, 1 for none.
        mean: one value a column, of the training split.
        std: standard deviations, likewise.
        naive_error: a column's mean absolute difference over a season in the training split, scaled: what MASE divides by.
    """

    columns: tuple[str, ...]
    history: int
    horizon: int
    season: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    naive_error: tuple[float, ...]

    @property
    def inputs(self) -> dict[str, Any]:
        """Keyword arguments that every forecaster takes."""
        return {"features": len(self.columns), "history": self.history}


@dataclass(frozen=True)
class ControlSpec:
    """An environment: what is observed in each step, and what can be done.

    Attributes:
        environment: its name in gymnasium's registry; empty where demonstrations come without one.
        observations: names of the numbers that are observed.
        actions: names of the choices, or of the entries of a continuous action.
        discrete: whether one action is chosen among several.
        low: least value of each entry of a continuous action; empty where actions are chosen.
        high: greatest value, likewise.
        longest: steps after which an episode is cut off; 0 for never.
        threshold: the return at which an episode counts as a success; None where nobody set one.
    """

    environment: str
    observations: tuple[str, ...]
    actions: tuple[str, ...]
    discrete: bool
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    longest: int = 0
    threshold: float | None = None

    @property
    def inputs(self) -> dict[str, Any]:
        """Keyword arguments that every policy takes."""
        return {"features": len(self.observations)}

    @property
    def distribution(self) -> str:
        """What fits the actions: `categorical` or `gaussian`."""
        return "categorical" if self.discrete else "gaussian"

    def misfit(self, distribution: str | None) -> str | None:
        """Return the sentence against a distribution that was asked for, or None where it fits."""
        if distribution not in (None, "categorical", "gaussian"):
            return f"task.distribution={distribution} is unknown: choose categorical, gaussian or null"
        if distribution in (None, self.distribution):
            return None
        kind = "discrete" if self.discrete else "continuous"
        return (
            f"task.distribution={distribution} does not fit the {kind} actions of data.env={self.environment}: "
            f"set task.distribution={self.distribution} or null"
        )


@dataclass(frozen=True)
class DetectionSpec:
    """Images of unlike sizes with boxes, and perhaps masks, around the objects in them; always in colour.

    Attributes:
        height: pixels of a usual image (the median of the training split).
        width: likewise.
        classes: class names; a label is an index into them, and the background has none.
        masks: whether each object has a mask.
        bits: how many bits files of 16 bits use; new images are read alike.
    """

    height: int
    width: int
    classes: tuple[str, ...]
    masks: bool = False
    bits: int = 16

    @property
    def inputs(self) -> dict[str, Any]:
        """Keyword arguments that every detector takes: none, as images come in any size."""
        return {}

    @property
    def num_classes(self) -> int:
        return len(self.classes)


def to_plain(spec: Any) -> dict[str, Any]:
    """Return a spec as plain Python, for the record."""
    return {"kind": type(spec).__name__, **asdict(spec)}


def from_plain(plain: dict[str, Any]) -> Any:
    """Return the spec that `to_plain` wrote.

    Raises:
        KeyError: when its kind is not known.
        TypeError: when a field is missing, unknown, or of another type.
    """
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in plain.items() if key != "kind"
    }
    kind = SPECS[plain["kind"]]
    for field in fields(kind):
        if field.name in values and not _is_of(values[field.name], str(field.type)):
            raise TypeError(f"{field.name} is no {field.type}")
    return kind(**values)


_PLAIN: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "str": (str,),
    "None": (type(None),),
}


def _is_of(value: Any, annotated: str) -> bool:
    """Tell whether a value is of the type that a field says: `int | None`, `tuple[float, ...]`; of others any."""
    for kind in annotated.split(" | "):
        if kind.startswith("tuple["):
            inner = kind.removeprefix("tuple[").partition(",")[0].rstrip("]")
            if isinstance(value, (tuple, list)) and all(_is_of(item, inner) for item in value):
                return True
        elif kind not in _PLAIN or type(value) in _PLAIN[kind]:
            return True
    return False


SPECS = {
    cls.__name__: cls
    for cls in (
        AudioSpec,
        ControlSpec,
        DetectionSpec,
        ImageSpec,
        MaskSpec,
        PairSpec,
        QuestionSpec,
        SequenceSpec,
        SeriesSpec,
        TextSpec,
    )
}
