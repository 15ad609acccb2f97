"""Interprets the errors of servers and connections. All of them become one kind of error, `EndpointError`.

The cause of an error is either the request or the server; the circuit breaker counts only the server's errors. Some
servers refuse invalid requests with status 500, so the words of the message decide.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from socket import gaierror
from typing import Any, Literal

import aiohttp

from zooter_core.backends.endpoint.redaction import Redaction
from zooter_core.backends.endpoint.retry import OVERLOAD, REFUSED, is_temporary, retry_after
from zooter_core.base.errors import one_line
from zooter_core.base.records import Finish
from zooter_core.base.strict_json import dump_json, objects, parse_json

# Finish reasons of several servers, in lower case with underscores. With any other one, the answer counts as cut off.
ENDED = ("stop", "eos", "eos_token", "stop_sequence", "end_turn", "complete")
CUT_OFF = ("length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded")
TOOLS = ("tool_calls", "tool_call", "tool_use", "function_call")
FILTERED = ("content_filter", "content_filtered", "safety", "recitation", "prohibited_content", "refusal", "sensitive")
FAILED = (
    *("error", "abort", "aborted", "failed", "failure", "cancelled", "canceled", "timeout", "internal_error"),
    *("server_error", "network_error", "engine_error", "overloaded", "insufficient_system_resource"),
    "malformed_function_call",
)
KEY_REFUSED = (401, 403)
ACCOUNT = (401, 402, 403)  # about our key or account at the server, so clients do not get these statuses
NOT_FOUND = 404  # the server lacks this API or model, but may have others
SEE_LOG = "See the server's log."
TRY_AGAIN = "Try again; see the server's log."

Subject = Literal["images", "tools", "json_mode", "context", "request"]
UNAVAILABLE = (502, 503, 504)
LONGEST = 1000  # characters of a message that are searched; some servers append the request to the message

WORDS: Mapping[Subject, Sequence[str]] = {
    "images": (
        r"(image|audio|video) input is not supported",  # llama.cpp, status 500
        r"unsupported content part type",  # llama.cpp until April 2025, status 500
        r"missing data required for image input",  # Ollama, status 500
        r"is not a multimodal model|at most 0 image",  # vLLM
        r"(does not|doesn't) support (image|vision)|that support image input",  # hosted; OpenRouter
    ),
    "tools": (
        r"tool(s|_choice) param requires --jinja",  # llama.cpp, status 500
        r"does not support tools",  # Ollama
        r"tool[ _]choice.{0,80} requires --(enable-auto|tool-call-parser)",  # vLLM
        r"that support tool use|(does not|doesn't) support (tool|function) call",  # OpenRouter; hosted
    ),
    "json_mode": (
        r"response_format\b.{0,60}\bnot supported",  # OpenAI
        r"response_format\.type' must be",  # LM Studio
        r"(does not|doesn't) support (json|response_format|structured output)",  # hosted
    ),
    "context": (
        r"context (size|length|window)",  # llama.cpp (`exceeds the available context size`), vLLM, OpenAI
        r"(prompt|input|request)( is)? too (long|large)|too many tokens",  # hosted, llama.cpp
        r"maximum model length|(tokens?|length|input|prompt)\b[^.]{0,60}\bexceeds? the (maximum|model)",  # vLLM, SGLang
        r"max_new_tokens`? must be <|must have less than \d+ tokens",  # TGI
    ),
    "request": (
        r"\bjinja\b|chat template|template for",  # llama.cpp: messages that the template refuses
        r"grammar|json schema|json_schema",  # llama.cpp, vLLM
        r"model\b.{0,100}\b(not found|does not exist)|unknown model|no such model",  # llama-swap, LM Studio
        r"failed to (load|decode|process) image|invalid image|cannot identify image",  # llama.cpp, vLLM
        r"failed to parse messages|(does not|doesn't) support \w+",  # llama.cpp
    ),
}
PATTERNS = {subject: re.compile("|".join(words), re.IGNORECASE) for subject, words in WORDS.items()}
BAD_REQUEST = re.compile(r"(invalid|bad)_?request|exceed_context_size|context_length_exceeded", re.IGNORECASE)
LIMIT = re.compile(r"(?:context (?:size|length|window)|maximum (?:\w+ )?length)\D{0,30}(\d[\d,]*)", re.IGNORECASE)


@dataclass(eq=False)
class EndpointError(Exception):
    """The reason why a server did not answer a request, or did not finish its answer."""

    reason: str  # a phrase for people, without key and prompt
    next_step: str = SEE_LOG  # what the fleet's owner can do, as a sentence
    words: str = ""  # the server's message on one short line, with the key masked. It may contain the prompt
    server_status: int | None = None  # the status of the server's response, if it was not 200
    own_status: int = 502  # the status for the client, used unless `status` passes on the server's status
    # The server's error in the shape of the API, if there is one that clients may see.
    body: Mapping[str, Any] | None = None
    temporary: bool = False  # whether another attempt may succeed
    retry_after: float | None = None  # seconds until the next attempt that the server asks for
    overload: bool = False  # whether the server has too many requests: it says so, or it is too slow
    subject: Subject | None = None  # what in the request is the cause; None if the request is not the cause
    context_tokens: int | None = None  # the longest context, if the server names it
    unreachable: bool = False  # whether the connection failed
    not_sent: bool = False  # whether the server got no request, or no time to answer it

    @property
    def message(self) -> str:
        """The reason with the server's words, for the fleet's owner."""
        return f'{self.reason}, "{self.words}"' if self.words else self.reason

    @property
    def client_message(self) -> str:
        """The message for a client, without details of our account at the server."""
        return self.reason if self.server_status in ACCOUNT else self.message

    @property
    def refused(self) -> bool:
        """Whether the request is the cause of the error, and not the server."""
        return self.subject is not None

    @property
    def counts(self) -> bool:
        """Whether the circuit breaker counts the error."""
        return not (self.refused or self.not_sent or self.server_status == NOT_FOUND)

    @property
    def timed_out(self) -> bool:
        """Whether the server was too slow."""
        return self.overload and self.server_status is None

    @property
    def status(self) -> int:
        """The status for the client. After a refused request, it tells the client not to retry."""
        if self.server_status and 400 <= self.server_status < 500 and self.server_status not in ACCOUNT:
            return self.server_status
        return 400 if self.refused else self.own_status

    @property
    def same_as(self) -> str | None:
        """A key that is equal for equal failures of several servers, of which the request is probably the cause; None
        for other failures."""
        status = self.server_status or 0
        return f"status {status}" if status >= 500 and status not in UNAVAILABLE and not self.refused else None


def status_error(
    status: int, headers: Mapping[str, str], raw: bytes, redact: Redaction, key_variable: str | None
) -> EndpointError:
    """The error for a status other than 200.

    Args:
        raw: the beginning of the body.
        key_variable: the environment variable that holds the key.
    """
    if 300 <= status < 400:
        target = one_line(redact(headers.get("location", ""))) or "another address"
        reason = f"status {status}: a redirect to {target}, which Zooter does not follow"
        next_step = "If that is the right address, use it as base_url in fleet.toml."
        return EndpointError(reason, next_step, server_status=status)
    body: object = raw.decode("utf-8", "replace")
    with suppress(ValueError):
        body = parse_json(raw)
    error = _refusal(status, body, redact, f"status {status}", key_variable)
    if error.temporary and (wait := retry_after(headers)) is not None:
        error.retry_after = wait
        error.reason += f"; the server asks for a pause of {wait:.0f} s" if wait else ""
    return error


def sent_error(body: Mapping[str, Any], redact: Redaction, temporary: bool = True) -> EndpointError:
    """The error for an error message in an answer with status 200, or in one of its events.

    Args:
        body: the result of `sent_in`.
        temporary: whether another attempt may succeed if the server is the cause.
    """
    status = _status_in(body)
    error = _refusal(status, body, redact, "the server sent an error" + (f" (status {status})" if status else ""))
    error.temporary = error.temporary and temporary
    return error


def sent_in(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The error message in an answer with status 200, or in one of its events; None if there is none."""
    if body.get("error"):
        return body
    if "error" in (body.get("object"), body.get("type")):
        return body
    for choice in objects(body.get("choices")):
        if choice.get("error"):
            return {"error": choice["error"]}
    return None


def finish_error(reason: str | None, redact: Redaction) -> EndpointError | None:
    """The error if the finish reason is missing, or says that the model failed; otherwise None."""
    if reason is None:
        return EndpointError("the stream ended in the middle of the answer")
    if finish_name(reason) in FAILED:
        return EndpointError(f'the answer ended with the finish reason "{one_line(redact(reason))}"', temporary=True)
    return None


def finish_name(reason: str | None) -> str:
    """A finish reason in the form of the tables above: servers differ in case, hyphens and spaces. "" for None."""
    return re.sub(r"[\s-]+", "_", (reason or "").strip().lower())


def _refusal(
    status: int | None, body: object, redact: Redaction, reason: str, key_variable: str | None = None
) -> EndpointError:
    """The error for a response or event with an error.

    Args:
        status: the status of the response or in the event; None if the event names none.
        body: the parsed body or event.
    """
    message = read_message(body)
    words = one_line(redact(message))
    if status in ACCOUNT:
        why, next_step = "the server refuses the key", f"Set the environment variable {key_variable} to a valid key."
        if status not in KEY_REFUSED:
            why, next_step = "the server requires payment", "Check the balance of your account at the server."
        elif key_variable is None:
            why, next_step = "the server requires a key", "Name its environment variable: api_key_env = ..."
        return EndpointError(f"{reason}: {why}", next_step, words=words, server_status=status)
    labels = " ".join(_codes(body)).replace("_", " ")  # such as "context length exceeded"
    subject = find_subject(status or 500, f"{labels}: {message}")
    error = EndpointError(reason, "See the server's message.", words=words, server_status=status, subject=subject)
    error.temporary = is_temporary(status or 500) and subject is None
    error.overload = status in OVERLOAD
    inner = body.get("error") if isinstance(body, Mapping) else None
    if status and status < 500 and isinstance(body, Mapping) and isinstance(inner, dict):
        error.body = {"error": inner} if "choices" in body else body
    if subject == "context":
        match = LIMIT.search(message[:LONGEST])
        named = inner.get("n_ctx") if isinstance(inner, dict) else None  # llama.cpp
        limit = int(match[1].replace(",", "")) if match else named if type(named) is int else 0
        error.context_tokens = limit or None
        error.next_step = "Shorten the query, or start the server with a longer context."
    if status == NOT_FOUND:
        error.next_step = "Check model and base_url in fleet.toml; base_url usually ends in /v1."
    elif status == 429:
        error.reason += ": too many requests"
        error.next_step = "Try again later, or lower parallel in fleet.toml."
    elif error.temporary:
        error.next_step = "Try again later; see the server's log."
    return error


def _status_in(body: Mapping[str, Any]) -> int | None:
    """The status that an error in an answer with status 200 names or implies; None if there is none."""
    codes = _codes(body)
    if status := next((code for code in codes if re.fullmatch("[45][0-9][0-9]", code)), None):
        return int(status)
    return 400 if any(map(BAD_REQUEST.search, codes)) else None


def _codes(body: object) -> list[str]:
    """The codes, statuses and types next to an error's message, as texts."""
    inner = body.get("error", body) if isinstance(body, Mapping) else None
    named = map(inner.get, ("code", "status", "status_code", "type")) if isinstance(inner, Mapping) else ()
    return [str(code) for code in named if isinstance(code, str | int)]


def connection_error(problem: BaseException, connect_seconds: float, redact: Redaction) -> EndpointError:
    """The error for an exception of aiohttp or the operating system."""
    start = "Start the server, or fix base_url in fleet.toml."
    if isinstance(problem, ssl.SSLError | aiohttp.ClientSSLError):
        next_step = "Fix the server's certificate, or base_url (http or https)."
        return EndpointError(f"no TLS connection ({one_line(str(problem))})", next_step, unreachable=True)
    if isinstance(problem, aiohttp.ConnectionTimeoutError):
        reason, next_step = f"no connection within {connect_seconds:g} s", start
    elif isinstance(problem, aiohttp.ClientConnectorError):
        cause = problem.os_error
        unknown = isinstance(problem, aiohttp.ClientConnectorDNSError) or isinstance(cause, gaierror)
        refused = isinstance(cause, ConnectionRefusedError)
        why = "refused" if refused else "no such host" if unknown else one_line(cause.strerror or str(cause))
        reason, next_step = f"no connection ({why})", start
    elif isinstance(problem, UnicodeError):
        reason, next_step = "no connection (no such host)", start
    elif isinstance(problem, aiohttp.ClientResponseError | aiohttp.InvalidURL):
        why = one_line(redact(str(getattr(problem, "message", "") or problem)))
        reason = f"the server's response is not valid HTTP ({why})"
        return EndpointError(reason, "Check base_url in fleet.toml.", unreachable=True)
    else:
        reason, next_step = "the connection broke", TRY_AGAIN
    return EndpointError(reason, next_step, temporary=True, unreachable=True)


def too_late(seconds: float, what: str = "answer") -> EndpointError:
    """The error for a server that is too slow.

    Args:
        what: what is missing: "first token", "further token", "end of the answer" or "answer".
    """
    steps = {
        "first token": "Try again later, or raise first_token_seconds.",
        "further token": "Try again.",
        "end of the answer": "Raise answer_seconds in fleet.toml, or ask for a shorter answer.",
    }
    reason = f"no {what} {'for' if what == 'further token' else 'within'} {seconds:g} s"
    return EndpointError(reason, steps.get(what, SEE_LOG), own_status=504, overload=what != "end of the answer")


def read_finish(reason: str | None, text: bool, tool_call: bool, redact: Redaction) -> Finish:
    """How an answer ended: `stop`, or `length` if it is cut off.

    Args:
        reason: the finish reason; None if the stream ended without one.
        text: whether the answer has text.
        tool_call: whether the answer has a tool call.

    Raises:
        EndpointError: the model failed or wrote no answer.
    """
    name = finish_name(reason)
    if name in FILTERED:
        raise EndpointError("the server's content filter stopped the answer", "Rephrase the query.", subject="request")
    if name in TOOLS or (tool_call and not text):
        next_step = "Turn off tools on the server, or ask for an answer in words."
        raise EndpointError("the model called a tool, but Zooter offers none", next_step, subject="request")
    if reason is None and not text:
        raise no_text()
    if reason is not None and (error := finish_error(reason, redact)):
        raise error
    if name not in (*ENDED, *CUT_OFF) and not text:
        raise EndpointError(f'an answer without text ended with the finish reason "{one_line(redact(str(reason)))}"')
    return "stop" if name in ENDED else "length"


def no_text() -> EndpointError:
    return EndpointError("the stream ended without any text", temporary=True)


def find_subject(status: int, message: str) -> Subject | None:
    """What in the request the server refuses; None if the request is not the cause."""
    if status not in REFUSED and (status < 500 or status in UNAVAILABLE):
        return None  # the cause is our key, the address, the rate of requests, or a server that is not available
    for subject, pattern in PATTERNS.items():
        if pattern.search(message[:LONGEST]):
            return subject
    return "request" if status in REFUSED else None


def read_message(body: object) -> str:
    """The server's message in an error's body of any shape; "" if there is none."""
    for key in ("error", "message", "detail"):
        body = body.get(key, body) if isinstance(body, Mapping) else body
    text = body if isinstance(body, str) else dump_json(body) if isinstance(body, list) else ""
    return "" if text.lstrip().startswith("<") else text  # a web page is not a message
