"""LoRA adapters for llama.cpp: written from peft folders, and refused where they do not belong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from gguf import GGUFReader
from safetensors.numpy import load_file, save_file

from support.gguf_models import HEADS, WIDTH, write_adapter, write_model, write_peft
from zooter_core.backends.gguf.adapters import gguf_adapter
from zooter_core.backends.gguf.header import Header, read_header
from zooter_core.base.errors import WorkError


@pytest.fixture(scope="module")
def base(model: Path) -> Header:
    return read_header(model)


def refusal(adapter: Path, base: Header) -> str:
    with pytest.raises(WorkError) as raised:
        gguf_adapter(str(adapter), base, "math")
    return str(raised.value)


def test_a_peft_adapter_is_written_once_with_the_rows_in_llama_cpps_order(base, tmp_path):
    folder = write_peft(tmp_path / "lora")
    path = gguf_adapter(str(folder), base, "math")
    tensors = {tensor.name: tensor.data for tensor in GGUFReader(path).tensors}
    weights = load_file(folder / "adapter_model.safetensors")
    queries, down = (f"base_model.model.model.layers.0.{name}" for name in ("self_attn.q_proj", "mlp.down_proj"))
    np.testing.assert_array_equal(tensors["blk.0.attn_q.weight.lora_a"], weights[f"{queries}.lora_A.weight"])
    np.testing.assert_array_equal(tensors["blk.0.ffn_down.weight.lora_b"], weights[f"{down}.lora_B.weight"])
    # In each head, the first and the second half of the rows alternate.
    rows, half = weights[f"{queries}.lora_B.weight"], WIDTH // HEADS // 2
    written = tensors["blk.0.attn_q.weight.lora_b"]
    for head in range(HEADS):
        first = 2 * half * head
        np.testing.assert_array_equal(written[first : first + 2 * half : 2], rows[first : first + half])
        np.testing.assert_array_equal(written[first + 1 : first + 2 * half : 2], rows[first + half : first + 2 * half])
    before = path.stat().st_mtime_ns
    assert gguf_adapter(str(folder), base, "math") == path
    assert path.stat().st_mtime_ns == before


def test_another_scale_or_other_weights_are_another_file(base, tmp_path):
    files = [
        gguf_adapter(str(write_peft(tmp_path / f"{number}", lora_alpha=alpha, use_rslora=rs)), base, "math")
        for number, (alpha, rs) in enumerate([(8, False), (16, False), (16, True)])
    ]
    alphas = [read_header(file).values["adapter.lora.alpha"] for file in files]
    assert alphas == [8.0, 16.0, 32.0]  # rslora: alpha / sqrt(r), so alpha * sqrt(4) / r


def test_bfloat16_is_read_exactly(base, tmp_path):
    folder = write_peft(tmp_path / "lora")
    file = folder / "adapter_model.safetensors"
    weights = {name: torch.from_numpy(matrix).bfloat16() for name, matrix in load_file(file).items()}
    safetensors.torch.save_file(weights, file)
    path = gguf_adapter(str(folder), base, "math")
    tensors = {tensor.name: tensor.data for tensor in GGUFReader(path).tensors}
    expected = weights["base_model.model.model.layers.0.mlp.down_proj.lora_A.weight"].float().numpy()
    np.testing.assert_array_equal(tensors["blk.0.ffn_down.weight.lora_a"], expected)


def test_an_adapter_of_another_base_as_gguf(base, tmp_path):
    assert gguf_adapter(str(write_adapter(tmp_path / "own.gguf")), base, "math") == tmp_path / "own.gguf"
    message = refusal(write_adapter(tmp_path / "wide.gguf", width=128), base)
    assert "one for another base: blk.0.attn_q.weight, 128 x 128 instead of 64 x 64" in message
    assert "a GGUF file of another kind" in refusal(write_model(tmp_path / "model.gguf"), base)


def test_a_peft_adapter_of_another_base(base, tmp_path):
    assert "one for another base: blk.0.ffn_down.weight" in refusal(write_peft(tmp_path / "wide", width=128), base)
    narrow = write_peft(tmp_path / "narrow")
    gguf_adapter(str(narrow), base, "math")  # what has been written for one base must fit the next one, too
    wide = read_header(write_model(tmp_path / "wide.gguf", width=128))
    assert "one for another base: blk.0.ffn_down.weight, 96 x 64 instead of 96 x 128" in refusal(narrow, wide)
    folder = write_peft(tmp_path / "other")
    file = folder / "adapter_model.safetensors"
    save_file({name.replace("q_proj", "Wqkv_odd"): matrix for name, matrix in load_file(file).items()}, file)
    message = refusal(folder, base)
    assert "one for another base: llama has no matrix " in message
    assert "Wqkv_odd.lora_A.weight" in message


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"peft_type": "IA3"}, "one of the type IA3"),
        ({"use_dora": True}, "one with use_dora"),
        ({"modules_to_save": ["lm_head"]}, "one with modules_to_save"),
        ({"bias": "all"}, "one with biases"),
    ],
)
def test_what_llama_cpp_cannot_apply(base, tmp_path, settings, words):
    message = refusal(write_peft(tmp_path / "lora", **settings), base)
    assert words in message
    assert 'Use the backend "transformers"' in message


def test_a_damaged_peft_adapter(base, tmp_path):
    assert "no adapter_config.json" in refusal(tmp_path, base)
    folder = write_peft(tmp_path / "lora")
    file = folder / "adapter_model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:100])
    assert "files that cannot be read" in refusal(folder, base)
    weights = load_file(write_peft(folder) / file.name)
    save_file({name: np.full_like(matrix, np.nan) for name, matrix in weights.items()}, file)
    assert "with NaN or infinity" in refusal(folder, base)
