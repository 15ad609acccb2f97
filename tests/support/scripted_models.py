"""What a scripted server's models do: by a table, or in a method each; `hang_first` is the model `hang-first`."""

from __future__ import annotations

import json
import time
from typing import Any

from support.foreign_answers import FORMS, ODD, UNSTREAMED_FORMS, Foreign
from support.scripted_answers import LONGEST, TEXT, USAGE, Parts
from support.thinking_servers import MAKES, completion, refusal, stream

NARROW = 1000  # characters that `narrow` takes
HALF = "Half of"
STREAMED = {  # words and finish reason
    # Halves of characters: two make one, two stand alone.
    "halves": (["a\ud83d", "\ude00b\ud800", "c\udfff", "d\ud83d"], "stop"),
    "empty": ([], "stop"),
    "unfinished": (TEXT, None),
    "length": (TEXT, "length"),
    "filtered": ([HALF], "content_filter"),
}
BROKEN = {  # the text of a first event, and what comes then
    "nothing": ("", b""),
    "no-choices": ("", b'data: [1, 2]\n\ndata: {"choices": "many"}\n\n'),
    "broken-line": (HALF, b'data: {"choices": [{"delta": \n\n'),
    "half-line": (HALF, b'data: {"choices": [{"delta": {"content": " it'),
    "error-event": (HALF, b'data: {"error": {"message": "the model\\u001b[31m ran\\nout of memory"}}\n\n'),
}
CALLS = {  # of tools: a text before, the finish reason, and the member that has the call
    "tool": (None, "tool_calls"),
    "tool-after-text": (HALF, "tool_calls"),
    "tool-stop": (None, "stop"),
    "tool-info": (HALF, "stop"),
    "old-tool": (None, "function_call", "function_call"),
}
ILL = {  # for how many requests, with which status, message and Retry-After
    "twice-503": (2, 503, "loading the model", None),
    "well-again": (3, 503, "starting", None),
    "long-429": (10**9, 429, "quota", "3600"),
    # As llama.cpp where the model's template refuses the messages.
    "no-template": (10**9, 500, "Jinja Exception: roles must alternate", None),
}
UNSTREAMED = {  # messages that come in one piece of JSON
    "plain-json": {"role": "assistant", "content": "whole"},
}


class Models(Parts):
    """Every method plays the model of its name. `body` is the request."""

    def play(self, model: str, body: dict[str, Any]) -> None:
        kind, _, argument = model.partition(" ")
        if model in self.server.replies:
            answer = self.server.replies[model](body["messages"][-1]["content"])
            if not body.get("stream"):
                return self.completion(answer if isinstance(answer, str) else " ".join(answer))
            return self.stream_text(answer.split(" ") if isinstance(answer, str) else answer, " ")
        if form := FORMS.get(model) or UNSTREAMED_FORMS.get(model):
            return self.foreign(form, body)
        if kind == "counts":
            return self.counts(json.loads(argument))
        if events := self.server.streams.get(model):
            self.begin()
            self.wfile.write(b"".join(events))
            return None
        if make := MAKES.get(kind):
            if message := refusal(make, body):
                return self.status(400, {"error": {"message": message}})
            if not body.get("stream"):
                return self.status(200, completion(make, int(argument), body))
            self.begin()
            self.wfile.write(stream(make, int(argument), body))
            return None
        if kind == "waits" or model in ILL:
            return self.ill(body, *ILL.get(model, (1, 503, "loading", argument)))
        if model == "no-route":  # as vLLM says it
            return self.status(404, {"detail": "Not Found"})
        if model.startswith("http-"):
            return self.status(int(model.split("-")[1]), {"error": {"message": f"scripted {model}"}})
        if model in STREAMED:
            words, finish = STREAMED[model]
            return self.stream_text(words, finish=finish)
        if model in BROKEN:
            return self.broken(*BROKEN[model])
        if model in CALLS:
            return self.call(*CALLS[model])
        if model in UNSTREAMED:
            return self.status(200, {"choices": [{"index": 0, "message": UNSTREAMED[model], "finish_reason": "stop"}]})
        play = getattr(self, model.replace("-", "_"), None)
        if play is None:
            return self.status(404, {"error": {"message": f'model "{model}" not found'}})
        return play(body)

    def foreign(self, form: Foreign, body: dict[str, Any]) -> None:
        if body["messages"][-1]["content"] != ODD:
            return self.good(body)
        self.send_response(200)
        self.send_header("Content-Type", form.kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in form.parts:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            if self.server.closing.is_set():
                return None
        if form.breaks:
            time.sleep(0.1)  # else the reset may overtake the text
            return self.reset()
        self.wfile.write(b"0\r\n\r\n")
        return None

    def picky(self, body: Any) -> None:
        """As OpenAI's models that think: fields with other names, or none at all."""
        for name in ("chat_template_kwargs", "thinking", "think", "max_tokens", "temperature"):
            if name in body:
                message = f"Unsupported parameter: '{name}' is not supported with this model."
                message += " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
                return self.status(400, {"error": {"message": message, "param": name, "code": "unsupported_parameter"}})
        text = json.dumps({name: body[name] for name in body if name not in ("messages", "stream")})
        return self.stream_text([text]) if body.get("stream") else self.completion(text)

    def ill(self, body: Any, requests: int, code: int, message: str, wait: str | None) -> None:
        """So many refusals, then answers."""
        if self.server.count(body["model"]) > requests:
            return self.good(body)
        headers = {"Retry_After": wait} if wait else {}
        return self.status(code, {"error": {"code": code, "message": message}}, **headers)

    def broken(self, text: str, rest: bytes) -> None:
        self.begin()
        if text:
            self.event(text)
        self.wfile.write(rest)

    def hang_first(self, body: Any) -> None:
        self.hang()

    def reset_first(self, body: Any) -> None:
        self.reset()

    def good(self, body: Any) -> None:
        if not body.get("stream"):
            return self.completion("".join(TEXT))
        self.begin()
        self.raw(": a comment")
        self.event("", role="assistant")
        self.words()
        if self.wants_usage(body):
            self.raw("data: " + json.dumps({"id": "1", "choices": [], "usage": USAGE}))
        return self.raw("data: [DONE]")

    def narrow(self, body: Any) -> None:
        if len(body["messages"][-1]["content"]) > NARROW:
            return self.status(400, {"error": {"message": "This model's maximum context length is 300 tokens."}})
        return self.good(body)

    def narrow_thinker(self, body: Any) -> None:
        """As vLLM with a short --max-model-len: it refuses a limit that does not fit beside the prompt."""
        if body["max_tokens"] > 300:
            return self.status(400, {"error": {"message": "This model's maximum context length is 300 tokens."}})
        self.begin()
        self.wfile.write(stream(MAKES["vllm"], 40, body))
        return None

    def slow(self, body: Any) -> None:
        self.begin()
        for number in range(200):
            self.event(f"{number} ")
            if self.server.closing.wait(0.05):
                return
        self.event(finish="stop")

    def echo(self, body: Any) -> None:
        if not body.get("stream"):
            return self.completion(json.dumps(body["messages"]))
        return self.stream_text([json.dumps(body["messages"])])

    def seeded(self, body: Any) -> None:
        self.stream_text([f"seed {body['seed']}"])

    def hang_headers(self, body: Any) -> None:
        self.begin()
        for _ in range(int(LONGEST / 0.1)):  # alive, but no token
            self.raw(": keep-alive")
            self.event("", role="assistant")
            if self.server.closing.wait(0.1):
                return

    def hang_in_the_middle(self, body: Any) -> None:
        self.begin()
        self.event(HALF)
        self.hang()

    def hang_in_comments(self, body: Any) -> None:
        """Alive, but no further token."""
        self.begin()
        self.event(HALF)
        while not self.server.closing.wait(0.1):
            self.raw(": keep-alive")

    def hang_at_the_end(self, body: Any) -> None:
        """A whole answer, and then silence."""
        self.begin()
        self.words()
        self.hang()

    def lingers(self, body: Any) -> None:
        """A whole answer with its last event, and then the connection stays open."""
        self.stream_text()
        self.hang()

    def think(self, body: Any) -> None:
        """Reasoning for longer than the first token may take, then text."""
        self.begin()
        for _ in range(10):
            choices = [{"index": 0, "delta": {"reasoning_content": "hm"}, "finish_reason": None}]
            self.raw("data: " + json.dumps({"choices": choices}))
            time.sleep(0.1)
        self.event("42")
        self.event(finish="stop")

    def reset_in_the_middle(self, body: Any) -> None:
        self.cut_off(HALF)

    def reset_at_the_end(self, body: Any) -> None:
        self.cut_off("".join(TEXT), "stop")

    def cut_off(self, text: str, finish: str | None = None) -> None:
        """An event, and a reset where the body should go on."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        choices = [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]
        data = b"data: " + json.dumps({"choices": choices}).encode() + b"\n\n"
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()
        time.sleep(0.1)  # else the reset may overtake the text
        self.reset()

    def recovers(self, body: Any) -> None:
        """A reset in the middle of the first answer, and no fault after that."""
        return self.reset_in_the_middle(body) if self.server.count("recovers") == 1 else self.good(body)

    def no_images(self, body: Any) -> None:
        """As llama.cpp without a projector."""
        if not isinstance(body["messages"][-1]["content"], list):
            return self.good(body)
        hint = "hint: if this is unexpected, you may need to provide the mmproj"
        error = {"code": 500, "message": f"image input is not supported - {hint}", "type": "server_error"}
        return self.status(500, {"error": error})

    def no_tools(self, body: Any) -> None:
        """As llama.cpp without --jinja."""
        if not body.get("tools"):
            return self.good(body)
        return self.status(500, {"error": {"code": 500, "message": "tools param requires --jinja flag"}})

    def no_stream_options(self, body: Any) -> None:
        """As Mistral once did."""
        if "include_usage" not in body.get("stream_options", {}):
            return self.good(body)
        detail = [{"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs"}]
        return self.status(422, {"object": "error", "message": {"detail": detail}})

    def caches(self, body: Any) -> None:
        """Most of the prompt was cached."""
        details = {"cached_tokens": 30}
        usage = {"prompt_tokens": 35, "completion_tokens": 7, "prompt_tokens_details": details}
        if not body.get("stream"):
            return self.completion("Hello", usage)
        return self.stream_text(["Hello"], usage=usage if self.wants_usage(body) else None)

    def endless(self, body: Any) -> None:
        """An answer as fast as the client reads, until it goes away."""
        self.begin()
        while not self.server.closing.is_set():
            self.event("x" * 10_000)

    def html(self, body: Any) -> None:
        self.begin("text/html; charset=utf-8")
        self.raw("<html><body>Welcome!</body></html>")

    def html_404(self, body: Any) -> None:
        self.status(404, b"<html><h1>Not Found</h1></html>", Content_Type="text/html")

    def ten_megabytes(self, body: Any) -> None:
        self.stream_text(["x" * 16_384] * 640)

    def redirect(self, body: Any) -> None:
        self.status(307, {}, Location=self.server.elsewhere)

    def wrong_key(self, body: Any) -> None:
        key = self.headers.get("authorization", "").removeprefix("Bearer ")
        self.status(401, {"error": {"message": f"Incorrect API key provided: {key}."}})

    def echo_key(self, body: Any) -> None:
        """The key as one token, then as part of a word."""
        self.stream_text(["Your key is ", self.key(), f", so x{self.key()}x."])

    def echo_key_escaped(self, body: Any) -> None:
        """The key in a whole answer, with every letter written as its number."""
        escaped = "".join(f"\\u{ord(letter):04x}" for letter in self.key())
        choices = '[{"message": {"content": "It is KEY."}, "finish_reason": "stop"}]'
        self.status(200, f'{{"choices": {choices}}}'.replace("KEY", escaped).encode())

    def echo_key_error(self, body: Any) -> None:
        self.status(500, {"error": {"message": "x" * 190 + self.key()}})

    def echo_key_redirect(self, body: Any) -> None:
        self.status(307, {}, Location=f"http://{self.key()}.example.test/v1")

    def counts(self, tokens: Any) -> None:
        """A good answer with that count of tokens."""
        self.stream_text(usage={"completion_tokens": tokens})

    # Other APIs than chat completions

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
