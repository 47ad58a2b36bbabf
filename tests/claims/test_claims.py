"""Claims: what decides, what the files say, the command from a file to a verdict, and the page of all."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments.claims import board
from experiments.claims.claim import SIZES, claim_names, read_claim
from experiments.claims.picture import picture
from experiments.claims.verdict import FAILS, HOLDS, UNTOLD, judge, read_verdict
from experiments.config.options import conf_dir
from experiments.errors import UserError
from tests.compare.records import make_run, make_sweep

Run = Callable[..., tuple[int, str, str]]
TINY: dict[str, Any] = {
    "statement": "A hidden layer helps.",
    "source": "nobody",
    "refuted_by": "It does not.",
    "sweep": ["data=shapes", "data.limit=64", "data.batch_size=32", "model=mlp,logistic_regression", "callbacks=none"],
    "quantity": "test/accuracy",
    "tests": [
        {"say": "more", "of": {"model": "mlp"}, "against": {"model": "logistic_regression"}, "expect": "more", "margin": 0.05}
    ],
    "sizes": {
        "small": {"words": ["seed=0", "trainer.max_epochs=1", "logger=none", "trainer=cpu"], "minutes": 0.1},
        "full": {"words": ["seed=range(5)"], "minutes": 1},
    },
}  # fmt: skip


def written(folder: Path, test: dict[str, Any] | None = None, **keys: Any) -> Path:
    """A claim's file in a folder of configs, with one changed test."""
    content = TINY | {"tests": [TINY["tests"][0] | (test or {})]} | keys
    (folder / "claim").mkdir(parents=True, exist_ok=True)
    (folder / "claim" / "tiny.yaml").write_text(
        yaml.safe_dump({key: value for key, value in content.items() if value is not None})
    )
    return folder


def verdict_on(tmp_path: Path, table: dict[str, list[float]], test: dict[str, Any] | None = None, **more: Any) -> Any:
    runs = make_sweep(tmp_path / "runs", table, **more)
    return judge(read_claim("tiny", [str(written(tmp_path / "mine", test))]), "small", runs)


class TestVerdict:
    @pytest.mark.parametrize(
        ("expect", "margin", "lead", "verdict"),
        [
            ("more", 0.05, 0.2, HOLDS),
            ("more", 0.05, 0.01, FAILS),  # told from zero, and too little to matter
            ("more", 0.05, 0.052, UNTOLD),
            ("less", 0.05, -0.2, HOLDS),
            ("less", 0.05, 0.2, FAILS),
            ("no_less", 0.05, -0.01, HOLDS),
            ("no_less", 0.05, -0.2, FAILS),
            ("no_more", 0.05, 0.01, HOLDS),
            ("alike", 0.05, 0.01, HOLDS),
            ("alike", 0.05, -0.2, FAILS),
            ("alike", 0.05, 0.049, UNTOLD),
        ],
    )
    def test_lies_on_which_side_of_the_margin(self, tmp_path: Path, expect, margin, lead, verdict) -> None:
        base = [0.60, 0.62, 0.61, 0.63]
        ahead = [value + lead + more for value, more in zip(base, (0.003, -0.004, 0.002, -0.001), strict=True)]
        table = {"mlp": ahead, "logistic_regression": base}
        judged = verdict_on(tmp_path, table, {"expect": expect, "margin": margin})
        assert judged.verdict == verdict
        assert judged.findings[0].effect == pytest.approx(lead)
        assert judged.findings[0].paired and judged.findings[0].n == 4

    def test_a_ratio_is_judged_by_its_logarithm(self, tmp_path: Path) -> None:
        table = {"mlp": [0.8, 0.82, 0.79], "logistic_regression": [0.4, 0.4, 0.41]}
        finding = verdict_on(tmp_path, table, {"scale": "ratio", "margin": 1.5}).findings[0]
        logs = [math.log(a / b) for a, b in zip(*table.values(), strict=True)]
        assert finding.effect == pytest.approx(math.exp(sum(logs) / 3))
        assert 1.5 < finding.low < finding.effect < finding.high and finding.verdict == HOLDS

    def test_counts_need_no_statistics(self, tmp_path: Path) -> None:
        for model, count in (("mlp", 100), ("logistic_regression", 60)):
            make_run(tmp_path / "runs" / model, model=model, cost={"parameters": count})
        test = {"quantity": "cost.parameters", "scale": "ratio", "margin": 1.5}
        judged = judge(read_claim("tiny", [str(written(tmp_path / "mine", test))]), "small", tmp_path / "runs")
        assert judged.verdict == HOLDS and judged.findings[0].p == 0
        assert judged.findings[0].effect == pytest.approx(100 / 60)

    def test_against_a_number_and_a_peer(self, tmp_path: Path) -> None:
        table = {"mlp": [0.8, 0.82, 0.79]}
        assert verdict_on(tmp_path, table, {"against": 0.5}).verdict == HOLDS
        peer = {"against": {"model": "mlp"}, "against_quantity": "test/loss"}
        assert verdict_on(tmp_path / "peer", table, peer).findings[0].against.mean == pytest.approx(
            1 - sum(table["mlp"]) / 3
        )

    def test_what_each_side_gains_over_other_cells(self, tmp_path: Path) -> None:
        table = {"mlp": [0.8, 0.82, 0.79], "logistic_regression": [0.6, 0.6, 0.61], "lenet5": [0.75, 0.76, 0.74]}
        gain = {"gain_over": {"model": "logistic_regression"}, "against": {"model": "lenet5"}, "margin": 0.02}
        finding = verdict_on(tmp_path, table, gain).findings[0]
        assert finding.of.values == pytest.approx({"0": 0.2, "1": 0.22, "2": 0.18}) and finding.of.label.startswith(
            "gain"
        )
        assert finding.against.values == pytest.approx({"0": 0.15, "1": 0.16, "2": 0.13})
        assert finding.effect == pytest.approx(0.16 / 3)

    def test_one_seed_cannot_tell(self, tmp_path: Path) -> None:
        assert verdict_on(tmp_path, {"mlp": [0.9], "logistic_regression": [0.1]}).verdict == UNTOLD

    def test_p_is_corrected_for_all_comparisons(self, tmp_path: Path) -> None:
        table = {"mlp": [0.80, 0.83, 0.81], "logistic_regression": [0.60, 0.61, 0.62]}
        alone = verdict_on(tmp_path, table)
        tests = [TINY["tests"][0]] * 2
        claim = read_claim("tiny", [str(written(tmp_path / "mine", tests=tests))])
        both = judge(claim, "small", tmp_path / "runs")
        assert both.findings[0].p == pytest.approx(2 * alone.findings[0].p)

    def test_curves_over_a_key_and_of_files(self, tmp_path: Path) -> None:
        table = {"mlp": [0.8, 0.82], "logistic_regression": [0.6, 0.61]}
        runs = make_sweep(tmp_path / "runs", table)
        for folder in runs.glob("*mlp*"):
            (folder / "norms.json").write_text(json.dumps({"norms": {"1": [4.0, 1.0, 9.0]}}))
        shown = {
            "title": "Norms",
            "x": "step",
            "y": "norm",
            "log": True,
            "file": "norms.json",
            "series": ["norms", "1"],
        }
        curve = shown | {"start": 1, "lines": {"dense": {"model": "mlp"}}}
        claim = read_claim("tiny", [str(written(tmp_path / "mine", curve=curve))])
        verdict = judge(claim, "small", runs)
        assert verdict.curve is not None
        line = verdict.curve.lines[0]
        assert (line.label, line.x, line.y) == ("dense", [1, 2, 3], pytest.approx([4, 1, 9]))
        svg = picture(verdict, "A hidden layer helps.").svg()
        assert "Norms" in svg and "dense" in svg and "norm, logarithmic" in svg
        (tmp_path / "verdict.json").write_text(json.dumps(verdict.plain()))
        kept = read_verdict(tmp_path / "verdict.json").curve
        assert kept is not None and kept.lines[0].y == pytest.approx(line.y) and kept.title == "Norms"
        back = read_claim("tiny", [str(written(tmp_path / "back", curve=curve | {"from_end": True}))])
        again = judge(back, "small", runs).curve
        assert again is not None and again.lines[0].y == pytest.approx([9, 1, 4]), "the last number stands at 0"
        over = {
            "title": "By seed",
            "x": "batch",
            "y": "accuracy",
            "key": "data.batch_size",
            "quantity": "test/accuracy",
        }
        for at, value in ((16, 0.5), (32, 0.7)):
            make_run(tmp_path / "sizes" / f"{at}", value, overrides=(f"data.batch_size={at}",))
        claim = read_claim(
            "tiny", [str(written(tmp_path / "over", {"against": 0.1}, curve=over | {"lines": {"all": {}}}))]
        )
        by_key = judge(claim, "small", tmp_path / "sizes").curve
        assert by_key is not None and (by_key.lines[0].x, by_key.lines[0].y) == ([16, 32], [0.5, 0.7])
        make_run(tmp_path / "long" / "a", epochs=3)
        csv = curve | {"file": "metrics.csv", "series": ["train/loss"]}
        claim = read_claim("tiny", [str(written(tmp_path / "csv", {"against": 0.1}, curve=csv))])
        by_epoch = judge(claim, "small", tmp_path / "long").curve
        assert by_epoch is not None and by_epoch.lines[0].y == pytest.approx([1, 0.5, 1 / 3], abs=1e-3)
        none = curve | {"file": "other.json"}
        with pytest.raises(UserError, match=r"no run of the curve’s line “dense” has other\.json"):
            judge(read_claim("tiny", [str(written(tmp_path / "none", curve=none))]), "small", runs)

    def test_what_is_missing_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="names model=gru, and no run has it"):
            verdict_on(tmp_path, {"mlp": [0.9]}, {"of": {"model": "gru"}})
        with pytest.raises(UserError, match="has test/f1: these have test/accuracy, test/loss"):
            verdict_on(tmp_path / "again", {"mlp": [0.9], "logistic_regression": [0.9]}, {"quantity": "test/f1"})

    def test_is_kept_and_drawn(self, tmp_path: Path) -> None:
        judged = verdict_on(tmp_path, {"mlp": [0.8, 0.8], "logistic_regression": [0.6, 0.61]})
        (tmp_path / "verdict.json").write_text(json.dumps(judged.plain()))
        again = read_verdict(tmp_path / "verdict.json")
        assert again.findings[0].of.values == {"0": 0.8, "1": 0.8}
        svg = picture(again, "A hidden layer helps.").svg()
        assert "A hidden layer helps." in svg and again.verdict in svg
        (tmp_path / "verdict.json").write_text("{}")
        with pytest.raises(UserError, match="no verdict that can be read"):
            read_verdict(tmp_path / "verdict.json")


@pytest.mark.parametrize(
    ("keys", "test", "sentence"),
    [
        ({"statement": None}, {}, "statement is missing"),
        ({"margins": 3}, {}, "did you mean margin?"),
        ({"tests": []}, {}, "at least one comparison"),
        ({"sweep": "model=mlp"}, {}, "must be a list of words"),
        ({"sizes": {"small": {"minutes": 1}}}, {}, "no sizes.full"),
        ({"sizes": {"smal": {"minutes": 1}}}, {}, "did you mean small?"),
        ({}, {"expect": "mor"}, "no expect: did you mean"),
        ({}, {"scale": "ratio", "margin": 0.5}, "must be 1 or more for a ratio"),
        ({}, {"expect": "alike", "margin": 0}, "which effect would matter"),
        ({}, {"of": "mlp"}, "must be keys with their values"),
        ({}, {"scale": "ratio", "margin": 2, "gain_over": {"model": "mlp"}}, "gains may be zero"),
        ({"holds_where": [{"when": "Always.", "by": "hearsay", "source": "nobody"}]}, {}, "by=hearsay is no ground"),
        ({"holds_where": [{"when": "Always.", "by": "measured"}]}, {}, "source is missing"),
        ({"curve": {"title": "a", "x": "b", "y": "c", "lines": {}}}, {}, "either key, with quantity, or file"),
        ({"curve": {"title": "a", "x": "b", "y": "c", "lines": {}, "key": "data.shift"}}, {}, "quantity is missing"),
    ],
)
def test_a_file_that_is_wrong_is_refused(tmp_path: Path, keys, test, sentence: str) -> None:
    with pytest.raises(UserError) as error:
        read_claim("tiny", [str(written(tmp_path, test, **keys))])
    assert sentence in str(error.value)


@pytest.mark.slow
def test_from_a_file_to_a_verdict_and_again(experiments: Run, tmp_path: Path) -> None:
    words = ("claim", "tiny", f"--config-dir={written(tmp_path / 'mine')}")
    code, output, errors = experiments(*words, "--check")
    assert code == 0, errors
    assert "2 runs: 2 to run" in output and not (tmp_path / "outputs").exists()
    code, output, errors = experiments(*words)
    assert code == 0, errors
    assert "A hidden layer helps." in output and "verdict  " in output and "2 runs" in output
    folder = tmp_path / "outputs" / "claims" / "tiny_small"
    assert (folder / "verdict.png").stat().st_size > 5000
    assert read_verdict(folder / "verdict.json").runs == 2
    code, output, _ = experiments(*words)
    assert code == 0 and "2 done already" in output
    code, output, _ = experiments("claim", "--list", f"--config-dir={tmp_path / 'mine'}")
    assert code == 0 and "here" in output and "A hidden layer helps." in output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("rnn_forget",), "rnn_forget is no claim: did you mean rnn_forgets?"),
        (("depth",), "depth is no claim: did you mean depth_needs_shortcuts or gradient_vanishes_with_depth?"),
        ((), "claim needs one name: choose from"),
        (("rnn_forgets", "size=smal"), "did you mean small?"),
        (("rnn_forgets", "--lst"), "did you mean --list?"),
        (("rnn_forgets", "modl=rnn", "--check"), "did you mean model"),
    ],
)
def test_a_wrong_word_is_answered_in_one_sentence(experiments: Run, words: tuple[str, ...], sentence: str) -> None:
    code, _, errors = experiments("claim", *words)
    assert code == 2 and sentence in errors


def test_a_verdict_stays_where_only_the_stated_time_changes(tmp_path: Path) -> None:
    def digest(name: str, small: dict[str, Any]) -> str:
        folder = written(tmp_path / name, sizes=TINY["sizes"] | {"small": TINY["sizes"]["small"] | small})
        return read_claim("tiny", [str(folder)]).digest

    assert digest("slow", {"minutes": 9}) == digest("quick", {}) != digest("other", {"words": ["seed=1"]})


@pytest.mark.parametrize("name", claim_names())
def test_every_claim_has_a_file_that_is_whole_and_a_verdict(name: str) -> None:
    claim = read_claim(name)
    assert claim.statement.endswith(".") and claim.refuted_by.endswith(".")
    verdict = read_verdict(board.measured_dir() / f"{name}_small.json")
    assert verdict.digest == claim.digest, f"measured by an earlier form: experiments claim {name} --record"
    assert not verdict.changed
    assert verdict.seconds <= 60 * claim.sizes["small"].minutes, "the file states less time than was measured"
    assert (conf_dir().parent / "docs" / "claims" / f"{name}.png").is_file()
    assert claim.holds_where or verdict.verdict != FAILS, "add the conditions under which it holds: holds_where"
    assert (claim.curve is None) == (verdict.curve is None)


@pytest.mark.slow
@pytest.mark.parametrize("name", claim_names())
@pytest.mark.parametrize("size", SIZES)
def test_the_sweep_of_every_claim_can_run(experiments: Run, real_data: Path, name: str, size: str) -> None:
    code, output, errors = experiments("claim", name, f"size={size}", "--check")
    if code == 2 and "is missing and belongs in" in errors:
        pytest.skip(f"the whole dataset is not there: {errors.partition('data=')[2][:40]}")
    assert code == 0, errors
    assert "can run." in output


def test_the_page_is_what_the_verdicts_say() -> None:
    assert board.page_file().read_text() == board.page(), "write it again: experiments claim --page"


def test_a_narrow_terminal_says_which_columns_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "wider terminal" not in board.listing()
    monkeypatch.setattr("experiments.claims.board.terminal_width", lambda: 70)
    shown = board.listing()
    assert "date" not in shown.splitlines()[0] and shown.splitlines()[-1].startswith("in a wider terminal: ")
