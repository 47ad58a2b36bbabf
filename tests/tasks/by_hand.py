"""Losses and metrics of a whole test split, from what a network says of it, by NumPy, SciPy, scikit-learn, scikit-image and pycocotools."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from scipy.special import log_softmax, logsumexp

Whole = list[tuple[Any, ...]]  # of each batch: what the data gave, prediction, target


def judged(whole: Whole) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n, classes) and truth (n,) of all that `step` judges."""
    return tuple(torch.cat([row[place] for row in whole]).double().numpy() for place in (1, 2))  # type: ignore[return-value]


def nll(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return -np.take_along_axis(log_softmax(scores, -1), truth[:, None].astype(int), -1)[:, 0]


def of_classes(task: Any, whole: Whole) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, matthews_corrcoef, precision_recall_fscore_support

    scores, truth = judged(whole)
    guess, truth = scores.argmax(1), truth.astype(int)
    weights = np.ones(scores.shape[1]) if getattr(task, "class_weights", None) is None else task.class_weights.numpy()
    smooth = getattr(task, "label_smoothing", 0.0)
    each = (1 - smooth) * weights[truth] * nll(scores, truth) - smooth * (log_softmax(scores, 1) * weights).mean(1)
    precision, recall, f1, _ = precision_recall_fscore_support(truth, guess, average="macro", zero_division=0)
    best = np.argsort(-scores, 1)[:, :5]
    return {
        "loss": each.sum() / weights[truth].sum(), "accuracy": accuracy_score(truth, guess), "precision": precision,
        "recall": recall, "f1": f1, "top5": (best == truth[:, None]).any(1).mean(), "matthews": matthews_corrcoef(truth, guess),
    }  # fmt: skip


def of_entities(task: Any, whole: Whole) -> dict[str, float]:
    seqeval = pytest.importorskip("seqeval.metrics")

    scores, truth = judged(whole)
    names, guessed, true = task.spec.classes, [], []
    for (inputs, labels), _, _ in whole:
        for guess, right in zip(task.model(inputs).argmax(-1), labels, strict=True):
            seen = right >= 0
            guessed.append([names[number] for number in guess[seen]])
            true.append([names[number] for number in right[seen]])
    scorers = {"precision": seqeval.precision_score, "recall": seqeval.recall_score, "f1": seqeval.f1_score}
    return {name: scorer(true, guessed, zero_division=0) for name, scorer in scorers.items()} | {
        "loss": nll(scores, truth).mean(),
        "accuracy": (scores.argmax(1) == truth).mean(),
    }


def of_tokens(task: Any, whole: Whole) -> dict[str, float]:
    scores, truth = judged(whole)
    loss = nll(scores, truth).mean()
    return {"loss": loss, "perplexity": np.exp(loss), "accuracy": (scores.argmax(1) == truth).mean()}


def of_numbers(task: Any, whole: Whole) -> dict[str, float]:
    guess, truth = judged(whole)
    error = guess - truth
    return {"loss": (error**2).mean(), "mse": (error**2).mean(), "mae": np.abs(error).mean()}


def of_forecasts(task: Any, whole: Whole) -> dict[str, float]:
    guess, truth = judged(whole)  # (N, horizon, C, Q), (N, horizon, C)
    levels, error, middle = np.array(task.quantiles), truth[..., None] - guess, truth - guess[..., task.middle]
    inside = (guess[..., 0] <= truth) & (truth <= guess[..., -1])
    return {
        "loss": np.maximum(levels * error, (levels - 1) * error).mean(), "mse": (middle**2).mean(),
        "mae": np.abs(middle).mean(), "coverage": inside.mean(),
    }  # fmt: skip


def of_masks(task: Any, whole: Whole) -> dict[str, float]:
    from sklearn.metrics import confusion_matrix

    scores, truth = (torch.cat([row[place] for row in whole]) for place in (1, 2))
    count = scores.shape[1]
    counts = confusion_matrix(truth.flatten(), scores.argmax(1).flatten(), labels=range(count)).astype(float)
    right, total = counts.diagonal(), counts.sum(0) + counts.sum(1)
    chances, true = scores.softmax(1).double(), F.one_hot(truth, count).permute(0, 3, 1, 2).double()
    dice = 1 - 2 * (chances * true).sum((2, 3)) / (chances + true).sum((2, 3))
    there = true.sum((2, 3)) > 0
    with np.errstate(invalid="ignore"):
        return {
            "loss": float(F.cross_entropy(scores, truth, weight=task.class_weights))
            + float(((dice * there).sum(1) / there.sum(1)).mean()),
            "mean_iou": np.nanmean(right / (total - right)), "dice": np.nanmean(2 * right / total),
            "pixel_accuracy": right.sum() / counts.sum(),
        }  # fmt: skip


def of_speech(task: Any, whole: Whole) -> dict[str, float]:
    from torchmetrics.text import CharErrorRate, WordErrorRate

    losses, spoken, heard = [], [], []
    for (inputs, target), _, _ in whole:
        scores = task.model(inputs)
        for row, length, symbols in zip(scores.values, scores.lengths, target, strict=True):
            symbols = symbols[symbols >= 0] + 1
            losses.append(F.ctc_loss(row[:length, None].log_softmax(2), symbols[None], length[None], torch.tensor([len(symbols)]), reduction="sum"))  # fmt: skip
        spoken += task.texts_of(target)
        heard += task.report.predict(inputs)
    return {"loss": float(torch.stack(losses).mean()), "wer": WordErrorRate()(heard, spoken), "cer": CharErrorRate()(heard, spoken)}  # fmt: skip


def of_images(task: Any, whole: Whole) -> dict[str, float]:
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    guess, truth = (torch.cat([row[place] for row in whole]).numpy()[:, 0] for place in (1, 2))
    pairs = list(zip(truth, guess, strict=True))
    return {
        "mse": ((guess - truth) ** 2).mean(),
        "psnr": np.mean([peak_signal_noise_ratio(*pair, data_range=1) for pair in pairs]),
        "ssim": np.mean([structural_similarity(*pair, data_range=1, win_size=7) for pair in pairs]),
    }


def of_colours(task: Any, whole: Whole) -> dict[str, float]:
    from skimage.metrics import peak_signal_noise_ratio

    guess, truth = (torch.cat([row[place] for row in whole]).double().numpy() for place in (1, 2))
    red, green, blue = 255 * guess.transpose(1, 0, 2, 3).reshape(3, len(guess), -1)
    pairs = red - green, (red + green) / 2 - blue  # Hasler and Süsstrunk's two axes of opponents
    colourful = np.hypot(*(pair.std(1) for pair in pairs)) + 0.3 * np.hypot(*(pair.mean(1) for pair in pairs))
    return {
        "mse": ((guess - truth) ** 2).mean(),
        "psnr": np.mean([peak_signal_noise_ratio(*pair, data_range=1) for pair in zip(truth, guess, strict=True)]),
        "colourfulness": colourful.mean(),
    }


def of_a_bound(task: Any, whole: Whole) -> dict[str, float]:
    """The bound with the noise of each image, and the tighter one with the draws of its own generator."""
    from experiments.tasks.parts.fixed_noise import settled_noise

    def likelihood(chances: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            logs = np.maximum(np.log(chances), -100), np.maximum(np.log1p(-chances), -100)
        return (pixels * logs[0] + (1 - pixels) * logs[1]).reshape(len(pixels), -1).sum(1)

    images = torch.cat([row[0][0] for row in whole])
    pixels = task.pixels(images)
    mean, log_variance = task.model.latent.posterior(task.model.encoder(images))
    noise = settled_noise(pixels, torch.randn, mean.shape[1:], 0)
    decoded = task.model.decoder(mean + noise * (log_variance / 2).exp()).double().numpy()
    reconstruction = likelihood(decoded, pixels.double().numpy()).mean()
    mu, var = mean.double().numpy(), np.exp(log_variance.double().numpy())
    kl = (0.5 * (var + mu**2 - 1 - np.log(var))).sum(1).mean()
    values = {
        "loss": kl - reconstruction, "reconstruction": reconstruction, "kl": kl, "elbo": reconstruction - kl,
        "bits": (kl - reconstruction) / pixels[0].numel() / np.log(2),
    }  # fmt: skip
    test, generator = task.sample("test", 1000), torch.Generator().manual_seed(2)
    bounds = []
    for inputs, truth in zip(test.inputs.split(50), test.pixels.split(50), strict=True):
        mean, log_variance = task.model.latent.posterior(task.model.encoder(inputs))
        centre, deviation = mean.double().numpy(), np.exp(log_variance.double().numpy() / 2)
        logs = []
        for _ in range(task.importance_samples):
            code = centre + deviation * torch.randn(mean.shape, generator=generator).double().numpy()
            chances = task.model.decoder(torch.from_numpy(code).float()).double().numpy()
            prior, posterior = stats.norm.logpdf(code).sum(1), stats.norm.logpdf(code, centre, deviation).sum(1)
            logs.append(likelihood(chances, truth.double().numpy()) + prior - posterior)
        bounds.append(logsumexp(logs, 0) - np.log(len(logs)))
    return values | {"iw_bound": np.concatenate(bounds).mean()}


def of_answers(task: Any, whole: Whole) -> dict[str, float]:
    """All spans of all windows, one by one."""
    from torchmetrics.text import SQuAD

    questions, windows = task.data.questions["test"], task.data.windows["test"]
    best: dict[int, tuple[float, str]] = {}
    none: dict[int, float] = {}
    losses = []
    for (inputs, target), _, _ in whole:
        for row, length, (first, last, begins, question, number) in zip(
            task.model(inputs).double().numpy(), inputs.lengths.tolist(), target.tolist(), strict=True
        ):
            places = [0, *range(begins, length - 1)]
            chances = log_softmax(row[places], 0)
            losses.append(-(chances[places.index(first), 0] + chances[places.index(last), 1]) / 2)
            none[question] = min(none.get(question, np.inf), row[0].sum())
            letters = windows[number].spans
            for start in places[1:]:
                for end in range(start, min(start + task.answer_length, length - 1)):
                    score = row[start, 0] + row[end, 1]
                    if score > best.get(question, (-np.inf, ""))[0]:
                        text = questions[question].passage[letters[start - begins][0] : letters[end - begins][1]]
                        best[question] = score, text
    metric = SQuAD()
    for row, (score, text) in best.items():
        answered = "" if task.spec.unanswerable and none[row] > score + task.no_answer else text
        right = [answer for answer, _ in questions[row].answers] or [""]
        metric.update(
            [{"prediction_text": answered, "id": str(row)}],
            [{"answers": {"answer_start": [0] * len(right), "text": right}, "id": str(row)}],
        )
    return {"loss": np.mean(losses)} | {name: float(value) for name, value in metric.compute().items()}


def of_grades(task: Any, whole: Whole) -> dict[str, float]:
    cosine, truth = (judgement[:, 0] for judgement in judged(whole))
    return {
        "loss": ((cosine - truth / task.highest) ** 2).mean(),
        "pearson": stats.pearsonr(cosine, truth)[0], "spearman": stats.spearmanr(cosine, truth)[0],
    }  # fmt: skip


def of_partners(task: Any, whole: Whole) -> dict[str, float]:
    from sklearn.neighbors import NearestNeighbors

    sides = torch.cat([row[1] for row in whole]).double().numpy().transpose(1, 0, 2)
    hits = []
    for asked, among in (sides, sides[::-1]):
        nearest = NearestNeighbors(n_neighbors=1, metric="cosine").fit(among).kneighbors(asked)[1][:, 0]
        hits.append((nearest == np.arange(len(asked))).mean())
    return {"retrieval": np.mean(hits)}


def of_labels_never_seen(task: Any, whole: Whole) -> dict[str, float]:
    """By how much each label's sentence becomes likelier behind a text, the whole read anew for each."""
    from experiments.batches import pad

    start, end = task.spec.marks[2:4] if task.spec.marks else (-1, -1)

    def log_probability(before: list[int], tail: list[int]) -> float:
        tokens = torch.tensor([*before, *tail])
        chances = log_softmax(task.model(pad([tokens]))[0].double().numpy(), -1)
        return sum(chances[place - 1, tokens[place]] for place in range(len(before), len(tokens)))

    alone = [
        log_probability([start], tail) if start >= 0 else log_probability(tail[:1], tail[1:]) for tail in task.tails
    ]
    scores, truths = [], []
    for (inputs, labels), _, _ in whole:
        for row, length in zip(inputs.values, inputs.lengths.tolist(), strict=True):
            text = row[:length].tolist()
            text = text[:-1] if text[-1] == end else text
            scores.append(
                [log_probability(text, tail) - likelihood for tail, likelihood in zip(task.tails, alone, strict=True)]
            )
        truths += labels.tolist()
    return of_classes(task, [(None, torch.tensor(scores), torch.tensor(truths))])


def of_transcripts(task: Any, whole: Whole) -> dict[str, float]:
    """Every recording alone."""
    from torchmetrics.text import CharErrorRate, WordErrorRate

    from experiments.batches import Sequences
    from experiments.tasks.transcription import Spoken

    losses, spoken, heard = [], [], []
    prompt = task.words.prompt(task.language, task.translate, False)
    for sound, target in (row[0] for row in whole):
        for clip, length, text in zip(sound.values, sound.lengths, task.texts_of(target), strict=True):
            recording = Sequences(clip[None, :length], length[None])
            tokens = [*prompt, *task.words.encode(text), task.words.end]
            chances = task.model(Spoken(recording, torch.tensor([tokens[:-1]])))[0].double().numpy()
            losses += list(nll(chances, np.array(tokens[1:]))[len(prompt) - 1 :])
            spoken.append(task.write(text))
            heard.append(task.write(task.transcribe(recording)[0].text))
    return {"loss": np.mean(losses), "wer": WordErrorRate()(heard, spoken), "cer": CharErrorRate()(heard, spoken)}


def of_episodes(task: Any, whole: Whole) -> dict[str, float]:
    """Play the test's episodes in gymnasium itself, one after another, by the best actions."""
    import gymnasium

    from experiments.data.control.simulation import TEST, seed_of

    env, returns, lengths = gymnasium.make(task.spec.environment), [], []
    for number in range(task.data.counts["test"]):
        seen, _ = env.reset(seed=seed_of(TEST, number))
        rewards, over = [], False
        while not over:
            scores = task.model(torch.from_numpy(np.asarray(seen, np.float32)[None])).action[0]
            seen, reward, terminated, truncated, _ = env.step(int(scores.argmax()))
            rewards.append(float(reward))
            over = terminated or truncated
        returns.append(sum(rewards))
        lengths.append(len(rewards))
    ends = stats.t.interval(0.95, len(returns) - 1, scale=stats.sem(returns))
    return {"return": np.mean(returns), "length": np.mean(lengths), "return_interval": ends[1]}


def of_actions(task: Any, whole: Whole) -> dict[str, float]:
    return of_tokens(task, whole) | of_episodes(task, whole)


def of_objects(task: Any, whole: Whole) -> dict[str, float]:
    """COCO's own judge, of boxes and, where there are some, of masks."""
    mask = pytest.importorskip("pycocotools.mask")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth: dict[str, list[Any]] = {"images": [], "annotations": [], "categories": []}
    truth["categories"] = [{"id": number, "name": name} for number, name in enumerate(task.spec.classes, 1)]
    answers: list[Any] = []
    for images, targets in (row[0] for row in whole):
        for image, target in zip(images, targets, strict=True):
            number = len(truth["images"]) + 1
            truth["images"].append({"id": number, "height": image.shape[1], "width": image.shape[2]})
            guess = task.model([image])[0]  # each picture alone
            for side, objects in ((truth["annotations"], target), (answers, guess)):
                for place, (x1, y1, x2, y2) in enumerate(objects["boxes"].double().tolist()):
                    row = {"image_id": number, "category_id": int(objects["labels"][place]) + 1, "id": len(side) + 1}
                    row |= {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
                    if side is answers:
                        row["score"] = float(objects["scores"][place])
                    if "masks" in objects:
                        drawn = objects["masks"][place].squeeze() > 0.5
                        row["segmentation"] = mask.encode(np.asfortranarray(drawn.numpy().astype(np.uint8)))
                    side.append(row)
    values: dict[str, float] = {}
    names = ("map", "map50", "map75", "map_small", "map_medium", "map_large",
             "recall_1", "recall_10", "recall", "recall_small", "recall_medium", "recall_large")  # fmt: skip
    for kind, prefix in (("bbox", ""), *([("segm", "mask_")] if task.spec.masks else [])):
        sides = []
        for rows in (truth["annotations"], answers):
            side = COCO()
            rows = [dict(row, area=float(mask.area(row["segmentation"]))) if kind == "segm" else row for row in rows]
            side.dataset = truth | {"annotations": rows}
            side.createIndex()
            sides.append(side)
        judge = COCOeval(*sides, kind)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
        averages = [float("nan") if value == -1 else value for value in judge.stats]
        values |= {f"{prefix}{name}": value for name, value in zip(names, averages, strict=True)}
    return values
