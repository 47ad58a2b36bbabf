"""Comparison of runs: statistics, cells, differences, effects, and the command."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from experiments.compare import analysis, statistics
from experiments.compare.cells import differing, gather, lower_is_better, merge
from experiments.compare.compare import as_csv, as_markdown, as_text, compare
from experiments.compare.run_records import shown
from experiments.config import compose as configs
from experiments.errors import UserError
from experiments.run.identity import settings
from experiments.run.record import FINISHED, Record
from experiments.viz.tables import markdown, table
from tests.compare.records import make_run, make_sweep

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("metrics", "chosen"),
    [
        (("train/learning_rate", "train/loss", "val/loss"), "val/loss"),
        (("train/learning_rate", "train/loss"), "train/loss"),
        (("test/dice", "test/loss", "val/accuracy"), "test/loss"),
        (("test/dice", "val/accuracy"), "test/dice"),
    ],
)
def test_what_is_compared_when_nobody_says(tmp_path: Path, metrics: tuple[str, ...], chosen: str) -> None:
    for seed in (0, 1):
        make_run(tmp_path / str(seed), None, seed, metrics=dict.fromkeys(metrics, 0.5))
    assert {field.metric for field in compare([tmp_path]).fields} == {chosen}


class TestStatistics:
    @pytest.mark.parametrize(
        ("df", "quantile"),
        [(1, 12.7062047364), (2, 4.30265272991), (4, 2.7764451052), (9, 2.26215716285), (100, 1.98397151845)],
    )
    def test_quantiles_of_t(self, df: int, quantile: float) -> None:
        assert statistics.t_quantile(0.05, df) == pytest.approx(quantile, rel=1e-9)

    def test_agrees_with_scipy(self) -> None:
        scipy = pytest.importorskip("scipy.stats")
        for df in (1, 2, 3.7, 10, 29, 200, 5000):
            for t in (1e-6, 0.1, 1, 2.5, 8, 60, 1e6):
                assert statistics.two_sided_p(t, df) == pytest.approx(2 * scipy.t.sf(t, df), rel=1e-9, abs=1e-300)
            for alpha in (0.9, 0.05, 1e-3, 1e-8):
                assert statistics.t_quantile(alpha, df) == pytest.approx(scipy.t.isf(alpha / 2, df), rel=1e-8)

    def test_tests_agree_with_scipy(self) -> None:
        scipy = pytest.importorskip("scipy.stats")
        draw = random.Random(3)
        for n in (2, 3, 5, 12):
            first, second = ([draw.gauss(0.9, 0.02) for _ in range(n)] for _ in range(2))
            mine = statistics.paired([a - b for a, b in zip(first, second, strict=True)])
            theirs = scipy.ttest_rel(first, second)
            assert mine.p == pytest.approx(theirs.pvalue, rel=1e-9)
            assert (mine.low, mine.high) == pytest.approx(theirs.confidence_interval(0.95), rel=1e-8)
            welch = statistics.unpaired(first, second[:-1] if n > 2 else second)
            theirs = scipy.ttest_ind(first, second[:-1] if n > 2 else second, equal_var=False)
            assert welch.p == pytest.approx(theirs.pvalue, rel=1e-8)
            assert not welch.paired

    def test_interval(self) -> None:
        assert statistics.interval([0.8, 0.9]) == pytest.approx(
            (0.85 - 12.7062 * 0.05, 0.85 + 12.7062 * 0.05), rel=1e-5
        )
        assert all(map(math.isnan, statistics.interval([0.5])))
        assert statistics.interval([0.5, 0.5, 0.5]) == (0.5, 0.5)

    def test_interval_covers_as_often_as_it_says(self) -> None:
        draw, hits = random.Random(0), 0
        for _ in range(2000):
            low, high = statistics.interval([draw.gauss(0, 1) for _ in range(3)])
            hits += low <= 0 <= high
        assert hits / 2000 == pytest.approx(0.95, abs=0.015)

    def test_bootstrap_is_repeatable_and_within_the_values(self) -> None:
        values = [0.1, 0.2, 0.25, 0.3, 0.9]
        low, high = statistics.interval(values, bootstrap=True)
        assert (low, high) == statistics.interval(values, bootstrap=True)
        assert 0.1 < low < 0.35 < high < 0.9

    def test_sign_flips_are_exact(self) -> None:
        assert statistics.sign_flip_p([1, 1, 1]) == 0.25
        assert statistics.sign_flip_p([3, 2, 1, 1]) == 2 / 16
        assert statistics.sign_flip_p([1, -1]) == 1
        assert statistics.sign_flip_p([0.1] * 20) < 0.01

    def test_equal_differences_are_not_certain(self) -> None:
        """t would say p = 0 for two differences that happen to be equal."""
        assert statistics.paired([0.01, 0.01]).p == 0.5
        assert statistics.paired([0.0, 0.0, 0.0]).p == 1

    def test_holm(self) -> None:
        assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
        assert statistics.holm([0.01, math.nan, 0.02], 10)[::2] == pytest.approx([0.1, 0.18])
        assert math.isnan(statistics.holm([math.nan])[0])

    def test_holm_over_part_of_the_comparisons_is_more_careful(self) -> None:
        draw = random.Random(1)
        for _ in range(50):
            ps = [draw.random() ** 3 for _ in range(10)]
            whole, part = statistics.holm(ps), statistics.holm(ps[:4], 10)
            assert all(few >= all_ - 1e-12 for few, all_ in zip(part, whole[:4], strict=True))

    def test_best_of_equal_cells_is_rarely_told_from_the_rest(self, tmp_path: Path) -> None:
        """The best is picked by the numbers themselves: only a correction for all pairs keeps the promise."""
        draw, false = random.Random(5), 0
        for trial in range(60):
            table = {f"m{model}": [draw.gauss(0.9, 0.01) for _ in range(4)] for model in range(6)}
            comparison = compare([make_sweep(tmp_path / str(trial), table)])
            false += any(verdict.word == analysis.WORSE for verdict in comparison.fields[0].verdicts)
        assert false / 60 <= 0.1

    def test_seeds_needed(self) -> None:
        few = statistics.paired([0.05, 0.06, 0.04])
        assert 3 <= (statistics.seeds_needed(few) or 0) <= 5
        many = statistics.paired([0.05, -0.06, 0.04])
        assert (statistics.seeds_needed(many) or 0) > 20
        assert statistics.seeds_needed(statistics.paired([1, -0.999, 1e-4])) is None
        assert (statistics.seeds_needed(few, 0.001) or 0) > (statistics.seeds_needed(few) or 0)
        flipped = statistics.paired([0.1, 0.12, 0.2], bootstrap=True)
        assert statistics.seeds_needed(flipped) == 6, "2 / 2⁵ is above 0.05"


class TestCells:
    def test_a_cell_is_runs_that_differ_in_the_seed_alone(self, tmp_path: Path) -> None:
        make_run(
            tmp_path / "a", 0.9, 0, overrides=("optimizer.lr=0.1", "hydra.run.dir=x", "data.root=/d", "logger=csv")
        )
        make_run(tmp_path / "b", 0.8, 1, overrides=("optimizer.lr=0.1", "data.workers=2"))
        make_run(tmp_path / "c", 0.7, 0, overrides=("optimizer.lr=0.2",))
        make_run(tmp_path / "d", 0.7, 0)
        cells, damaged = gather([tmp_path])
        assert [sorted(cell.values("test/accuracy").items()) for cell in cells] == [
            [("0", 0.9), ("1", 0.8)],
            [("0", 0.7)],
            [("0", 0.7)],
        ]
        assert differing(cells) == ["optimizer.lr"]
        assert [cell.level("optimizer.lr") for cell in cells] == ["0.1", "0.2", "default"]
        assert not damaged

    def test_a_run_named_twice_counts_once(self, tmp_path: Path) -> None:
        make_run(tmp_path / "s" / "a", 0.9, 0)
        (cell,), _ = gather([tmp_path, tmp_path / "s", tmp_path / "s" / "a" / "record.json"])
        assert len(cell.runs) == 1
        assert not cell.repeats

    def test_a_repeated_seed_is_no_new_evidence(self, tmp_path: Path) -> None:
        make_run(tmp_path / "a", 0.9, 0)
        make_run(tmp_path / "b", 0.9, 0)
        make_run(tmp_path / "c", None, 0, status="failed")
        (cell,), _ = gather([tmp_path])
        assert cell.values("test/accuracy") == {"0": 0.9}
        assert cell.remarks("test/accuracy", ["0"]) == "single seed, 1 repeat left out"

    def test_remarks(self, tmp_path: Path) -> None:
        make_sweep(tmp_path, {"full": [0.9, 0.8, 0.7], "one": [0.9]})
        make_run(tmp_path / "x0", 0.9, 0, model="part")
        make_run(tmp_path / "x1", 0.9, 1, model="part")
        make_run(tmp_path / "x2", None, 2, model="part", status="failed")
        make_run(tmp_path / "y0", None, 0, model="none", status="interrupted")
        make_run(tmp_path / "z0", 0.9, 0, model="less")
        make_run(tmp_path / "z2", 0.9, 2, model="less")
        path = make_run(tmp_path / "d1", 0.1, 1, model="full") / "record.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"diverged": True, "ended": "2027-01-01"}))
        remarks = {row[0]: row[-1] for row in _rows(compare([tmp_path]))}
        assert remarks == {
            "full": "seed 1 diverged, 1 repeat left out",
            "one": "no seeds 1, 2, single seed",
            "part": "seed 2 failed",
            "none": "seed 0 interrupted",
            "less": "no seed 1",
        }

    def test_keys_that_follow_the_seed_split_no_cell(self, tmp_path: Path) -> None:
        for seed in range(3):
            make_run(tmp_path / str(seed), 0.9, seed, overrides=("data.split_seed=$\\{seed\\}",))
            path = tmp_path / str(seed) / "record.json"
            settings = {"data.split_seed": seed}
            path.write_text(json.dumps(json.loads(path.read_text()) | {"settings": settings}))
        (cell,) = compare([tmp_path]).cells
        assert len(cell.values("test/accuracy")) == 3

    def test_a_seed_that_stays_is_told_from_one_that_follows(self, tmp_path: Path) -> None:
        """A number that a run of seed 0 has by default says nothing."""
        for model, seeds in (("lenet5", (0, 1)), ("mlp", (0,))):
            for seed in seeds:
                path = make_run(tmp_path / f"{model}{seed}", 0.9, seed, model=model) / "record.json"
                settings = {"settings": {"data.split_seed": 0, "data.seed": seed}}
                path.write_text(json.dumps(json.loads(path.read_text()) | settings))
        assert compare([tmp_path]).columns == ["model"]

    def test_long_values_that_begin_alike_are_two_cells(self, tmp_path: Path) -> None:
        for place, end in enumerate(("one", "two")):
            make_run(tmp_path / str(place), 0.9, 0, overrides=(f"data.name={'x' * 300}{end}",))
        assert len(compare([tmp_path]).cells) == 2

    def test_a_reference_may_have_commas_in_its_values(self, tmp_path: Path, experiments: Run) -> None:
        for place, hidden in enumerate(("[64,32]", "[64]")):
            make_run(tmp_path / str(place), 0.9, 0, overrides=(f"model.hidden={hidden}", "data.name=q"))
        code, output, errors = experiments("compare", str(tmp_path), "--against", "model.hidden=[64, 32],data=digits")
        assert code == 0, errors
        assert "against hidden=[64,32]" in output

    def test_versions_of_ones_own_package_are_told(self, tmp_path: Path) -> None:
        for seed, digest in enumerate("ab"):
            path = make_run(tmp_path / str(seed), 0.9, seed) / "record.json"
            content = json.loads(path.read_text())
            content["environment"]["own_code"] = {"mine": digest, "other": "c"}
            path.write_text(json.dumps(content))
        assert "several versions of mine." in as_text(compare([tmp_path]))

    def test_pruned_runs_are_no_failures_and_in_no_mean(self, tmp_path: Path) -> None:
        make_sweep(tmp_path, {"full": [0.9, 0.8], "part": [0.9]})
        make_run(tmp_path / "p1", 0.1, 1, model="part", status="pruned", metrics={"test/accuracy": 0.1})
        make_run(tmp_path / "q0", 0.1, 0, model="gone", status="pruned", metrics={"val/accuracy": 0.1})
        comparison = compare([tmp_path])
        rows = {row[0]: row for row in _rows(comparison)}
        assert set(rows) == {"full", "part"}, "a cell of pruned runs alone is no row"
        assert rows["part"][-1] == "seed 1 pruned, single seed"
        part = next(cell for cell in comparison.cells if cell.level("model") == "part")
        assert part.values("test/accuracy") == {"0": 0.9}
        assert "2 runs were ended early by a search (pruned): no failure, and in no mean." in as_text(comparison)
        make_run(tmp_path / "alone" / "q0", None, 0, model="gone", status="pruned")
        assert "seed 0 pruned" in as_text(compare([tmp_path / "alone"]))

    def test_other_commits_are_told(self, tmp_path: Path) -> None:
        for number, commit in enumerate("aab"):
            path = make_run(tmp_path / str(number), 0.9, number) / "record.json"
            record = json.loads(path.read_text())
            record["environment"]["git_commit"] = commit * 40
            path.write_text(json.dumps(record))
        assert "made at 2 git commits, with the same sources of this package" in as_text(compare([tmp_path]))

    def test_merging_averages_seed_by_seed(self, tmp_path: Path) -> None:
        for optimizer, base in (("adam", 0.9), ("sgd", 0.7)):
            make_sweep(tmp_path / optimizer, {"a": [base, base + 0.02], "b": [base - 0.1, base]}, optimizer=optimizer)
        make_run(tmp_path / "extra", 0.5, 2, model="a")  # a seed that one member alone has
        make_run(tmp_path / "other", 0.5, 0, model="c")
        cells, _ = gather([tmp_path])
        a, b, c = merge(cells, ["model"])
        assert a.values("test/accuracy") == pytest.approx({"0": 0.8, "1": 0.82})
        assert b.values("test/accuracy") == pytest.approx({"0": 0.7, "1": 0.8})
        assert "averages over other cells" in c.remarks("test/accuracy", ["0"])
        assert "averages" not in a.remarks("test/accuracy", ["0", "1"])

    @pytest.mark.parametrize(
        ("text", "readable"),
        [
            ("", 0), ("{", 0), ("[]", 0), ("null", 0), ('{"status": "finished"}', 0), ('{"status": "finished", "choices": []}', 0),
            ('{"status": "finished", "choices": {}, "metrics": []}', 1), ("\x00\xff", 0), ("[" * 100_000, 0),
            ('{"status": "finished", "choices": {"seed": 0}, "metrics": {"test/accuracy": NaN, "b": "x", "c": 1e999}}', 1),
            ('{"status": "finished", "choices": {"seed": 0}, "metrics": 3}', 0),
            ('{"status": "finished", "choices": {"seed": [1]}, "overrides": ["a.b"], "cost": {"seconds": null}}', 1),
        ],
    )  # fmt: skip
    def test_damaged_records_are_named_and_left_out(
        self, tmp_path: Path, experiments: Run, text: str, readable: int
    ) -> None:
        make_run(tmp_path / "good", 0.9)
        (tmp_path / "bad").mkdir()
        (tmp_path / "bad" / "record.json").write_text(text, encoding="latin-1")
        code, out, err = experiments("compare", str(tmp_path))
        assert code == 0
        assert "0.9000" in out
        lines = err.splitlines()
        assert len(lines) == 1 - readable
        if lines:
            assert lines[0] == f"warning: 1 record cannot be read and is left out: {tmp_path}/bad/record.json"

    def test_nothing_readable(self, tmp_path: Path, experiments: Run) -> None:
        (tmp_path / "record.json").write_text("{")
        code, _, err = experiments("compare", str(tmp_path))
        assert code == 2
        assert err == f"error: {tmp_path} holds no run that can be read: train one first, or name another folder\n"

    def test_text_from_records_cannot_move_the_cursor(self) -> None:
        assert shown("a\x1b[2J\n\ud800b") == "a�[2J��b"
        assert shown(None) == "none"
        shown("\ud800").encode()

    def test_direction(self) -> None:
        assert lower_is_better("test/loss")
        assert lower_is_better("test/rmse")
        assert not lower_is_better("test/accuracy")


def _rows(comparison: analysis.Comparison) -> list[list[str]]:
    from experiments.compare.compare import cell_table

    return cell_table(comparison)[1]


class TestConfigs:
    """What tells runs apart is their resolved configs, however they came about."""

    @pytest.fixture
    def recorded(self, tmp_path: Path) -> Callable[..., None]:
        """Records a run as a run does, with some values in its config and some words on its command line."""

        def record(sweep: str, seed: int, remark: str = "", how: str = "new", **values: Any) -> None:
            folder = tmp_path / "runs" / sweep / f"{len(list(tmp_path.glob('runs/*/*')))}"
            folder.mkdir(parents=True)
            values = {"optimizer.lr": 0.001, "trainer.max_epochs": 1, "data.limit": None, "data.seed": seed} | values
            config: dict[str, Any] = {"seed": seed, "weights": None, "logger": {"dir": str(folder)}}
            options = {"model": "mlp", "data": "shapes", "task": "classification", "callbacks": "default"}
            options |= {key: values.pop(key) for key in options if key in values}
            config["run"] = {"dir": str(folder), "choices": options, "overrides": [f"seed={seed}", *remark.split()]}
            for key, value in (values | {"callbacks.checkpoint.dir": f"{folder}/checkpoints"}).items():
                group, _, name = key.partition(".")
                config.setdefault(group, {})[name] = value
            made = Record(folder, config)
            made.content["metrics"] = {"test/accuracy": 0.5 + 0.01 * seed}
            if how != "new":  # as records were before they had the settings
                del made.content["settings"]
            if how == "old":
                (folder / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(config)))
            made.write(FINISHED)

        return record

    @pytest.mark.parametrize("how", ["new", "old"])
    def test_what_a_named_sweep_sets_is_seen(
        self, tmp_path: Path, recorded: Callable[..., None], experiments: Run, how: str
    ) -> None:
        for seed in range(2):
            for name, lr in (("a", 0.05), ("b", 0.5)):
                recorded(name, seed, "sweep=mine", how, **{"optimizer.lr": lr, "trainer.max_epochs": 3})
        recorded("c", 0, "trainer.max_epochs=1", how)
        _, out, _ = experiments("compare", "runs/a", "runs/b")
        assert [line.split()[0] for line in out.splitlines()[:4]][::2] == ["optimizer.lr", "0.05"]
        assert "repeat" not in out
        _, out, _ = experiments("compare", "runs/a", "runs/c")
        rows = [line.split()[:2] for line in out.splitlines()[:4]]
        assert rows[::2] == [["optimizer.lr", "trainer.max_epochs"], ["0.05", "3"]]
        code, out, _ = experiments("compare", "runs", "--by", "optimizer.lr", "--against", "optimizer.lr=5e-1")
        assert code == 0
        assert sorted(line.split()[0] for line in out.splitlines()[2:5]) == ["0.001", "0.05", "0.5"]

    def test_a_default_written_out_changes_nothing(self, tmp_path: Path, recorded: Callable[..., None]) -> None:
        recorded("a", 0)
        recorded("a", 1, "optimizer.lr=1e-3 data.limit=null sweep=seeds")
        recorded("a", 2, "data.workers=2 logger=none", "old", **{"data.workers": 2})
        ((cell,), _) = gather([tmp_path])
        assert list(cell.values("test/accuracy")) == ["0", "1", "2"]
        assert not cell.repeats

    def test_what_an_option_brings_with_it_is_no_choice_of_its_own(
        self, tmp_path: Path, recorded: Callable[..., None]
    ) -> None:
        recorded("a", 0, model="lenet5", **{"model.reads.size": 32, "data.size": 32, "model.head_epochs": 0})
        recorded("a", 0, "callbacks=none", callbacks="none", **{"callbacks.other": 1})
        for epochs in (2, 3):  # what refers to another value is none either
            recorded("a", 0, "model.every=2", **{"model.every": epochs, "model.head_epochs": epochs})
        cells, _ = gather([tmp_path])
        assert differing(cells) == ["model", "callbacks", "model.every"]
        recorded("a", 0, model="lenet5", **{"model.reads.size": 32, "data.size": 28, "model.head_epochs": 0})
        cells, _ = gather([tmp_path])
        assert differing(cells) == ["model", "callbacks", "data.size", "model.every"], "an edited file sets this one"

    def test_a_seed_that_was_set_apart_is_a_choice(self, tmp_path: Path, recorded: Callable[..., None]) -> None:
        for seed in range(2):
            recorded("a", seed)
            recorded("b", seed, "data.seed=0", **{"data.seed": 0})
            recorded("c", seed, **{"model.seed": 7})
        cells, _ = gather([tmp_path / "runs" / "a", tmp_path / "runs" / "b"])
        assert [(cell.level("data.seed"), len(cell.runs)) for cell in cells] == [("${seed}", 2), ("0", 2)]
        cells, _ = gather([tmp_path / "runs" / "a", tmp_path / "runs" / "c"])
        assert [(cell.level("model.seed"), len(cell.runs)) for cell in cells] == [("none", 2), ("7", 2)]

    def test_without_a_config_the_words_stand_in(self, tmp_path: Path, recorded: Callable[..., None]) -> None:
        recorded("a", 0, "optimizer.lr=0.1", "lost")
        recorded("a", 0, "", "lost")
        recorded("a", 0, "optimizer.lr=0.2", **{"optimizer.lr": 0.2})
        cells, _ = gather([tmp_path])
        assert [cell.level("optimizer.lr") for cell in cells] == ["0.1", "default", "0.2"]


class TestDifferences:
    def test_better_worse_and_neither(self, tmp_path: Path) -> None:
        base = [0.80, 0.82, 0.81, 0.79, 0.83]
        table = {
            "base": base,
            "up": [value + 0.05 + 0.001 * place for place, value in enumerate(base)],
            "down": [value - 0.05 + 0.001 * place for place, value in enumerate(base)],
            "same": [value + 0.02 * (-1) ** place for place, value in enumerate(base)],
        }
        (field,) = compare([make_sweep(tmp_path, table)], against=["model=base"]).fields
        verdicts = {field.label(verdict.cell): verdict for verdict in field.verdicts}
        assert {name: verdict.word for name, verdict in verdicts.items()} == {
            "up": analysis.BETTER, "same": analysis.UNCLEAR, "down": analysis.WORSE,
        }  # fmt: skip
        assert verdicts["up"].difference.mean == pytest.approx(0.052)
        assert all(verdict.comparisons == 3 for verdict in field.verdicts)
        assert (verdicts["same"].seeds or 0) > 5
        assert field.clear  # up against base, which the named reference does not change

    def test_lower_is_better_turns_the_words_round(self, tmp_path: Path) -> None:
        table = {"a": [0.9, 0.91, 0.92, 0.9], "b": [0.8, 0.812, 0.82, 0.801]}
        (field,) = compare([make_sweep(tmp_path, table)], "test/loss").fields
        assert field.label(field.scored[0]) == "a"
        assert field.verdicts[0].word == analysis.WORSE
        (field,) = compare([tmp_path], "test/loss", lower=False).fields
        assert field.label(field.scored[0]) == "b"

    def test_one_seed_says_nothing(self, tmp_path: Path) -> None:
        comparison = compare([make_sweep(tmp_path, {"a": [0.9], "b": [0.5]})])
        assert comparison.fields[0].verdicts[0].word == analysis.FEW
        assert not comparison.fields[0].clear
        assert "a single seed tells nothing about chance" in as_text(comparison).replace("\n", " ").replace("  ", "")

    def test_only_equal_seeds_and_splits_are_paired(self, tmp_path: Path) -> None:
        make_sweep(tmp_path, {"a": [0.9, 0.91, 0.92]})
        make_run(tmp_path / "b1", 0.8, 1, model="b")
        make_run(tmp_path / "b2", 0.83, 2, model="b")
        make_run(tmp_path / "b3", 0.1, 3, model="b")
        make_sweep(tmp_path, {"c": [0.7, 0.72, 0.71]}, split="other")
        (field,) = compare([tmp_path]).fields
        b, c = ({field.label(verdict.cell): verdict.difference for verdict in field.verdicts}[name] for name in "bc")
        assert (b.paired, b.n) == (True, 2)
        assert b.mean == pytest.approx(-0.1)
        assert not c.paired

    def test_cells_on_different_data_are_not_compared(self, tmp_path: Path) -> None:
        for data, base in (("digits", 0.9), ("cifar10", 0.5)):
            make_sweep(tmp_path / data, {"a": [base, base + 0.01], "b": [base - 0.2, base - 0.19]}, data=data)
        comparison = compare([tmp_path])
        assert [field.name for field in comparison.fields] == ["cifar10", "digits"]
        assert comparison.columns == ["data", "model"]
        assert [len(field.verdicts) for field in comparison.fields] == [1, 1]
        assert "different test sets" in as_text(comparison)
        (effect,) = comparison.effects
        assert (effect.factor, effect.contexts) == ("model", 2)
        assert effect.difference is not None
        assert effect.difference.mean == pytest.approx(0.2)

    def test_tasks_on_one_dataset_are_not_compared(self, tmp_path: Path) -> None:
        make_sweep(tmp_path / "1", {"a": [0.9]})
        make_sweep(tmp_path / "2", {"a": [0.8]}, task="denoising")
        text = as_text(compare([tmp_path]))
        told = "Cells of different tasks are not compared with each other: digits (classification), digits (denoising)."
        assert told in text
        make_run(tmp_path / "3", 0.7, data=None, task=None)
        named = "Cells of different data or tasks are not compared with each other: digits (classification), "
        assert f"{named}digits (denoising), unknown data." in as_text(compare([tmp_path]))

    def test_the_same_on_the_seeds_that_both_have(self, tmp_path: Path) -> None:
        table = as_text(compare([make_sweep(tmp_path, {"a": [0.4, 0.3, 0.5], "b": [0.3, 0.4]})]))
        assert "The next, b, has the same mean on the seeds that both have (difference 0 ± " in " ".join(table.split())
        table = as_text(compare([make_sweep(tmp_path / "even", {"a": [0.4, 0.3], "b": [0.3, 0.4]})]))
        assert "has the same mean (difference" in " ".join(table.split())

    def test_pareto_front(self, tmp_path: Path) -> None:
        for name, accuracy, parameters in (("a", 0.9, 100), ("b", 0.8, 10), ("c", 0.7, 50), ("d", 0.9, 200)):
            make_run(
                tmp_path / name,
                accuracy,
                0,
                model=name,
                cost={"parameters": parameters, "examples_per_second": parameters},
            )
        (field,) = compare([tmp_path]).fields
        assert [field.label(cell) for cell in field.front("parameters")] == ["b", "a"]
        assert [field.label(cell) for cell in field.front("examples_per_second")] == ["d"]
        assert field.varying_costs() == ["parameters"]  # examples a second go exactly alike


class TestEffects:
    def test_averaged_over_the_others(self, tmp_path: Path) -> None:
        draw = random.Random(0)
        for model, a in (("m", 0.0), ("n", 0.1)):
            for optimizer, b in (("x", 0.0), ("y", 0.02), ("z", 0.01)):
                values = [0.5 + a + b + draw.gauss(0, 0.002) for _ in range(4)]
                make_sweep(tmp_path / optimizer, {model: values}, optimizer=optimizer)
        comparison = compare([tmp_path])
        first, second = comparison.effects
        assert (first.factor, second.factor) == ("model", "optimizer")
        assert list(second.means) == ["y", "z", "x"]
        assert first.span == pytest.approx(0.1, abs=0.005)
        assert second.span == pytest.approx(0.02, abs=0.005)
        assert first.p < 0.001
        assert (first.contexts, second.contexts) == (3, 2)

    def test_choices_that_go_together_cannot_be_separated(self, tmp_path: Path) -> None:
        make_sweep(tmp_path / "1", {"a": [0.9, 0.8]}, optimizer="x")
        make_sweep(tmp_path / "2", {"b": [0.7, 0.6]}, optimizer="y")
        comparison = compare([tmp_path])
        assert all(effect.difference is None for effect in comparison.effects)
        assert "never varied alone" in as_text(comparison)

    def test_numbers_of_a_random_search_are_ranked(self, tmp_path: Path) -> None:
        for place in range(8):
            words = (f"optimizer.lr={10.0**-place}", f"optimizer.momentum={0.1 * ((place * 3) % 8)}")
            make_run(tmp_path / str(place), 0.9 - 0.1 * place**2 / 64, 0, overrides=words)
        ranks = {effect.factor: effect.rank for effect in compare([tmp_path]).effects}
        assert ranks["optimizer.lr"] == pytest.approx(1)
        assert abs(ranks["optimizer.momentum"] or 1) < 0.9


class TestCommand:
    def test_table(self, tmp_path: Path, experiments: Run) -> None:
        make_sweep(tmp_path, {"mlp": [0.90, 0.91, 0.92], "lenet5": [0.80, 0.81, 0.83]})
        code, out, err = experiments("compare", str(tmp_path))
        assert (code, err) == (0, "")
        lines = out.splitlines()
        assert lines[0].split() == [
            "model",
            "test/accuracy",
            "95",
            "%",
            "n",
            "parameters",
            "FLOPs",
            "seconds",
            "examples/s",
            "MB",
        ]
        assert lines[2].split() == ["mlp", "0.9100", "±", "0.0248", "3", "650", "1.28", "k", "1.50", "1.00", "k", "300"]
        assert "\x1b" not in out
        assert lines[5].startswith("Best      mlp: test/accuracy 0.9100 ± 0.0248, 3 seeds.")
        assert "Certain?  Yes. The next, lenet5, is behind by 0.0967 ± 0.0143 (on equal seeds; p = 0.0012)." in out

    def test_bold_where_it_can_be_told(self, tmp_path: Path) -> None:
        clear = compare([make_sweep(tmp_path / "1", {"a": [0.90, 0.91, 0.92], "b": [0.80, 0.81, 0.83]})])
        unclear = compare([make_sweep(tmp_path / "2", {"a": [0.90, 0.91, 0.92], "b": [0.80, 0.95, 0.83]})])
        assert "\x1b[1ma " in as_text(clear, terminal=True)
        assert "| **a** | **0.9100** |" in as_markdown(clear)
        assert "\x1b" not in as_text(unclear, terminal=True)
        assert "**" not in as_markdown(unclear)

    def test_a_cheaper_cell_is_named_once(self, tmp_path: Path) -> None:
        make_sweep(tmp_path / "1", {"a": [0.90, 0.91, 0.92]}, cost={"parameters": 1000, "seconds": 2.0})
        make_sweep(tmp_path / "2", {"b": [0.80, 0.95, 0.83]}, cost={"parameters": 10, "seconds": 1.0})
        comparison = compare([tmp_path])
        cheaper = "Cheaper, and not significantly different by these seeds: b (1% of the parameters, 50% of the time)."
        assert cheaper in " ".join(as_text(comparison).split())
        bullets = [line for line in as_markdown(comparison).splitlines() if line.startswith("- ")]
        assert [bullet.split()[1] for bullet in bullets] == ["Best:", "Certain?", "Cost:"]

    def test_by(self, tmp_path: Path, experiments: Run) -> None:
        for optimizer in ("adam", "sgd"):
            make_sweep(tmp_path / optimizer, {"a": [0.9, 0.8], "b": [0.7, 0.65]}, optimizer=optimizer)
        code, out, _ = experiments("compare", str(tmp_path), "--by", "optimizer")
        assert code == 0
        assert [line.split()[0] for line in out.splitlines()[:4]] == ["optimizer", "─────────", "adam", "sgd"]
        assert out.splitlines()[2].split()[1] == "0.7625"
        once = experiments("compare", str(tmp_path), "--by", "optimizer,model", "--against", "model=a,optimizer=sgd")
        words = ["--by", "optimizer", "--by", "model,optimizer", "--against", "model=a", "--against", "optimizer=sgd"]
        assert experiments("compare", str(tmp_path), *words) == once
        assert once[0] == 0

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--metric", "test/f2"], "--metric test/f2 is in no record: choose from test/accuracy, test/loss"),
            (["--by", "modle"], "--by modle is no choice of these runs: choose from data, "),
            (["--against", "model=x"], "--against model=x fits no cell: name choices such as model=a"),
            (["--against", "data=digits"], "--against data=digits fits 2 cells: add choices until it fits one"),
            (["--csv"], "--csv needs a value: see experiments compare --help"),
            (
                ["--html", "/proc/none/x.html"],
                "/proc/none/x.html cannot be written (No such file or directory): choose another place",
            ),
            (["nowhere"], "nowhere does not exist: name a run, a sweep, or a folder above them"),
        ],
    )
    def test_mistakes(self, tmp_path: Path, experiments: Run, words: list[str], message: str) -> None:
        make_sweep(tmp_path / "s", {"a": [0.9], "b": [0.8]})
        code, _, err = experiments("compare", str(tmp_path / "s"), *words)
        assert code == 2
        assert err.startswith(f"error: {message}")
        assert err.count("\n") == 1

    def test_help(self, experiments: Run) -> None:
        code, out, _ = experiments("compare", "--help")
        assert code == 0
        assert "--bootstrap" in out

    def test_csv(self, tmp_path: Path, experiments: Run) -> None:
        make_sweep(tmp_path / "s", {"a,b": [0.9, 0.8], "c": [0.7, 0.65]})
        code, out, err = experiments("compare", str(tmp_path / "s"), "--csv", "-")
        assert (code, err) == (0, "")
        first, second = csv.DictReader(io.StringIO(out))
        assert (first["model"], first["verdict"], first["n"], first["seeds"]) == ("a,b", "reference", "2", "0 1")
        assert float(first["mean"]) == pytest.approx(0.85)
        assert float(second["difference"]) == pytest.approx(-0.175)
        assert second["pairs"] == "2"
        code, out, _ = experiments("compare", str(tmp_path / "s"), "--csv", "deep/table.csv", "--markdown", "table.md")
        assert code == 0
        assert (tmp_path / "deep" / "table.csv").read_text() == as_csv(compare([tmp_path / "s"])) + "\n"
        assert "table        deep/table.csv" in out
        assert (tmp_path / "table.md").read_text().startswith("| model | test/accuracy |")

    def test_bootstrap(self, tmp_path: Path, experiments: Run) -> None:
        make_sweep(tmp_path, {"a": [0.90, 0.91, 0.95], "b": [0.80, 0.81, 0.83]})
        code, out, _ = experiments("compare", str(tmp_path), "--bootstrap")
        assert code == 0
        assert "0.9000 … 0.9500" in out
        assert "p = 0.25" in out  # three sign flips can say no more

    def test_only_failures(self, tmp_path: Path, experiments: Run) -> None:
        make_run(tmp_path / "a", None, 0, status="failed")
        code, out, _ = experiments("compare", str(tmp_path))
        assert code == 0
        assert "seed 0 failed" in out

    def test_bad_characters_do_not_break_the_output(self, tmp_path: Path, experiments: Run) -> None:
        make_run(tmp_path / "a", 0.9, model="a|b\x1b[31m<i>")
        make_run(tmp_path / "b", 0.8, model="\ud800")
        for words in ([], ["--markdown", "-"], ["--csv", "-"]):
            code, out, _ = experiments("compare", str(tmp_path), *words)
            assert code == 0
            assert "\x1b" not in out
            assert out.encode()
        assert "a\\|b�[31m&lt;i>" in as_markdown(compare([tmp_path]))

    def test_needs_neither_torch_nor_numpy(self, tmp_path: Path) -> None:
        make_sweep(tmp_path, {"a": [0.9, 0.8], "b": [0.7, 0.6]})
        program = (
            "import sys; from experiments.cli import main; code = main(['compare', sys.argv[1]]);"
            "print([name for name in ('torch', 'numpy', 'matplotlib', 'hydra', 'omegaconf', 'scipy') if name in sys.modules]); sys.exit(code)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == "[]"

    @pytest.mark.slow
    def test_ten_thousand_records_take_little_more_than_their_reading(self, tmp_path: Path) -> None:
        import resource

        record = json.loads((make_run(tmp_path / "x") / "record.json").read_text())
        record["confusion"] = [[1] * 10] * 10
        config = OmegaConf.to_container(configs.compose(["data=digits", "model=mlp"]))
        record["settings"] = settings(config)  # type: ignore[arg-type]
        for number in range(10_000):
            record["choices"] |= {"model": f"m{number % 5}", "seed": number // 5 % 4}
            record["overrides"] = [f"optimizer.lr={number // 20}"]
            record["settings"] |= {"optimizer.lr": number // 20, "data.seed": number // 5 % 4, "model.x": number % 5}
            record["metrics"]["test/accuracy"] = random.random()
            folder = tmp_path / str(number)
            folder.mkdir()
            (folder / "record.json").write_text(json.dumps(record, indent=2))
        reading = "import json, pathlib, sys; [json.loads(p.read_text()) for p in pathlib.Path(sys.argv[1]).glob('*/record.json')]"
        seconds = []
        for words in (["-c", reading], ["-m", "experiments", "compare"]):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            done = subprocess.run([sys.executable, *words, str(tmp_path)], capture_output=True, text=True, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)  # not by the clock: other work may share the cores
            seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert seconds[1] < 4 * seconds[0]
        assert not done.stderr


class TestTables:
    def test_columns_align(self) -> None:
        text = table(["a", "number"], [["x", "1"], ["long", "22"]], right=[1], bold=[1])
        assert text == "a     number\n────  ──────\nx          1\n\x1b[1mlong      22\x1b[0m"

    def test_markdown_is_escaped(self) -> None:
        assert markdown(["a"], [["x|y\\<b>"], [""]], bold=[0, 1]) == "| a |\n| --- |\n| **x\\|y\\\\&lt;b>** |\n|  |"


def test_a_reference_without_a_result(tmp_path: Path) -> None:
    make_run(tmp_path / "a", 0.9, model="a")
    make_run(tmp_path / "b", None, model="b", status="failed")
    with pytest.raises(UserError, match="has no finished run with test/accuracy"):
        compare([tmp_path], against=["model=b"])


def test_modules_of_ones_own_are_networks(tmp_path: Path) -> None:
    """Their class stands as the model, and those on the same data are compared."""
    for task, model, accuracy in (("lit", None, 0.8), ("wide", None, 0.9)):
        for seed in (0, 1):
            run = make_run(tmp_path / f"{task}_{seed}", accuracy + seed / 100, seed, task=task, model=model)
            path = run / "record.json"
            record = json.loads(path.read_text()) | {
                "spec": None,
                "settings": {"task._target_": f"mine.{task.title()}"},
            }
            path.write_text(json.dumps(record))
    cells, _ = gather([tmp_path])
    assert {cell.level("model") for cell in cells} == {"Lit", "Wide"} and differing(cells) == ["task"]
    (field,) = analysis.analyse(cells).fields
    assert [field.label(cell) for cell in field.scored] == ["wide", "lit"]
    (alone,) = analysis.analyse([cell for cell in cells if cell.level("task") == "lit"]).fields
    assert alone.label(alone.cells[0]) == "Lit"
