"""The rows of the benchmark that are about language; `benchmark.py` runs them.

Everything runs on one thread and counts processor time, so that what else runs on the machine matters little.
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Samples = dict[str, list[float]]
TOKENS = 30_522  # of BERT's published vocabulary
COMMON = ["trainer=cpu", "trainer.threads=1", "trainer.max_epochs=1", "trainer.limit_val_batches=0", "callbacks=none",
          "logger=none", "callbacks.checkpoint=null"]  # fmt: skip
GPT = {"size": 128, "layers": 4, "heads": 4, "block": 64, "batch": 12}


def has(dataset: str) -> bool:
    """Whether a real dataset lies where EXPERIMENTS_DATA says."""
    return bool(find_spec("transformers")) and (Path(os.environ.get("EXPERIMENTS_DATA", "data")) / dataset).exists()


def per_cpu_second(amount: float, function: Callable[[], Any]) -> float:
    began = time.process_time()
    function()
    return amount / (time.process_time() - began)


def turns(sides: dict[str, Callable[[], float]], quick: bool) -> Samples:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for side in () if quick else sides.values():
            side()  # imports and first calls
        turns = [{name: side() for name, side in sides.items()} for _ in range(1 if quick else 5)]
    return {name: [turn[name] for turn in turns] for name in sides}


class Built:
    """Data, and a fresh task and trainer for each fit, of some words."""

    def __init__(self, words: list[str]) -> None:
        from experiments.config.compose import compose
        from experiments.run.build import build_data, prepare_process

        self.config = compose([*COMMON, *words])
        prepare_process(self.config)
        self.data = build_data(self.config)

    def network(self) -> Any:
        from experiments.run.build import build_task

        self.data.setup()
        return build_task(self.config, self.data.spec, self.data).model.train()

    def precision(self) -> str:
        """Give what `precision` comes to, `auto` too."""
        from experiments.run.trainer import build_trainer

        self.network()  # settles it
        return str(build_trainer(self.config, callbacks=False).precision)

    def fit(self, features: str | None = None, seed: int | None = None) -> Any:
        """Train; on features cached in a folder, or in one that nobody else reads; from the network of a seed."""
        import torch

        from experiments.run.build import build_callbacks, build_task
        from experiments.run.trainer import build_trainer

        if seed is not None:
            torch.manual_seed(seed)
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            self.config.features.dir = features or folder
            task = build_task(self.config, self.data.spec, self.data)
            trainer = build_trainer(self.config, callbacks=False)
            trainer.callbacks[:0] = build_callbacks(self.config, task.freezing)
            trainer.fit(task, datamodule=self.data)
        return task


def with_auto(words: list[str]) -> dict[str, Built]:
    """Ours, and with precision=auto too where that is bf16."""
    built, auto = {"ours": Built(words)}, Built([*words, "precision=auto"])
    return built | {"auto": auto} if "bf16" in auto.precision() else built


def bert(quick: bool) -> Samples:
    """Texts a second of BERT-tiny's training on rt_polarity, the whole path of the data.

    Ours; the library's model on one resident batch of the average shape, AdamW fused; the library's Trainer with texts of
    like length together and fused AdamW; the loop that people write: random batches, plain AdamW. And ours with
    precision=auto, where the processor has bf16 arithmetic. Nothing where the dataset is missing.
    """
    if not has("rt_polarity"):
        return {}
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    texts = 128 if quick else 2_048
    words = ["data=rt_polarity", f"data.limit={texts}", "data.batch_size=32", "data.tokenizer.kind=wordpiece",
             f"data.tokenizer.size={TOKENS}", "model=bert_tiny", "optimizer=adamw"]  # fmt: skip
    built = with_auto(words)
    data = built["ours"].data
    store = data.sets["train"]
    ends = store.lengths.cumsum()
    rows = [store.values[end - length : end] for end, length in zip(ends, store.lengths, strict=True)]
    settings = BertConfig(vocab_size=data.spec.vocabulary, hidden_size=128, num_hidden_layers=2, num_attention_heads=2,
                          intermediate_size=512, num_labels=2)  # fmt: skip

    def padded(some: list[Any]) -> dict[str, torch.Tensor]:
        longest = max(map(len, some))
        ids, mask = torch.zeros(2, len(some), longest, dtype=torch.long)
        for number, row in enumerate(some):
            ids[number, : len(row)], mask[number, : len(row)] = torch.from_numpy(row), 1
        return {"input_ids": ids, "attention_mask": mask}

    def step(model: Any, optimizer: Any, batch: dict[str, torch.Tensor], labels: torch.Tensor) -> None:
        optimizer.zero_grad()
        model(**batch, labels=labels).loss.backward()
        optimizer.step()

    targets = torch.from_numpy(store.targets)

    def floor() -> None:
        model = BertForSequenceClassification(settings)
        optimizer = torch.optim.AdamW(model.parameters(), 5e-4, fused=True)
        length = round(float(store.lengths.mean()))
        batch = {"input_ids": torch.randint(5, settings.vocab_size, (32, length)), "attention_mask": torch.ones(32, length, dtype=torch.long)}  # fmt: skip
        for _ in range(len(rows) // 32):
            step(model, optimizer, batch, targets[:32])

    def loop() -> None:
        model = BertForSequenceClassification(settings)
        optimizer = torch.optim.AdamW(model.parameters(), 5e-4)
        order = torch.randperm(len(rows))
        for picks in order[: len(rows) // 32 * 32].split(32):
            step(model, optimizer, padded([rows[pick] for pick in picks]), targets[picks])

    def library() -> None:
        from transformers import Trainer, TrainingArguments

        class Together(Trainer):
            def _get_train_sampler(self, *_: Any) -> Any:
                from transformers.trainer_pt_utils import LengthGroupedSampler

                return LengthGroupedSampler(32, lengths=store.lengths.tolist())

        def collate(some: list[int]) -> dict[str, torch.Tensor]:
            return padded([rows[row] for row in some]) | {"labels": targets[some]}

        arguments = TrainingArguments(tempfile.gettempdir(), num_train_epochs=1, per_device_train_batch_size=32, learning_rate=5e-4,
                                      optim="adamw_torch_fused", report_to=[], save_strategy="no", logging_strategy="no",
                                      disable_tqdm=True, use_cpu=True)  # fmt: skip
        model = BertForSequenceClassification(settings)
        Together(model, arguments, data_collator=collate, train_dataset=range(len(rows))).train()  # type: ignore[arg-type]

    sides: dict[str, Any] = {name: trained.fit for name, trained in built.items()} | {"floor": floor, "loop": loop}
    if find_spec("accelerate"):
        sides["library"] = library
    return turns({name: lambda side=side: per_cpu_second(len(rows), side) for name, side in sides.items()}, quick)  # type: ignore[misc]


def frozen_bert(quick: bool) -> Samples:
    """Processor seconds of five epochs on a frozen BERT-tiny.

    Its features cached; computed in every epoch; and a loop by hand: the library's model, random batches, no gradient in the
    encoder. `second` reads the cache of an earlier run. `inside` caches the embeddings and first layer, and trains the rest;
    `inside_again` computes them in every epoch.
    """
    if not has("rt_polarity"):
        return {}
    import torch
    from transformers import BertConfig, BertModel

    epochs = 5
    words = ["data=rt_polarity", f"data.limit={128 if quick else 1_024}", "data.batch_size=32", "model=bert_tiny",
             "data.tokenizer.kind=wordpiece", f"trainer.max_epochs={epochs}"]  # fmt: skip
    head, inside = [*words, "freezing=feature_extraction"], [*words, "freezing=last_stage", "freezing.count=2"]
    built = {"ours": Built(head), "again": Built([*head, "features.cache=false"])}
    built |= {"inside": Built(inside), "inside_again": Built([*inside, "features.cache=false"])}
    data = built["ours"].data
    data.setup()
    served = data.dataset("train")
    settings = BertConfig(vocab_size=data.spec.vocabulary, hidden_size=128, num_hidden_layers=2, num_attention_heads=2,
                          intermediate_size=512)  # fmt: skip

    def loop() -> None:
        encoder, layer = BertModel(settings).eval(), torch.nn.Linear(128, 2)
        optimizer = torch.optim.AdamW(layer.parameters(), 1e-3)
        for _ in range(epochs):
            for picks in torch.randperm(len(served)).split(32):
                inputs, targets = served.__getitems__(picks.numpy())
                with torch.no_grad():
                    pooled = encoder(inputs.values, attention_mask=inputs.mask().long()).pooler_output
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(layer(pooled), targets).backward()
                optimizer.step()

    sides: dict[str, Any] = {name: trained.fit for name, trained in built.items()} | {"loop": loop}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        built["ours"].fit(folder, seed=0)
        sides["second"] = lambda: built["ours"].fit(folder, seed=0)
        return turns({name: lambda side=side: 1 / per_cpu_second(1, side) for name, side in sides.items()}, quick)  # type: ignore[misc]


def frozen_sound(quick: bool) -> Samples:
    """Processor seconds of five epochs of a small Wav2Vec 2.0 whose convolutions rest: cached, and computed in every epoch."""
    if not has("fsdd"):
        return {}
    words = ["data=fsdd", f"data.limit={32 if quick else 320}", "data.batch_size=16", "model=wav2vec2_tiny",
             "freezing=stages", "freezing.learn=[projection,layer1,layer2,head]", "optimizer=adamw", "trainer.max_epochs=5"]  # fmt: skip
    sides = {"ours": Built(words), "again": Built([*words, "features.cache=false"])}
    return turns({name: lambda trained=side: 1 / per_cpu_second(1, trained.fit) for name, side in sides.items()}, quick)  # type: ignore[misc]


def character_gpt(quick: bool) -> Samples:
    """Tokens a second of a character GPT's training: ours, a plain loop over our network's twin of the library, and its Trainer."""
    if not has("tinyshakespeare"):
        return {}
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    block, batch = GPT["block"], GPT["batch"]
    words = ["data=tinyshakespeare", f"data.steps={block}", f"data.batch_size={batch}", "model=gpt_mini", "model.dropout=0.0",
             f"model.positions={block}", "optimizer=adamw", f"trainer.limit_train_batches={10 if quick else 200}"]  # fmt: skip
    built = with_auto(words)
    steps = 10 if quick else 200
    data = built["ours"].data
    text = torch.from_numpy(data.ids["train"])

    def drawn() -> tuple[torch.Tensor, torch.Tensor]:
        starts = torch.randint(len(text) - block - 1, (batch,))
        rows = torch.stack([text[start : start + block + 1] for start in starts.tolist()])
        return rows[:, :-1], rows[:, 1:]

    def plain() -> None:  # nanoGPT's way: attention by torch, one matrix for queries, keys and values, fused AdamW
        model = _plain_gpt(data.spec.vocabulary)
        optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)
        for _ in range(steps):
            inputs, targets = drawn()
            loss = torch.nn.functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    def library() -> None:
        from transformers import Trainer, TrainingArguments

        settings = GPT2Config(vocab_size=data.spec.vocabulary, n_positions=block, n_embd=GPT["size"], n_layer=GPT["layers"],
                              n_head=GPT["heads"], resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)  # fmt: skip

        def collate(some: list[int]) -> dict[str, torch.Tensor]:
            rows = torch.stack([text[start : start + block] for start in some])
            return {"input_ids": rows, "labels": rows}

        arguments = TrainingArguments(tempfile.gettempdir(), max_steps=steps, per_device_train_batch_size=batch, learning_rate=1e-3,
                                      optim="adamw_torch_fused", report_to=[], save_strategy="no", logging_strategy="no",
                                      disable_tqdm=True, use_cpu=True)  # fmt: skip
        Trainer(
            GPT2LMHeadModel(settings), arguments, data_collator=collate, train_dataset=range(len(text) - block)
        ).train()  # type: ignore[arg-type]

    sides: dict[str, Any] = {name: trained.fit for name, trained in built.items()} | {"loop": plain}
    if find_spec("accelerate"):
        sides["library"] = library
    tokens = steps * batch * block
    return turns({name: lambda side=side: per_cpu_second(tokens, side) for name, side in sides.items()}, quick)  # type: ignore[misc]


def _plain_gpt(vocabulary: int) -> Any:
    """A GPT as a plain script has it, of the same size."""
    from torch import arange, nn

    size, heads, block = GPT["size"], GPT["heads"], GPT["block"]

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.LayerNorm(size), nn.LayerNorm(size)
            self.looks, self.out = nn.Linear(size, 3 * size), nn.Linear(size, size)
            self.dense = nn.Sequential(nn.Linear(size, 4 * size), nn.GELU("tanh"), nn.Linear(4 * size, size))

        def forward(self, x: Any) -> Any:
            rows, steps, _ = x.shape
            parts = [
                projected.view(rows, steps, heads, -1).transpose(1, 2)
                for projected in self.looks(self.first(x)).split(size, 2)
            ]
            seen = nn.functional.scaled_dot_product_attention(*parts, is_causal=True)
            x = x + self.out(seen.transpose(1, 2).reshape(rows, steps, size))
            return x + self.dense(self.second(x))

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.places = nn.Embedding(vocabulary, size), nn.Embedding(block, size)
            self.blocks = nn.Sequential(*(Block() for _ in range(GPT["layers"])))
            self.norm, self.head = nn.LayerNorm(size), nn.Linear(size, vocabulary, bias=False)
            self.head.weight = self.tokens.weight
            for weights in self.parameters():
                if weights.ndim == 2:
                    nn.init.normal_(weights, std=0.02)

        def forward(self, x: Any) -> Any:
            return self.head(self.norm(self.blocks(self.tokens(x) + self.places(arange(x.shape[1])))))

    return Model()


def answers(quick: bool) -> Samples:
    """Texts a second of a GPT's answers to 64 beginnings of unequal length: together, and one at a time."""
    if not has("tinyshakespeare"):
        return {}
    import torch

    from experiments.batches import pad
    from experiments.run.build import build_task

    built = Built(["data=tinyshakespeare", "model=gpt_mini", f"task.sample.length={10 if quick else 100}"])
    built.data.setup()
    task = build_task(built.config, built.data.spec, built.data, learning=False).eval()
    count = 4 if quick else 64
    text = torch.from_numpy(built.data.ids["train"])
    prompts = [text[start : start + 5 + start % 30] for start in range(0, 1000 * count, 1000)]

    def continued(some: list[Any]) -> None:
        with torch.inference_mode():
            task.report.answers(pad(some), 1)

    together = lambda: per_cpu_second(count, lambda: continued(prompts))  # noqa: E731
    alone = lambda: per_cpu_second(count, lambda: [continued([prompt]) for prompt in prompts])  # noqa: E731
    return turns({"ours": together, "alone": alone}, quick)
