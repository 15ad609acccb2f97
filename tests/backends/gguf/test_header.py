"""Headers of GGUF files, and what is wrong with files that are no models."""

from __future__ import annotations

import shutil
from dataclasses import replace
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


def test_no_such_file(tmp_path):
    assert "but found none there" in refusal(tmp_path / "missing.gguf")
    assert "but found a folder" in refusal(tmp_path)


def test_a_file_of_another_format(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"PK\x03\x04" * 100)
    assert "a file of 400 bytes that begins otherwise" in refusal(tmp_path / "model.gguf")


def test_a_file_that_a_download_left_incomplete(model, tmp_path):
    content = model.read_bytes()
    (tmp_path / "model.gguf").write_bytes(content[:-1000])
    message = refusal(tmp_path / "model.gguf")
    assert f"{len(content) - 1000:,} of its {len(content):,} bytes" in message
    assert message.endswith("Download that file again.")


@pytest.mark.parametrize("place", [5, 9, 20, 60, 300])
def test_a_corrupt_header(model, tmp_path, place):
    content = bytearray(model.read_bytes())
    content[place : place + 8] = b"\xff" * 8
    (tmp_path / "model.gguf").write_bytes(content)
    assert "as GGUF at" in refusal(tmp_path / "model.gguf")


@pytest.mark.parametrize("length", [4, 10, 30, 200, 2000])
def test_a_header_that_is_cut_off(model, tmp_path, length):
    (tmp_path / "model.gguf").write_bytes(model.read_bytes()[:length])
    assert "corrupt header" in refusal(tmp_path / "model.gguf")


def test_a_missing_part_of_a_split_model(tmp_path):
    parts = [tmp_path / f"big-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    write_model(parts[0], **{"split.count": 3})
    shutil.copy(parts[0], parts[2])
    assert "no big-00002-of-00003.gguf, one of its 3 parts" in refusal(parts[0])
    shutil.copy(parts[0], parts[1])
    assert read_header(parts[0]).bytes == 3 * parts[0].stat().st_size
    assert "Name the first one, big-00001-of-00003.gguf" in refusal(parts[1])


def test_a_number_of_parts_that_is_none_counts_for_nothing(model, monkeypatch):
    content = read_header(model)
    monkeypatch.setattr(header, "_read", lambda path: replace(content, values=content.values | {"split.count": "x"}))
    assert read_header(model).bytes == content.bytes


def test_files_that_hold_something_else(tmp_path):
    assert "a file of the type adapter" in refusal(write_adapter(tmp_path / "lora.gguf"))
    assert "an encoder (bert)" in refusal(write_model(tmp_path / "bert.gguf", architecture="bert"))
    assert "a file of the type mmproj" in refusal(write_model(tmp_path / "eyes.gguf", type="mmproj"))
