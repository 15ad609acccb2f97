"""vLLM with one base model, in a process of its own, asked over its standard input and output.

A crash there ends that process and not this one. vLLM may also be installed in another environment, whose Python
`$ZOOTER_VLLM_PYTHON` names: it fixes the versions of PyTorch and others.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from zooter_core.backends.local import memory
from zooter_core.backends.local.checkpoint import Checkpoint, dtype_of
from zooter_core.backends.vllm import child
from zooter_core.errors import WorkError, ZooterError, not_installed, shortened
from zooter_core.strict_json import dump_json, parse_json

PYTHON = "ZOOTER_VLLM_PYTHON"  # an environment variable
INSTALL = f"Run `pip install 'zooter[vllm]'`, or set {PYTHON} to the Python of an environment that has it."
POLL_SECONDS = 0.05  # between looks at a stop
CLOSE_SECONDS = 10.0  # for the process to end by itself
ENVIRONMENT = {"VLLM_LOGGING_LEVEL": "WARNING", "VLLM_NO_USAGE_STATS": "1", "VLLM_CONFIGURE_LOGGING": "1"}
FULL = ("out of memory", "gpu memory utilization", "for the cache blocks", "on kv cache", "cannot allocate memory")
ERROR = re.compile(r"(?:^|\s)(?:[a-z_]+\.)*[A-Z]\w*(?:Error|Exception): (?P<words>.+)")
ELSEWHERE = ("root cause", "See stack trace", "exit code")  # in messages that name no reason of their own
KILLED = f"exit code -{signal.SIGKILL.value}"
LONGEST = 400  # characters of a reason

Event = Mapping[str, Any]
Events = queue.SimpleQueue[Event]


class Engine:
    """One base model and the adapters of its candidates.

    Attributes:
        key: of its user, which this class does not read.
        sizes: bytes by device that vLLM was told to take.
        positions: the most tokens that a prompt and its answer may have.
        room: requests that vLLM answers at once.
    """

    def __init__(
        self,
        key: object,
        checkpoint: Checkpoint,
        settings: Mapping[str, Any],
        sizes: memory.Sizes,
        stop: threading.Event,
    ) -> None:
        """
        Args:
            settings: arguments of vLLM's EngineArgs, besides those that the checkpoint gives.
            stop: ends the loading.

        Raises:
            ZooterError: vLLM is not installed.
            WorkError: the model does not load.
            MemoryError: there is too little memory for it.
            InterruptedError: `stop` was set.
        """
        candidate = checkpoint.candidate
        python = os.environ.get(PYTHON)
        if not python and importlib.util.find_spec("vllm") is None:
            raise not_installed("vllm", candidate.name, INSTALL)
        self.key, self.name, self.sizes = key, Path(candidate.model).name, sizes
        self.tokenizer, self.tokenizing = checkpoint.tokenizer(), threading.Lock()
        self._adapters: dict[str, int] = {}
        self._numbers = itertools.count(1)
        self._readers: dict[int, Events] = {}
        self._lock, self._closing, self._loaded = threading.Lock(), threading.Lock(), Events()
        self._death: Event | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="zooter-"))  # only this user may enter it
        self._log, self._past = self._folder / "log", 0  # the bytes of it that explain no later death
        arguments = {
            "model": checkpoint.source,
            "revision": candidate.revision,
            "dtype": str(dtype_of(candidate)).removeprefix("torch."),
            "max_model_len": candidate.context_tokens,
            **settings,
        }
        try:
            self._process = self._start(python or sys.executable, arguments)
            self._reader = threading.Thread(target=self._read, name="vllm", daemon=True)
            self._reader.start()
            self.positions, self.room = self._wait_until_loaded(candidate.model, stop)
        except BaseException:
            self.close()
            raise

    def _start(self, python: str, arguments: Mapping[str, Any]) -> subprocess.Popen[bytes]:
        try:
            with self._log.open("wb") as log:
                return subprocess.Popen(
                    [python, "-I", child.__file__, dump_json(arguments)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env={**ENVIRONMENT, **os.environ},
                    start_new_session=True,  # Ctrl-C is for this process, which ends the other one
                )
        except OSError as problem:
            raise ZooterError(f"a Python with vLLM in ${PYTHON}", str(problem), "Correct it, or unset it.") from problem

    def _wait_until_loaded(self, model: str, stop: threading.Event) -> tuple[int, int]:
        while True:
            if stop.is_set():
                raise InterruptedError
            with suppress(queue.Empty):
                event = self._loaded.get(timeout=POLL_SECONDS)
                break
        if "died" not in event:
            return event["positions"], event["room"]
        reason = str(event["died"])
        if any(words in reason.lower() for words in FULL):
            raise MemoryError(reason)
        step = "Check the candidate in fleet.toml, and that the installed version of vLLM knows the architecture."
        raise WorkError(f"vLLM to load {model}", reason, step)

    @property
    def usable(self) -> bool:
        """Whether the process runs."""
        return self._death is None

    def submit(self, prompt: Sequence[int], params: Mapping[str, Any], adapter: str | None, events: Events) -> int:
        """Send a request. Its events, or the engine's death, go to `events`. Returns its number.

        Args:
            params: of vLLM's SamplingParams.
            adapter: the folder of a LoRA adapter.
        """
        with self._lock:
            number = next(self._numbers)
            if self._death:
                events.put(self._death)
                return number
            self._readers[number] = events
            lora = adapter and [self._adapters.setdefault(adapter, len(self._adapters) + 1), adapter]
        self._send({"number": number, "prompt": list(prompt), "params": params, "adapter": lora})
        return number

    def cancel(self, numbers: Sequence[int]) -> None:
        """End requests that nobody reads any more."""
        with self._lock:
            going = [number for number in numbers if self._readers.pop(number, None) is not None]
        if going:
            self._send({"abort": going})

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        with suppress(OSError, ValueError), self._lock:  # the process has ended: `_read` notices
            self._process.stdin.write(f"{dump_json(message)}\n".encode())
            self._process.stdin.flush()

    def _read(self) -> None:
        """Hand out what comes from the process, until it ends."""
        assert self._process.stdout is not None
        death = ""
        for line in self._process.stdout:
            event = parse_json(line)
            if "died" in event:
                death = event["died"]
                break
            if "room" in event or "error" in event:
                self._past = self._log.stat().st_size
            if "room" in event:
                self._loaded.put(event)
                continue
            with self._lock:
                ended = "error" in event or event["finish"]
                events = self._readers.pop(event["number"], None) if ended else self._readers.get(event["number"])
            if events is not None:
                events.put(event)
        reason = self._reason(death)
        with self._lock:
            self._death = {"died": reason, "running": len(self._readers)}
            waiting = {id(events): events for events in (self._loaded, *self._readers.values())}
            self._readers.clear()
        for events in waiting.values():
            events.put(self._death)

    def _reason(self, death: str) -> str:
        """Why the process ended, from its own words or its log."""
        if death and not any(words in death for words in ELSEWHERE):
            return shortened(" ".join(death.split()), LONGEST)
        if death.endswith(KILLED):
            return "a process of vLLM that was killed (SIGKILL), as the system does when memory runs out"
        with suppress(OSError):
            for line in self._log.read_bytes()[self._past :].decode(errors="replace").splitlines():
                if (match := ERROR.search(line)) and not any(words in line for words in ELSEWHERE[:2]):
                    return shortened(match["words"].strip(), LONGEST)
        return shortened(" ".join(death.split()), LONGEST) or "a process of vLLM that ended without a word"

    def close(self) -> None:
        """End the process, with all that vLLM has started, and remove its folder."""
        with self._closing:
            process = getattr(self, "_process", None)
            if process is not None:
                with suppress(OSError):
                    process.stdin.close()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0 if self._death else CLOSE_SECONDS)
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                self._reader.join()
                process.stdout.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            self.sizes = {}
