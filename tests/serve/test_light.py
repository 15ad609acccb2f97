"""A fleet of endpoints is served without PyTorch: the command itself, with an encoder whose graph it makes first."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil

from support import endpoint_fleet

MOST_MEGABYTES = 300
# Runs the command and says at its end whether it has loaded PyTorch, and what it loaded is left alone by collections.
PROGRAM = """
import gc, sys
from zooter_core.cli.main import main
code = main(sys.argv[1:])
print([name for name in ("torch", "transformers") if name in sys.modules], gc.get_freeze_count() > 10_000, flush=True)
sys.exit(code)
"""


def test_endpoints_are_served_without_pytorch(fleet_copy: Path, scripted):
    endpoint_fleet.save(fleet_copy, scripted.url, {"a": "good", "b": "good"}, router=True)
    command = [sys.executable, "-c", PROGRAM, "serve", "--fleet", str(fleet_copy), "--port", "0"]
    environment = os.environ | {"ZOOTER_CACHE": str(fleet_copy / "cache"), "COLUMNS": "200"}
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=environment) as process:
        try:
            line = next(line for line in process.stderr if "is served at" in line)
            url = line.partition("served at ")[2].split()[0]
            body = {"model": "auto", "messages": [{"role": "user", "content": "What is 12 + 30?"}]}
            headers = {"x-zooter-metadata": "enabled", "content-type": "application/json"}
            request = urllib.request.Request(f"{url}/chat/completions", json.dumps(body).encode(), headers)
            with urllib.request.urlopen(request, timeout=60) as answer:
                shape = json.load(answer)
            assert shape["model"] in ("a", "b")
            assert shape["zooter"]["tags"][0]["name"] == "arithmetic"
            assert psutil.Process(process.pid).memory_info().rss / 1e6 < MOST_MEGABYTES
        finally:
            process.send_signal(signal.SIGINT)
        assert process.stdout.read().strip() == "[] True"
    assert list((fleet_copy / "cache" / "encoders-int8").glob("*/model.onnx"))
