"""Servers whose models think, each as its own documentation and source describe it.

A model is called `vllm 40`: the make of its server, and how many tokens it thinks. The answer is always ANSWER. As
everywhere, `max_tokens` bounds thoughts and answer together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ANSWER = "The answer is 42."
TEMPLATE = "{%- if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{%- endif %}"
EXTRAS = ("chat_template_kwargs", "think", "thinking", "extra")
Body = Mapping[str, Any]


def _kwargs(body: Body) -> bool:
    return body.get("chat_template_kwargs", {}).get("enable_thinking", True)


def _kwargs_off_by_default(body: Body) -> bool:
    return body.get("chat_template_kwargs", {}).get("thinking", False)


def _effort(body: Body) -> bool:
    return body.get("reasoning_effort") != "none"


def _effort_off_by_default(body: Body) -> bool:
    return body.get("reasoning_effort") == "high"


def _type(body: Body) -> bool:
    return body.get("thinking", {}).get("type") != "disabled"


def _always(body: Body) -> bool:
    return True


@dataclass(frozen=True)
class Make:
    """How a make of server shows thoughts, and what it knows.

    Attributes:
        field: of a delta, in which thoughts come: `content` is between tags, `closed` the same without the first tag,
            `parts` a list, `""` nowhere.
        thinks: whether the model thinks, by a request.
        refuses: fields that it refuses, and the words in which it does.
        efforts: what `reasoning_effort` may be.
        counts: whether it counts thoughts apart.
    """

    field: str
    thinks: Any
    refuses: tuple[str, ...] = ()
    words: str = ""
    efforts: tuple[str, ...] = ()
    counts: bool = False


UNKNOWN = "Unrecognized request argument supplied: {}"
EXTRA = '[{{"type": "extra_forbidden", "loc": ["body", "{}"], "msg": "Extra inputs are not permitted"}}]'
LITERAL = "1 validation error: [{{'type': 'literal_error', 'loc': ('body', '{}'), 'msg': 'Input should be another'}}]"
LEVELS = ("low", "medium", "high")
MAKES = {
    "vllm": Make("reasoning", _kwargs, words=LITERAL, efforts=LEVELS),
    "vllm-0.10": Make("reasoning_content", _kwargs),
    "vllm-deepseek": Make("reasoning", _kwargs_off_by_default),  # also Granite and Gemma: off unless asked for
    "vllm-without-parser": Make("closed", _kwargs),
    "sglang": Make("reasoning_content", _kwargs),
    "llama.cpp": Make("reasoning_content", _kwargs),
    "llama.cpp-none": Make("content", _kwargs),  # with --reasoning-format none
    "ollama": Make("reasoning", _effort),
    "deepseek": Make("reasoning_content", _type, counts=True),
    "openai": Make("", _always, (*EXTRAS, "max_tokens", "temperature"), UNKNOWN, LEVELS, True),
    "mistral": Make("parts", _effort_off_by_default, (*EXTRAS, "seed"), EXTRA, ("none", "high")),
}


def refusal(make: Make, body: Body) -> str:
    """The message with which a server refuses a request; empty if it does not."""
    refused = next((name for name in make.refuses if name in body), "")
    if make.efforts and body.get("reasoning_effort", make.efforts[0]) not in make.efforts:
        refused = "reasoning_effort"
    return make.words.format(refused) if refused else ""


def chunks(make: Make, tokens: int, body: Body) -> list[dict[str, Any]]:
    """The chunks of an answer, with its usage at the end."""
    most = body.get("max_tokens") or body.get("max_completion_tokens") or 1_000_000
    thoughts = ["hm "] * tokens if make.thinks(body) else []
    if make.field in ("content", "closed") and thoughts:
        thoughts = [*(["<think>"] if make.field == "content" else []), *thoughts[:-1], "hm\n", "</think>\n\n"]
    deltas = [_delta(make.field, word) for word in thoughts]
    deltas += [{"content": word} for word in ("The ", "answer ", "is ", "42.")]
    shown = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas[:most] if delta]
    finish = {"index": 0, "delta": {}, "finish_reason": "stop" if most >= len(deltas) else "length"}
    usage: dict[str, Any] = {"prompt_tokens": 9, "completion_tokens": min(most, len(deltas))}
    if make.counts:
        usage["completion_tokens_details"] = {"reasoning_tokens": min(most, len(thoughts))}
    return [*({"choices": [choice]} for choice in (*shown, finish)), {"choices": [], "usage": usage}]


def _delta(field: str, word: str) -> dict[str, Any]:
    if field == "parts":
        return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": word}]}]}
    return {"content" if field == "closed" else field: word} if field else {}


def stream(make: Make, tokens: int, body: Body) -> bytes:
    """The answer as a stream."""
    events = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks(make, tokens, body)]
    return "".join([*events, "data: [DONE]\n\n"]).encode()


def completion(make: Make, tokens: int, body: Body) -> dict[str, Any]:
    """The answer as a whole."""
    *shown, last, usage = chunks(make, tokens, body)
    message: dict[str, Any] = {"role": "assistant", "content": [] if make.field == "parts" else ""}
    for chunk in shown:
        for name, part in chunk["choices"][0]["delta"].items():
            empty: Any = [] if isinstance(part, list) else ""
            as_list = isinstance(message.get(name), list) and isinstance(part, str)
            message[name] = message.get(name, empty) + ([{"type": "text", "text": part}] if as_list else part)
    choice = {"index": 0, "message": message, "finish_reason": last["choices"][0]["finish_reason"]}
    return {"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage["usage"]}
