"""`zooter` in processes forked from one that has imported PyTorch and run nothing.

A process of its own spends five seconds of the processor on imports; a fork of this one spends none. It has the
streams, the folder and the environment of its caller. Only the end of the interpreter is cut short: what a test says
about that needs a real process. `commands` gives a folder with programs that call the server: `zooter`, and
`killed_commands` (support.killed_commands).

python -m support.warm_process SOCKET   serves until its stdin ends
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from zooter_core.router.graph import load_onnxruntime

TESTS = Path(__file__).resolve().parents[1]
IMPORTED = (
    *("torch", "peft", "zooter_core.fleet.ensemble", "zooter_core.pipeline", "zooter_core.router.distill"),
    *("zooter_core.backends.local.transformers", "zooter_core.labelling.rewards.scalar"),
)
CALLER = """#!{python} -IS
import json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({path!r})
    request = json.dumps([[{program!r}, *sys.argv[1:]], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(request).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(request)
    answers = server.makefile()
    process = int(answers.readline())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: os.kill(process, number))
    sys.exit(int(answers.readline()))
"""


@contextmanager
def commands(folder: Path) -> Iterator[Path]:
    """A folder with programs that run in forks of a warm process; each knows only what its caller has."""
    path = folder / "socket"
    server = subprocess.Popen(
        [sys.executable, "-m", "support.warm_process", str(path)],
        cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
    )  # fmt: skip
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        (folder / "bin").mkdir()
        for program in ("zooter", "killed_commands"):
            caller = folder / "bin" / program
            caller.write_text(CALLER.format(python=sys.executable, path=str(path), program=program))
            caller.chmod(0o755)
        yield folder / "bin"
    finally:
        server.communicate()


def import_all() -> None:
    """What commands import when they are called."""
    for name in IMPORTED:
        importlib.import_module(name)
    load_onnxruntime()


def serve(path: str) -> None:
    """Answer callers until stdin ends. Returns in a fork too, which then runs the command."""
    import_all()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("ready", flush=True)
        while select.select([listener, sys.stdin], [], [])[0] == [listener]:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                answer(connection)
                return
            connection.close()
    os._exit(0)


def reopened(number: int) -> TextIO:
    return os.fdopen(number, "w" if number else "r", encoding="utf-8")


def answer(connection: socket.socket) -> None:
    """Become the caller's process. The one that was forked for the call stays behind, and says how it ended."""
    size, streams, _, _ = socket.recv_fds(connection, 4, 3)
    request = connection.makefile("rb").read(int.from_bytes(size, "big"))
    if process := os.fork():
        connection.sendall(f"{process}\n".encode())
        connection.sendall(f"{os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])}\n".encode())
        os._exit(0)
    connection.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    arguments, folder, environment = json.loads(request)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # where the caller says
    sys.argv = arguments
    sys.stdin, sys.stdout, sys.stderr = map(reopened, range(3))


if __name__ == "__main__":
    serve(sys.argv[1])
    import torch

    from zooter_core.cli.main import main

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))
    if sys.argv[0] == "killed_commands":
        from support.killed_commands import run_all

        code = run_all(sys.argv[1:])
    else:
        code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the libraries' own ends wait for threads that a fork does not have
