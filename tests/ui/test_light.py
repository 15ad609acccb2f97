"""The demo of a fleet on llama.cpp never imports PyTorch: its pages in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import gguf_models, tiny_models
from zooter_core.backends.gguf.engine import installed

pytestmark = pytest.mark.skipif(not installed(), reason="the extra `gguf` is not installed")
ROOT = Path(__file__).resolve().parents[2]
VISIT = """
import sys
from streamlit.testing.v1 import AppTest
page = AppTest.from_file("app.py", default_timeout=300).run()
page.selectbox(key="mode").select("All of them").run()
page.chat_input[0].set_value("What is 12 + 30?").run()
turn = page.session_state["conversation"].turns[0]
turn.job.wait(300)
page.run()
next(button for button in page.button if button.label == "Why").click().run()
models = AppTest.from_file("pages/models.py", default_timeout=300).run()
assert not page.exception and not models.exception
print(turn.answer.response.finish, [item.rank for item in turn.job.ranked or []])
print([name for name in ("torch", "transformers", "ray") if name in sys.modules])
"""


def test_chat_rewards_and_models_load_no_pytorch(fleet_copy: Path, tmp_path: Path) -> None:
    """A real process of llama.cpp."""
    model = gguf_models.write_model(tmp_path / "model.gguf")
    file = fleet_copy / "fleet.toml"
    text = file.read_text().partition("[[candidate]]")[0]
    for name in tiny_models.POOL:
        text += f'\n[[candidate]]\nname = "{name}"\nbackend = "gguf"\nmodel = "{model}"\nthreads = 1\n'
    file.write_text(text)
    config = fleet_copy / "router" / "config.json"  # router and tagger name one encoder
    config.write_text(json.dumps(json.loads(config.read_text()) | {"encoder": str(fleet_copy / "encoder")}))
    environment = os.environ | {"ZOOTER_FLEET": str(fleet_copy), "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, "-c", VISIT], capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )
    assert ended.stdout.splitlines() == ["length [1, 2, 3]", "[]"], ended.stderr[-2000:]
