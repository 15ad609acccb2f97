"""Graphs run by ONNX Runtime: no telemetry, and tokenizers whose patterns end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from zooter_core.base.errors import WorkError
from zooter_core.router.encoder import Encoder, Encoders
from zooter_core.router.graph import check_patterns


@pytest.fixture
def folder(tiny_fleet: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_fleet / "encoder", tmp_path / "encoder"))


def test_a_router_loads_neither_pytorch_nor_transformers_and_onnxruntime_notes_nothing_for_its_maker(
    tiny_fleet, tmp_path
):
    """ONNX Runtime would keep what it knows of the process and the machine in the home's cache folder, to send it
    later."""
    code = f"""
import sys
from zooter_core import Router
Router.load({str(tiny_fleet / "router")!r}).route(["What is 12 + 30?"])
print([name for name in ("torch", "transformers", "streamlit") if name in sys.modules])
"""
    home = tmp_path / "home"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ORT_")}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    call = [sys.executable, "-c", code]
    ended = subprocess.run(call, env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
    assert [path for path in home.rglob("*") if "onnxruntime" in path.name] == []


COMMON = [  # of CLIP, Llama 3, GPT-4o, Qwen 3.5 and DeepSeek; of normalizers
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*",
    *(r" {2,}", r"\s{2,}|[\n\r\t]", r"^▁+$", r" +▁", r"[0-9][0-9][0-9]", r" ?[^(\s|[.,!?…。，、।۔،])]+"),
]
ENDLESS = [
    *(r"(a+)+$", r"(a|aa)*b", r"a*a*b", r"a*a*$", r"\s+\s+\s+x", "a?" * 30 + "a" * 30, r"(a)\1+", r"(?=a+b)a"),
    *(r"a{0,9}a{0,9}a{0,9}b", r"a{1,2}+b", r"a{1,}+b", r"a+{2}", r"[](a+)+$]", r"(?i:'s|'t)+$", r"\s*x|" * 30 + "y"),
]


def with_pattern(folder: Path, pattern: str) -> None:
    """A tokenizer that splits by a pattern, behind one that is harmless: the last of two equal keys counts."""
    file = folder / "tokenizer.json"
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    text = json.dumps(json.loads(file.read_text()) | {"pre_tokenizer": split})
    file.write_text(text[:-1] + ', "pre_tokenizer": null}')


def test_a_pattern_that_may_take_endless_time_is_refused_and_those_of_known_tokenizers_are_accepted(folder):
    for pattern in COMMON:
        with_pattern(folder, pattern)
        check_patterns(folder / "tokenizer.json")
    for pattern in ENDLESS:
        with_pattern(folder, pattern)
        with pytest.raises(WorkError, match="that end soon"):
            check_patterns(folder / "tokenizer.json")


@pytest.mark.parametrize("open_it", [Encoder, Encoders("onnx")])
def test_no_encoder_takes_such_a_pattern(folder, open_it):
    with_pattern(folder, ENDLESS[0])
    with pytest.raises(WorkError, match="that end soon"):
        open_it(str(folder))
