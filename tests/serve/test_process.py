"""The command as operators run it: TLS, SIGHUP, and a stop that lets a running answer end. A process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from support import endpoint_fleet
from support.command_files import replace_text
from support.patience import PATIENCE, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def fleet(fleet_copy: Path, scripted, tiny_fleet: Path) -> Path:
    return endpoint_fleet.save(fleet_copy, scripted.url, {"base": "good"}, tiny_fleet / "router")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a certificate and its private key."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    key, file = tmp_path / "key.pem", tmp_path / "certificate.pem"
    call = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    call += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(file)]
    subprocess.run(call, check=True, capture_output=True)
    file.write_text(file.read_text() + key.read_text())
    return file


@contextmanager
def started(fleet: Path, *options: object, **more: Any) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command when it is ready, and its address. `more` goes to Popen."""
    command = [sys.executable, "-m", "zooter_core.cli", "serve", "--fleet", str(fleet), "--port", "0"]
    command += ["--data", str(fleet / "data"), *map(str, options)]
    environment = os.environ | {"COLUMNS": "200"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, **more) as process:
        line = next(line for line in process.stderr if "is served at" in line)
        try:
            yield process, line.partition("served at ")[2].split()[0]
        finally:
            process.kill()


def chat(url: str, context: ssl.SSLContext | None = None) -> str:
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "Hi"}]}).encode()
    request = urllib.request.Request(f"{url}/chat/completions", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE, context=context) as answer:
        return json.load(answer)["choices"][0]["message"]["content"]


def refused(url: str) -> bool:
    """Whether nobody listens at an address."""
    parts = urlsplit(url)
    with socket.socket() as client:
        return client.connect_ex((parts.hostname, parts.port)) != 0


def test_tls_hangup_and_stop(fleet, scripted, certificate):
    ask = partial(chat, context=ssl.create_default_context(cafile=str(certificate)))

    with started(fleet, "--certfile", certificate) as (process, url):
        assert url.startswith("https://127.0.0.1:")
        assert ask(url)
        replace_text(fleet / "fleet.toml", 'model = "good"', "model = 7")
        process.send_signal(signal.SIGHUP)
        assert "the old one stays" in next(line for line in process.stderr if "fleet" in line)
        release = threading.Event()
        scripted.replies["late"] = lambda query: "on-time" if release.wait(PATIENCE) else "never"
        replace_text(fleet / "fleet.toml", "model = 7", 'model = "late"')
        process.send_signal(signal.SIGHUP)
        with ThreadPoolExecutor(1) as threads:
            while not scripted.count("late"):  # until the new fleet answers
                running = threads.submit(ask, url)
                while not scripted.count("late") and not wait([running], 0.05).done:
                    pass
            process.send_signal(signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.5)  # it waits for the answer
            release.set()
            assert "on-time" in running.result()
        assert process.wait(PATIENCE) == -signal.SIGTERM  # as uvicorn ends, for whoever sent the signal
        loaded, stopping = process.stderr.read().splitlines()
        assert (loaded, "30 s" in stopping) == ("The fleet far has been reloaded.", True)


def test_a_second_ctrl_c_ends_at_once_and_closes_what_is_open(fleet, scripted):
    replace_text(fleet / "fleet.toml", 'model = "good"', 'model = "hang-first"')
    with started(fleet) as (process, url), ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(chat, url)
        scripted.wait_for("hang-first", 1)
        process.send_signal(signal.SIGINT)
        wait_until(lambda: refused(url))  # it stops, and waits for the answer
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)
        assert hanging.exception() is not None
        lines = process.stderr.read()
        assert "Another Ctrl-C ends them at once." in lines
        assert "Unclosed" not in lines
        assert "closed file" not in lines  # the decision log has the request's end
        assert (fleet / "data" / "decisions.jsonl").read_text().count("\n") == 1


def test_a_stop_ends_it_while_the_fleet_loads(fleet):
    """The vocabulary of tags comes through a pipe that nobody writes to."""
    (fleet / "tags.json").unlink()
    os.mkfifo(fleet / "tags.json")
    command = [sys.executable, "-m", "zooter_core.cli", "serve", "--fleet", str(fleet), "--port", "0"]
    with subprocess.Popen([*command, "--data", str(fleet / "data")], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert "Loading" in process.stderr.readline()
            wait_until((fleet / "data").exists)  # it is past its imports, and loads
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == -signal.SIGINT
            assert process.stderr.read() == ""
        finally:
            process.kill()
