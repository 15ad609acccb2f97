"""Runs llama.cpp with one model in a separate process (`ServerProcess`), and sends requests over a Unix socket.

If the process crashes, the next query starts a new one. The process has its own OpenMP settings: threads spin only
briefly while they wait for each other. An answer therefore keeps its speed while other processes are busy; on an idle
machine, it has 0.8 to 1 times the speed of the library in this process
(docs/notebook/runtimes.md#threads-of-llamacpp). Each conversation gets a slot of llama.cpp, which caches the tokens of
its last prompt and answer.
"""

from __future__ import annotations

import http.client
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from zooter_core.backends import POLL_SECONDS
from zooter_core.backends.gguf import INSTALL, LIBRARY, child, installed
from zooter_core.backends.gguf.header import Header
from zooter_core.backends.residency import acquire
from zooter_core.base.cores import free_cores
from zooter_core.base.errors import NotInstalledError, WorkError
from zooter_core.base.strict_json import dump_json, parse_json
from zooter_core.config.candidates import CandidateConfig

SLOTS = 8  # conversations that are answered concurrently, and whose prompts stay cached
DEFAULT_CONTEXT = 8192  # tokens of all conversations together, unless the model or fleet.toml sets a lower limit
BATCH = 128  # tokens of a prompt in a batch; a stop takes effect between batches
TIMEOUT = 600.0  # seconds without a byte from the process
OVERHEAD = 60_000_000  # bytes of the process without weights and context
# A waiting thread spins 1,000 times before it sleeps. With fewer spins, waking it takes longer than its work on some
# machines; with more, threads take cores from each other (docs/notebook/runtimes.md#threads-of-llamacpp).
WAITING = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}
# Values of llama_load_mode. llama.cpp makes a rearranged copy of Q4_0 weights; if the file were mapped, the original
# weights would stay in memory, too.
READ, MAP_IF_POSSIBLE = 0, -1
EXIT_SECONDS = 2.0  # how long to wait for the end of a process that has closed its pipe or socket
REASON_SECONDS = 5.0  # how long to wait until llama.cpp has written why a model does not load
OUT_OF_MEMORY = re.compile(r"out of memory|(failed|unable) to allocate|cannot allocate memory|failed to create context")
NO_LIBGOMP = "ImportError: libgomp"  # the error on minimal systems, which do not have this library
INSTALL_LIBGOMP = "Install the library: `apt install libgomp1` on Debian and Ubuntu, `dnf install libgomp` on Fedora."
CHECK = "Check the file, and that the installed version of xllamacpp knows its architecture."


class EngineError(Exception):
    """The process has ended; the message says how."""


class RejectedError(Exception):
    """llama.cpp refuses a request; the message says why."""


@dataclass
class Slot:
    """A slot of llama.cpp, with cached tokens."""

    number: int
    adapter: int | None = None  # the number of the adapter with which the cached tokens were computed
    tokens: Sequence[int] = ()  # the cached tokens
    room: int = 0  # tokens that are reserved for prompt and answer

    def common(self, adapter: int | None, tokens: Sequence[int]) -> int:
        """How many tokens at the beginning of a prompt are cached."""
        if self.adapter != adapter:
            return 0
        pairs = zip(self.tokens, tokens, strict=False)
        return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(self.tokens), len(tokens)))


class Slots:
    """The free slots, and the number of tokens that they may still use together. Requests wait until both suffice.

    Args:
        count: the number of slots.
        room: tokens that all slots may use together.
    """

    def __init__(self, count: int, room: int) -> None:
        self._free = [Slot(number) for number in range(count)]  # the least recently used first
        self._count, self._room = count, room
        self._changed = threading.Condition()
        self._first = threading.Lock()  # held by the request that is first in the queue

    def take(self, adapter: int | None, tokens: Sequence[int], room: int, stop: threading.Event) -> Slot | None:
        """Take a free slot: the one with the longest cached part of a prompt, or else the least recently used one.

        Args:
            room: tokens of the prompt and of the longest answer.

        Returns:
            The slot; None if `stop` was set first.
        """
        if not acquire(self._first, stop):
            return None
        try:
            with self._changed:
                while not self._free or self._room < room:
                    if stop.is_set():
                        return None
                    self._changed.wait(POLL_SECONDS)  # setting `stop` does not notify
                slot = max(self._free, key=lambda slot: slot.common(adapter, tokens))
                self._free.remove(slot)
                self._room -= room
                slot.adapter, slot.tokens, slot.room = adapter, tokens, room
                return slot
        finally:
            self._first.release()

    @property
    def busy(self) -> bool:
        """Whether a slot is in use."""
        return len(self._free) < self._count

    def give_back(self, slot: Slot) -> None:
        with self._changed:
            self._free.append(slot)
            self._room += slot.room
            self._changed.notify()


class Engine:
    """A running llama.cpp process with a model and the adapters of its candidates.

    Attributes:
        adapters: adapter as in fleet.toml -> its number in requests.
        context: the most tokens of all conversations together.
        thinks: whether an answer has had thoughts.
        process: the process that runs llama.cpp.
        sizes: bytes by device, measured after loading. GPU memory is not included, as it cannot be measured here.
    """

    def __init__(
        self, candidate: CandidateConfig, header: Header, adapters: Mapping[str, Path], stop: threading.Event
    ) -> None:
        """Start the process and wait until the model is loaded.

        Raises:
            InterruptedError: `stop` was set during loading.
            ZooterError: the library is not installed.
            WorkError: the model does not load.
            MemoryError: there is too little memory for the model.
        """
        if not installed():
            raise NotInstalledError(LIBRARY, candidate.name, INSTALL)
        self.name, self.header = (header.original or header).path.name, header
        self.adapters = {adapter: number for number, adapter in enumerate(adapters)}
        self.context = find_context(candidate, header)
        self.slots, self.thinks = Slots(SLOTS, self.context), False
        self.process = self._start(candidate, adapters.values())
        self._socket = str(self.process.folder / child.SOCKET)
        self.process.wait_until_loaded(candidate.model, stop)
        self.sizes = {"cpu": psutil.Process(self.process.pid).memory_info().rss}

    def _start(self, candidate: CandidateConfig, adapters: Iterable[Path]) -> ServerProcess:
        threads = candidate.threads or free_cores()
        settings = {
            "model": str(self.header.path),
            "adapters": [str(path) for path in adapters],
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
            "cache_idle_slots": False,  # slots keep their tokens anyway, and each copy would take a second
            "n_threads_http": 2 * SLOTS,
            "endpoint_slots": False,
            "ui": False,
            "offline": True,
            "verbosity": 1,
        }
        environment = os.environ | WAITING | {"OMP_NUM_THREADS": str(threads)}
        return ServerProcess(child.__file__, settings, environment)

    @property
    def usable(self) -> bool:
        return self.process.running

    def stream(self, body: Mapping[str, Any], stop: threading.Event) -> Iterator[dict[str, Any]]:
        """Yield the events of a completion until it ends. Closing the generator or setting `stop` cancels it.

        Raises:
            RejectedError: llama.cpp does not accept the request.
            EngineError: the process has ended.
        """
        connection, watch = _Connection(self._socket), threading.Event()
        try:
            connection.post("/completion", {**body, "stream": True, "return_progress": True})
            threading.Thread(target=_close_on, args=(connection.sock, stop, watch), name="stop", daemon=True).start()
            answer = connection.getresponse()
            if answer.status != 200:
                raise _rejection(answer.read())
            while line := answer.readline():
                if line.startswith(b"data: ") and not line.startswith(b"data: [DONE]"):
                    event = parse_json(line[6:])
                    if "error" in event:
                        raise _rejection(line[6:])
                    yield event
                    if event.get("stop"):
                        return
                elif line.startswith(b"error: "):
                    raise _rejection(line[7:])
            if not stop.is_set():
                raise EngineError(self.process.ending())
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as problem:
            if not stop.is_set():  # otherwise `_close_on` has closed the connection
                raise EngineError(self.process.ending()) from problem
        finally:
            watch.set()
            connection.close()

    def ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a short request.

        Raises:
            RejectedError: llama.cpp does not accept the request.
            EngineError: the process has ended.
        """
        connection = _Connection(self._socket)
        try:
            connection.post(path, body)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as problem:
            raise EngineError(self.process.ending()) from problem
        finally:
            connection.close()
        if answer.status != 200:
            raise _rejection(content)
        return parse_json(content)

    def close(self) -> None:
        self.process.close()
        self.sizes = {}


def find_context(candidate: CandidateConfig, header: Header) -> int:
    """The most tokens that all conversations with a model may have together."""
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

    def post(self, path: str, body: Mapping[str, Any]) -> None:
        self.request("POST", path, dump_json(body), {"Content-Type": "application/json"})


def _close_on(connection: socket.socket, stop: threading.Event, watch: threading.Event) -> None:
    """Close a connection when `stop` is set, so that llama.cpp cancels the request. Return when `watch` is set."""
    while not watch.wait(POLL_SECONDS):
        if stop.is_set():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            return


def _rejection(content: bytes) -> RejectedError:
    """The exception for an error that llama.cpp sent."""
    values = parse_json(content)
    return RejectedError(values.get("error", values)["message"])


class ServerProcess:
    """Starts and ends the process that runs a model with llama.cpp, and reads its log and report.

    The process runs a script, `python SCRIPT SETTINGS FOLDER`, which does not import this package. The script reports
    with a line of JSON on standard output that the model is loaded, or with `died` why it is not. When its standard
    input is closed, it removes the folder and ends, so that nothing stays behind if this process is killed. A crash in
    native code ends only that process.

    Attributes:
        folder: contains the socket and the log; only this user can access it.
    """

    def __init__(self, script: str, settings: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="zooter-"))
        self._log, self._closing = self.folder / "log", threading.Lock()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", script, dump_json(settings), str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                process_group=0,  # so that Ctrl-C reaches only this process, which then ends the other one
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.pid, self._input, self._output = self._process.pid, self._process.stdin, self._process.stdout

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait_until_loaded(self, model: str, stop: threading.Event) -> None:
        """Wait until the model is loaded, which may take minutes. If it does not load, end the process.

        Raises:
            InterruptedError: `stop` was set.
            MemoryError: there is too little memory for the model.
            WorkError: the model does not load.
        """
        try:
            report = self.first_report(stop)
            if report and "died" not in report:
                return
            reason = self._why_not_loaded(report)
            if OUT_OF_MEMORY.search(reason.lower()):
                raise MemoryError(reason)
            raise WorkError(f"llama.cpp to load {model}", reason, INSTALL_LIBGOMP if NO_LIBGOMP in reason else CHECK)
        except BaseException:
            self.close()
            raise

    def first_report(self, stop: threading.Event) -> dict[str, Any]:
        """The report of the process; empty if it ends without one. Raises InterruptedError if `stop` is set."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            while not stop.is_set():
                if selector.select(POLL_SECONDS):
                    with suppress(ValueError):  # the line is cut off, or `close` was called first
                        return parse_json(line) if (line := self._output.readline()) else {}
                    return {}
        raise InterruptedError

    def _why_not_loaded(self, report: Mapping[str, Any]) -> str:
        end = time.monotonic() + REASON_SECONDS
        while not (reason := first_error(self.log())) and self.running and time.monotonic() < end:
            time.sleep(0.01)  # a thread of llama.cpp may write the reason after the report
        return reason or report.get("died") or self.ending()

    def log(self) -> str:
        """The text that the process has written to standard error."""
        return self._log.read_bytes().decode(errors="replace")

    def ending(self) -> str:
        """How the process ended, with the last error in its log."""
        try:
            code = self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return "llama.cpp closed the connection"
        if code == -signal.SIGKILL:
            return "the process of llama.cpp was killed (SIGKILL), probably because memory ran out"
        log = self.log()
        reason = first_error(log) or (log.splitlines() or [""])[-1].strip()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"the process of llama.cpp ended with {how}{f' ({reason})' if reason else ''}"

    def close(self) -> None:
        """Kill the process and its children, and remove the folder."""
        with self._closing:
            self._input.close()
            with suppress(ProcessLookupError, PermissionError):  # on macOS, the second if the group has ended
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
            self._output.close()
            shutil.rmtree(self.folder, ignore_errors=True)


def first_error(log: str) -> str:
    """The first error in a complete line of a log, without its time and place; "" if there is none."""
    for line in log.splitlines(keepends=True):
        _, mark, rest = line.partition(" E ")
        if line.endswith("\n") and (mark or "GGML_ASSERT" in line or "alloc" in line):
            return (rest.partition(": ")[2] or rest or line).strip()
    return ""
