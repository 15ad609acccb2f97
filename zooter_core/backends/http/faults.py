"""Turns everything that can go wrong between Zooter and an endpoint into one clear message."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import httpx2
import openai

from zooter_core.backends.http.redaction import Redaction
from zooter_core.backends.http.refusals import Subject, message_of, subject_of
from zooter_core.backends.http.retry import OVERLOAD, is_temporary, retry_after
from zooter_core.config.endpoint import EndpointConfig
from zooter_core.errors import Failure, WorkError, one_line
from zooter_core.records import Finish

# Finish reasons as several makes of servers name them, in lower case. Any other one counts as cut off.
ENDED = ("stop", "eos", "eos_token", "stop_sequence", "end_turn", "complete")
CUT_OFF = ("length", "max_tokens", "max_output_tokens", "model_length")
TOOLS = ("tool_calls", "tool_call", "tool_use", "function_call")
FILTERED = ("content_filter", "content_filtered", "safety", "recitation", "prohibited_content", "refusal")
FAILED = ("error", "abort", "insufficient_system_resource")
SEE_LOG = "See the server's log."
TRY_AGAIN = "Try again; see the server's log."


@dataclass(eq=False)
class AnswerError(Exception):
    """Why a request for an answer failed.

    Attributes:
        reason: what happened, as a phrase.
        temporary: whether another attempt may succeed.
        wait: seconds that the server asks for before the next attempt.
        refused: whether this one request is at fault, not the candidate.
        overload: whether the server has too many requests, by its own words or because it is too slow.
        subject: what in the request the server refuses, by its own words.
        unknown: whether the server does not know the model or the address.
    """

    reason: str
    next_step: str
    temporary: bool = False
    wait: float | None = None
    refused: bool = False
    overload: bool = False
    subject: Subject | None = None
    unknown: bool = False

    def failure(self, candidate: str, config: EndpointConfig) -> Failure:
        """The error of a candidate's response."""
        sentence = f"{candidate} at {config.host} failed: {self.reason}."
        error = WorkError(f"an answer of {candidate} from {config.host}", self.reason, self.next_step, sentence)
        return error.failure


def error_of(problem: BaseException, config: EndpointConfig, redact: Redaction) -> AnswerError:
    """The error behind an exception of the client. The server's words in it are redacted."""
    if isinstance(problem, AnswerError):
        return problem
    if isinstance(problem, openai.APIStatusError):
        return _status_error(problem, config, redact)
    if isinstance(problem, openai.APIConnectionError):
        return _connection_error(problem, config)
    if isinstance(problem, openai.APIError):  # an error event in the middle of a stream
        subject = subject_of(500, message_of(problem.body))
        reason = f"the server sent an error{_message(problem, redact)}"
        return AnswerError(reason, TRY_AGAIN, refused=subject is not None, subject=subject)
    if isinstance(problem, json.JSONDecodeError | UnicodeDecodeError):
        return AnswerError("a line of the stream is not JSON", TRY_AGAIN)
    return AnswerError(f"the answer cannot be read ({type(problem).__name__})", TRY_AGAIN)


def _status_error(problem: openai.APIStatusError, config: EndpointConfig, redact: Redaction) -> AnswerError:
    status = problem.status_code
    reason, subject = f"status {status}{_message(problem, redact)}", subject_of(status, message_of(problem.body))
    temporary = is_temporary(status) and subject is None
    if 300 <= status < 400:
        target = _host(redact(problem.response.headers.get("location", "")))  # hosts are lower case, keys may not be
        return AnswerError(
            f"status {status}: it redirects to {one_line(target) or 'another address'}, which is not followed",
            "If that is the right address, use it as base_url in fleet.toml.",
        )
    if status in (401, 403):
        if config.api_key_env:
            next_step = f"Put the right key into the environment variable {config.api_key_env}."
            return AnswerError(f"{reason}: the server refuses the key", next_step)
        return AnswerError(f"{reason}: the server wants a key", "Name its environment variable: api_key_env = ...")
    if status == 404:
        next_step = "Check model and base_url in fleet.toml; base_url usually ends in /v1."
        return AnswerError(reason, next_step, unknown=True)
    if status == 429:
        reason += ": too many requests"
        next_step = "Try again later, or lower parallel in fleet.toml."
    else:
        next_step = "Try again later; see the server's log." if temporary else "See the server's message."
    wait = retry_after(problem.response.headers) if temporary else None
    if wait:
        reason += f"; it asks for a pause of {wait:.0f} s"
    refused, overload = subject is not None, status in OVERLOAD
    return AnswerError(reason, next_step, temporary, wait, refused, overload, subject)


def _host(url: str) -> str:
    try:
        return httpx2.URL(url).host
    except httpx2.InvalidURL:
        return ""


def _connection_error(problem: BaseException, config: EndpointConfig) -> AnswerError:
    causes = list(_causes(problem))
    tls = [cause for cause in causes if isinstance(cause, ssl.SSLError) or "[SSL" in str(cause)]
    if tls:
        why = one_line(getattr(tls[-1], "verify_message", "") or getattr(tls[-1], "reason", "") or str(tls[-1]))
        return AnswerError(f"no TLS connection ({why})", "Fix the server's certificate, or base_url (http or https).")
    if any(isinstance(cause, httpx2.ConnectTimeout) for cause in causes):
        next_step = "Check that the server runs and that base_url is right."
        return AnswerError(f"no connection within {config.connect_seconds:g} s", next_step, temporary=True)
    if any(isinstance(cause, httpx2.ConnectError) for cause in causes):
        refused = any(isinstance(cause, ConnectionRefusedError) for cause in causes)
        unknown = any(isinstance(cause, socket.gaierror) for cause in causes)
        why = "refused" if refused else "no such host" if unknown else one_line(str(problem.__cause__))
        return AnswerError(f"no connection ({why})", "Start the server, or fix base_url in fleet.toml.", temporary=True)
    return AnswerError("the connection broke", TRY_AGAIN, temporary=True)


def _causes(problem: BaseException | None) -> Iterator[BaseException]:
    while problem is not None:
        yield problem
        problem = problem.__cause__ or problem.__context__


def finish_of(reason: str | None, text: bool, tool_call: bool, redact: Redaction) -> Finish:
    """How an answer ended: `stop`, or `length` if it is cut off.

    Args:
        reason: the finish reason; None if the stream ended without one.

    Raises:
        AnswerError: it is not an answer.
    """
    name = reason and reason.lower()
    if name in FILTERED:
        raise AnswerError("the server's content filter stopped the answer", "Rephrase the query.", refused=True)
    if name in TOOLS or (tool_call and not text):
        next_step = "Switch tools off on the server, or ask for an answer in words."
        raise AnswerError("the model called a tool, and Zooter offers none", next_step, refused=True)
    if reason is None and not text:
        raise AnswerError("the stream ended without any text", SEE_LOG, temporary=True)
    if name in FAILED or (name not in (*ENDED, *CUT_OFF) and not text):
        kind = "the answer" if text else "an answer without text"
        raise AnswerError(f'{kind} ended with the finish reason "{one_line(redact(str(reason)))}"', SEE_LOG)
    return "stop" if name in ENDED else "length"


def _message(problem: openai.APIError, redact: Redaction) -> str:
    """`, "the server's message"`, if it has one."""
    text = message_of(problem.body)
    return f', "{one_line(redact(text))}"' if text else ""
