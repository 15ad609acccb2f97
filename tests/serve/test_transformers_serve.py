"""In front of `transformers serve`, a server that is not ours: it sends no [DONE], and names models its own way.

It takes half a minute to start, and alone shows that a real server's answers pass.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from support import endpoint_fleet
from support.patience import PATIENCE
from support.ports import free_port
from support.running_endpoint import QUERY, running, stream_of
from zooter_core.config.fleet import load_fleet
from zooter_core.serve.server import ServeSettings


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    """The address of a running server."""
    port = free_port()
    program = "from transformers.cli.transformers import main; main()"
    command = [sys.executable, "-c", program, "serve", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stdout=-3, stderr=-3, env=os.environ | {"HF_HUB_OFFLINE": "1"}) as process:
        until = time.monotonic() + PATIENCE
        while True:
            with suppress(httpx2.TransportError):
                if httpx2.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200:
                    break
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
        process.terminate()


def test_its_answers_pass(upstream, fleet_copy: Path, tmp_path: Path):
    model = str(fleet_copy / "base")
    order = endpoint_fleet.save_by_order(fleet_copy, upstream, QUERY, (model, "no-such-model"), first_token_seconds=120)
    with running(ServeSettings(load_fleet(fleet_copy), port=0, data=tmp_path)) as endpoint:
        response = endpoint.chat(max_tokens=5, temperature=0)
        chunks = stream_of(endpoint.chat(max_tokens=5, temperature=0, stream=True))
        failed = endpoint.chat(model=order[1])
    assert response.json()["model"] == order[0]
    assert response.json()["usage"]["completion_tokens"] == 5
    assert {chunk["model"] for chunk in chunks} == {order[0]}
    text = "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])
    assert text == response.json()["choices"][0]["message"]["content"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    assert failed.status_code >= 400
    assert "message" in failed.json()["error"]
