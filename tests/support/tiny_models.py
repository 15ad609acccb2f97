"""Models small enough to make in a second: random weights from a fixed seed, in the formats of real ones.

Nothing of what they say means anything; they load, run, stream and fail as real ones do.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from tokenizers.decoders import ByteLevel
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from zooter_core.router.head import RouterHead, RouterHeadConfig

THREADS = torch.get_num_threads()
POOL = ("base", "one", "two")
QUERIES = [
    f"{verb} {thing}"
    for verb in ("What is", "Write about", "Add up", "Explain", "Translate", "List", "Shorten", "Why do you like")
    for thing in ("7 apples?", "the sea.", "a list in Python", "杯子 ☕", "12 + 30 = ?")
]
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VOCABULARY = {
    "tags": [
        {"name": "arithmetic", "description": "sums and numbers", "phrasings": ["What is 12 + 30?", "Add up 7 apples"]},
        {"name": "code", "description": "programs", "phrasings": ["Write a list in Python", "Explain this function"]},
        {"name": "writing", "description": "texts", "phrasings": ["Write about the sea"]},
        {"name": "translation", "description": "languages", "phrasings": []},
    ]
}
FLEET = """\
name = "tiny"

[router]
path = "router"

[reward]
kind = "scalar"
model = "reward"
max_tokens = 128

[tagger]
kind = "nearest"
vocabulary = "tags.json"
encoder = "encoder"
threshold = 0.4
most = 2

[generation]
max_new_tokens = 8
temperature = 0.7

[[candidate]]
name = "base"
backend = "transformers"
model = "base"
dtype = "float32"

[[candidate]]
name = "one"
backend = "transformers"
model = "base"
adapter = "adapters/one"
dtype = "float32"

[[candidate]]
name = "two"
backend = "transformers"
model = "base"
adapter = "adapters/two"
dtype = "float32"
"""


def save_fleet(folder: Path) -> Path:
    """A whole fleet of tiny models: three candidates, reward model, tagger and router."""
    torch.set_num_threads(1)
    save_language_model(folder / "base")
    for number, name in enumerate(POOL[1:], 1):
        save_adapter(folder / "base", folder / "adapters" / name, seed=number)
    save_encoder(folder / "encoder")
    save_reward_model(folder / "reward")
    save_router(folder / "router", POOL, folder / "encoder")
    (folder / "tags.json").write_text(json.dumps(VOCABULARY), encoding="utf-8")
    (folder / "fleet.toml").write_text(FLEET, encoding="utf-8")
    return folder


def byte_tokenizer(special: list[str]) -> Tokenizer:
    """A byte-level BPE tokenizer of 300 tokens, which can write any text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(QUERIES * 3, trainer)
    return tokenizer


def save_language_model(folder: Path, seed: int = 0, hidden: int = 32) -> None:
    """A causal language model of Llama architecture with a ChatML template."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=byte_tokenizer(["<|im_start|>", "<|im_end|>"]),
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
        chat_template=CHATML,
    )
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.4,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():  # special tokens and bytes that are no readable text are never the likeliest
        for token, number in tokenizer.get_vocab().items():
            if token.startswith("<|") or not token.replace("Ġ", "").isascii():
                model.lm_head.weight[number] = 0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_adapter(base: Path, folder: Path, seed: int = 1) -> None:
    """A LoRA adapter with random weights for the language model in `base`."""
    from peft import LoraConfig, get_peft_model  # seconds, for those alone who make one

    torch.manual_seed(seed)
    config = LoraConfig(r=4, lora_alpha=16, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(LlamaForCausalLM.from_pretrained(base), config).save_pretrained(folder)


def _bert(folder: Path, **options: Any) -> BertConfig:
    """Save a tokenizer whose pairs have token types; the config of a BERT for it."""
    words = byte_tokenizer(["[PAD]", "[CLS]", "[SEP]"])
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", model_max_length=512
    )
    tokenizer.save_pretrained(folder)
    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        initializer_range=0.4,
        pad_token_id=0,
        **options,
    )


def save_encoder(folder: Path, seed: int = 3) -> None:
    """A sentence encoder of BERT architecture."""
    config = _bert(folder)
    torch.manual_seed(seed)
    BertModel(config).save_pretrained(folder)


def save_reward_model(folder: Path, seed: int = 4, outputs: int = 1) -> None:
    """A sequence classifier of BERT architecture; a reward model where it has one output."""
    config = _bert(folder, num_labels=outputs)
    torch.manual_seed(seed)
    BertForSequenceClassification(config).save_pretrained(folder)


def save_router(folder: Path, pool: tuple[str, ...], encoder: Path, seed: int = 5) -> None:
    """An untrained router for a pool, whose probabilities differ from query to query."""
    head = RouterHead(
        RouterHeadConfig(
            candidates=pool, encoder=str(encoder), width=64, settings={"hidden": 16, "dropout": 0.5, "members": 2}
        )
    )
    numbers = torch.Generator().manual_seed(seed)  # its own: other threads draw from the common one meanwhile
    state = {}
    for layer in ("inner", "outer"):
        most = head.body.state[layer].shape[1] ** -0.5
        for name in (layer, f"{layer}_bias"):
            weights = torch.empty(head.body.state[name].shape).uniform_(-most, most, generator=numbers)
            state[name] = 40 * weights.numpy()
    head.set_state(state)
    head.save(folder)
