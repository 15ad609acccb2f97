"""What a scripted server's models do, one method for each; `hang_first` is the model `hang-first`."""

from __future__ import annotations

import json
import time
from typing import Any

from support.scripted_answers import LONGEST, TEXT
from support.scripted_apis import Apis

NARROW = 1000  # characters that `narrow` takes


class Models(Apis):
    """Every method plays the model of its name. `body` is the request."""

    def good(self, body: Any) -> None:
        if not body.get("stream"):
            return self.completion("".join(TEXT))
        self.begin()
        self.raw(": a comment")
        self.event("", role="assistant")
        for word in TEXT:
            self.event(word)
        self.event(finish="stop")
        if body.get("stream_options", {}).get("include_usage"):
            usage = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
            self.raw("data: " + json.dumps({"id": "1", "choices": [], "usage": usage}))
        return self.raw("data: [DONE]")

    def narrow(self, body: Any) -> None:
        if len(body["messages"][-1]["content"]) > NARROW:
            return self.status(400, {"error": {"message": "This model's maximum context length is 300 tokens."}})
        return self.good(body)

    def unhurried(self, body: Any) -> None:
        self.slow(body, 10)

    def slow(self, body: Any, words: int = 200) -> None:
        self.begin()
        for number in range(words):
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

    def halves(self, body: Any) -> None:
        """Half characters: two that make one over two events, and two that stand alone."""
        self.stream_text(["a\ud83d", "\ude00b\ud800", "c\udfff", "d\ud83d"])

    def hang_first(self, body: Any) -> None:
        self.hang()

    def hang_headers(self, body: Any) -> None:
        self.begin()
        for _ in range(int(LONGEST / 0.1)):  # alive, but no token
            self.raw(": keep-alive")
            self.event("", role="assistant")
            if self.server.closing.wait(0.1):
                return

    def hang_in_the_middle(self, body: Any) -> None:
        self.begin()
        self.event("Half of")
        self.hang()

    def hang_in_comments(self, body: Any) -> None:
        """Alive, but no further token."""
        self.begin()
        self.event("Half of")
        while not self.server.closing.wait(0.1):
            self.raw(": keep-alive")

    def lingers(self, body: Any) -> None:
        """A whole answer, and then the connection stays open."""
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

    def reset_first(self, body: Any) -> None:
        self.reset()

    def reset_in_the_middle(self, body: Any) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        data = b'data: {"choices": [{"index": 0, "delta": {"content": "Half of"}}]}\n\n'
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()
        time.sleep(0.1)  # else the reset may overtake the text
        self.reset()

    def recovers(self, body: Any) -> None:
        """A reset in the middle of the first answer, and no fault after that."""
        return self.reset_in_the_middle(body) if self.server.count("recovers") == 1 else self.good(body)

    def twice_503(self, body: Any) -> None:
        if self.server.count("twice-503") <= 2:
            return self.status(503, {"error": {"message": "loading the model"}})
        return self.good(body)

    def well_again(self, body: Any) -> None:
        """Ill for three requests."""
        if self.server.count("well-again") <= 3:
            return self.status(503, {"error": {"message": "starting"}})
        return self.good(body)

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

    def no_template(self, body: Any) -> None:
        """As llama.cpp where the model's template refuses the messages."""
        self.status(500, {"error": {"code": 500, "message": "Jinja Exception: roles must alternate"}})

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
            message = {"role": "assistant", "content": "Hello"}
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            return self.status(200, {"id": "1", "choices": choices, "usage": usage})
        self.begin()
        self.event("Hello")
        self.event(finish="stop")
        if body.get("stream_options", {}).get("include_usage"):
            self.raw("data: " + json.dumps({"id": "1", "choices": [], "usage": usage}))
        return self.raw("data: [DONE]")

    def stalls(self, body: Any) -> None:
        """Nothing for eight seconds, then an answer."""
        if not self.server.closing.wait(8):
            self.good(body)

    def endless(self, body: Any) -> None:
        """An answer as fast as the client reads, until it goes away."""
        self.begin()
        while not self.server.closing.is_set():
            self.event("x" * 10_000)

    def wait_429(self, body: Any) -> None:
        if self.server.count("wait-429") == 1:
            return self.status(429, {"error": {"message": "slow down"}}, Retry_After="1")
        return self.good(body)

    def long_429(self, body: Any) -> None:
        self.status(429, {"error": {"message": "quota"}}, Retry_After="3600")

    def html(self, body: Any) -> None:
        self.begin("text/html; charset=utf-8")
        self.raw("<html><body>Welcome!</body></html>")

    def html_404(self, body: Any) -> None:
        content = b"<html><h1>Not Found</h1></html>"
        self.send_response(404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def plain_json(self, body: Any) -> None:
        self.status(200, {"choices": [{"message": {"role": "assistant", "content": "whole"}}]})

    def broken_line(self, body: Any) -> None:
        self.begin()
        self.event("Half of")
        self.raw('data: {"choices": [{"delta": ')

    def half_line(self, body: Any) -> None:
        self.begin()
        self.event("Half of")
        self.wfile.write(b'data: {"choices": [{"delta": {"content": " it')

    def not_utf8(self, body: Any) -> None:
        self.begin()
        self.event("Half of")
        self.wfile.write(b"data: \xff\xfe\n\n")

    def no_choices(self, body: Any) -> None:
        self.begin()
        self.raw("data: [1, 2]")
        self.raw('data: {"choices": "many"}')

    def number(self, body: Any) -> None:
        self.begin()
        self.raw('data: {"choices": [{"index": 0, "delta": {"content": 7}}]}')

    def error_event(self, body: Any) -> None:
        self.begin()
        self.event("Half of")
        self.raw('data: {"error": {"message": "the model\\u001b[31m ran\\nout of memory"}}')

    def empty(self, body: Any) -> None:
        self.stream_text([], finish="stop")

    def nothing(self, body: Any) -> None:
        self.begin()

    def unfinished(self, body: Any) -> None:
        self.stream_text(finish=None)

    def length(self, body: Any) -> None:
        self.stream_text(finish="length")

    def filtered(self, body: Any) -> None:
        self.stream_text(["Half of"], finish="content_filter")

    def ten_megabytes(self, body: Any) -> None:
        self.begin()
        for _ in range(640):
            self.event("x" * 16_384)
        self.event(finish="stop")

    def endless_line(self, body: Any) -> None:
        self.begin()
        self.wfile.write(b"data: ")
        while not self.server.closing.is_set():
            self.wfile.write(b"x" * 65_536)

    def zipped(self, body: Any) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"\x1f\x8b\x08\x00")

    def redirect(self, body: Any) -> None:
        self.status(307, {}, Location=self.server.elsewhere)

    def wrong_key(self, body: Any) -> None:
        key = self.headers.get("authorization", "").removeprefix("Bearer ")
        self.status(401, {"error": {"message": f"Incorrect API key provided: {key}."}})

    def echo_key(self, body: Any) -> None:
        """The key as one token, then letter by letter, then as part of a word."""
        self.stream_text(["Your key is ", self.key(), ", or ", *self.key(), f", so x{self.key()}x."])

    def echo_key_cut(self, body: Any) -> None:
        """All but the end of the key, and no further word."""
        self.stream_text(["Your key is ", self.key()[:-2]])

    def echo_key_start(self, body: Any) -> None:
        """What only looks like the key."""
        self.stream_text(["Keys begin like ", self.key()[:3], " or end so: ", self.key()[:3]])

    def echo_key_reset(self, body: Any) -> None:
        self.begin()
        self.event(f"{self.key()} and {self.key()[:2]}")
        time.sleep(0.1)
        self.reset()

    def echo_key_error(self, body: Any) -> None:
        self.status(500, {"error": {"message": "x" * 190 + self.key()}})

    def echo_key_redirect(self, body: Any) -> None:
        self.status(307, {}, Location=f"http://{self.key()}.example.test/v1")

    def counts(self, tokens: Any) -> None:
        """A good answer with that count of tokens."""
        self.begin()
        for word in TEXT:
            self.event(word)
        self.event(finish="stop")
        self.raw("data: " + json.dumps({"id": "1", "choices": [], "usage": {"completion_tokens": tokens}}))
        self.raw("data: [DONE]")

    def waits(self, body: Any, wait: str) -> None:
        """One refusal with that Retry-After, then an answer."""
        if self.server.count(body["model"]) == 1:
            return self.status(503, {"error": {"message": "loading"}}, Retry_After=wait)
        return self.good(body)

    def tool(self, body: Any) -> None:
        self.call(None, "tool_calls")

    def tool_after_text(self, body: Any) -> None:
        self.call("Half of", "tool_calls")

    def tool_stop(self, body: Any) -> None:
        self.call(None, "stop")

    def tool_info(self, body: Any) -> None:
        self.call("Half of", "stop")

    def old_tool(self, body: Any) -> None:
        self.call(None, "function_call", "function_call")

    def plain_tool(self, body: Any) -> None:
        call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        self.status(200, {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]})

    def deep_json(self, body: Any) -> None:
        self.begin()
        self.event("Half of")
        self.raw("data: " + "[" * 100_000)

    def long_number(self, body: Any) -> None:
        self.begin()
        self.event("Half of")
        self.raw('data: {"choices": [], "usage": {"completion_tokens": ' + "9" * 5000 + "}}")
