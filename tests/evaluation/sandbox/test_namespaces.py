"""What the namespaces hold by themselves: the same without the filter for system calls, and without limits."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
INSIDE = """
import ctypes, json, os, socket, sys
sys.path.insert(0, {root!r})
from zooter_core.evaluation.sandbox import kernel, namespaces

sys.path.pop(0)
port, name, process, path = json.loads(sys.argv[1])
namespaces.enter(os.getppid(), (), 1 << 20, 16, 60)

def error(attempt):
    try:
        return f"no error: {{attempt()}}"
    except OSError as problem:
        return problem.strerror.rpartition(": ")[2]

def connect(family, address):
    with socket.socket(family) as link:
        link.connect(address)

def again():
    kernel.unshare(0x10000000 | 0x20000)  # a user namespace and its mounts, in which it is mighty
    kernel.mount("none", os.path.dirname(os.__file__), None, 32 | 4096)  # remount to write
    open(os.path.dirname(os.__file__) + "/made", "w")

print(json.dumps({{
    "network": error(lambda: connect(socket.AF_INET, ("127.0.0.1", port))),
    "abstract socket": error(lambda: connect(socket.AF_UNIX, name)),
    "signal": error(lambda: os.kill(process, 9)),
    "mount": error(lambda: kernel.mount("none", "/sandbox", "tmpfs", 0)),
    "file": error(lambda: open(path)),
    "more rights": error(lambda: os.setuid(0)),
    "namespaces in it": error(again),
    "host name": error(lambda: kernel.set_host_name("mine")),
    "network devices": str([name for _, name in socket.if_nameindex()]),
    "programs": error(lambda: os.execv("/bin/sh", ["sh"])),
}}), flush=True)
os._exit(0)
"""


def test_the_namespaces_alone_hold(allowed):
    """Real listeners, a real process of the same user, and this file."""
    name = f"\0zooter-{os.getpid()}-inside"
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as abstract,
        subprocess.Popen(["sleep", "1000"]) as victim,
    ):
        abstract.bind(name)
        abstract.listen()
        facts = json.dumps([server.getsockname()[1], name, victim.pid, __file__])
        command = [sys.executable, "-I", "-S", "-c", INSIDE.format(root=str(ROOT)), facts]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, check=False, env={}, timeout=120)
            alive = victim.poll() is None
        finally:
            victim.kill()
    assert alive
    assert json.loads(ended.stdout or "{}") == {
        "network": "Network is unreachable",
        "abstract socket": "Connection refused",
        "signal": "No such process",
        "mount": "Operation not permitted",
        "file": "No such file or directory",
        "more rights": "Operation not permitted",
        "namespaces in it": "Operation not permitted",
        "host name": "Operation not permitted",
        "network devices": "['lo']",
        "programs": "No such file or directory",
    }, ended.stderr
