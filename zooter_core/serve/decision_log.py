"""The decision log: one JSON line a request, for operators and `zooter learn`. Private, and rotated by size."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from zooter_core.backends.endpoint.faults import EndpointError
from zooter_core.base.files import owner_only, private_folder
from zooter_core.base.strict_json import dump_json
from zooter_core.serve.exchange import Exchange
from zooter_core.serve.usage import usage_of

LOG = logging.getLogger("zooter.serve")
FILE = "decisions.jsonl"
MOST_BYTES = 64 << 20  # of one file
FILES = 8  # besides the newest one; `decisions.jsonl.1` is the next


class DecisionLog:
    """Writes a line for each exchange that has ended. A full disk loses lines, never requests.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, folder: Path, prompts: bool = False, most_bytes: int = MOST_BYTES) -> None:
        self._path, self._prompts, self._most = folder / FILE, prompts, most_bytes
        private_folder(folder)
        self._failing = False
        self._open()

    def _open(self) -> None:
        self._file = open(self._path, "ab", buffering=0, opener=owner_only)  # noqa: SIM115 (as long as the server runs)
        self._size = os.fstat(self._file.fileno()).st_size

    def __call__(self, exchange: Exchange) -> None:
        """Write the line of an exchange."""
        line = (dump_json(record_of(exchange, self._prompts), ensure_ascii=False) + "\n").encode("utf-8", "replace")
        try:
            if self._size and self._size + len(line) > self._most:
                self._rotate()
            written = self._file.write(line)
            self._size += written
            if written < len(line):  # the disk is full in the middle of a line
                os.ftruncate(self._file.fileno(), self._size - written)
                self._size -= written
                raise OSError("the disk is full")
        except OSError as problem:
            if not self._failing:
                LOG.warning("lines of the decision log are lost: %s: %s", self._path, problem)
            self._failing = True
        else:
            self._failing = False

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _rotate(self) -> None:
        self._file.close()
        names = [self._path, *(self._path.with_name(f"{FILE}.{number}") for number in range(1, FILES + 1))]
        try:
            for newer, older in reversed(list(pairwise(names))):
                if newer.exists():
                    newer.replace(older)
        finally:
            self._open()


def record_of(exchange: Exchange, prompts: bool = False) -> dict[str, Any]:
    """The line of an exchange. Nothing of the prompt or the answer is in it, unless `prompts` asks for the messages."""
    choice, request, usage = exchange.choice, exchange.request, usage_of(exchange)
    decision = choice.decision if choice else None
    text = "\n\n".join(request.user_texts) if request else ""
    record: dict[str, Any] = {
        "time": round(time.time(), 3),
        "request_id": exchange.request_id,
        "path": exchange.path,
        "key": exchange.key,
        "fleet": exchange.fleet.name if exchange.fleet else None,
        "router": exchange.router_version,
        "model": exchange.model,
        "stream": exchange.stream,
        "session": request.session[:16] if request else None,
        "text_sha256": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() if request else None,
        "probabilities": decision.probabilities if decision else None,
        "tags": [tag.name for tag in decision.tags] if decision else [],
        "choice": choice.order[0] if choice else None,
        "reason": choice.reason if choice else None,
        "passed_over": list(choice.passed_over) if choice else [],
        "failed": [_failure(name, error, prompts) for name, error in exchange.failures],
        "hedged": exchange.hedged,
        "candidate": exchange.candidate,
        "rewards": exchange.rewards or None,
        "prompt_tokens": usage.prompt,
        "cached_tokens": usage.cached,
        "tokens": usage.answer,
        "tokens_reported": usage.reported,
        "dollars": usage.dollars,
        "routing_seconds": _rounded(exchange.routing_seconds),
        "first_token_seconds": _rounded(exchange.first_token_seconds),
        "seconds": _rounded(exchange.seconds),
        "status": exchange.status,
        "finish": exchange.progress.finish,
        "error": exchange.error,
    }
    return record | ({"messages": list(request.messages)} if prompts and request else {})


def _failure(name: str, error: EndpointError, prompts: bool) -> dict[str, Any]:
    """Why a candidate failed. What its server says, after a colon, may repeat the prompt."""
    reason = error.message if prompts else error.reason.partition(": ")[0]
    return {"candidate": name, "status": error.status, "server_status": error.server_status, "reason": reason}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
