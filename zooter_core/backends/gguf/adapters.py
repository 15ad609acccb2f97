"""LoRA adapters for llama.cpp. A peft folder is converted once, to a GGUF file in the cache. A GGUF file is checked.

If the base was converted to Q4_0, the converted adapter includes the offsets of the base (`offsets`).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError

from zooter_core.backends.gguf.header import Header, read_header
from zooter_core.backends.gguf.offsets import with_offsets
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.files import atomic
from zooter_core.base.strict_json import dump_json, parse_json
from zooter_core.base.tensors import first_broken, read_safetensors
from zooter_core.base.weights import cache_dir, writing_cache

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
FIX_ADAPTER = "Fix `adapter` in fleet.toml, or train it on this base."
PREFIX = "base_model.model."
# Architectures whose rotary embeddings llama.cpp applies to adjacent pairs, so the rows of q and k are reordered.
INTERLEAVED = ("llama", "minicpm")
VERSION = 1  # of the conversion; a new version converts adapters again

Matrix = np.ndarray[Any, np.dtype[Any]]


def gguf_adapter(adapter: str, base: Header, candidate: str) -> Path:
    """The GGUF file of an adapter, converted if necessary.

    Raises:
        WorkError: the files are not a LoRA adapter that llama.cpp can apply, or it belongs to another base.
    """
    path = Path(adapter)
    if path.is_file():
        try:
            header = read_header(path)
        except ZooterError as problem:
            raise _fault(candidate, path, problem.failure.reason) from problem
        if header.values.get("general.type") != "adapter":
            raise _fault(candidate, path, "a GGUF file of another kind", "Name the adapter's own file.")
        _check(candidate, path, header.shapes, base)
        return path
    try:
        settings = parse_json((path / CONFIG).read_text(encoding="utf-8"))
        content = (path / WEIGHTS).read_bytes()
        made_for = [base.path.name] if base.original else []
        identity = dump_json([VERSION, base.architecture, settings, *made_for], sort_keys=True).encode()
        done = cache_dir() / f"lora-{hashlib.sha256(identity + content).hexdigest()[:24]}.gguf"
        shapes = _shapes(done)
        weights = _matrices(content) if shapes is None else {}
    except FileNotFoundError as problem:
        missing = Path(problem.filename).name
        raise _fault(candidate, path, f"no {missing}", "Name a peft folder or a .gguf file.") from problem
    except (OSError, ValueError, TypeError, SafetensorError, ZooterError) as problem:
        raise _fault(candidate, path, f"files that cannot be read ({problem})") from problem
    if fault := _unsupported(settings):
        next_step = 'Use the backend "transformers" with a folder as `model`, or merge the adapter into the weights.'
        raise _fault(candidate, path, fault, next_step)
    if shapes is not None:
        _check(candidate, path, shapes, base)
        return done
    tensors, alpha = _tensors(candidate, path, weights, base), _alpha(settings)
    if base.original:
        tensors, alpha = with_offsets(tensors, alpha, base.original), 1.0
    with writing_cache(done), atomic(done) as partial:
        _write(partial, tensors, alpha, base.architecture)
    return done


def _shapes(path: Path) -> Mapping[str, tuple[int, ...]] | None:
    """The shapes of a converted adapter's tensors; None if the file does not exist or is damaged."""
    try:
        return read_header(path).shapes
    except ZooterError:
        return None


def _fault(candidate: str, path: Path, found: str, next_step: str = FIX_ADAPTER) -> WorkError:
    return WorkError(f"a LoRA adapter for {candidate} at {path.name}", found, next_step)


def _unsupported(settings: Mapping[str, Any]) -> str:
    """The first setting of an adapter that llama.cpp does not support; "" if it supports all."""
    if settings.get("peft_type") != "LORA":
        return f"one of the type {settings.get('peft_type')}"
    for key in ("use_dora", "fan_in_fan_out", "lora_bias", "modules_to_save", "alpha_pattern"):
        if settings.get(key):
            return f"one with {key}"
    if settings.get("bias", "none") != "none":
        return "one with biases"
    return "one with rank_pattern and rslora" if settings.get("use_rslora") and settings.get("rank_pattern") else ""


def _alpha(settings: Mapping[str, Any]) -> float:
    """The alpha of a GGUF adapter: llama.cpp scales the adapter by alpha / rank."""
    alpha = float(settings.get("lora_alpha") or 1)
    return alpha * math.sqrt(settings["r"]) if settings.get("use_rslora") else alpha


def _matrices(content: bytes) -> dict[str, Matrix]:
    """The tensors of a safetensors file.

    Raises:
        ValueError: a tensor contains NaN or infinity, or has an unsupported type.
    """
    tensors = read_safetensors(content)
    if broken := first_broken(tensors):
        raise ValueError(f"{broken} with NaN or infinity")
    return tensors


def _tensors(candidate: str, path: Path, weights: Mapping[str, Matrix], base: Header) -> dict[str, Matrix]:
    """An adapter's tensors with the names and the row order of llama.cpp."""
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    arch = next((arch for arch, name in MODEL_ARCH_NAMES.items() if name == base.architecture), None)
    if arch is None:
        next_step = "Convert it with llama.cpp's convert_lora_to_gguf.py."
        raise _fault(candidate, path, f"a base of the unknown architecture {base.architecture}", next_step)
    names = get_tensor_name_map(arch, base.get_number("block_count"))
    heads = base.get_number("attention.head_count", 1)
    rotated = {"attn_q": heads, "attn_k": base.get_number("attention.head_count_kv", heads)}
    tensors: dict[str, Matrix] = {}
    for key, matrix in sorted(weights.items()):
        layer, mark, part = key.removeprefix(PREFIX).partition(".lora_")
        name = names.get_name(layer) if mark else None
        if name is None or part not in ("A.weight", "B.weight") or matrix.ndim != 2:
            raise _fault(candidate, path, f"one for another base: {base.architecture} has no matrix {key}")
        count = rotated.get(name.rpartition(".")[2]) if base.architecture in INTERLEAVED else None
        if part == "B.weight" and count and len(matrix) % (2 * count) == 0:
            matrix = matrix.reshape(count, 2, -1, matrix.shape[1]).swapaxes(1, 2).reshape(matrix.shape)
        tensors[f"{name}.weight.lora_{part[0].lower()}"] = matrix
    _check(candidate, path, {name: matrix.shape[::-1] for name, matrix in tensors.items()}, base)
    return tensors


def _check(candidate: str, path: Path, shapes: Mapping[str, tuple[int, ...]], base: Header) -> None:
    """Check that an adapter's pairs of matrices fit the base's tensors.

    Args:
        shapes: the shapes of the adapter's tensors as in a GGUF file, inputs first.

    Raises:
        WorkError: a pair does not fit; the message names the first one.
    """
    if not base.tensors and "split.count" in base.values:  # the tensors are in other parts of a split model
        return
    for layer in dict.fromkeys(name.rpartition(".lora_")[0] for name in shapes):
        inputs, outputs, base_shape = shapes[f"{layer}.lora_a"][0], shapes[f"{layer}.lora_b"][1], base.shapes.get(layer)
        if (inputs, outputs) != base_shape:
            size = f"{inputs} x {outputs} instead of {base_shape[0]} x {base_shape[1]}" if base_shape else "not there"
            raise _fault(candidate, path, f"one for another base: {layer}, {size}")


def _write(path: Path, tensors: Mapping[str, Matrix], alpha: float, architecture: str) -> None:
    from gguf import GGUFWriter

    writer = GGUFWriter(path, architecture)
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    for name, matrix in tensors.items():
        writer.add_tensor(name, np.ascontiguousarray(matrix))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
