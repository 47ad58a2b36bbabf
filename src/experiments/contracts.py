"""What networks, tasks, data and loggers may offer beyond what torch and Lightning ask of them.

Each is asked for by `isinstance`, so a class of anyone's offers it by having what is named here, without a base class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

# Of networks


@runtime_checkable
class WritesTokens(Protocol):
    """A network that tells the token after a prompt, and then one token after the other."""

    def start(self, prompts: Any) -> tuple[Any, Any]: ...

    def advance(self, tokens: Any, state: Any) -> tuple[Any, Any]: ...


@runtime_checkable
class SeesSoMany(Protocol):
    """A network that reads a limited number of steps at once: `positions`, or None for any number."""

    positions: int | None


@runtime_checkable
class SeesThePast(Protocol):
    """A network that says whether no step's output depends on later steps."""

    causal: bool


@runtime_checkable
class CarriesState(Protocol):
    """A recurrent network whose next call can go on with the state of the one before."""

    def carry(self, yes: bool) -> None: ...


@runtime_checkable
class RecordsSteps(Protocol):
    """A recurrent layer that can leave each step's output and state in a list."""

    recorded: list[Any] | None


@runtime_checkable
class FindsObjects(Protocol):
    """A detector, whose head reads several maps of its backbone."""

    def from_features(self, *features: Any) -> Any: ...


@runtime_checkable
class EncodesSources(Protocol):
    """An encoder-decoder whose first `encoder_stages` read the source alone, and that goes on from what they made of it."""

    encoder_stages: int


@runtime_checkable
class EncodesSound(EncodesSources, Protocol):
    """The same of sound, whose decoder looks at the silence behind a recording too, up to `window` seconds."""

    window: float


@runtime_checkable
class FitsAtOnce(Protocol):
    """A network that is fitted in one go, such as PCA."""

    def fit(self, pixels: Any, mean: Any, std: Any) -> None: ...


@runtime_checkable
class NamesOfLibrary(Protocol):
    """A network with the layers of a library's: the library's name of each tensor, and ours."""

    published_names: Mapping[str, str]


@runtime_checkable
class LayersOfClasses(Protocol):
    """A network that says which layers have rows of classes; as a mapping, also how many rows a class has in each."""

    class_layers: Sequence[str] | Mapping[str, int]


@runtime_checkable
class KeepsFiles(Protocol):
    """A network or data with something that predictions need later, such as a vocabulary, for the run folder."""

    def keep(self, folder: Path) -> None: ...


# Of data modules


@runtime_checkable
class GivesSamples(Protocol):
    """Data that give some examples of a split as the model gets them."""

    def sample(self, split: str, count: int) -> Any: ...


@runtime_checkable
class GivesExamples(Protocol):
    """Data that give examples of a split by their numbers."""

    def examples(self, split: str, indices: Any) -> Any: ...


@runtime_checkable
class NamesExamples(Protocol):
    """Data that name examples of a split, as by their files."""

    def names(self, split: str, indices: Any) -> list[str]: ...


@runtime_checkable
class CountsGreyValues(Protocol):
    """Data that count the pixels of a split by class and grey value."""

    def grey_values(self, split: str) -> Any: ...


@runtime_checkable
class RenamesLabels(Protocol):
    """Data of words whose labels may have other names; `renaming` tells what to write for labels of others."""

    def renaming(self, labels: Sequence[str]) -> str: ...


@runtime_checkable
class LeavesOutClasses(Protocol):
    """Data that can take classes out of training and validation."""

    def leave_out(self, labels: Sequence[int]) -> None: ...


@runtime_checkable
class ComesInOrder(Protocol):
    """Data that serve a split in order, without augmentation or with fixed views of it; `changes` names the augmentations."""

    @property
    def changes(self) -> Sequence[str]: ...

    def in_order(self, split: str, views: int, size: int) -> Any: ...


@runtime_checkable
class ComesInPieces(Protocol):
    """Data of long texts that can come in pieces of their own, in place of one after the other."""

    in_pieces: bool


@runtime_checkable
class OneLongText(Protocol):
    """Data that are one long text: the tokens of each split, and their text."""

    ids: Mapping[str, Any]

    def decode(self, rows: Sequence[Any]) -> list[str]: ...


@runtime_checkable
class GivesTails(Protocol):
    """Data that give the tokens of sentences that stand behind a text."""

    def tails(self, sentences: Sequence[str], pair: bool) -> list[list[int]]: ...


@runtime_checkable
class TellsWordStarts(Protocol):
    """Data that tell of each token whether a word begins with it."""

    def word_starts(self) -> Any: ...


@runtime_checkable
class LetsPlay(Protocol):
    """Data in whose environment a task plays."""

    def attend(self, player: Any) -> None: ...


@runtime_checkable
class MeasuresMoments(Protocol):
    """Data that give count, mean and variance of what is observed."""

    def moments(self) -> tuple[Any, Any, Any]: ...


# Of tasks


@runtime_checkable
class HearsTimes(Protocol):
    """A task whose predictions can tell when something is said."""

    def hear_times(self) -> None: ...


@runtime_checkable
class ContinuesTexts(Protocol):
    """A task that goes on from the beginning of a text; `writing` says how."""

    writing: Any

    def generate(self, begin: Any, how: Any = None) -> Any: ...


# Of loggers


@runtime_checkable
class TakesPictures(Protocol):
    """A logger that takes pictures as PNG files."""

    def log_picture(self, name: str, png: bytes, step: int) -> None: ...


@runtime_checkable
class TakesTexts(Protocol):
    """A logger that takes texts in Markdown."""

    def log_text(self, name: str, markdown: str, step: int) -> None: ...


@runtime_checkable
class TakesPrCurves(Protocol):
    """A logger that takes curves of precision and recall."""

    def log_pr_curve(self, name: str, rows: Any, step: int) -> None: ...


def positions_of(model: Any) -> int | None:
    """Return how many steps a network reads at once; None: any number."""
    if not isinstance(model, SeesSoMany):
        return None
    return model.positions if isinstance(model.positions, int) else None  # a layer of that name says no number


def published_names(model: Any) -> Mapping[str, str]:
    """Return our name of each tensor of the library that a network comes from; empty where it comes from none."""
    return model.published_names if isinstance(model, NamesOfLibrary) else {}
