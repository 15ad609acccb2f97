"""The command as operators run it: TLS, SIGHUP, and a stop that lets a running answer end. A process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import pytest

from support import endpoint_fleet
from support.command_files import replace_text

pytestmark = pytest.mark.slow
SECONDS = 240


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    key, file = tmp_path / "key.pem", tmp_path / "certificate.pem"
    call = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    call += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(file)]
    subprocess.run(call, check=True, capture_output=True)
    return file, key


@contextmanager
def started(fleet: Path, *options: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command when it is ready, and its address."""
    command = [sys.executable, "-m", "zooter_core.cli", "serve", "--fleet", str(fleet), "--port", "0"]
    command += ["--data", str(fleet / "data"), *map(str, options)]
    environment = os.environ | {"COLUMNS": "200"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "is served at" in line)
        try:
            yield process, line.partition("served at ")[2].split()[0]
        finally:
            process.kill()


def test_tls_hangup_and_stop(fleet_copy, scripted, certificate):
    file, key = certificate
    endpoint_fleet.save(fleet_copy, scripted.url, {"a": "good"}, router=True)
    context = ssl.create_default_context(cafile=str(file))

    def chat(url: str) -> str:
        body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "Hi"}], "stream": True}).encode()
        request = urllib.request.Request(f"{url}/chat/completions", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=SECONDS, context=context) as answer:
            return answer.read().decode()

    with started(fleet_copy, "--certfile", file, "--keyfile", key) as (process, url):
        assert url.startswith("https://127.0.0.1:")
        assert "[DONE]" in chat(url)
        replace_text(fleet_copy / "fleet.toml", 'model = "good"', "model = 7")
        process.send_signal(signal.SIGHUP)
        assert process.stderr is not None
        assert "the old one stays" in next(line for line in process.stderr if "fleet" in line)
        release = threading.Event()
        scripted.replies["late"] = lambda query: "on-time" if release.wait(SECONDS) else "never"
        replace_text(fleet_copy / "fleet.toml", "model = 7", 'model = "late"')
        process.send_signal(signal.SIGHUP)
        with ThreadPoolExecutor(1) as threads:
            while not scripted.count("late"):  # until the new fleet answers
                running = threads.submit(chat, url)
                while not scripted.count("late") and not wait([running], 0.05).done:
                    pass
            process.send_signal(signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.5)  # it waits for the answer
            release.set()
            assert "on-time" in running.result()
        assert process.wait(SECONDS) == -signal.SIGTERM  # as uvicorn ends, for whoever sent the signal
