"""What clients say about answers: `POST /v1/feedback`, kept as JSON lines for `zooter learn`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zooter_core.files import private_folder
from zooter_core.jsonl import append_records
from zooter_core.serve.errors import bad_request

FILE = "feedback.jsonl"
VERDICTS = ("good", "bad")
LONGEST_ID, LONGEST_COMMENT = 200, 10_000


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
