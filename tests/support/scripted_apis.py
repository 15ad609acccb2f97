"""Models of a scripted server that have other APIs than chat completions: responses, embeddings."""

from __future__ import annotations

import json
from typing import Any

from support.scripted_answers import Parts


class Apis(Parts):
    """Plays a model by the name of the method."""

    def good(self, body: Any) -> None:
        raise NotImplementedError

    def every_api(self, body: Any) -> None:
        """A server with responses and embeddings too."""
        if self.path.endswith("/embeddings"):
            vector = {"object": "embedding", "index": 0, "embedding": [0.5, -1e-9]}
            usage = {"prompt_tokens": 3, "total_tokens": 3}
            return self.status(200, {"object": "list", "model": "scripted", "data": [vector], "usage": usage})
        if not self.path.endswith("/responses"):
            return self.good(body)
        number = self.server.count(body["model"])
        response = {"id": f"resp_{number}", "object": "response", "error": None, "model": "scripted", "output": []}
        ended = response | {"usage": {"input_tokens": 9, "output_tokens": 7, "total_tokens": 16}}
        if not body.get("stream"):
            return self.status(200, ended)
        self.begin()
        begun = response | {"usage": None}
        self.raw("event: response.created\ndata: " + json.dumps({"type": "response.created", "response": begun}))
        self.raw('event: response.output_text.delta\ndata: {"type": "response.output_text.delta", "delta": "Hi"}')
        return self.raw("event: response.completed\ndata: " + json.dumps({"type": "x", "response": ended}))

    def reasons(self, body: Any) -> None:
        """An answer with encrypted reasoning."""
        if not self.path.endswith("/responses"):
            blocks = [{"type": "thinking", "thinking": "", "signature": "secret"}]
            message = {"role": "assistant", "content": "ok", "thinking_blocks": blocks}
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            return self.status(200, {"id": "1", "object": "chat.completion", "choices": choices})
        item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "secret"}
        response = {"id": "resp_1", "object": "response", "error": None, "output": [item]}
        if not body.get("stream"):
            return self.status(200, response)
        self.begin()
        done = {"type": "response.output_item.done", "output_index": 0, "item": item}
        self.raw("event: response.output_item.done\ndata: " + json.dumps(done))
        ended = {"type": "response.completed", "response": response | {"output": []}}
        return self.raw("event: response.completed\ndata: " + json.dumps(ended))

    def fails_after_created(self, body: Any) -> None:
        """A response that is created and then fails; it is no chat completion."""
        response = {"id": "resp_bad", "object": "response", "error": None}
        error = {"code": "server_error", "message": "scripted failure"}
        self.begin()
        self.raw("event: response.created\ndata: " + json.dumps({"type": "response.created", "response": response}))
        failed = {"type": "response.failed", "response": response | {"error": error}}
        self.raw("event: response.failed\ndata: " + json.dumps(failed))

    def counts_nothing(self, body: Any) -> None:
        """A whole answer of forty bytes, or embeddings, without a count of tokens."""
        if self.path.endswith("/embeddings"):
            return self.status(200, {"object": "list", "data": [{"index": 0, "embedding": [0.5]}]})
        if self.path.endswith("/responses"):
            part = {"type": "message", "content": [{"type": "output_text", "text": "word " * 8}]}
            return self.status(200, {"id": "resp_1", "object": "response", "output": [part]})
        message = {"role": "assistant", "content": "word " * 8}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        return self.status(200, {"id": "1", "object": "chat.completion", "choices": choices})
