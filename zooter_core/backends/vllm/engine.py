"""vLLM with one base model, in a process of its own (`server_process`), asked over its standard input and output.

vLLM may also be installed in another environment, whose Python `$ZOOTER_VLLM_PYTHON` names: it fixes the versions of
PyTorch and others.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import queue
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zooter_core.backends.local import memory
from zooter_core.backends.local.checkpoint import Checkpoint, dtype_of
from zooter_core.backends.server_process import ServerProcess
from zooter_core.backends.vllm import child
from zooter_core.base.errors import ZooterError, not_installed, shortened

PYTHON = "ZOOTER_VLLM_PYTHON"  # an environment variable
INSTALL = f"Run `pip install 'zooter[vllm]'`, or set {PYTHON} to the Python of an environment that has it."
CLOSE_SECONDS = 10.0  # for the process to end by itself
ENVIRONMENT = {"VLLM_LOGGING_LEVEL": "WARNING", "VLLM_NO_USAGE_STATS": "1", "VLLM_CONFIGURE_LOGGING": "1"}
ERROR = re.compile(r"(?:^|\s)(?:[a-z_]+\.)*[A-Z]\w*(?:Error|Exception): (?P<words>.+)")
ELSEWHERE = ("root cause", "See stack trace")  # in messages that name no reason of their own
LONGEST = 400  # characters of a reason
CHECK = "Check the candidate in fleet.toml, and that the installed version of vLLM knows the architecture."

Event = Mapping[str, Any]
Events = queue.SimpleQueue[Event]


class Engine:
    """One base model and the adapters of its candidates.

    Attributes:
        sizes: bytes by device that vLLM was told to take.
        positions: the most tokens that a prompt and its answer may have.
        room: requests that vLLM answers at once.
    """

    def __init__(
        self,
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
        self.name, self.sizes = Path(candidate.model).name, sizes
        self.tokenizer, self.tokenizing = checkpoint.tokenizer(), threading.Lock()
        self._adapters: dict[str, int] = {}
        self._numbers = itertools.count(1)
        self._readers: dict[int, Events] = {}
        self._lock = threading.Lock()
        self._death: Event | None = None
        arguments = {
            "model": checkpoint.source,
            "revision": candidate.revision,
            "dtype": str(dtype_of(candidate)).removeprefix("torch."),
            "max_model_len": candidate.context_tokens,
            **settings,
        }
        try:
            environment = {**ENVIRONMENT, **os.environ}
            self.process = ServerProcess("vLLM", child.__file__, arguments, environment, python or sys.executable)
        except OSError as problem:
            raise ZooterError(f"a Python with vLLM in ${PYTHON}", str(problem), "Correct it, or unset it.") from problem
        loaded = self.process.loaded(candidate.model, self._reason, CHECK, stop)
        self.positions, self.room = loaded["positions"], loaded["room"]
        self.process.skip_log()
        self._reader = threading.Thread(target=self._read, name="vllm", daemon=True)
        self._reader.start()

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
        self.process.send({"number": number, "prompt": list(prompt), "params": params, "adapter": lora})
        return number

    def cancel(self, numbers: Sequence[int]) -> None:
        """End requests that nobody reads any more."""
        with self._lock:
            going = [number for number in numbers if self._readers.pop(number, None) is not None]
        if going:
            self.process.send({"abort": going})

    def _read(self) -> None:
        """Hand out what comes from the process, until it ends."""
        death: Event = {}
        for event in self.process.reports():
            if "died" in event:
                death = event
                break
            if "error" in event:
                self.process.skip_log()
            with self._lock:
                ended = "error" in event or event["finish"]
                events = self._readers.pop(event["number"], None) if ended else self._readers.get(event["number"])
            if events is not None:
                events.put(event)
        reason = self._reason(death)
        with self._lock:
            self._death = {"died": reason, "running": len(self._readers)}
            waiting = {id(events): events for events in self._readers.values()}
            self._readers.clear()
        for events in waiting.values():
            events.put(self._death)

    def _reason(self, death: Event) -> str:
        """Why the process ended, from its own words or its log."""
        words = " ".join(death.get("died", "").split())
        if words and not any(elsewhere in words for elsewhere in ELSEWHERE):
            return shortened(words, LONGEST)
        lines = [line for line in self.process.log().splitlines() if not any(word in line for word in ELSEWHERE)]
        reason = next((match["words"].strip() for match in map(ERROR.search, lines) if match), words)
        return shortened(reason if words else self.process.ending(reason, death.get("code")), LONGEST)

    def close(self) -> None:
        """End the process, with all that vLLM has started."""
        self.process.close(0 if self._death else CLOSE_SECONDS)
        self._reader.join()
        self.sizes = {}
