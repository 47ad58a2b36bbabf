"""Features of frozen stages are kept, shared and read again, and change no number."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.batches import IGNORED, pad
from experiments.transfer.cache_files import Cache, TooLargeError
from experiments.transfer.cached_features import FeatureSet
from tests.transfer.test_freezing import SMALL, first, weights

LOSSES = """
from pathlib import Path
from lightning.pytorch import Callback


class Losses(Callback):
    def __init__(self, path):
        self.path, self.losses = Path(path), []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.losses.append(outputs["loss"].item())

    def on_train_end(self, trainer, module):
        self.path.write_text("\\n".join(map(repr, self.losses)))
"""

STOP = """
import os
import signal
from lightning.pytorch import Callback


class Stop(Callback):
    def __init__(self, after, politely):
        self.after, self.politely = after, politely

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if trainer.global_step == self.after and self.politely:
            os.kill(os.getpid(), signal.SIGTERM)
        elif trainer.global_step == self.after:
            raise RuntimeError("the power went")
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXPERIMENTS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


@pytest.fixture
def train(experiments: Any, net: list[str], tmp_path: Path) -> Any:
    """Trains the small network from `first.pt`; gives its record."""
    first(net, tmp_path)
    module = f"losses_{abs(hash(tmp_path))}"
    (tmp_path / f"{module}.py").write_text(LOSSES)

    def run(name: str, *words: str) -> dict[str, Any]:
        listen = [f"+callbacks.losses._target_={module}.Losses", f"+callbacks.losses.path={tmp_path / name}.txt"]
        code, _, errors = experiments(
            "train", *net, *SMALL, *listen, "weights=first.pt", f"hydra.run.dir={name}", *words
        )
        assert code == 0, errors
        return {**json.loads((tmp_path / name / "record.json").read_text()), "said": errors}

    return run


def losses(tmp_path: Path, name: str) -> list[float]:
    return [float(line) for line in (tmp_path / f"{name}.txt").read_text().split()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "stages"),
    [
        (["freezing=feature_extraction", "data.batch_size=36", "trainer.max_epochs=3"], [5]),
        (["freezing=last_stage", "precision=bf16-mixed", "trainer.max_epochs=2"], [3]),
        (["freezing=gradual", "freezing.every_epochs=2", "freezing.depth=2", "trainer.max_epochs=5"], [5, 3, 1]),
    ],
)
def test_every_step_has_the_loss_of_a_run_without(
    train: Any, tmp_path: Path, words: list[str], stages: list[int]
) -> None:
    """With dropout in what learns, so the draws of a run must not shift either."""
    with_, without = train("with", *words), train("without", *words, "features.cache=false")
    rows = [row for row in with_["features"]["kept"] if row["part"] == "train"]
    assert [len(row["stages"]) for row in rows] == stages
    assert {row["part"] for row in with_["features"]["kept"]} == {"train", "validation", "test"}
    assert without["features"] == {"kept": [], "reason": "features.cache=false"}
    tolerance = 2e-2 if "precision=bf16-mixed" in words else 1e-4
    torch.testing.assert_close(
        torch.tensor(losses(tmp_path, "with")), torch.tensor(losses(tmp_path, "without")), rtol=tolerance, atol=1e-5
    )
    first, other = weights(tmp_path / "with"), weights(tmp_path / "without")
    assert first.keys() == other.keys()  # the checkpoint is the whole network
    for name in first:
        torch.testing.assert_close(first[name], other[name], rtol=tolerance, atol=tolerance)
    assert with_["metrics"]["test/loss"] == pytest.approx(without["metrics"]["test/loss"], rel=tolerance)
    assert with_["identity"] == without["identity"]


@pytest.mark.slow
def test_runs_on_one_backbone_share_one_pass(train: Any, cache: Path, tmp_path: Path) -> None:
    words = ["freezing=feature_extraction", "trainer.max_epochs=1"]
    first_run = train("one", *words)
    assert [row["reused"] for row in first_run["features"]["kept"]] == [False] * 3
    assert "computed once" in first_run["said"]
    again = train("two", *words, "seed=1", "optimizer.lr=0.3")
    assert [row["reused"] for row in again["features"]["kept"]] == [True] * 3
    assert "kept before" in again["said"]
    assert len(list(cache.glob("*.features"))) == 3
    other = train("three", *words, "data.mean=[0.3]")
    assert [row["reused"] for row in other["features"]["kept"]] == [False] * 3
    state = torch.load(tmp_path / "first.pt")
    state["one.0.bias"] += 1
    torch.save(state, tmp_path / "first.pt")
    changed = train("four", *words)
    assert [row["reused"] for row in changed["features"]["kept"]] == [False] * 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("freezing", "after", "politely", "forget"),
    [
        (["freezing=feature_extraction"], 5, True, True),
        (["freezing=gradual", "freezing.every_epochs=2", "freezing.depth=1"], 8, False, False),
    ],
)
def test_a_run_that_is_stopped_goes_on_with_kept_features(
    experiments: Any,
    net: list[str],
    tmp_path: Path,
    cache: Path,
    freezing: list[str],
    after: int,
    politely: bool,
    forget: bool,
) -> None:
    """In the middle of an epoch, with or without warning, the cache still there or not: bit for bit as if never stopped."""
    first(net, tmp_path)
    module = f"stop_{abs(hash(tmp_path))}"
    (tmp_path / f"{module}.py").write_text(STOP)
    words = [
        *net,
        *SMALL,
        *freezing,
        "weights=first.pt",
        "trainer.max_epochs=4",
        "callbacks.checkpoint.every_n_steps=2",
    ]
    stop = [f"+callbacks.stop={{_target_:{module}.Stop,after:{after},politely:{str(politely).lower()}}}"]
    assert experiments("train", *words, "hydra.run.dir=whole")[0] == 0
    assert experiments("train", *words, *stop, "hydra.run.dir=run")[0] == (128 + signal.SIGTERM if politely else 1)
    if forget:
        shutil.rmtree(cache)
    code, _, errors = experiments("train", "resume=run", "callbacks.stop.after=-1")
    assert code == 0, errors
    whole, run = (json.loads((tmp_path / name / "record.json").read_text()) for name in ("whole", "run"))
    assert run["resumed"] == 1
    assert run["metrics"] == whole["metrics"]
    assert {row["reused"] for row in run["features"]["kept"]} == {not forget}
    for name in ("last", "best"):
        expected, actual = weights(tmp_path / "whole", name), weights(tmp_path / "run", name)
        assert expected.keys() == actual.keys()
        assert [key for key in expected if not torch.equal(expected[key], actual[key])] == []


@pytest.mark.slow
def test_it_says_why_nothing_is_kept(train: Any, cache: Path) -> None:
    base = ["freezing=feature_extraction", "trainer.max_epochs=1"]
    cases = [
        ([*base, "data.augment.flip=true"], "data.augment.flip makes others of them in every epoch"),
        ([*base, "features.gigabytes=1e-9"], "they would take"),
        ([*base, "trainer.limit_train_batches=1"], "only 1 of 3 train batches are wanted"),
        (["freezing=lora", "trainer.max_epochs=1"], "no stage at the front stays as it is"),
        ([*base, "freezing.norm=affine"], "freezing.norm=affine lets the first stages change"),
        ([*base, "features.dir=first.pt"], "features.dir=first.pt cannot be used (Not a directory): name a folder"),
    ]
    for number, (words, reason) in enumerate(cases):
        record = train(f"run{number}", *words)
        assert reason in record["features"]["reason"]
        assert f"features: not cached, because {reason}" in record["said"]
    assert not list(cache.glob("*.features"))


@pytest.mark.slow
def test_fixed_views(train: Any, experiments: Any, tmp_path: Path) -> None:
    words = ["freezing=feature_extraction", "data.augment.crop=2", "optimizer.lr=1e-12", "trainer.max_epochs=4"]
    record = train("views", *words, "freezing.views=2")
    kept = record["features"]["kept"]
    assert [(row["part"], row["views"]) for row in kept] == [("train", 2), ("validation", 0), ("test", 0)]
    # Nothing learns at this rate, so an epoch's mean loss says what it saw: two views in turn, and not the plain images.
    means = torch.tensor(losses(tmp_path, "views")).view(4, 3).mean(1)
    torch.testing.assert_close(means[0], means[2], rtol=1e-5, atol=0)
    torch.testing.assert_close(means[1], means[3], rtol=1e-5, atol=0)
    assert abs(means[0] - means[1]) > 1e-4
    code, _, errors = experiments("check", "freezing=feature_extraction", "freezing.views=2", "features.cache=false")
    assert code == 2
    assert "freezing.views=2 trains on cached features" in errors
    quick = ["train", "freezing.views=2", "trainer=quick", "callbacks=none"]
    for more, reason in (
        ([], "no stage at the front stays as it is"),
        (["freezing=last_stage"], "nothing in data.augment is set, so that all views would be the same"),
        (["freezing=last_stage", "data.augment.mixup=0.2"], "data.augment.mixup pairs other images in every epoch"),
    ):
        code, _, errors = experiments(*quick, *more)
        assert code == 2
        assert f"none are: {reason}" in errors


@pytest.mark.slow
def test_pictures_are_drawn_of_the_images(train: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    words = ["freezing=feature_extraction", "trainer.max_epochs=1", "callbacks=default", "callbacks.progress=null"]
    assert train("run", *words)["features"]["kept"]
    assert {"training_batch.png", "most_wrong.png"} <= {path.name for path in (tmp_path / "run" / "figures").iterdir()}


@pytest.mark.slow
def test_two_processes_read_one_file(command: Any, net: list[str], tmp_path: Path, cache: Path) -> None:
    first(net, tmp_path)
    words = ["freezing=gradual", "freezing.every_epochs=2", "weights=first.pt", "trainer=cpu_2", "trainer.max_epochs=3"]
    for name, keep in (("with", "true"), ("without", "false")):
        done = command("train", *net, *SMALL, *words, f"features.cache={keep}", f"hydra.run.dir={name}")
        assert done.returncode == 0, done.stderr
    cached, other = weights(tmp_path / "with"), weights(tmp_path / "without")
    for name in cached:
        torch.testing.assert_close(cached[name], other[name], rtol=1e-4, atol=1e-4)
    assert list(cache.glob("*.features"))


# The cache itself.


def batches(value: float = 1.0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for start in range(0, 10, 4):
        rows = torch.arange(start, min(start + 4, 10))
        yield (rows[:, None] * value).bfloat16().expand(-1, 3), rows


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 1)
    made, before = cache.get("a", 10, batches)
    again, hit = cache.get("a", 10, lambda: pytest.fail("computed twice"))  # type: ignore[arg-type, return-value]
    assert (before, hit) == (False, True)
    for kept in (made, again):
        assert kept.values.dtype == torch.bfloat16
        assert torch.equal(kept.values[:, 0].float(), torch.arange(10.0))
        assert torch.equal(kept.targets, torch.arange(10))


def test_a_half_written_file_is_never_read(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 1)

    def stops() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        yield next(batches())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.get("a", 10, stops)
    assert not list(tmp_path.glob("*.features"))
    assert not list(tmp_path.glob(".a*"))
    (tmp_path / ".a.features.killed").write_bytes(b"x")  # what a process leaves that had no time to tidy
    cache.get("a", 10, batches)
    assert not list(tmp_path.glob(".a*"))
    path = tmp_path / "a.features"
    for content in (path.read_bytes()[:4100], b"", b"{}" * 4000):  # as a power cut may leave it
        path.write_bytes(content)
        kept, hit = cache.get("a", 10, batches)
        assert not hit
        assert torch.equal(kept.targets, torch.arange(10))


def test_a_whole_file_of_another_key_and_a_pipe_are_computed_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = Cache(tmp_path, 1)
    cache.get("a", 10, batches)
    cache.get("b", 10, lambda: ((values + 1, targets) for values, targets in batches()))
    shutil.copy(tmp_path / "b.features", tmp_path / "a.features")
    kept, hit = cache.get("a", 10, batches)
    assert not hit and torch.equal(kept.values[:, 0].float(), torch.arange(10.0))
    assert "it is of other weights or data than its name says" in caplog.text
    (tmp_path / "a.features").unlink()
    os.mkfifo(tmp_path / "a.features")  # would be waited for without end
    assert not cache.get("a", 10, batches)[1] and "no plain file" in caplog.text


@pytest.mark.parametrize("kind", ["even", "ragged"])
def test_a_flipped_bit_anywhere_is_computed_again(tmp_path: Path, kind: str) -> None:
    def sequences() -> Iterator[Any]:
        for row in range(4):
            yield pad([torch.full((row + 1, 2), row + 1.0)]), torch.full((1, row + 1), row)

    cache, count, made = Cache(tmp_path, 1), 10 if kind == "even" else 4, batches if kind == "even" else sequences

    def tensors(kept: Any) -> list[torch.Tensor]:
        return [tensor.float() for column in kept for tensor in (column if isinstance(column, tuple) else (column,))]

    right = [tensor.clone() for tensor in tensors(cache.get("a", count, made)[0])]
    path = tmp_path / "a.features"
    whole = path.read_bytes()
    head = len(whole[:4096].rstrip())
    for place in (*range(0, head, 11), *range(4096, len(whole), 41)):
        broken = bytearray(whole)
        broken[place] ^= 1 << place % 8
        path.write_bytes(broken)
        kept, _ = cache.get("a", count, made)
        assert all(torch.equal(*pair) for pair in zip(tensors(kept), right, strict=True)), place


def test_the_longest_unused_goes_first(tmp_path: Path) -> None:
    size = len(_written(tmp_path))
    cache = Cache(tmp_path, 2.5 * size / 1e9)
    for name in "ab":
        cache.get(name, 10, batches)
        time.sleep(0.02)
    held, _ = cache.get("a", 10, batches)  # b is now the one unused for longest
    time.sleep(0.02)
    cache.get("c", 10, batches)
    assert {path.stem for path in tmp_path.glob("*.features")} == {"a", "c"}
    cache.get("d", 10, batches)
    assert torch.equal(held.targets, torch.arange(10))  # whoever reads what is removed goes on
    cache.get("a", 10, batches)
    assert Cache(tmp_path, 1.5 * size / 1e9).get("a", 10, batches)[1]  # a lower limit holds for what is reused, too
    assert [path.stem for path in tmp_path.glob("*.features")] == ["a"]
    with pytest.raises(TooLargeError, match=r"features.gigabytes"):
        Cache(tmp_path, 1e-9).get("e", 10, batches)


def _written(tmp_path: Path) -> bytes:
    Cache(tmp_path / "size", 1).get("a", 10, batches)
    return (tmp_path / "size" / "a.features").read_bytes()


def _slowly(folder: Path, results: Any) -> None:
    made = 0

    def slow() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        nonlocal made
        for batch in batches():
            made += 1
            time.sleep(0.05)
            yield batch

    kept, hit = Cache(folder, 1).get("a", 10, slow)
    results.put((made, hit, kept.targets.tolist()))


def test_two_processes_at_once_compute_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    processes = [context.Process(target=_slowly, args=(tmp_path, results)) for _ in range(3)]
    for process in processes:
        process.start()
    outcomes = [results.get(timeout=180) for _ in processes]
    for process in processes:
        process.join()
    assert sorted(hit for _, hit, _ in outcomes) == [False, True, True]
    assert sorted(made for made, _, _ in outcomes) == [0, 0, 3]
    assert all(targets == list(range(10)) for _, _, targets in outcomes)


def test_what_is_kept_depends_on_the_users_own_code_and_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from experiments.callbacks.use_cached_features import _own_settings
    from experiments.transfer.cached_features import sources

    monkeypatch.syspath_prepend(str(tmp_path))
    text = "from experiments.data.images.digits import Digits\n\n\nclass OwnDigits(Digits):\n    def __init__(self, gain, **rest):\n"
    text += "        super().__init__(**rest)\n        self.gain = gain\n"
    file = tmp_path / "own_digits.py"
    file.write_text(text)
    own = importlib.import_module("own_digits").OwnDigits
    plain = {"batch_size": 8, "size": None, "validation": 0.1, "limit": None, "workers": 0, "seed": 0, "augment": {}}
    weak, strong = own(1.0, **plain), own(2.0, **plain)
    assert _own_settings(weak) == _own_settings(own(1.0, **plain | {"batch_size": 4, "seed": 3}))
    assert _own_settings(weak) != _own_settings(strong)
    before = sources(weak)
    assert before == sources(strong) != sources(object())
    file.write_text(text + "\n    def on_after_batch_transfer(self, batch, dataloader_idx):\n        return batch\n")
    assert sources(weak) != before


TINY_BERT = [
    "model=bert_tiny",
    "model.size=16",
    "model.inner=16",
    "model.layers=2",
    "data=generated_reviews",
    "data.count=80",
]
TINY_PAIRS = [
    "data=generated_pairs",
    "data.count=80",
    "data.tokenizers.shared=true",
    "task.validation_bleu=3",
    "task.search.beams=2",
]
TINY_T5 = [*TINY_PAIRS, "model=t5_tiny", "model.size=16", "model.inner=16", "model.layers=1", "model.heads=2"]
TINY_SOUND = [
    "model=wav2vec2_tiny", "model.hidden=16", "model.inner=16", "model.layers=1", "model.heads=2", "model.filters=[8,8]",
    "model.kernels=[10,8]", "model.strides=[10,8]", "model.position_kernel=4", "model.position_groups=2", "model.projection=8",
    "data.rate=16000", "data.count=48",
]  # fmt: skip

PAIRS_APART = ["data=sentence_pairs", "data.path=partners.tsv", "data.tokenizer.min_count=1"]
TINY_WHISPER = [
    "model=whisper_tiny", "model.hidden=16", "model.inner=16", "model.layers=1", "model.heads=2", "model.window=4",
    "data=generated_words", "data.rate=16000", "data.count=48",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "stages"),
    [
        ([*TINY_BERT, "freezing=feature_extraction"], ["embeddings", "layer1", "layer2", "pooler"]),
        ([*TINY_BERT, "freezing=last_stage", "freezing.count=2", "data.max_tokens=200", "precision=bf16-mixed"], ["embeddings", "layer1"]),
        (["model=bert_tiny", "model.size=16", "model.inner=16", "data=generated_entities", "data.count=100", "freezing=last_stage"], ["embeddings", "layer1"]),
        (["model=bert_tiny", "model.size=16", "model.inner=16", "data=generated_questions", "data.count=60", "data.max_length=48", "freezing=last_stage"], ["embeddings", "layer1"]),
        ([*TINY_T5, "freezing=stages", "freezing.learn=[decoder]"], ["encoder"]),
        ([*TINY_PAIRS, "model=seq2seq", "model.embedding=8", "model.hidden=8", "freezing=feature_extraction"], ["embedding", "encoder1"]),
        ([*TINY_SOUND, "data=generated_tones", "freezing=stages", "freezing.learn=[projection,layer1,head]"], ["features"]),
        ([*TINY_SOUND, "data=generated_words", "freezing=stages", "freezing.learn=[layer1,head]"], ["features", "projection"]),
        ([*TINY_BERT[:-2], *PAIRS_APART, "freezing=stages", "freezing.learn=[pooler]"], ["embeddings", "layer1", "layer2"]),
        ([*TINY_BERT[:-2], *PAIRS_APART, "freezing=stages", "freezing.learn=[layer2,pooler]", "data.max_tokens=300"], ["embeddings", "layer1"]),
        ([*TINY_WHISPER, "freezing=feature_extraction"], ["features", "convolutions", "layer1", "norm"]),
        ([*TINY_WHISPER, "model.dropout=0.1", "freezing=stages", "freezing.learn=[norm,'decoder.*',head]"], ["features", "convolutions", "layer1"]),
    ],
)  # fmt: skip
def test_sequences_are_kept_at_any_depth(experiments: Any, cache: Path, words: list[str], stages: list[str]) -> None:
    """The same numbers as without, dropout included, in batches of the same length; and a second run reads the file."""
    pytest.importorskip("transformers")
    Path("partners.tsv").write_text(
        "\n".join(f"{'a ' * (n % 5)}number {n}\tone {n}" for n in range(60)), encoding="utf-8"
    )
    words = [
        *words,
        "trainer=cpu",
        "trainer.max_epochs=2",
        "trainer.threads=1",
        "logger=none",
        "callbacks.figures=null",
    ]
    by_depth = {}
    for name, more in (("kept", []), ("again", []), ("computed", ["features.cache=false"])):
        code, _, errors = experiments("train", *words, *more, f"hydra.run.dir={name}")
        assert code == 0, errors
        by_depth[name] = json.loads(Path(name, "record.json").read_text(encoding="utf-8"))
    for name, reused in (("kept", False), ("again", True)):
        rows = by_depth[name]["features"]["kept"]
        test = set() if "model=whisper_tiny" in words else {"test"}  # which hears the recordings themselves
        assert {row["part"] for row in rows} == {"train", "validation"} | test
        assert all(row["stages"] == stages and row["reused"] is reused for row in rows)
    tolerance = 2e-2 if "precision=bf16-mixed" in words else 1e-5
    assert by_depth["kept"]["metrics"] == pytest.approx(by_depth["computed"]["metrics"], rel=1e-6, abs=tolerance)
    assert by_depth["again"]["metrics"] == by_depth["kept"]["metrics"]
    assert len(list(cache.glob("*.features"))) == 2 + len(test)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["task=masked_language_modelling", "model=bert_mini"], "other words are masked in every epoch"),
        (["model=gpt_mini"], "the text is cut at other places in every epoch"),
        (["model=lstm", "freezing.learn=[head]"], "a recurrent network's state goes on from one batch to the next"),
    ],
)
def test_tasks_that_change_their_inputs_say_so(experiments: Any, words: list[str], reason: str) -> None:
    given = ["data=generated_text", "data.count=100", "freezing=stages", "freezing.learn=[layer2,head]", *words]
    code, _, errors = experiments("train", *given, "trainer=cpu", "trainer.max_steps=1", "logger=none")
    assert code == 0, errors
    assert f"features: not cached, because {reason}" in errors


@pytest.mark.slow
def test_sound_of_several_windows_is_not_kept(experiments: Any, cache: Path) -> None:
    pytest.importorskip("transformers")
    words = [*TINY_WHISPER, "model.window=1", "freezing=feature_extraction", "trainer=cpu", "logger=none"]
    code, _, errors = experiments("train", *words, "hydra.run.dir=run")
    assert code == 2
    assert "not cached, because a train recording lasts" in errors and "the network looks at 1 s: cut it" in errors
    assert not list(cache.glob("*.features"))


def test_rows_of_unequal_length_come_back(tmp_path: Path) -> None:
    """In whatever order they were written, with a label a step or fewer labels than steps."""
    order = np.array([2, 0, 3, 1])
    lengths = {0: 1, 1: 4, 2: 2, 3: 3}

    def batches(every_step: bool) -> Iterator[Any]:
        for rows in ([2, 0], [3, 1]):
            values = pad([torch.full((lengths[row], 2), row + 1.0).bfloat16() for row in rows])
            labels = [torch.full((lengths[row] if every_step else row,), row) for row in rows]
            wide = torch.full((2, values.values.shape[1] if every_step else 5), IGNORED)
            for row, label in zip(wide, labels, strict=True):
                row[: len(label)] = label
            wide[:, :1] = IGNORED if every_step else wide[:, :1]  # as of a mark before the text
            yield values, wide

    for every_step in (True, False):
        kept, _ = Cache(tmp_path, 1).get(f"a{every_step}", 4, lambda step=every_step: batches(step), order)  # type: ignore[misc]
        served = FeatureSet(kept, 1, 1)
        (values, start, *_), targets = served.__getitems__(np.array([1, 0]))
        assert (len(served), start, values.lengths.tolist(), values.values.shape) == (4, 1, [4, 1], (2, 4, 2))
        assert values.values[:, :, 0].tolist() == [[2.0] * 4, [1.0, 0.0, 0.0, 0.0]]
        assert targets.tolist() == ([[IGNORED, 1, 1, 1], [IGNORED] * 4] if every_step else [[1], [IGNORED]])
    with pytest.raises(TooLargeError, match=r"features.gigabytes"):
        Cache(tmp_path, 1e-9).get("b", 4, lambda: batches(True), order)
    assert not list(tmp_path.glob("*b.features*"))
