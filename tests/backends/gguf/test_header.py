"""Headers of GGUF files, and what is wrong with files that are no models."""

from __future__ import annotations

import os
import shutil
import struct
import tracemalloc
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from support.gguf_models import HEADS, LAYERS, POSITIONS, SPECIAL, WIDTH, write_adapter, write_model
from zooter_core.backends.gguf import header
from zooter_core.backends.gguf.header import check_model, read_header
from zooter_core.base.errors import WorkError


def refusal(path: Path) -> str:
    with pytest.raises(WorkError) as raised:
        check_model(read_header(path))
    return str(raised.value)


def test_a_header_says_what_the_model_is(model):
    header = read_header(model)
    check_model(header)
    assert (header.architecture, header.positions, header.bytes) == ("llama", POSITIONS, model.stat().st_size)
    assert header.shapes["blk.0.attn_k.weight"] == (WIDTH, WIDTH // 2)
    assert header.bytes_a_token == 2 * 2 * (WIDTH // HEADS) * 2 * LAYERS  # float16, keys and values, 2 key heads
    assert set(header.special_tokens) == set(SPECIAL)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "but found no file model.gguf"),
        (Path.mkdir, "but found a folder"),
        (lambda path: path.write_bytes(b"PK\x03\x04" * 100), "a file of 400 bytes that is not GGUF"),
        (write_adapter, "a file of the type adapter"),
        (partial(write_model, architecture="bert"), "an encoder (bert)"),
        (partial(write_model, type="mmproj"), "a file of the type mmproj"),
    ],
)
def test_what_is_no_language_model(tmp_path, make, words):
    make(tmp_path / "model.gguf")
    assert words in refusal(tmp_path / "model.gguf")


def test_a_file_that_a_download_left_incomplete(model, tmp_path):
    content = model.read_bytes()
    (tmp_path / "model.gguf").write_bytes(content[:-1000])
    message = refusal(tmp_path / "model.gguf")
    assert f"{len(content) - 1000:,} of its {len(content):,} bytes" in message
    assert message.endswith("Download that file again.")


@pytest.mark.parametrize("place", [5, 20, 300])
def test_a_header_that_is_corrupt_or_cut_off(model, tmp_path, place):
    content, file = bytearray(model.read_bytes()), tmp_path / "model.gguf"
    file.write_bytes(content[: 7 * place])
    assert "corrupt header" in refusal(file)
    content[place : place + 8] = b"\xff" * 8
    file.write_bytes(content)
    assert "as GGUF at" in refusal(file)


def test_a_missing_part_of_a_split_model(tmp_path):
    parts = [tmp_path / f"big-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    write_model(parts[0], **{"split.count": 3})
    shutil.copy(parts[0], parts[2])
    assert "no big-00002-of-00003.gguf, one of its 3 parts" in refusal(parts[0])
    shutil.copy(parts[0], parts[1])
    assert read_header(parts[0]).bytes == 3 * parts[0].stat().st_size
    assert "Name the first one, big-00001-of-00003.gguf" in refusal(parts[1])


def of_values(*entries: bytes, tensors: int = 0) -> bytes:
    """A header with these entries, each a key, a type and a value."""
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, len(entries)) + b"".join(entries)


def entry(key: str, kind: int, value: bytes) -> bytes:
    return struct.pack("<Q", len(key)) + key.encode() + struct.pack("<I", kind) + value


ENDLESS = 1 << 42  # bytes of zeros that take no room


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (of_values(tensors=1 << 40), "1,099,511,627,776 entries"),
        (of_values(entry("a", 9, struct.pack("<IQ", 8, 1 << 30))), "lists of 1,073,741,824"),
        (of_values(tensors=1 << 10), "a duplicate name"),
        (of_values(entry("a", 8, struct.pack("<Q", 1 << 41))), "cut off, or too long"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_header_that_claims_more_than_it_has_is_refused_at_once(tmp_path, content, part):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    os.truncate(path, ENDLESS)
    tracemalloc.start()
    try:
        assert part in refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 4 * header.LONGEST
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("value", [float("inf"), float("nan"), -1.0, 1e300, [1, -1.0], [], "many", True])
def test_a_number_of_a_header_that_counts_nothing_is_refused(model, value):
    content = read_header(model)
    for key in ("llama.context_length", "llama.attention.head_count_kv", "general.alignment"):
        broken = replace(content, values=content.values | {key: value})
        with pytest.raises(WorkError, match=f"as {key}"):
            _ = broken.positions, broken.bytes_a_token, broken.alignment
