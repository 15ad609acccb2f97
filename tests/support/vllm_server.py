"""A server on loopback that speaks as `vllm serve BASE --enable-lora --lora-modules NAME=FOLDER ...` does.

Its list of models is that of vLLM: a LoRA adapter has its folder as `root`, its base as `parent`, and no length of its
own. A model answers a query with its own name and the query.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from support.scripted_server import Handler, Scripted, serving

LONGEST = 32768  # tokens


class VllmHandler(Handler):
    def play(self, model: str, body: dict[str, Any]) -> None:
        if model not in self.server.models:
            message = f"The model `{model}` does not exist."
            error = {"message": message, "type": "NotFoundError", "param": "model", "code": 404}
            return self.status(404, {"error": error})
        words = f"{model} answers: {body['messages'][-1]['content']}".split(" ")
        usage = {"prompt_tokens": 9, "total_tokens": 9 + len(words), "completion_tokens": len(words)}
        shape = {"id": "chatcmpl-1", "created": 1, "model": model}
        if not body.get("stream"):
            message = {"role": "assistant", "content": " ".join(words), "tool_calls": [], "reasoning": None}
            choices = [{"index": 0, "message": message, "finish_reason": "stop", "stop_reason": None}]
            return self.status(200, {**shape, "object": "chat.completion", "choices": choices, "usage": usage})
        self.begin("text/event-stream; charset=utf-8")

        def chunk(choices: list[dict[str, Any]], **more: Any) -> None:
            self.raw("data: " + json.dumps({**shape, "object": "chat.completion.chunk", "choices": choices, **more}))

        chunk([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
        for number, word in enumerate(words):
            delta = {"content": " " * bool(number) + word}
            chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}])
        chunk([{"index": 0, "delta": {"content": ""}, "finish_reason": "stop", "stop_reason": None}])
        if (body.get("stream_options") or {}).get("include_usage"):
            chunk([], usage=usage)
        return self.raw("data: [DONE]")


@contextmanager
def serving_vllm(base: str, adapters: Sequence[str]) -> Iterator[Scripted]:
    """The server, with one base and LoRA adapters of it."""

    def card(name: str, root: str, parent: str | None, longest: int | None) -> dict[str, Any]:
        shape = {"id": name, "object": "model", "created": 1, "owned_by": "vllm", "root": root, "parent": parent}
        return shape | {"max_model_len": longest, "permission": [{"object": "model_permission"}]}

    with serving(handler=VllmHandler) as server:
        server.models = [base, *adapters]
        cards = [card(base, base, None, LONGEST)]
        cards += [card(name, f"/srv/adapters/{name}", base, None) for name in adapters]
        server.routes = {
            "/v1/models": {"object": "list", "data": cards},
            "/version": {"version": "0.26.0"},
            "/health": b"",
        }
        yield server
