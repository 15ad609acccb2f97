"""llama.cpp's own server for each candidate of the embedded fleet, as a user would run it on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from zooter_core.backends.gguf import child
from zooter_core.backends.gguf.adapters import gguf_adapter
from zooter_core.backends.gguf.header import read_header
from zooter_core.base.paths import EMBEDDED_FLEET, ROOT
from zooter_core.base.weights import gguf_file
from zooter_core.config.fleet import load_fleet


@contextmanager
def llama_servers(names: Sequence[str], folder: Path, port: int = 0) -> Iterator[list[str]]:
    """The addresses of servers of the embedded fleet's candidates, each with its adapter, up to /v1.

    Args:
        port: of the first one, the others follow; 0 lets the system choose.
    """
    fleet, addresses = load_fleet(EMBEDDED_FLEET), []
    with ExitStack() as stack:
        for number, name in enumerate(names):
            candidate = fleet.candidate(name)
            model = gguf_file(candidate.model)
            header = read_header(model)
            settings: dict[str, Any] = {
                "model": str(model),
                "adapters": [str(gguf_adapter(candidate.adapter, header, name))],
                "threads": 1,
                "hostnames": ["127.0.0.1"],
                "port": port + number if port else 0,
                "model_alias": {f"smollm2-135m-{name}"},
                "n_ctx": 4096,
                "n_parallel": 2,
                "offline": True,
                "ui": False,
            }
            place = folder / name
            place.mkdir(parents=True)
            addresses.append(stack.enter_context(running(settings, place)) + "/v1")
        yield addresses


@contextmanager
def running(settings: dict[str, Any], folder: Path, script: str = child.__file__) -> Iterator[str]:
    """The address of llama.cpp's own server with fields of xllamacpp's CommonParams; it ends with the block."""
    process = subprocess.Popen(
        [sys.executable, script, json.dumps(settings, default=list), str(folder)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
    )
    try:
        report = json.loads(process.stdout.readline())
        yield report["address"]
    finally:
        process.communicate()
