"""The rows of the benchmark that are about speech; `benchmark.py` runs them.

Everything runs on one thread and counts processor time. Whisper's need its published weights: the folder that
EXPERIMENTS_WHISPER names, in transformers' layout.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from benchmark_language import Built, Samples, has, per_cpu_second, turns, with_auto

CLIPS = 24  # of LJ Speech
# A network with the proportions of the published one, and sizes that one core trains.
WAVES = ["model=wav2vec2_tiny", "optimizer=adamw", "data.batch_size=8"]


def whisper(quick: bool) -> Samples:
    """Seconds of sound transcribed per processor second, by Whisper with its window of 30 s, greedily.

    Ours: the whole test, losses and error rates included, in batches of eight; likewise predictions of the same clips, and
    both with precision=bf16-mixed where the processor has that arithmetic. The library: `generate`, one clip at a time.

    Raises:
        RuntimeError: when word error rates differ in 32 bits, as the rates would then not be for the same work.
    """
    folder = os.environ.get("EXPERIMENTS_WHISPER")
    if not folder or not has("ljspeech_lj001"):
        return {}
    import torch

    from experiments.run.build import build_task
    from experiments.run.trainer import build_trainer
    from experiments.tasks.parts.word_errors import WordErrors
    from experiments.tasks.report import report_of
    from experiments.transcript_rules import rule

    clips = 2 if quick else CLIPS
    root = Path(os.environ.get("EXPERIMENTS_DATA", "data")).absolute() / "ljspeech_lj001"
    words = ["model=whisper_tiny", f"weights={folder}", "data=ljspeech", f"data.root={root}", f"data.test={clips}",
             "data.batch_size=8"]  # fmt: skip
    built = with_auto(words)
    data = built["ours"].data
    data.setup()
    batches = list(data.test_dataloader())
    rows = [sound.values[row, :length] for sound, _ in batches for row, length in enumerate(sound.lengths.tolist())]
    seconds = sum(map(len, rows)) / 16_000
    rates: dict[str, float] = {}
    tasks, trainers = {}, {}
    for name, trained in built.items():
        tasks[name] = build_task(trained.config, data.spec, data).eval()
        trainers[name] = build_trainer(trained.config, callbacks=False)
    spoken = [text for _, target in batches for text in tasks["ours"].texts_of(target)]

    def rated(name: str, heard: list[str]) -> None:
        errors = WordErrors(rule("english", "task.normalise"))
        errors.update(heard, spoken)
        rates[name] = float(errors.compute()["wer"])

    def tested(name: str) -> None:
        trainers[name].test(tasks[name], datamodule=built[name].data, verbose=False)

    def predicted(name: str) -> None:
        precise = trainers[name].precision_plugin.forward_context
        with torch.inference_mode(), precise():
            heard = [text for sound, _ in batches for text in report_of(tasks[name]).predict(sound)]
        rated(f"{name}_predict", heard)

    library = _library(folder)

    def alone() -> None:
        rated("library", [library(row) for row in rows])

    sides: dict[str, Any] = {"library": alone}
    for name in built:
        sides |= {name: lambda name=name: tested(name), f"{name}_predict": lambda name=name: predicted(name)}
    speeds = turns({name: lambda work=compute: per_cpu_second(seconds, work) for name, compute in sides.items()}, quick)  # type: ignore[misc]
    if rates["library"] != rates["ours_predict"]:
        raise RuntimeError(f"word error rates differ: {rates}")
    return speeds


def _library(folder: str) -> Any:
    """Samples (T,) int16 -> the transcript by transformers' `generate`."""
    import torch
    from tokenizers import Tokenizer
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

    net = WhisperForConditionalGeneration.from_pretrained(folder).eval()
    spectrum = WhisperFeatureExtractor.from_pretrained(folder)
    tokens = Tokenizer.from_file(f"{folder}/tokenizer.json")
    net.generation_config.no_timestamps_token_id = tokens.token_to_id("<|notimestamps|>")

    def heard(samples: Any) -> str:
        features = spectrum(samples.numpy() / 32768.0, sampling_rate=16_000, return_tensors="pt").input_features
        with torch.inference_mode():
            return tokens.decode(net.generate(features, max_new_tokens=440)[0].tolist()).strip()

    return heard


def wav2vec2(quick: bool) -> Samples:
    """Seconds of sound per processor second of Wav2Vec 2.0's training by CTC on LJ Speech, the whole path of the data.

    Ours, recordings of like length together; random batches; the network and its loss without logging or data, on one
    resident batch of the average shape and on the batches of ours. And ours with precision=auto, where the processor has bf16 arithmetic.
    """
    if not has("ljspeech_lj001"):
        return {}
    import torch

    from experiments.batches import Sequences

    root = Path(os.environ.get("EXPERIMENTS_DATA", "data")).absolute() / "ljspeech_lj001"
    words = ["data=ljspeech", "task=speech_recognition", f"data.root={root}", "data.validation=2", "data.test=2",
             f"data.limit={8 if quick else 96}", *WAVES]  # fmt: skip
    built = with_auto(words) | {"random": Built([*words, "data.bucket=false"])}
    data = built["ours"].data
    data.setup()
    parts = list(data.train_dataloader())
    total = sum(int(sound.lengths.sum()) for sound, _ in parts)
    count = sum(len(sound.lengths) for sound, _ in parts)

    length, letters = total // count, sum(int((target >= 0).sum()) for _, target in parts) // count
    average = (Sequences(torch.randint(-9000, 9000, (8, length), dtype=torch.int16), torch.full((8,), length)),
               torch.randint(1, 20, (8, letters)))  # fmt: skip

    def bare(batches: list[Any]) -> None:
        model = built["ours"].network()
        optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)
        for sound, target in batches:
            optimizer.zero_grad()
            out = model(sound)
            scores, letters = out.values.log_softmax(2).transpose(0, 1), (target >= 0).sum(1)
            torch.nn.functional.ctc_loss(scores, target.clamp(min=0), out.lengths, letters).backward()
            optimizer.step()

    sides: dict[str, Any] = {name: trained.fit for name, trained in built.items()}
    sides |= {"floor": lambda: bare([average] * len(parts)), "same": lambda: bare(parts)}
    seconds = total / 16_000
    return turns({name: lambda side=side: per_cpu_second(seconds, side) for name, side in sides.items()}, quick)  # type: ignore[misc]
