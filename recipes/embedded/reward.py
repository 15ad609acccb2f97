"""Train the embedded fleet's reward model: the encoder with a scalar head, Bradley-Terry on pairs of responses.

    python -m recipes.embedded.reward general --data DIR    on preferences and corrupted responses of the data sets
    python -m recipes.embedded.reward own --data DIR        then on the fleet's responses; writes models/embedded/reward
    python -m recipes.embedded.reward again --data DIR      continues models/embedded/reward when the experts changed
    python -m recipes.embedded.reward accuracy --data DIR   on held-back pairs

`own` and `again` need the responses that `recipes.embedded.own_responses` collects. A step continues where it was
stopped, so a second `again` needs another --work.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

from recipes.embedded import checks, data
from recipes.embedded.experts import save_adapter
from recipes.embedded.own_responses import ENCODER, PER_FIELD, fleet_pairs
from recipes.embedded.pairs import Pair, pairs_of
from zooter_core.backends.local.checkpoint import fast_bfloat16
from zooter_core.base.weights import resolve
from zooter_core.config.labelling import ScalarConfig
from zooter_core.labelling.rewards import Pointwise, Recomputed, reward_model

TOKENS = 256  # of a query with its response, in training and (in fleet.toml) in use
RANK = 128
BATCH = 32
PAIRS: dict[str, dict[str, int]] = data.SETTINGS["pairs"]


class PairTrainer(Trainer):
    """Bradley-Terry: minimise -log sigmoid(r(chosen) - r(rejected)). A batch has all chosen, then all rejected rows."""

    def compute_loss(self, model: Any, inputs: dict, return_outputs: bool = False, **_: Any) -> Any:
        rewards = model(**inputs).logits[:, 0].float()
        chosen, rejected = rewards.chunk(2)
        loss = -torch.nn.functional.logsigmoid(chosen - rejected).mean()
        return (loss, {"loss": loss}) if return_outputs else loss


def part(counts: dict[str, int], share: float) -> dict[str, int]:
    """A share of the pairs of each kind, at least two."""
    return {kind: max(2, int(count * share)) for kind, count in counts.items()}


def fit(start: str | Path, pairs: Sequence[Pair], out: Path, rate: float, seed: int) -> None:
    """Train all weights except the word embeddings for one epoch, from `start` to `out/model`."""
    tokenizer = AutoTokenizer.from_pretrained(resolve(ENCODER))
    torch.manual_seed(seed)
    # No dropout: its random numbers would take more than half of the time on a CPU.
    model = AutoModelForSequenceClassification.from_pretrained(
        start, num_labels=1, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    model.base_model.embeddings.requires_grad_(False)

    def collate(items: Sequence[Pair]) -> dict[str, torch.Tensor]:
        queries = [query for query, _, _ in items] * 2
        texts = [chosen for _, chosen, _ in items] + [rejected for _, _, rejected in items]
        return dict(
            tokenizer(queries, texts, padding=True, truncation="longest_first", max_length=TOKENS, return_tensors="pt")
        )

    gpu = torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(out), per_device_train_batch_size=BATCH, num_train_epochs=1, learning_rate=rate,
        train_sampling_strategy="sequential", warmup_steps=30, lr_scheduler_type="cosine", weight_decay=0.01,
        bf16=gpu or fast_bfloat16(),
        use_cpu=not gpu, logging_steps=10, save_steps=50, save_total_limit=1, report_to="none", seed=seed,
        remove_unused_columns=False, dataloader_pin_memory=gpu,
    )  # fmt: skip
    rows = batches_of_like_length(list(pairs), seed)
    trainer = PairTrainer(model=model, args=arguments, train_dataset=rows, data_collator=collate)
    trainer.train(resume_from_checkpoint=any(out.glob("checkpoint-*")))
    model.save_pretrained(out / "model")


def batches_of_like_length(rows: list[Pair], seed: int) -> list[Pair]:
    """Rows in batches of similar length, which need little padding, with the batches in random order."""
    dice = random.Random(seed)
    dice.shuffle(rows)
    rows = sorted(rows, key=lambda pair: sum(map(len, pair)) // 100)
    batches = [rows[first : first + BATCH] for first in range(0, len(rows), BATCH)]
    dice.shuffle(batches)
    return [row for batch in batches for row in batch]


def general(folder: Path, workspace: Path, share: float) -> dict[str, Any]:
    """The first stage: preferences between other models' responses, and corrupted responses."""
    kinds = pairs_of(folder, False, part(PAIRS["general"], share), 0)
    fit(resolve(ENCODER), together(kinds), workspace / "reward-general", 1e-4, 0)
    return counted(kinds)


def train_on_fleet(folder: Path, workspace: Path, out: Path, per_field: int, share: float) -> dict[str, Any]:
    """The second stage: the fleet's responses, and some pairs of the first stage so that the model stays general."""
    kinds = pairs_of(folder, False, part(PAIRS["replay"], share), 1)
    kinds["own"] = fleet_pairs(folder, workspace, per_field)
    fit(workspace / "reward-general" / "model", together(kinds), workspace / "reward-own", 7e-5, 0)
    save_difference(workspace / "reward-own" / "model", out)
    return counted(kinds)


def train_again(folder: Path, workspace: Path, out: Path, per_field: int, share: float) -> dict[str, Any]:
    """The second stage, continued from the weights at `out`, with responses of experts that have changed."""
    kinds = pairs_of(folder, False, part(PAIRS["replay"], share / 2), 1)
    kinds["own"] = fleet_pairs(folder, workspace, per_field, most=8)
    start = saved_before(out, workspace / "reward-before")
    fit(start, together(kinds), workspace / "reward-again", 5e-5, 0)
    save_difference(workspace / "reward-again" / "model", out)
    return counted(kinds)


def together(kinds: Mapping[str, Sequence[Pair]]) -> list[Pair]:
    return [pair for pairs in kinds.values() for pair in pairs]


def counted(kinds: Mapping[str, Sequence[Pair]]) -> dict[str, Any]:
    """The number of pairs of each kind, as a step's figures."""
    return {"pairs": {kind: len(pairs) for kind, pairs in kinds.items()}}


def saved_before(adapter: Path, folder: Path) -> Path:
    """The folder with the model as it was before this step; after a restart the adapter may hold the new weights."""
    if not folder.exists():
        merged(adapter).save_pretrained(folder)
    return folder


def merged(adapter: Path) -> Any:
    """The encoder with its head in float32, with an adapter of `save_difference` merged into the weights."""
    plain = AutoModelForSequenceClassification.from_pretrained(resolve(ENCODER), num_labels=1)
    return PeftModel.from_pretrained(plain, str(adapter)).float().merge_and_unload()


@torch.no_grad()
def save_mean(before: Path, after: Path, out: Path) -> None:
    """Save a model with the mean of the weights before and after a turn, which forgets less than the weights after."""
    model, other = (AutoModelForSequenceClassification.from_pretrained(path, num_labels=1) for path in (after, before))
    earlier = other.state_dict()
    for name, weight in model.state_dict().items():
        weight.lerp_(earlier[name], 0.5)
    model.save_pretrained(out)


@torch.no_grad()
def save_difference(tuned: Path, out: Path) -> None:
    """Save the change of each weight as a LoRA adapter of rank RANK, by singular value decomposition."""
    trained = AutoModelForSequenceClassification.from_pretrained(tuned, num_labels=1)
    start = AutoModelForSequenceClassification.from_pretrained(resolve(ENCODER), num_labels=1)
    layers = {name: module.weight - start.get_submodule(name).weight for name, module in linear(trained)}
    lora = LoraConfig(
        r=RANK, lora_alpha=RANK, target_modules=sorted({name.rsplit(".")[-1] for name in layers}), task_type="SEQ_CLS",
        bias="all", modules_to_save=["classifier", "LayerNorm"],
    )  # fmt: skip
    model: Any = get_peft_model(start, lora)
    weights = dict(trained.state_dict())
    for name, module in model.base_model.model.named_modules():
        if name in layers:
            left, values, right = torch.linalg.svd(layers[name], full_matrices=False)
            root = values[:RANK].sqrt()
            module.lora_B["default"].weight.copy_(left[:, :RANK] * root)
            module.lora_A["default"].weight.copy_(root[:, None] * right[:RANK])
            module.base_layer.bias.copy_(weights[f"{name}.bias"])
        elif hasattr(module, "modules_to_save"):
            module.modules_to_save["default"].load_state_dict(trained.get_submodule(name).state_dict())
    save_adapter(model, ENCODER, out)


def linear(model: Any) -> Iterator[tuple[str, Any]]:
    """The linear layers of the encoder's body, by name."""
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and name != "classifier":
            yield name, module


def accuracy(folder: Path, out: Path, share: float) -> dict[str, Any]:
    """The share of held-back pairs whose chosen response has the higher reward, and the share in which it is longer."""
    model = reward_model(ScalarConfig(ENCODER, adapter=str(out), max_tokens=TOKENS))
    assert isinstance(model, Pointwise)
    model = Recomputed(model)  # as in the fleet
    figures: dict[str, Any] = {}
    for kind, pairs in pairs_of(folder, True, part(PAIRS["accuracy"], share), 1).items():
        chosen = model.score([(query, text) for query, text, _ in pairs])
        rejected = model.score([(query, text) for query, _, text in pairs])
        right = sum(a > b for a, b in zip(chosen, rejected, strict=True)) / len(pairs)
        longer = sum(len(a) > len(b) for _, a, b in pairs) / len(pairs)
        figures[kind] = {"pairs": len(pairs), "accuracy": round(right, 3), "longer_is_chosen": round(longer, 3)}
    return {"held_back": figures}


def main() -> None:
    parser = data.parser_of(__doc__)
    parser.add_argument("step", choices=("general", "own", "again", "accuracy"))
    parser.add_argument("--each", dest="per_field", type=int, default=PER_FIELD, help="as for own_responses")
    parser.add_argument("--share", type=float, default=1.0, help="share of the data sets' pairs, for a rehearsal")
    call = parser.parse_args()
    call.work.mkdir(parents=True, exist_ok=True)
    if call.step == "general":
        figures = general(call.data, call.work, call.share)
    elif call.step == "accuracy":
        figures = accuracy(call.data, call.fleet / "reward", call.share)
    else:
        checks.require_sandbox()
        stage = train_on_fleet if call.step == "own" else train_again
        figures = stage(call.data, call.work, call.fleet / "reward", call.per_field, call.share)
    data.keep(figures, call.work / f"reward-{call.step}.json")


if __name__ == "__main__":
    main()
