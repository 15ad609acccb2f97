"""llama.cpp's own server, as a user would run it on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zooter_core.backends.gguf import child
from zooter_core.base.paths import ROOT

SETTINGS = {"threads": 1, "hostnames": ["127.0.0.1"], "port": 0, "n_parallel": 2, "offline": True, "ui": False}


@contextmanager
def running(settings: dict[str, Any], folder: Path) -> Iterator[str]:
    """The address of a server with these fields of xllamacpp's CommonParams too; it ends with the block."""
    process = subprocess.Popen(
        [sys.executable, child.__file__, json.dumps(SETTINGS | settings, default=list), str(folder)],
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
