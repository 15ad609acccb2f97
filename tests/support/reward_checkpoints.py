"""Tiny checkpoints in the forms of published reward models: the same architectures, weight names and marks, random."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import processors
from transformers import (
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    DebertaV2Model,
    Gemma2Config,
    Gemma2ForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    LlamaModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForSequenceClassification,
)

from support import tiny_models

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "initializer_range": 0.4,
}
DECODERS = {
    "llama": (LlamaConfig, LlamaForSequenceClassification),
    "qwen2": (Qwen2Config, Qwen2ForSequenceClassification),
    "gemma2": (Gemma2Config, Gemma2ForSequenceClassification),
}
# The turns of the template are the texts of the published ones of the Qwen2 family, without its system message.
CHATML = tiny_models.CHATML
PAIRRM_MARKS = ["<|source|>", "<|candidate1|>", "<|candidate2|>", "<|candidate|>"]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def save_decoder(folder: Path, name: str = "qwen2", padding: str | None = "pad", seed: int = 1) -> None:
    """A decoder with a `score` head and a chat template; config.json names `pad`, the end of turn or no padding."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tiny_models.byte_tokenizer(["<|endoftext|>", "<|im_start|>", "<|im_end|>"]),
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
        chat_template=CHATML,
        **({"pad_token": "<|endoftext|>"} if padding == "pad" else {}),
    )
    kind, model = DECODERS[name]
    options = {"head_dim": 8, "query_pre_attn_scalar": 8} if name == "gemma2" else {}
    pad = {"pad": tokenizer.pad_token_id, "end": tokenizer.eos_token_id, None: None}[padding]
    torch.manual_seed(seed)
    config = kind(
        vocab_size=len(tokenizer), num_key_value_heads=2, num_labels=1, pad_token_id=pad, max_position_embeddings=512,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id, **SIZES, **options,
    )  # fmt: skip
    model(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_deberta(folder: Path) -> None:
    """OpenAssistant/reward-model-deberta-v3: question and answer as two segments, one label."""
    tokenizer = _bert_tokenizer([])
    torch.manual_seed(2)
    config = _deberta_config(tokenizer, num_labels=1)
    DebertaV2ForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_ultra(folder: Path) -> None:
    """openbmb/UltraRM-13b: `model.*`, `regression_head.weight`; its tokenizer begins each text with <s>."""
    words = tiny_models.byte_tokenizer(["<unk>", "<s>", "</s>"])
    words.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B:1", special_tokens=[("<s>", words.token_to_id("<s>"))]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    torch.manual_seed(4)
    config = LlamaConfig(vocab_size=len(tokenizer), num_key_value_heads=4, max_position_embeddings=512, **SIZES)
    body = {f"model.{key}": value for key, value in LlamaModel(config).state_dict().items()}
    named = {"architectures": ["LlamaRewardModel"]}
    _save(folder, config, body | {"regression_head.weight": torch.randn(1, 32)}, named)
    tokenizer.save_pretrained(folder)


def save_pairrm(folder: Path) -> None:
    """llm-blender/PairRM-hf: `pretrained_model.*`, `head_layer.1.*`, `head_layer.4.*`, and marks as added tokens."""
    tokenizer = _bert_tokenizer([])
    tokenizer.add_tokens(PAIRRM_MARKS)
    torch.manual_seed(6)
    config = _deberta_config(tokenizer, n_tasks=1, drop_out=0.05)
    body = {f"pretrained_model.{key}": value for key, value in DebertaV2Model(config).state_dict().items()}
    shapes = {
        "head_layer.1.weight": (32, 64), "head_layer.1.bias": (32,), "head_layer.4.weight": (1, 32),
        "head_layer.4.bias": (1,),
    }  # fmt: skip
    ids = tokenizer.convert_tokens_to_ids(PAIRRM_MARKS)
    names = ("source_prefix_id", "cand1_prefix_id", "cand2_prefix_id", "cand_prefix_id")
    named = {"architectures": ["DebertaV2PairRM"], **dict(zip(names, ids, strict=True))}
    _save(folder, config, body | {name: torch.randn(shape) for name, shape in shapes.items()}, named)
    tokenizer.save_pretrained(folder)


def _save(folder: Path, config: Any, state: dict[str, torch.Tensor], named: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in state.items()}, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps({**config.to_dict(), **named}))


def _bert_tokenizer(special: list[str]) -> PreTrainedTokenizerFast:
    words = tiny_models.byte_tokenizer(["[PAD]", "[CLS]", "[SEP]", "[UNK]", *special])
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]"
    )


def _deberta_config(tokenizer: Any, **options: Any) -> DebertaV2Config:
    """The settings in which DeBERTa-v3 differs from others: relative positions, no absolute ones, no token types."""
    return DebertaV2Config(
        vocab_size=len(tokenizer), max_position_embeddings=512, relative_attention=True, position_buckets=16,
        norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type=["p2c", "c2p"], layer_norm_eps=1e-7,
        max_relative_positions=-1, position_biased_input=False, type_vocab_size=0, pad_token_id=0,
        pooler_hidden_size=32, pooler_dropout=0, pooler_hidden_act="gelu", **SIZES, **options,
    )  # fmt: skip
