"""GGUF files small enough to make in milliseconds: a Llama of random weights, and LoRA adapters for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize

from support.tiny_models import CHATML
from zooter_core.config.candidates import CandidateConfig

WIDTH, HEADS, KEY_HEADS, INNER, LAYERS, POSITIONS = 64, 4, 2, 96, 2, 512
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4
Shapes = dict[str, tuple[int, int]]


def ascii_tokens() -> list[str]:
    """The printable characters, space and line end, as GPT-2 writes them: no answer has half a character."""
    return [*(chr(byte) for byte in range(33, 127)), "Ġ", "Ċ"]


def matrices(width: int = WIDTH) -> Shapes:
    """The matrices of a layer: (outputs, inputs)."""
    keys = width // HEADS * KEY_HEADS
    attention = {"attn_q": (width, width), "attn_k": (keys, width), "attn_v": (keys, width)}
    return attention | {
        "attn_output": (width, width),
        "ffn_gate": (INNER, width),
        "ffn_up": (INNER, width),
        "ffn_down": (width, INNER),
    }


def write_model(
    path: Path, width: int = WIDTH, seed: int = 0, kind: str = "F32", chain: Sequence[str] = (), **changes: Any
) -> Path:
    """A model whose weights are random.

    Args:
        kind: the quantisation of the layers' matrices.
        chain: further tokens. After each of them, the model writes the next one, and ends after the last; so its layers
            add nothing, and the width has to be that of the vocabulary at least.
        changes: values of its header by the end of their key; None leaves out.
    """
    dice = np.random.default_rng(seed)
    tokens = [*SPECIAL, *ascii_tokens(), "Ġt", *chain]
    values: dict[str, Any] = {
        "architecture": "llama",
        "type": "model",
        "context_length": POSITIONS,
        "chat_template": CHATML,
        **changes,
    }
    writer = GGUFWriter(path, values["architecture"])
    writer.add_string("general.type", values["type"])
    writer.add_context_length(values["context_length"])
    writer.add_embedding_length(width)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // HEADS)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    normal = [NORMAL] * (len(tokens) - len(SPECIAL) - len(chain))
    writer.add_token_types([*[CONTROL] * len(SPECIAL), *normal, *[USER_DEFINED] * len(chain)])
    writer.add_token_merges(["Ġ t"])
    writer.add_eos_token_id(2)
    writer.add_bos_token_id(0)
    writer.add_add_bos_token(False)
    if values["chat_template"]:
        writer.add_chat_template(values["chat_template"])
    if "split.count" in values:
        writer.add_uint16("split.count", values["split.count"])

    embeddings = dice.normal(0, 0.5, (len(tokens), width)).astype(np.float32)
    output = dice.normal(0, 0.5, (len(tokens), width)).astype(np.float32)
    output[: len(SPECIAL)] = 0  # hardly ever chosen, so that answers do not end
    if chain:
        embeddings, output = np.eye(len(tokens), width, dtype=np.float32), np.zeros_like(output)
        places = [*range(len(tokens) - len(chain), len(tokens)), SPECIAL.index("<|im_end|>")]
        output[places[1:], places[:-1]] = 1
    writer.add_tensor("token_embd.weight", embeddings)
    writer.add_tensor("output.weight", output)
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    for layer in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(width, np.float32))
        for name, shape in matrices(width).items():
            adds = not chain or name not in ("attn_output", "ffn_down")
            matrix, quantised = adds * dice.normal(0, 0.5, shape).astype(np.float32), GGMLQuantizationType[kind]
            writer.add_tensor(f"blk.{layer}.{name}.weight", quantize(matrix, quantised), raw_dtype=quantised)
    _finish(writer)
    return path


def write_adapter(path: Path, width: int = WIDTH, rank: int = 4) -> Path:
    """A LoRA adapter as a GGUF file, for the first layer's queries."""
    writer = GGUFWriter(path, "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)
    dice = np.random.default_rng(1)
    writer.add_tensor("blk.0.attn_q.weight.lora_a", dice.normal(0, 1, (rank, width)).astype(np.float32))
    writer.add_tensor("blk.0.attn_q.weight.lora_b", dice.normal(0, 1, (width, rank)).astype(np.float32))
    _finish(writer)
    return path


def write_peft(folder: Path, width: int = WIDTH, rank: int = 4, **settings: Any) -> Path:
    """A LoRA adapter as a peft folder: two matrices of the first layer."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    dice = np.random.default_rng(2)
    shapes = {"self_attn.q_proj": (width, width), "mlp.down_proj": (width, INNER)}
    weights = {}
    for layer, (outputs, inputs) in shapes.items():
        name = f"base_model.model.model.layers.0.{layer}.lora_"
        weights[f"{name}A.weight"] = dice.normal(0, 1, (rank, inputs)).astype(np.float32)
        weights[f"{name}B.weight"] = dice.normal(0, 1, (outputs, rank)).astype(np.float32)
    save_file(weights, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 8, "bias": "none", **settings}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def candidate(model: Path, name: str = "tiny", **settings: Any) -> CandidateConfig:
    """A candidate on a file."""
    return CandidateConfig(name, "gguf", str(model), threads=1, **settings)


def _finish(writer: GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
