"""Answers in forms that other people's servers use, as bytes: what comes with status 200 and what it must become.

A scripted server sends them for the query ODD; any other query gets a good answer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import cycle, repeat
from typing import Any, Literal

ODD = "What is 2 + 3?"  # QUERY of running_endpoint.py, so that the router chooses whoever is to fail
WORDS = "the request exceeds the available context size"
ILL = "CUDA error: device-side assert triggered"
Outcome = Literal["answer", "cut", "refused", "failed", "flood"]


@dataclass(frozen=True)
class Foreign:
    """One form of an answer.

    Attributes:
        parts: of the body, sent one after the other; endless for a flood.
        outcome: `answer`: TEXT; `cut`: TEXT, then it breaks off; `refused`, `failed`, `flood`: no text, and the words.
        breaks: whether the connection breaks after it.
    """

    outcome: Outcome
    parts: Any
    words: str = ""
    kind: str = "text/event-stream"
    breaks: bool = False
    text: str = field(default="One two ")


def chunk(text: str = "", finish: Any = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "up", "choices": [choice]} | more


def sse(*shapes: Any, end: str = "\n", done: bool = True, sort: bool = False) -> bytes:
    lines = [shape if isinstance(shape, str) else f"data: {json.dumps(shape, sort_keys=sort)}" for shape in shapes]
    return "".join(line + end * 2 for line in [*lines, *["data: [DONE]"] * done]).replace("\n", end).encode()


def document(**shape: Any) -> bytes:
    return json.dumps(shape).encode()


REFUSAL = {"message": WORDS, "type": "invalid_request_error", "code": 400}
FAILURE = {"message": ILL, "type": "server_error", "code": 500}
TEXT = (chunk("One "), chunk("two "))
STOP = chunk(finish="stop")
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
JSON = "application/json"
FLOOD = "bytes without a token"
ROLE = chunk(), *repeat(chunk(), 3)

FORMS: dict[str, Foreign] = {
    # What ends an answer.
    "empty finish, then cut": Foreign("cut", [sse(chunk("One ", ""), chunk("two ", ""), done=False)], breaks=True),
    "empty finish, then done": Foreign("cut", [sse(chunk("One ", ""), chunk("two ", " "))]),
    "no finish, then the end": Foreign("cut", [sse(*TEXT, done=False)]),
    "a number as finish": Foreign("cut", [sse(chunk("One ", 0), chunk("two ", 1))]),
    "empty finish before stop": Foreign("answer", [sse(chunk("One ", ""), chunk("two ", ""), STOP)]),
    **{
        f"finish {word}": Foreign("failed", [sse(chunk(finish=word))], word)
        for word in ("error", "ERROR", "abort", "insufficient_system_resource", "Network-Error")
    },
    "finish error after text": Foreign("cut", [sse(*TEXT, chunk(finish="error"))]),
    # Errors.
    "field error": Foreign("refused", [sse(f"error: {json.dumps(REFUSAL)}", done=False)], WORDS),
    "field error of the server": Foreign("failed", [sse(f"error: {json.dumps(FAILURE)}", done=False)], ILL),
    "object error": Foreign("refused", [sse({"object": "error", **REFUSAL, "type": "BadRequestError"})], WORDS),
    "object error, one piece": Foreign("refused", [document(object="error", **REFUSAL)], WORDS, JSON),
    "one piece": Foreign("refused", [document(error=REFUSAL)], WORDS, JSON),
    "one piece in no event": Foreign("refused", [json.dumps({"error": REFUSAL}, indent=1).encode()], WORDS),
    "one piece of the server": Foreign("failed", [document(error=FAILURE)], ILL, JSON),
    "event error": Foreign("refused", [sse(f"event: error\ndata: {json.dumps({'error': REFUSAL})}")], WORDS),
    "event error, its shape": Foreign("refused", [sse(f"event: error\ndata: {json.dumps(REFUSAL)}")], WORDS),
    "event error, words alone": Foreign("refused", [sse(f"event: error\ndata: {WORDS}", done=False)], WORDS),
    "beside no choices": Foreign("refused", [sse(chunk(choices=[], error=REFUSAL))], WORDS),
    "after a role": Foreign("refused", [sse(*ROLE, chunk(choices=[], error=REFUSAL))], WORDS),
    "in a choice": Foreign("refused", [sse(chunk(choices=[{"index": 0, "delta": {}, "error": REFUSAL}]))], WORDS),
    "a word for a code": Foreign(
        "refused", [sse({"error": {"message": "Too much.", "code": "context_length_exceeded"}})], "Too much."
    ),
    "a bare message": Foreign("refused", [sse({"message": WORDS, "request_id": "1"})], WORDS),
    "a bare detail": Foreign("failed", [sse({"detail": ILL})], ILL),
    "error after text": Foreign("cut", [sse(*TEXT, {"error": FAILURE})]),
    "field error after text": Foreign("cut", [sse(*TEXT, f"error: {json.dumps(FAILURE)}", done=False)]),
    # The count of tokens, events and lines.
    **{
        f"usage with choices {choices}": Foreign("answer", [sse(*TEXT, STOP, chunk(usage=USAGE, choices=choices))])
        for choices in (None, [], "missing")
    },
    "usage without choices": Foreign(
        "answer", [sse(*TEXT, STOP, {"id": "c", "object": "chat.completion.chunk", "usage": USAGE})]
    ),
    "data null": Foreign("answer", [sse("data: null", chunk("One "), "data: null", chunk("two "), STOP, "data:null")]),
    "CR": Foreign("answer", [sse(": alive", *TEXT, STOP, end="\r")]),
    "CR LF": Foreign("answer", [sse(": alive", *TEXT, STOP, end="\r\n")]),
    "in single bytes": Foreign("answer", [bytes([byte]) for byte in sse(": alive", *TEXT, STOP, end="\r\n")]),
    "keys in order": Foreign(
        "answer",
        [sse(chunk("One ", a={"model": "theirs"}), chunk("two "), chunk("", "stop", logprobs={"model": 1}), sort=True)],
    ),
    # Floods before the first token.
    "flood of comments": Foreign("flood", cycle([b": alive\n\n" * 4000]), FLOOD),
    "flood of empty lines": Foreign("flood", cycle([b"\n" * 64_000]), FLOOD),
    "flood of empty events": Foreign("flood", cycle([sse(chunk(), done=False) * 200]), FLOOD),
    "flood of null": Foreign("flood", cycle([b"data: null\n\n" * 4000]), FLOOD),
    "an event without an end": Foreign("flood", cycle([b"data: " + b"x" * 64_000]), FLOOD),
}


MESSAGE = {"index": 0, "message": {"role": "assistant", "content": None}, "finish_reason": None}
UNSTREAMED_FORMS: dict[str, Foreign] = {  # for a request that is not streamed
    name: Foreign(outcome, [document(**shape)], words, JSON)
    for name, outcome, words, shape in (
        ("whole: object error", "refused", WORDS, {"object": "error", **REFUSAL}),
        ("whole: beside no choices", "refused", WORDS, {"choices": [], "error": REFUSAL}),
        ("whole: beside null", "refused", WORDS, {"choices": None, "error": REFUSAL}),
        ("whole: in a choice", "refused", WORDS, {"choices": [MESSAGE | {"error": REFUSAL}]}),
        ("whole: a bare message", "refused", WORDS, {"message": WORDS}),
        ("whole: of the server", "failed", ILL, {"choices": [], "error": FAILURE}),
        ("whole: no choices", "failed", "no choices", {"choices": [None]}),
        ("whole: finish error", "failed", "error", {"choices": [MESSAGE | {"finish_reason": "error"}]}),
    )
}
