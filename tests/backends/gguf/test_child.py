"""The process in which llama.cpp runs."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys

import pytest

from support.gguf_models import write_model
from zooter_core.backends.gguf import child

pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")


def test_the_reason_is_written_before_the_process_ends(tmp_path):
    """llama.cpp logs from a thread of its own, which is held up here by a pipe that is full."""
    settings = {
        "model": str(write_model(tmp_path / "odd.gguf", architecture="nonsense")),
        "adapters": [],
        "threads": 1,
        "hostnames": ["127.0.0.1"],
        "port": 0,
        "verbosity": 1,
    }
    reader, writer = os.pipe()
    full = os.write(writer, bytes(fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)))
    command = [sys.executable, "-I", child.__file__, json.dumps(settings)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=writer) as process:
        os.close(writer)
        assert process.stdout is not None
        assert b"error" in process.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):  # it waits until the reason is written
            process.wait(0.5)
        with os.fdopen(reader, "rb") as log:
            assert b"unknown model architecture: 'nonsense'" in log.read()[full:]
