"""The process in which llama.cpp runs."""

from __future__ import annotations

import fcntl
import json
import os
import select
import subprocess
import sys

import pytest

from support.gguf_models import write_model
from support.patience import PATIENCE
from zooter_core.backends.gguf import child

pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")


def test_a_model_that_does_not_load_keeps_the_process_until_its_reason_is_read(tmp_path):
    """llama.cpp logs from a thread of its own, which is held up here by a pipe that is full."""
    settings = {
        "model": str(write_model(tmp_path / "odd.gguf", architecture="nonsense")),
        "adapters": [],
        "threads": 1,
        "verbosity": 1,
    }
    (tmp_path / "folder").mkdir()
    reader, writer = os.pipe()
    full = os.write(writer, bytes(fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)))
    command = [sys.executable, "-I", child.__file__, json.dumps(settings), str(tmp_path / "folder")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=writer) as process:
        os.close(writer)
        assert process.stdin is not None
        assert process.stdout is not None
        assert b"died" in process.stdout.readline()
        log = b""
        while b"unknown model architecture: 'nonsense'" not in log[full:]:  # ends without it if the process does
            assert select.select([reader], [], [], 60)[0], log[full:]
            piece = os.read(reader, 4096)
            assert piece, log[full:]
            log += piece
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
    os.close(reader)
    assert not (tmp_path / "folder").exists()
