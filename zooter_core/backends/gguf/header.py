"""Reads the header of a GGUF file: its metadata, and the names and shapes of its tensors.

The package `gguf` also reads headers, but takes 6 s for a vocabulary of 49,000 tokens; this module takes 0.03 s. The
format is described in ggml's docs/gguf.md.
"""

from __future__ import annotations

import math
import mmap
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from zooter_core.base.errors import FIX_PERMISSIONS, MOST_NAMED, WorkError, shortened
from zooter_core.base.files import open_regular
from zooter_core.base.strict_json import is_number
from zooter_core.config.tables import LARGEST

MAGIC = b"GGUF"
VERSIONS = (2, 3)  # version 1 is from 2023, and llama.cpp no longer loads it
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
LENGTH = struct.Struct("<Q")  # the length of a text, which precedes it
CONTROL, USER_DEFINED = 3, 4  # token types
LONGEST = 1 << 26  # bytes of a header; the largest have 30 million
MOST_ENTRIES = 1 << 16  # values or tensors; the largest models have a few thousand
MOST_MEMBERS = 1 << 21  # entries of all lists together; the largest vocabularies need 1.3 million
PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
NOT_GENERATIVE = ("bert", "t5encoder", "clip")  # in the names of architectures that do not generate text
DOWNLOAD_AGAIN = "Download that file again."
CHECK_MODEL = "Check `model` in fleet.toml."


class Tensor(NamedTuple):
    """A tensor's entry in a header.

    Attributes:
        shape: the dimensions, the contiguous one (a matrix's inputs) first.
        kind: the quantisation, as a number of `gguf.GGMLQuantizationType`.
        entry: the position of `kind` (4 bytes) in the file, which `offset` (8 bytes) follows.
        offset: the position of the tensor's data, relative to the data of the first tensor.
        bytes: the size of the data; 0 if the quantisation is unknown.
    """

    shape: tuple[int, ...]
    kind: int
    entry: int
    offset: int
    bytes: int


@dataclass(frozen=True)
class Header:
    """The header of a GGUF file."""

    path: Path
    values: dict[str, Any]  # the metadata
    tensors: dict[str, Tensor]  # by name, in the order of the file
    end: int  # the position of the header's end
    bytes: int  # the size of the file, or of all files of a split model
    original: Header | None = None  # the file from which this one was converted to Q4_0 (`offsets`)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tensor.shape for name, tensor in self.tensors.items()}

    @property
    def alignment(self) -> int:
        """The data of each tensor starts at a multiple of this number of bytes."""
        return self._count("general.alignment", 32) or 32

    def start(self, tensor: Tensor) -> int:
        """The position of a tensor's data in the file."""
        return self.end + -self.end % self.alignment + tensor.offset

    @property
    def architecture(self) -> str:
        """The name of the architecture, such as `llama`."""
        return str(self.values.get("general.architecture", ""))

    def get_number(self, key: str, default: int = 0) -> int:
        """The number of a key that begins with the architecture, such as `llama.block_count`."""
        return self._count(f"{self.architecture}.{key}", default)

    def _count(self, key: str, default: int) -> int:
        """The count at a key; if the value is a list with a count for each layer, the largest one.

        Raises:
            WorkError: the value is not a count.
        """
        value = self.values.get(key, default)
        numbers = value if isinstance(value, list) and value else [value]
        if not all(is_number(number) and 0 <= number <= LARGEST for number in numbers):
            raise fault(self.path, f"{shortened(repr(value), MOST_NAMED)} as {key}", DOWNLOAD_AGAIN)
        return int(max(numbers))

    @property
    def positions(self) -> int:
        """The context length in tokens with which the model was trained."""
        return self.get_number("context_length", 2048)

    @property
    def bytes_a_token(self) -> int:
        """The size of the key-value cache in bytes per token, in float16."""
        heads = self.get_number("attention.head_count", 1)
        width = self.get_number("embedding_length") // max(heads, 1)
        keys = self.get_number("attention.key_length", width) + self.get_number("attention.value_length", width)
        return 2 * keys * self.get_number("attention.head_count_kv", heads) * self.get_number("block_count")

    @cached_property
    def special_tokens(self) -> tuple[str, ...]:
        """The texts that the tokenizer encodes as control tokens, the longest first."""
        tokens, kinds = (self.values.get(f"tokenizer.ggml.{key}", []) for key in ("tokens", "token_type"))
        special = {
            token
            for token, kind in zip(tokens, kinds, strict=False)
            if kind == CONTROL or (kind == USER_DEFINED and token[:1] + token[-1:] in ("<>", "[]"))
        }
        return tuple(sorted(special - {""}, key=lambda token: (-len(token), token)))


def read_header(path: Path) -> Header:
    """The header of a model's file. For a split model, it is that of the first part, after a check of the others.

    Raises:
        WorkError: the file does not exist, is not a GGUF file or is incomplete, or a part is missing.
    """
    header = _read(path)
    count = header.values.get("split.count", 1)
    if isinstance(count, int) and count > 1:
        return replace(header, bytes=sum(part.bytes for part in _parts(path, count)))
    return header


def check_model(header: Header) -> None:
    """Check that a file contains a model that generates text.

    Raises:
        WorkError: the file contains something else; the message says what.
    """
    kind, architecture = header.values.get("general.type", "model"), header.architecture
    content = ""
    if kind != "model":
        content = f"a file of the type {kind}"
    elif "tokenizer.ggml.tokens" not in header.values:
        content = "a file without a vocabulary"
    elif not header.tensors and "split.count" not in header.values:
        content = "a vocabulary without weights"
    elif any(name in architecture for name in NOT_GENERATIVE):
        content = f"an encoder ({architecture}), which does not generate text"
    if content:
        raise fault(header.path, content, CHECK_MODEL)


def fault(path: Path, found: str, next_step: str) -> WorkError:
    """The error for a file that is not a language model."""
    return WorkError(f"a language model as GGUF at {path}", found, next_step)


def _parts(path: Path, count: int) -> Iterator[Header]:
    """The headers of a split model's files."""
    match = PART.search(path.name)
    if match is None or int(match[1]) != 1:
        first = PART.sub(f"-00001-of-{count:05}.gguf", path.name)
        raise fault(path, f"a part of a model in {count} files", f"Name the first one, {first}, in fleet.toml.")
    for number in range(1, count + 1):
        part = path.with_name(PART.sub(f"-{number:05}-of-{count:05}.gguf", path.name))
        if not part.is_file():
            raise fault(path, f"no {part.name}, one of its {count} parts", "Put all parts into one folder.")
        yield _read(part)


def _read(path: Path) -> Header:
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if file.read(4) != MAGIC:
                raise fault(path, f"a file of {size:,} bytes that is not GGUF", CHECK_MODEL)
            with mmap.mmap(file.fileno(), min(size, LONGEST), access=mmap.ACCESS_READ) as content:
                return _HeaderReader(content, path, size).header()
    except OSError as problem:
        if isinstance(problem, FileNotFoundError | IsADirectoryError):
            raise fault(path, f"no file {path.name}" if not path.exists() else "a folder", CHECK_MODEL) from problem
        raise fault(path, str(problem), FIX_PERMISSIONS) from problem
    except (ValueError, KeyError) as problem:
        raise fault(path, f"a corrupt header ({problem})", DOWNLOAD_AGAIN) from problem


class _HeaderReader:
    """Parses a header.

    A corrupt file may contain any count, and a sparse one has terabytes of zeros. Therefore everything is bounded.

    Args:
        content: the beginning of the file.
        size: the size of the complete file in bytes.

    Raises:
        ValueError, KeyError: the header is corrupt.
    """

    def __init__(self, content: mmap.mmap, path: Path, size: int) -> None:
        self.content, self.path, self.size, self.at = content, path, size, len(MAGIC)
        self.members = 0

    def header(self) -> Header:
        version, tensor_count, value_count = self.number("I"), self.number("Q"), self.number("Q")
        if version not in VERSIONS:
            raise fault(self.path, f"version {version} of the format", "Convert or download it in version 3.")
        if max(tensor_count, value_count) > MOST_ENTRIES:
            raise ValueError(f"{max(tensor_count, value_count):,} entries")
        values = {self.text(): self.value(self.number("I")) for _ in range(value_count)}
        tensors = {self.text(): self.tensor() for _ in range(tensor_count)}
        if (len(values), len(tensors)) != (value_count, tensor_count):
            raise ValueError("a duplicate name")
        header = Header(self.path, values, tensors, self.at, self.size)
        end = max((header.start(tensor) + tensor.bytes for tensor in tensors.values()), default=0)
        if end > self.size:
            raise fault(self.path, f"{self.size:,} of its {end:,} bytes", DOWNLOAD_AGAIN)
        return header

    def tensor(self) -> Tensor:
        shape = self.numbers(self.number("I"), "Q")
        entry, kind, offset = self.at, self.number("I"), self.number("Q")
        return Tensor(shape, kind, entry, offset, _tensor_bytes(kind, math.prod(shape)))

    def number(self, code: str) -> int:
        return self.numbers(1, code)[0]

    def numbers(self, count: int, code: str) -> tuple[int, ...]:
        start, self.at = self.at, self.at + count * struct.calcsize(f"<{code}")
        self.check_end(self.at)
        return struct.unpack_from(f"<{count}{code}", self.content, start)

    def text(self) -> str:
        return self.texts(1)[0]

    def value(self, kind: int) -> Any:
        if kind == STRING:
            return self.text()
        if kind != ARRAY:
            return self.number(NUMBERS[kind])
        kind, length = self.number("I"), self.number("Q")
        self.members += length
        if self.members > MOST_MEMBERS:
            raise ValueError(f"lists of {self.members:,}")
        return self.texts(length) if kind == STRING else list(self.numbers(length, NUMBERS[kind]))

    def texts(self, count: int) -> list[str]:
        """Consecutive texts. The loop makes few calls, since a vocabulary has a hundred thousand texts."""
        texts, content, at, length_at, last = [], self.content, self.at, LENGTH.unpack_from, len(self.content)
        for _ in range(count):
            start = at + LENGTH.size
            at = start + length_at(content, at)[0] if start <= last else start
            if at > last:
                self.check_end(at)
            texts.append(content[start:at].decode(errors="replace"))
        self.at = at
        return texts

    def check_end(self, end: int) -> None:
        """Check that a value ends before the end of the content."""
        if end > len(self.content):
            raise ValueError("cut off, or too long")


def _tensor_bytes(kind: int, numbers: int) -> int:
    """The size of a tensor in bytes; 0 for a quantisation that this version of the package `gguf` does not know."""
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    try:
        block, size = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
    except (ValueError, KeyError):
        return 0
    return numbers // block * size
