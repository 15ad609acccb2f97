"""What a model's folder holds, found out before it is loaded: is it whole, and how much memory will it take?

A folder and a hub's repository are looked through alike; what a hub has is fetched first.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoTokenizer
from transformers.utils import cached_file

from zooter_core.backends.local import memory
from zooter_core.config.candidates import CandidateConfig
from zooter_core.errors import WorkError, ZooterError, first_line
from zooter_core.strict_json import parse_json
from zooter_core.weights import resolve

WHOLE = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
CAUSAL = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")  # how the names of such architectures end
# Bytes a weight: 4-bit ones have a float32 for each block of 64; embeddings and head stay as they are.
QUANTISED = {"8bit": 1.0, "4bit": 0.5 + 4 / 64}
UNTOUCHED = re.compile(r"lm_head|embed|wte|wpe")


@dataclass(frozen=True)
class Checkpoint:
    """A model's files. `source` is what `from_pretrained` takes."""

    candidate: CandidateConfig
    source: str
    config: Any
    files: tuple[Path, ...]

    @classmethod
    def of(cls, candidate: CandidateConfig) -> Checkpoint:
        """The files of a candidate's model, each of them opened.

        Raises:
            ZooterError: its dtype is none, or a package is not installed.
            WorkError: there is no causal language model, or a file is missing or broken.
        """
        dtype_of(candidate)
        source = resolve(candidate.model)
        try:
            config = AutoConfig.from_pretrained(source, revision=candidate.revision)
            files = weight_files(source, candidate.revision)
        except Exception as problem:  # the hub, the disk and transformers raise many kinds
            raise _fault(candidate, first_line(problem)) from problem
        names = config.architectures or []
        if names and not any(name.endswith(CAUSAL) for name in names):
            raise _fault(candidate, f"a {', '.join(names)}")
        if not files:
            raise _fault(candidate, f"no weights ({WHOLE[0]} or {WHOLE[2]})")
        made = cls(candidate, source, config, files)
        made.bytes()
        return made

    def bytes(self) -> int:
        """Bytes that its weights will take in memory, by their shapes, the dtype and the quantisation.

        Raises:
            WorkError: a file is missing or broken.
        """
        return sum(self._bytes(file) for file in self.files)

    def _bytes(self, file: Path) -> int:
        if not file.is_file():
            raise _fault(self.candidate, f"no {file.name}, which its index names", "Fetch that file again.")
        width = dtype_of(self.candidate).itemsize
        if file.suffix != ".safetensors":
            saved = getattr(self.config, "dtype", None)
            return file.stat().st_size * width // (saved.itemsize if isinstance(saved, torch.dtype) else width)
        found = 0.0
        try:
            with safe_open(file, framework="pt") as weights:
                for name in weights.keys():  # noqa: SIM118 (no mapping)
                    shape = weights.get_slice(name)
                    found += math.prod(shape.get_shape()) * self._width(name, shape)
        except SafetensorError as problem:
            raise _fault(
                self.candidate, f"{file.name} broken ({first_line(problem)})", "Fetch that file again."
            ) from problem
        return int(found)

    def _width(self, name: str, weight: Any) -> float:
        """Bytes that each number of a weight will take."""
        kind = weight.get_dtype()
        if not kind.startswith(("F", "BF")) or kind.startswith("F8"):  # indices, or weights that are quantised already
            bits = re.search(r"\d+", kind)
            return int(bits[0]) / 8 if bits else 1
        how = self.candidate.quantisation
        if how is not None and len(weight.get_shape()) == 2 and not UNTOUCHED.search(name):
            return QUANTISED[how]
        return dtype_of(self.candidate).itemsize

    def tokenizer(self) -> Any:
        """Its tokenizer, which pads on the left.

        Raises:
            WorkError: there is none, or it is of another model: it makes tokens that this one does not have.
        """
        where = f"a tokenizer for {self.candidate.model}"
        try:
            made = AutoTokenizer.from_pretrained(self.source, revision=self.candidate.revision, padding_side="left")
        except Exception as problem:
            found = f"none that loads ({first_line(problem).rstrip(': ')})"
            raise WorkError(
                where, found, "Put its tokenizer.json and tokenizer_config.json into the folder."
            ) from problem
        rows, padding = self.config.get_text_config().vocab_size, made.pad_token
        beyond = {token: number for token, number in made.get_vocab().items() if number >= rows and token != padding}
        if made.pad_token_id is None or made.pad_token_id >= rows:  # some have one that the model was not widened for
            made.pad_token = made.eos_token
        if beyond:
            last = max(beyond, key=lambda token: beyond[token])
            found = f"one of another model: {len(beyond)} more, up to {last!r} ({beyond[last]})"
            raise WorkError(f"{where} with its {rows} tokens", found, "Put the model's own tokenizer into its folder.")
        return made


def dtype_of(candidate: CandidateConfig) -> torch.dtype:
    """The dtype that a candidate names, or else the one that is quick where the model will lie.

    Raises:
        ZooterError: it is none that a model can work in.
    """
    if candidate.dtype is None:
        slow = memory.devices(candidate.device_map)[0] == "cpu" and not fast_bfloat16()
        return torch.float32 if slow else torch.bfloat16
    found = getattr(torch, candidate.dtype, None)
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise ZooterError("a torch dtype", f'"{candidate.dtype}"', "Use bfloat16, float16 or float32.")
    return found


def weight_files(source: str, revision: str | None) -> tuple[Path, ...]:
    """The files with a model's weights, chosen as transformers chooses; those of a hub are fetched."""

    def find(name: str) -> Path | None:
        found = cached_file(source, name, revision=revision, _raise_exceptions_for_missing_entries=False)
        return Path(found) if found else None

    for name in WHOLE:
        found = find(name)
        if found is None:
            continue
        if not name.endswith(".json"):
            return (found,)
        named = sorted(set(parse_json(found.read_text(encoding="utf-8"))["weight_map"].values()))
        return tuple(find(shard) or found.parent / shard for shard in named)
    return ()


def _fault(candidate: CandidateConfig, found: str, next_step: str = "Check `model` in fleet.toml.") -> WorkError:
    return WorkError(f"a causal language model at {candidate.model}", found, next_step)


def fast_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 in hardware; one that does not is up to forty times slower at it."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
