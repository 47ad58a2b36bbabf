"""The report, its charts, figures for a paper, and what TensorBoard is given."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from experiments.compare.axes import Scale, cut, lines_of, tick, x_axis
from experiments.compare.cells import gather
from experiments.compare.charts import all_charts, cost_and_metric, save_figures
from experiments.compare.compare import compare
from experiments.compare.learning_curves import curves, read_history
from experiments.compare.report import report
from experiments.compare.tensorboard import FOLDER, write_aggregates
from experiments.compare.vector_drawing import Drawing
from experiments.compare.wording import number, probability, short, signed
from tests.compare.records import make_run, make_sweep

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two models, two optimizers, two schedulers, three seeds."""
    root = tmp_path / "sweep"
    for optimizer, a in (("adam", 0.0), ("sgd", 0.03)):
        for scheduler, b in (("constant", 0.0), ("cosine", 0.01)):
            for model, c in (("mlp", 0.0), ("lenet5", 0.05)):
                for seed in range(3):
                    value = 0.8 + a + b + c + 0.004 * (seed - 1) * (1 + a)
                    folder = root / f"{model}{optimizer}{scheduler}{seed}"
                    cost = {"parameters": 650 if model == "mlp" else 61706, "seconds": 1 + a}
                    make_run(
                        folder, value, seed, model=model, optimizer=optimizer, scheduler=scheduler, epochs=4, cost=cost
                    )
    return root


class _Page(HTMLParser):
    """Checks that tags are closed, and collects them."""

    VOID = ("meta", "link")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


class TestReport:
    def test_answers_the_questions(self, sweep: Path, tmp_path: Path, experiments: Run) -> None:
        code, out, _ = experiments("compare", str(sweep), "--html", "report.html")
        assert code == 0
        assert "report       report.html" in out
        page = _Page((tmp_path / "report.html").read_text())
        for words in (
            "test/accuracy on digits", "24 runs in 8 cells", "lenet5 · sgd · cosine: test/accuracy 0.8900",
            "Is the difference significant?", "What it costs", "Which choice matters", "model: 0.0500 between lenet5 and mlp",
            "Mean and 95 % interval", "val/accuracy over the epochs", "test/accuracy and parameters", "Two choices together",
            "All choices together", "What each choice does", "How to read this", "Averaged over scheduler",
        ):  # fmt: skip
            assert words in page.text, words
        assert sum(tag == "svg" for tag, _ in page.tags) >= 7

    def test_asks_nothing_of_the_network(self, sweep: Path) -> None:
        text = report(compare([sweep]))
        page = _Page(text)
        assert not {"script", "img", "iframe", "object"} & {tag for tag, _ in page.tags}
        assert [attributes["href"] for tag, attributes in page.tags if "href" in attributes] == ["data:,"]
        assert "http:" not in text
        assert "https:" not in text
        assert "@import" not in text
        assert "url(" not in text
        assert "prefers-color-scheme: dark" in text
        assert len(text) < 300_000

    def test_everything_from_records_is_escaped(self, tmp_path: Path) -> None:
        evil = '"><script>alert(1)</script>'
        for seed in range(2):
            make_run(
                tmp_path / f"a{seed}",
                0.9,
                seed,
                model=evil,
                overrides=(f"x.{evil}={evil}",),
                epochs=3,
                data=evil,
                split=evil,
            )
            make_run(
                tmp_path / f"b{seed}",
                0.8 + 0.01 * seed,
                seed,
                model="\ud800&lt;",
                data=evil,
                metrics={evil: 1.0},
                epochs=3,
            )
        make_run(tmp_path / "c", None, 0, model="c", data=evil, status=evil)
        text = report(compare([tmp_path]), [Path(evil)])
        assert "<script" not in text
        assert text.encode()
        page = _Page(text)
        assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)

    @pytest.mark.slow
    def test_the_command_repeats_a_run_as_it_became(self, tmp_path: Path, experiments: Run) -> None:
        """On images of one's own, made longer; what was given as an object is repeated in Python alone."""
        for name in ("left", "right"):
            (tmp_path / "images" / name).mkdir(parents=True)
            for place in range(6):
                Image.new("L", (8, 8), 30 * place).save(tmp_path / "images" / name / f"{place}.png")
        words = (
            "data=image_folder",
            "data.root=images",
            "data.size=8",
            "model=logistic_regression",
            "trainer.max_epochs=1",
        )
        assert experiments("train", *words, "callbacks=none", "logger=none", "hydra.run.dir=runs/a")[0] == 0
        assert experiments("train", "resume=runs/a", "trainer.max_epochs=2")[0] == 0
        assert experiments("compare", "runs", "--html", "report.html")[0] == 0
        text = (tmp_path / "report.html").read_text()
        assert "data.root=images" in text and "trainer.max_epochs=2" in text and "trainer.max_epochs=1" not in text
        import torch

        import experiments as package

        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        more = ("data.size=8", "trainer.max_epochs=1", "callbacks=none", "logger=none", "hydra.run.dir=objects/a")
        package.train(*more, data="digits", model=net)
        assert experiments("compare", "objects", "--html", "report.html")[0] == 0
        assert "in Python, with the objects that it was given" in (tmp_path / "report.html").read_text()

    def test_a_class_in_the_place_of_an_option_is_repeated_by_its_key(self, tmp_path: Path, experiments: Run) -> None:
        words = ("data._target_=mine.Data", "task._target_=mine.Lit")
        for seed in range(2):
            folder = make_run(tmp_path / f"r{seed}", 0.9, seed, overrides=words, model="Lit", data="Data", task="Lit")
            record = json.loads((folder / "record.json").read_text()) | {"module": "mine.Lit"}
            (folder / "record.json").write_text(json.dumps(record))
        assert experiments("compare", ".", "--html", "report.html")[0] == 0
        repeated = re.search(r"experiments train [^&]*", (tmp_path / "report.html").read_text())
        assert repeated and all(word in repeated[0] for word in words)
        assert not re.search(r" (model|data|task)=", repeated[0])

    def test_a_record_without_settings_is_repeated_as_it_was_typed(self, tmp_path: Path, experiments: Run) -> None:
        for seed in range(2):
            folder = make_run(tmp_path / f"r{seed}", 0.9, seed, overrides=("trainer.max_epochs=3",))
            record = json.loads((folder / "record.json").read_text())
            (folder / "record.json").write_text(json.dumps(record | {"settings": {}}))
        assert experiments("compare", ".", "--html", "report.html")[0] == 0
        repeated = re.search(r"experiments train [^&]*", (tmp_path / "report.html").read_text())
        assert repeated and "trainer.max_epochs=3" in repeated[0]

    def test_several_datasets_have_a_part_each(self, tmp_path: Path) -> None:
        for data in ("digits", "mnist"):
            make_sweep(tmp_path / data, {"a": [0.9, 0.8], "b": [0.7, 0.65]}, data=data)
        text = report(compare([tmp_path]))
        assert "<h2>digits</h2>" in text
        assert "<h2>mnist</h2>" in text
        assert "different test sets" in text
        assert "Which choice matters" not in text, "it is of both parts, and stands below them"
        assert "What each choice does" in text
        worked = report(compare([tmp_path]), [tmp_path], work=True)
        assert "&quot;of&quot;:&quot;digits&quot;" in worked and "&quot;of&quot;:&quot;mnist&quot;" in worked

    @pytest.mark.parametrize(
        "table", [{"a": [0.9]}, {"a": [0.9, 0.9]}, {"a": [0.5], "b": [0.5]}, {"a": [0.0, 0.0], "b": [0.0, 0.0]}]
    )
    def test_little_to_show(self, tmp_path: Path, table: dict[str, list[float]]) -> None:
        _Page(report(compare([make_sweep(tmp_path, table)])))

    def test_nothing_finished(self, tmp_path: Path) -> None:
        make_run(tmp_path / "a", None, 0, status="failed")
        assert "seed 0 failed" in _Page(report(compare([tmp_path]))).text

    def test_a_large_search_stays_a_small_page(self, tmp_path: Path) -> None:
        for place in range(400):
            words = (f"optimizer.lr={1e-4 * 1.02**place}", f"optimizer.beta={place % 7}")
            cost = {"parameters": 100 + place, "seconds": 5 + place % 13}
            make_run(
                tmp_path / str(place), 0.5 + (place % 31) / 100, 0, model=f"m{place % 3}", overrides=words, cost=cost
            )
        text = report(compare([tmp_path]))
        assert "All choices together" in text
        assert "… and 200 more; --csv has all." in text
        assert len(text) < 600_000

    @pytest.mark.parametrize(
        ("levels", "numbers"),
        [
            ((2, 4, 8, 16, 32, 64), ["2", "4", "8", "16", "32", "64"]),
            ((1, 2, 3), ["1", "2", "3"]),
            (tuple(range(100, 160)), ["100", "120", "140", "160"]),
        ],
    )
    def test_an_axis_is_numbered_by_the_levels_where_they_fit(
        self, levels: tuple[float, ...], numbers: list[str]
    ) -> None:
        drawing = Drawing(400, 100, "axis")
        x_axis(drawing, Scale.over(levels, 40, 380, log=len(levels) == 6), 0, 80, "size", levels)
        *told, _ = [shape["text"] for kind, shape in drawing.shapes if kind == "text"]
        assert told == numbers

    @pytest.mark.slow
    def test_renders_in_a_browser(self, sweep: Path, tmp_path: Path) -> None:
        browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if browser is None:
            pytest.skip("no Chromium here")
        from PIL import Image

        page = tmp_path / "report.html"
        page.write_text(report(compare([sweep])), encoding="utf-8")
        quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"]
        quiet += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        backgrounds = {}
        for mode, more in (("light", []), ("dark", ["--blink-settings=preferredColorScheme=0"])):
            for width in (500, 1920):
                picture = tmp_path / f"{mode}{width}.png"
                where = [
                    f"--user-data-dir={tmp_path / f'{mode}{width}'}",
                    f"--screenshot={picture}",
                    f"--window-size={width},1400",
                ]
                subprocess.run(
                    [browser, *quiet, *more, *where, page.as_uri()], check=True, capture_output=True, timeout=120
                )
                image = Image.open(picture).convert("RGB")
                assert image.width == width
                assert len(image.getcolors(1 << 24) or ()) > 50  # text and charts, not an empty page
                backgrounds[mode, width] = image.getpixel((2, 2))
        assert backgrounds["light", 500] == (255, 255, 255)
        dom = subprocess.run(
            [browser, *quiet, f"--user-data-dir={tmp_path / 'dom'}", "--dump-dom", page.as_uri()],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert dom.stdout.count("<svg") >= 7


class TestCharts:
    def test_svg_is_well_formed_and_numbers_are_finite(self, sweep: Path) -> None:
        comparison = compare([sweep])
        names = []
        for name, title, caption, drawing in all_charts(comparison.fields[0], comparison.effects):
            names.append(name)
            assert title
            assert caption
            text = drawing.svg()
            ElementTree.fromstring(text)
            assert "nan" not in text
            assert "inf" not in text
        assert names == [
            "intervals", "curves_val_accuracy", "curves_val_loss", "curves_train_loss", "cost_parameters", "heat_map", "parallel",
        ]  # fmt: skip

    @pytest.mark.slow
    def test_figures_for_a_paper(self, sweep: Path, tmp_path: Path) -> None:
        from PIL import Image

        folder = tmp_path / "figures"
        assert save_figures(compare([sweep]), folder) == len(list(folder.glob("*.png"))) == 7
        image = Image.open(folder / "intervals.png")
        assert image.width == 1250
        assert round(image.info["dpi"][0]) == 300

    @pytest.mark.parametrize(("count", "named", "more"), [(3, 3, ""), (11, 8, "… and 3 more")])
    def test_the_pareto_front_is_named_below_the_chart(self, tmp_path: Path, count: int, named: int, more: str) -> None:
        for place in range(count):  # the better, the more parameters
            make_run(tmp_path / str(place), 0.5 + 0.01 * place, model=f"m{place}", cost={"parameters": 10 + place})
        make_run(tmp_path / "worse", 0.4, model="worse", cost={"parameters": 99})
        drawing = cost_and_metric(compare([tmp_path]).fields[0], "parameters")
        assert drawing is not None
        below = [shape for kind, shape in drawing.shapes if kind == "text" and shape["at"][1] > 290]
        best = [text for place in range(named) for text in (str(place + 1), f"m{count - 1 - place}")]
        assert [shape["text"] for shape in below] == best + [more] * bool(more)
        assert max(shape["at"][1] for shape in below) < drawing.height - 4

    def test_formulas_are_plain_text(self) -> None:
        drawing = Drawing(100, 50, "x")
        drawing.text(5, 20, "$\\frac$ $x^$")
        assert drawing.figure().get_size_inches() == pytest.approx((100 / 96, 50 / 96))
        drawing.figure().canvas.draw()

    @pytest.mark.parametrize(
        ("low", "high"), [(0, 1), (0.8123, 0.8124), (-5, 12), (3, 3), (0, 0), (1e-9, 2e-9), (1, 1e12), (0.9, 50)]
    )
    def test_ticks_are_few_and_inside(self, low: float, high: float) -> None:
        for log in (False, True) if low > 0 else (False,):
            scale = Scale.over([low, high], 0, 100, log)
            ticks = scale.ticks()
            assert 1 <= len(ticks) <= 7
            assert all(-0.01 <= scale(value) <= 100.01 for value in ticks)
            assert all(len(tick(value)) <= 12 for value in ticks)

    def test_cut(self) -> None:
        assert cut("short", 100) == "short"
        assert cut("a long name that does not fit", 80).endswith("…")
        names = ["a_long_name_with_mixup", "a_long_name_with_cutmix"]
        assert [cut(name, 90, among=names) for name in names] == ["a_long…mixup", "a_long…utmix"]

    def test_names_are_broken_between_choices(self) -> None:
        labels = [f"lenet5 · policy={'x' * 60}_{end} · lr=0.1" for end in ("one", "two")]
        first, second = (lines_of(label, 200, labels) for label in labels)
        assert first[0] == "lenet5" and first[-1] == "lr=0.1" and first != second
        assert all(len(line) <= 200 / (0.57 * 13) for line in first)
        assert lines_of("lenet5 · lr=0.1", 200) == ["lenet5 · lr=0.1"]

    def test_means_are_over_the_same_combinations(self, tmp_path: Path) -> None:
        """Dropout 0.9, at which everything is bad, was tried with one of the models only."""
        for model, dropout in (("a", "0.1"), ("a", "0.9"), ("b", "0.1")):
            for size in ("8", "16", "32"):
                value = {"a": 0.9, "b": 0.8}[model] - (0.6 if dropout == "0.9" else 0)
                words = (f"model.dropout={dropout}", f"data.size={size}")
                make_run(tmp_path / f"{model}_{dropout}_{size}", value, model=model, overrides=words)
        comparison = compare([tmp_path])
        drawings = {name: (caption, drawing) for name, _, caption, drawing in all_charts(comparison.fields[0], ())}
        for name, rest in (("heat_map", "model.dropout"), ("response", "model")):
            assert f"the 1 of 2 combinations of {rest} that were run with everything shown" in drawings[name][0]
        texts = [shape["text"] for kind, shape in drawings["heat_map"][1].shapes if kind == "text"]
        assert texts.count("0.9000") == texts.count("0.8000") == 3 and "0.6000" not in texts
        (tmp_path / "a_0.1_8" / "record.json").unlink()
        drawings = {name: drawn for name, *drawn in all_charts(compare([tmp_path]).fields[0], ())}
        _, caption, drawing = drawings["heat_map"]
        on_it = " ".join(shape["text"] for kind, shape in drawing.shapes if kind == "text")
        assert "the means are over unlike mixtures." in on_it
        assert "unlike mixtures" in caption

    def test_an_interval_that_goes_on_has_a_tip(self, tmp_path: Path) -> None:
        make_sweep(tmp_path, {"a": [0.90, 0.95], "b": [0.92, 0.921]})
        comparison = compare([tmp_path])
        name, _, _, drawing = next(all_charts(comparison.fields[0], ()))
        tips = [shape for kind, shape in drawing.shapes if kind == "area" and len(shape["points"]) == 3]
        assert name == "intervals" and len(tips) == 2


class TestWords:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (0.95555, "0.9556"),
            (12.3456, "12.35"),
            (12345.6, "12,346"),
            (0.0, "0.0000"),
            (3.3e-9, "3.3e-09"),
            (float("nan"), "–"),
            (-0.5, "−0.5000"),
        ],
    )
    def test_numbers(self, value: float, text: str) -> None:
        assert number(value) == text

    @pytest.mark.parametrize(
        ("value", "text"),
        [(650, "650"), (9610, "9.61 k"), (11.17e6, "11.2 M"), (999_960, "1.00 M"), (1.5, "1.50"), (833e9, "833 G")],
    )
    def test_costs(self, value: float, text: str) -> None:
        assert short(value) == text

    def test_signs_and_chances(self) -> None:
        assert (signed(0.1), signed(-0.1), signed(0)) == ("+0.1000", "−0.1000", "0.0000")
        assert [probability(p) for p in (0.0001, 0.0312, 0.25, float("nan"))] == ["< 0.001", "0.031", "0.25", "–"]


class TestHistory:
    def test_mean_and_band(self, tmp_path: Path) -> None:
        make_sweep(tmp_path, {"a": [0.8, 0.9, 1.0]}, epochs=4)
        (cell,), _ = gather([tmp_path])
        points = curves(cell)["val/accuracy"]
        assert [point.epoch for point in points] == [0, 1, 2, 3]
        assert [point.step for point in points] == [9, 19, 29, 39]
        last = points[-1]
        assert (last.mean, last.low, last.high, last.n) == pytest.approx((0.9, 0.8, 1.0, 3))

    def test_charts_count_epochs_from_one(self, tmp_path: Path) -> None:
        make_sweep(tmp_path, {"a": [0.8, 0.9]}, epochs=4)
        charts = all_charts(compare([tmp_path]).fields[0], ())
        drawing = next(drawing for name, _, _, drawing in charts if name == "curves_val_accuracy")
        texts = [shape["text"] for kind, shape in drawing.shapes if kind == "text"]
        assert texts[texts.index("epoch") - 4 : texts.index("epoch")] == ["1", "2", "3", "4"]

    def test_a_shorter_run_ends_the_curve(self, tmp_path: Path) -> None:
        make_run(tmp_path / "a", 0.9, 0, epochs=4)
        make_run(tmp_path / "b", 0.9, 1, epochs=2)
        (cell,), _ = gather([tmp_path])
        assert len(curves(cell)["val/loss"]) == 2

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "epoch\n",
            "a,b\n1,2\n",
            "epoch,step,val/loss\n0,9\n1,x,3\n2,29,nan\n\x00",
            "epoch,step,val/loss\n0,9,1,2,3\n",
        ],
    )
    def test_damaged_files(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "metrics.csv"
        path.write_text(text)
        assert set(read_history(path)) <= {"val/loss"}
        assert read_history(tmp_path / "none.csv") == {}


class TestTensorBoard:
    def test_mean_and_band_are_runs(self, tmp_path: Path, experiments: Run) -> None:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        make_sweep(tmp_path / "s", {"a": [0.8, 0.9], "b": [0.5, 0.6]}, epochs=3)
        for _ in range(2):  # what the first call wrote is replaced
            code, out, _ = experiments("compare", str(tmp_path / "s"), "--tensorboard")
            assert code == 0
            assert f"tensorboard --logdir {tmp_path / 's'}" in out
        runs = sorted(str(path.parent.relative_to(tmp_path / "s")) for path in (tmp_path / "s").rglob("events.out.*"))
        assert runs == [".", *(f"{FOLDER}/model={model}/{part}" for model in "ab" for part in ("high", "low", "mean"))]
        bands = {}
        for part in ("mean", "low", "high"):
            events = EventAccumulator(str(tmp_path / "s" / FOLDER / "model=a" / part)).Reload()
            assert set(events.Tags()["scalars"]) == {"train/loss", "val/loss", "val/accuracy"}
            bands[part] = [(event.step, event.value) for event in events.Scalars("val/accuracy")]
        assert bands["mean"][-1] == pytest.approx((29, 0.85))
        assert bands["low"][-1] == pytest.approx((29, 0.8))
        assert bands["high"][-1] == pytest.approx((29, 0.9))

    def test_hparams_has_the_columns_of_all_runs(self, tmp_path: Path) -> None:
        """Read as TensorBoard does: the summary of the sweep folder comes before those of single runs."""
        from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
        from tensorboard.context import RequestContext
        from tensorboard.plugins import base_plugin
        from tensorboard.plugins.hparams import backend_context

        make_run(tmp_path / "0_a", 0.9, 0, model="a", overrides=("optimizer.lr=0.1",))
        make_run(tmp_path / "1_b", 0.8, 1, model="b", metrics={"test/f1": 0.7})
        (tmp_path / "1_b" / "record.json").write_text(
            (tmp_path / "1_b" / "record.json").read_text().replace('"test/accuracy"', '"test/top5"')
        )
        _run_summary(tmp_path / "0_a")
        write_aggregates(tmp_path)
        runs = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(tmp_path))
        runs.Reload()
        provider = data_provider.MultiplexerDataProvider(runs, str(tmp_path))
        context = backend_context.Context(base_plugin.TBContext(data_provider=provider))
        request = RequestContext()
        experiment = context.experiment_from_metadata(
            request,
            "",
            True,
            context.hparams_metadata(request, ""),
            context.hparams_from_data_provider(request, "", None),
        )
        assert {"model", "data", "optimizer", "precision", "seed", "lr"} <= {
            info.name for info in experiment.hparam_infos
        }
        assert {info.name.tag for info in experiment.metric_infos} == {
            "test/accuracy",
            "test/top5",
            "test/f1",
            "test/loss",
        }

    def test_a_run_is_no_sweep(self, tmp_path: Path, experiments: Run) -> None:
        make_run(tmp_path / "a", 0.9, epochs=2)
        code, _, _ = experiments("compare", str(tmp_path / "a"), "--tensorboard")
        assert code == 0
        assert not list((tmp_path / "a").rglob("events.out.*"))


def _run_summary(folder: Path) -> None:
    """What a run itself tells the HPARAMS tab."""
    from tensorboard.plugins.hparams import api_pb2
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

    from experiments.compare.tensorboard import Events

    experiment = api_pb2.Experiment()
    experiment.hparam_infos.add(name="model", type=api_pb2.DATA_TYPE_STRING)
    start = SessionStartInfo()
    start.hparams["model"].string_value = "a"
    with Events(folder) as events:
        events.hparams("experiment", HParamsPluginData(experiment=experiment))
        events.hparams("session_start_info", HParamsPluginData(session_start_info=start))
