"""Checks the files of a model before it is loaded, and computes how much memory it will use.

Files of a repository on the hub are downloaded first.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoTokenizer
from transformers.utils import cached_file

from zooter_core.backends import memory
from zooter_core.base.errors import WorkError, first_line
from zooter_core.base.strict_json import parse_json
from zooter_core.base.weights import load_reason, resolve
from zooter_core.config.candidates import CandidateConfig

WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
CAUSAL = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")  # suffixes of architectures that generate text
# Bytes per weight. 4-bit weights have a float32 for each block of 64. Embeddings and head are not quantised.
QUANTISED = {"8bit": 1.0, "4bit": 0.5 + 4 / 64}
UNTOUCHED = re.compile(r"lm_head|embed|wte|wpe")


@dataclass(frozen=True)
class Checkpoint:
    """A model's files. `source` is the folder or hub id for `from_pretrained`."""

    candidate: CandidateConfig
    source: str
    config: Any
    files: tuple[Path, ...]

    @classmethod
    def of(cls, candidate: CandidateConfig) -> Checkpoint:
        """Find and open the files of a candidate's model.

        Raises:
            ZooterError: a package is not installed.
            WorkError: the model is not a causal language model, or a file is missing or damaged.
        """
        source = resolve(candidate.model)
        try:
            config = AutoConfig.from_pretrained(source, revision=candidate.revision, trust_remote_code=False)
            files = weight_files(source, candidate.revision)
        except Exception as problem:  # the hub, the disk and transformers raise many kinds of errors
            raise fault(candidate, load_reason(problem)) from problem
        names = config.architectures or []
        if names and not any(name.endswith(CAUSAL) for name in names):
            raise fault(candidate, f"a {', '.join(names)}")
        checkpoint = cls(candidate, source, config, files)
        if not checkpoint.bytes:
            raise fault(candidate, f"no weights ({WEIGHTS[0]} or {WEIGHTS[2]})")
        return checkpoint

    @cached_property
    def bytes(self) -> int:
        """The memory of the weights in bytes, according to their shapes, dtype and quantisation.

        Raises:
            WorkError: a file is missing or damaged.
        """
        return sum(self._bytes(file) for file in self.files)

    def _bytes(self, file: Path) -> int:
        if not file.is_file():
            raise fault(self.candidate, f"no {file.name}, which the index lists", "Download that file again.")
        width = find_dtype(self.candidate).itemsize
        if file.suffix != ".safetensors":
            saved = getattr(self.config, "dtype", None)
            return file.stat().st_size * width // (saved.itemsize if isinstance(saved, torch.dtype) else width)
        size = 0.0
        try:
            with safe_open(file, framework="pt") as weights:
                for name in weights.keys():  # noqa: SIM118 (no mapping)
                    shape = weights.get_slice(name)
                    size += math.prod(shape.get_shape()) * self._width(name, shape)
        except SafetensorError as problem:
            raise fault(
                self.candidate, f"{file.name} damaged ({first_line(problem)})", "Download that file again."
            ) from problem
        return int(size)

    def _width(self, name: str, weight: Any) -> float:
        """Bytes per number of a weight."""
        kind = weight.get_dtype()
        if not kind.startswith(("F", "BF")) or kind.startswith("F8"):  # indices, or quantised weights
            bits = re.search(r"\d+", kind)
            return int(bits[0]) / 8 if bits else 1
        how = self.candidate.quantisation
        if how is not None and len(weight.get_shape()) == 2 and not UNTOUCHED.search(name):
            return QUANTISED[how]
        return find_dtype(self.candidate).itemsize

    def tokenizer(self) -> Any:
        """The tokenizer, which pads on the left.

        Raises:
            WorkError: there is no tokenizer, or it has tokens that the model lacks, so it belongs to another model.
        """
        expected = f"a tokenizer for {self.candidate.model}"
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                self.source, revision=self.candidate.revision, padding_side="left", trust_remote_code=False
            )
        except Exception as problem:
            reason = f"none that loads ({load_reason(problem).rstrip(': ')})"
            next_step = "Put its tokenizer.json and tokenizer_config.json into the folder."
            raise WorkError(expected, reason, next_step) from problem
        rows, padding = self.config.get_text_config().vocab_size, tokenizer.pad_token
        beyond = {token: id for token, id in tokenizer.get_vocab().items() if id >= rows and token != padding}
        if tokenizer.pad_token_id is None or tokenizer.pad_token_id >= rows:  # the model has no embedding for it
            tokenizer.pad_token = tokenizer.eos_token
        if beyond:
            last = max(beyond, key=lambda token: beyond[token])
            reason = f"that of another model: {len(beyond)} more tokens, up to {last!r} ({beyond[last]})"
            next_step = "Put the model's own tokenizer into its folder."
            raise WorkError(f"{expected} with its {rows} tokens", reason, next_step)
        return tokenizer


def find_dtype(candidate: CandidateConfig) -> torch.dtype:
    """The dtype in fleet.toml; otherwise the dtype that is fast on the candidate's device."""
    if candidate.dtype is None:
        slow = memory.devices(candidate.device_map)[0] == "cpu" and not fast_bfloat16()
        return torch.float32 if slow else torch.bfloat16
    dtype: torch.dtype = getattr(torch, candidate.dtype)
    return dtype


def weight_files(source: str, revision: str | None) -> tuple[Path, ...]:
    """The files with a model's weights, chosen as transformers does. Files of the hub are downloaded."""

    def find(name: str) -> Path | None:
        path = cached_file(source, name, revision=revision, _raise_exceptions_for_missing_entries=False)
        return Path(path) if path else None

    for name in WEIGHTS:
        path = find(name)
        if path is None:
            continue
        if not name.endswith(".json"):
            return (path,)
        shards = sorted(set(parse_json(path.read_text(encoding="utf-8"))["weight_map"].values()))
        return tuple(find(shard) or path.parent / shard for shard in shards)
    return ()


def fault(candidate: CandidateConfig, reason: str, next_step: str = "Check `model` in fleet.toml.") -> WorkError:
    """The error for a model that does not load."""
    return WorkError(f"a causal language model at {candidate.model}", reason, next_step)


def fast_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware. Otherwise, bfloat16 is up to forty times slower."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
