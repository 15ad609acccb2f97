"""What clients say about answers: `POST /v1/feedback`, kept as JSON lines for `zooter learn`; the ids that it names."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zooter_core.base.files import owner_only, private_folder
from zooter_core.base.jsonl import append_records
from zooter_core.serve.errors import ApiError, bad_request

FILE, SECRET = "feedback.jsonl", "request-ids.key"
SECRET_BYTES = 32
VERDICTS = ("good", "bad")
LONGEST_ID, LONGEST_COMMENT = 200, 10_000


class RequestIds:
    """Ids of requests that prove themselves: the end of each is a code of the rest and of the API key.

    Nothing is remembered. An id holds after a restart and when its line of the log is gone, and at every replica with
    the same secret.

    Raises:
        OSError: the secret cannot be read or made.
    """

    def __init__(self, folder: Path) -> None:
        private_folder(folder)
        path = folder / SECRET
        try:
            with open(path, "xb", buffering=0, opener=owner_only) as file:
                file.write(secrets.token_bytes(SECRET_BYTES))
        except FileExistsError:
            pass
        self._secret = path.read_bytes()
        if len(self._secret) < SECRET_BYTES:
            raise OSError(f"{path} is not complete; delete it")

    def new(self, key: str | None) -> str:
        """An id for a request of an API key."""
        number = uuid.uuid4().hex
        return f"req-{number}{self._code(number, key)}"

    def check(self, request_id: str, key: str | None) -> None:
        """Refuse an id that was never given, or that was given to another API key."""
        number = request_id.removeprefix("req-")[:32]
        expected = f"req-{number}{self._code(number, key)}"
        if not hmac.compare_digest(expected.encode(), request_id.encode("utf-8", "surrogatepass")):
            raise ApiError(404, "There is no such request of yours.", "request_not_found", "request_id")

    def _code(self, number: str, key: str | None) -> str:
        message = f"{number} {key or ''}".encode("utf-8", "surrogatepass")
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()[:16]


def read_feedback(body: Mapping[str, Any]) -> dict[str, Any]:
    """The feedback in a body: `request_id`, and at least one of `verdict`, `score` and `comment`.

    Raises:
        ApiError: a field is missing or wrong.
    """
    request_id, verdict, score, comment = (body.get(name) for name in ("request_id", "verdict", "score", "comment"))
    if not isinstance(request_id, str) or not 0 < len(request_id) <= LONGEST_ID:
        raise bad_request("`request_id` must be the x-request-id of an answer.", "request_id")
    if verdict is not None and verdict not in VERDICTS:
        raise bad_request('`verdict` must be "good" or "bad".', "verdict")
    if score is not None and (isinstance(score, bool) or not isinstance(score, int | float) or abs(score) > 1e30):
        raise bad_request("`score` must be a number.", "score")
    if comment is not None and not (isinstance(comment, str) and len(comment) <= LONGEST_COMMENT):
        raise bad_request(f"`comment` must be a string of at most {LONGEST_COMMENT:,} characters.", "comment")
    fields = {"verdict": verdict, "score": score, "comment": comment}
    fields = {name: value for name, value in fields.items() if value is not None}
    if not fields:
        raise bad_request("Give a `verdict`, a `score` or a `comment`.")
    return {"time": round(time.time(), 3), "request_id": request_id, **fields}


def keep_feedback(folder: Path, record: Mapping[str, Any]) -> None:
    """Add a record to the folder's file, which its owner alone can read.

    Raises:
        WorkError: it cannot be written.
    """
    private_folder(folder)
    append_records(folder / FILE, [record], private=True)
