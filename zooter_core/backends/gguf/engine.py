"""llama.cpp with one model, in a process of its own, asked over a Unix socket in a private folder.

A crash in native code ends that process and not this one; the next query starts a new one. Beside the library
in this process it costs nothing that can be measured (`python benchmarks/generation.py`, docs/results.md). It also has
its own OpenMP settings: its threads spin only briefly while they wait for each other.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from zooter_core.backends.gguf import LIBRARY, child, installed
from zooter_core.backends.gguf.header import Header
from zooter_core.backends.gguf.slots import Slots
from zooter_core.config.candidates import CandidateConfig
from zooter_core.cores import free_cores
from zooter_core.errors import WorkError, ZooterError, not_installed
from zooter_core.strict_json import dump_json, parse_json

SLOTS = 8  # conversations that are answered at once, and whose prompts stay cached
DEFAULT_CONTEXT = 8192  # tokens of all conversations together, unless the model or fleet.toml says less
BATCH = 128  # tokens of a prompt that are read at once; a stop waits for them
TIMEOUT = 600.0  # seconds without a byte from the process
REASON_SECONDS = 5.0  # that llama.cpp may take to write why a model does not load
OVERHEAD = 60_000_000  # bytes of the process without weights and context
# A thread that waits for the others looks 1,000 times before it sleeps. With fewer, waking it takes longer than its
# work on some machines; with more, threads take cores from each other (docs/notebook/runtimes.md#threads-of-llamacpp).
WAITING = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}
# Values of llama_load_mode. llama.cpp rearranges Q4_0 weights, and in a file that is mapped they would stay as well.
READ, MAP_IF_POSSIBLE = 0, -1
FULL = ("out of memory", "failed to allocate", "unable to allocate", "failed to create context")
INSTALL = "Run `pip install 'zooter[gguf]'`, or set backend = \"transformers\" in fleet.toml."


class EngineError(Exception):
    """The process has ended. `str()` says how."""


class RefusedError(Exception):
    """llama.cpp refuses a request. `facts` are those of its answer."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.facts = facts
        super().__init__(str(facts.get("message", facts)))


class Engine:
    """One model and the adapters of its candidates.

    Attributes:
        adapters: GGUF file of an adapter -> its number in requests.
        context: tokens that all conversations together may have.
        process: the one that runs llama.cpp.
        sizes: bytes by device, as measured after loading. What a GPU holds is not visible from outside the process.
    """

    def __init__(self, candidate: CandidateConfig, header: Header, adapters: Sequence[Path]) -> None:
        """
        Raises:
            ZooterError: the library is not installed.
            WorkError: the model does not load.
            MemoryError: there is too little memory for it.
        """
        if not installed():
            raise not_installed(LIBRARY, candidate.name, INSTALL)
        if not hasattr(socket, "AF_UNIX"):
            raise ZooterError("Unix sockets for the backend gguf", "a system without them", INSTALL)
        self.name, self.header = (header.original or header).path.name, header
        self.adapters = {path: number for number, path in enumerate(adapters)}
        self.context = context_of(candidate, header)
        self.slots = Slots(SLOTS, self.context)
        self._folder = Path(tempfile.mkdtemp(prefix="zooter-"))  # only this user may enter it
        self._socket, self._log = str(self._folder / "llama.sock"), self._folder / "log"
        self._closing = threading.Lock()
        try:
            self.process = self._start(candidate)
            self._wait_until_loaded(candidate)
            self.sizes = {"cpu": psutil.Process(self.process.pid).memory_info().rss}
        except BaseException:
            self.close()
            raise

    def _start(self, candidate: CandidateConfig) -> subprocess.Popen[bytes]:
        threads = candidate.threads or free_cores()
        settings = {
            "model": str(self.header.path),
            "adapters": [str(path) for path in self.adapters],
            "threads": threads,
            "lora_init_without_apply": True,
            "n_ctx": self.context,
            "kv_unified": True,
            "n_parallel": SLOTS,
            "n_batch": BATCH,
            "n_ubatch": BATCH,
            "n_gpu_layers": -1 if candidate.gpu_layers is None else candidate.gpu_layers,
            "fit_params": False,
            "load_mode": READ if self.header.original else MAP_IF_POSSIBLE,
            "warmup": False,
            "cache_ram_mib": 0,
            "cache_idle_slots": False,  # they keep their prompts; copying them takes a second each time
            "hostnames": [self._socket],
            "n_threads_http": 2 * SLOTS,
            "endpoint_slots": False,
            "ui": False,
            "offline": True,
            "verbosity": 1,
        }
        environment = os.environ | WAITING | {"OMP_NUM_THREADS": str(threads)}
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-I", child.__file__, dump_json(settings)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C is for this process, which ends the other one
            )

    def _wait_until_loaded(self, candidate: CandidateConfig) -> None:
        assert self.process.stdout is not None
        line, report = self.process.stdout.readline(), {}
        with suppress(ValueError):
            report = parse_json(line)
        if "address" in report:
            return
        end = time.monotonic() + REASON_SECONDS
        while not (reason := first_error(self._log)) and self.process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)  # a thread of llama.cpp writes the reason, perhaps after the line
        reason = reason or report.get("error") or self._end()
        if any(words in reason.lower() for words in FULL):
            raise MemoryError(reason)
        raise WorkError(
            f"llama.cpp to load {candidate.model}",
            reason,
            "Check the file, and that the installed version of xllamacpp knows its architecture.",
        )

    @property
    def usable(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def stream(self, body: Mapping[str, Any], stop: threading.Event) -> Iterator[dict[str, Any]]:
        """Yield the events of a completion until it ends. A reader that goes away, or a stop, cancels it.

        Raises:
            RefusedError: llama.cpp does not accept the request.
            EngineError: the process has ended.
        """
        connection = self._connect({**body, "stream": True, "return_progress": True}, "/completion")
        watch = threading.Event()
        threading.Thread(target=_close_on, args=(connection.sock, stop, watch), name="stop", daemon=True).start()
        try:
            answer = connection.getresponse()
            if answer.status != 200:
                raise RefusedError(_error(answer.read()))
            while line := answer.readline():
                if line.startswith(b"data: ") and not line.startswith(b"data: [DONE]"):
                    event = parse_json(line[6:])
                    if "error" in event:
                        raise RefusedError(event["error"])
                    yield event
                    if event.get("stop"):
                        return
                elif line.startswith(b"error: "):
                    raise RefusedError(_error(line[7:]))
            if not stop.is_set():
                raise EngineError(self._end())
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as problem:
            if not stop.is_set():  # else the connection was closed on purpose
                raise EngineError(self._end()) from problem
        finally:
            watch.set()
            connection.close()

    def ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a short request.

        Raises:
            RefusedError, EngineError: as `stream`.
        """
        try:
            connection = self._connect(body, path)
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
        except (OSError, http.client.HTTPException) as problem:
            raise EngineError(self._end()) from problem
        if answer.status != 200:
            raise RefusedError(_error(content))
        return parse_json(content)

    def _connect(self, body: Mapping[str, Any], path: str) -> http.client.HTTPConnection:
        connection = _Connection(self._socket)
        try:
            connection.request("POST", path, dump_json(body), {"Content-Type": "application/json"})
        except OSError as problem:
            raise EngineError(self._end()) from problem
        return connection

    def _end(self) -> str:
        """How the process has ended."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(2)
        code = self.process.poll()
        if code is None:
            return "llama.cpp closed the connection"
        if code == -signal.SIGKILL:
            return "the process of llama.cpp was killed (SIGKILL), as the system does when memory runs out"
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        reason = first_error(self._log) or last_line(self._log)
        return f"the process of llama.cpp ended with {how}{f' ({reason})' if reason else ''}"

    def close(self) -> None:
        """End the process and remove its folder."""
        with self._closing:
            process = getattr(self, "process", None)
            if process is not None:
                process.kill()
                process.wait()
                for pipe in (process.stdin, process.stdout):
                    if pipe is not None:
                        with suppress(OSError):
                            pipe.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            self.sizes = {}


def context_of(candidate: CandidateConfig, header: Header) -> int:
    """Tokens that all conversations with a model together may have."""
    return min(candidate.context_tokens or DEFAULT_CONTEXT, header.positions)


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _close_on(connection: socket.socket, stop: threading.Event, watch: threading.Event) -> None:
    """Close a connection when `stop` is set, until `watch` is: llama.cpp then cancels the request."""
    while not watch.wait(0.05):
        if stop.is_set():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            return


def _error(content: bytes) -> dict[str, Any]:
    """The error in an answer of llama.cpp."""
    try:
        values = parse_json(content)
        facts = values.get("error", values)
    except (ValueError, AttributeError):
        return {"message": content.decode(errors="replace")[:500]}
    return facts if isinstance(facts, dict) else {"message": str(facts)}


def first_error(log: Path) -> str:
    """The first error that is written to the end of its line, without time and place; empty if there is none."""
    for line in _lines(log):
        _, mark, rest = line.partition(" E ")
        if line.endswith("\n") and (mark or "GGML_ASSERT" in line or "alloc" in line):
            return (rest.partition(": ")[2] or rest or line).strip()
    return ""


def last_line(log: Path) -> str:
    """The last line; empty if there is none."""
    return (_lines(log) or [""])[-1].strip()


def _lines(log: Path) -> list[str]:
    with suppress(OSError):
        return log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    return []
