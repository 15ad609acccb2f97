"""The endpoint's files in the folder `--data`: the decision log, clients' feedback, and the secret of request ids.

All files are private; the log is rotated by size. The traffic to learn from is stored separately (traffic_log.py).
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import sys
import time
import uuid
from contextlib import suppress
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from zooter_core.backends.endpoint.faults import EndpointError
from zooter_core.base.files import owner_only, private_folder
from zooter_core.base.strict_json import dump_json
from zooter_core.serve.errors import ApiError
from zooter_core.serve.exchange import Exchange

LOG = logging.getLogger("zooter.serve")
DECISIONS, FEEDBACK, SECRET = "decisions.jsonl", "feedback.jsonl", "request-ids.key"
MOST_LOG_BYTES = 64 << 20  # per file
FILES = 8  # in addition to the newest; `decisions.jsonl.1` is the second newest
SECRET_BYTES = 32


class DecisionLog(RotatingFileHandler):
    """Writes a line for each exchange that has ended, to a file that only its owner can read.

    If the disk is full, lines are lost, never requests. A warning is logged once, until a line can be written again.

    Raises:
        OSError: the file cannot be opened.
    """

    problem: BaseException | None = None

    def __init__(self, folder: Path) -> None:
        private_folder(folder, ours=False)
        super().__init__(folder / DECISIONS, maxBytes=MOST_LOG_BYTES, backupCount=FILES)

    def __call__(self, exchange: Exchange) -> None:
        line = dump_json(make_log_record(exchange), ensure_ascii=False)
        self.handle(logging.makeLogRecord({"msg": line}))

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding="utf-8", errors="replace", opener=owner_only)

    def emit(self, record: logging.LogRecord) -> None:
        before, self.problem = self.problem, None
        super().emit(record)
        if self.problem and not before:
            LOG.warning("lines of the decision log are lost: %s: %s", self.baseFilename, self.problem)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the base class's name)
        self.problem = sys.exception()


def make_log_record(exchange: Exchange) -> dict[str, Any]:
    """The log line of an exchange. It has no text of the prompt or the answer."""
    outcome, usage = exchange.outcome, exchange.usage
    choice, request = outcome.choice, outcome.request
    decision = choice.decision if choice else None
    text = "\n\n".join(request.user_texts) if request else ""
    return {
        "time": round(time.time(), 3),
        "request_id": exchange.request_id,
        "path": exchange.path,
        "key": exchange.sender.key,
        "fleet": exchange.fleet.name if exchange.fleet else None,
        "router": exchange.router_version,
        "model": request.model if request else None,
        "stream": request is not None and request.stream,
        "session": request.session[:16] if request else None,
        "text_sha256": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() if request else None,
        "probabilities": decision.probabilities if decision else None,
        "tags": [tag.name for tag in decision.tags] if decision else [],
        "choice": choice.order[0] if choice else None,
        "reason": choice.reason if choice else None,
        "passed_over": list(choice.passed_over) if choice else [],
        "failed": [_failure(name, error) for name, error in outcome.failures],
        "hedged": outcome.hedged,
        "candidate": outcome.candidate,
        "rewards": outcome.rewards or None,
        "prompt_tokens": usage.prompt,
        "cached_tokens": usage.cached,
        "tokens": usage.answer,
        "tokens_reported": usage.reported,
        "dollars": usage.dollars,
        "routing_seconds": _rounded(choice.seconds if choice else None),
        "first_token_seconds": _rounded(outcome.first_token_seconds),
        "seconds": _rounded(exchange.seconds),
        "status": exchange.status,
        "finish": outcome.progress.finish,
        "error": exchange.error,
    }


def _failure(name: str, error: EndpointError) -> dict[str, Any]:
    """Why a candidate failed, without its server's message after the colon, which may repeat the prompt."""
    reason = error.reason.partition(": ")[0]
    return {"candidate": name, "status": error.status, "server_status": error.server_status, "reason": reason}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


class RequestIds:
    """Request ids that can be verified without a record: each ends with a MAC of the rest and the API key.

    An id is valid after a restart, when its line of the log is gone, and at every replica with the same secret.

    Raises:
        OSError: the secret cannot be read or created.
    """

    def __init__(self, folder: Path) -> None:
        private_folder(folder, ours=False)
        path = folder / SECRET
        with suppress(FileExistsError), open(path, "xb", buffering=0, opener=owner_only) as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
        self._secret = path.read_bytes()
        if len(self._secret) < SECRET_BYTES:
            raise OSError(f"{path} is not complete; delete it")

    def new(self, key: str | None) -> str:
        number = uuid.uuid4().hex
        return f"req-{number}{self._code(number, key)}"

    def check(self, request_id: str, key: str | None) -> None:
        """Refuse an id that was never issued, or was issued to another API key.

        Raises:
            ApiError: the id is refused.
        """
        number = request_id.removeprefix("req-")[:32]
        expected = f"req-{number}{self._code(number, key)}"
        if not hmac.compare_digest(expected.encode(), request_id.encode("utf-8", "surrogatepass")):
            message = "There is no request with this id, or it belongs to another API key."
            raise ApiError(404, message, "request_not_found", "request_id")

    def _code(self, number: str, key: str | None) -> str:
        message = f"{number} {key or ''}".encode("utf-8", "surrogatepass")
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()[:16]
