"""What can go wrong between here and an endpoint, each told in one clear message."""

from __future__ import annotations

import json
import random
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import openai

from zooter_core.backends.http.redaction import Redaction
from zooter_core.config.endpoint import EndpointConfig, retry_after
from zooter_core.errors import Failure, WorkError
from zooter_core.records import Finish

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0  # seconds between attempts, where the server names none
LONGEST_WAIT = 60.0  # seconds; a server that wants a longer pause is not asked again
PASSING = (408, 409, 425, 429)  # statuses that may be another next time, besides 500 and above
OWN_FAULT = (400, 413, 422)  # of one request; the next may be answered
# Finish reasons as servers of several makes name them, in lower case. With any other the answer counts as cut off.
ENDED = ("stop", "eos", "eos_token", "stop_sequence", "end_turn", "complete")
CUT_OFF = ("length", "max_tokens", "max_output_tokens", "model_length")
TOOLS = ("tool_calls", "tool_call", "tool_use", "function_call")
FILTERED = ("content_filter", "content_filtered", "safety", "recitation", "prohibited_content", "refusal")
FAILED = ("error", "abort", "insufficient_system_resource")
MOST_WORDS = 200  # characters shown of what a server says


@dataclass(eq=False)
class AnswerError(Exception):
    """Why an answer failed: what was found, what to do next, and whether another attempt may end better.

    Attributes:
        wait: seconds that the server asks for before the next attempt.
        counts: whether it speaks against the candidate, not against this one request.
    """

    found: str
    next_step: str
    again: bool = False
    wait: float | None = None
    counts: bool = True

    def failure(self, candidate: str, config: EndpointConfig) -> Failure:
        """It as the error of a candidate's response."""
        return WorkError(f"an answer of {candidate} from {config.host}", self.found, self.next_step).failure


def pause(attempt: int, wait: float | None, chance: float | None = None) -> float | None:
    """Seconds to the next attempt after attempt number `attempt` (from 0); None when the server wants too long a wait.

    What the server asks for is kept to, and a little more; else the pauses double, each shortened by chance (jitter) by
    up to a half, so that many clients do not come back at the same moment.
    """
    chance = random.random() if chance is None else chance
    if wait is None:
        return float(min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE) * (1 - chance / 2))
    return None if wait > LONGEST_WAIT else wait + 0.25 * chance


def fault_of(problem: BaseException, config: EndpointConfig, redact: Redaction) -> AnswerError:
    """The fault behind an exception of the client; what the server says is redacted."""
    if isinstance(problem, AnswerError):
        return problem
    if isinstance(problem, openai.APIStatusError):
        return _status(problem, config, redact)
    if isinstance(problem, openai.APIConnectionError):
        return _connection(problem, config)
    if isinstance(problem, openai.APIError):  # an error event in the middle of a stream
        return AnswerError(f"an error in place of text{_words(problem, redact)}", "Ask again; see the server's log.")
    if isinstance(problem, json.JSONDecodeError | UnicodeDecodeError):
        return AnswerError("a line in its stream that is not JSON", "Ask again; see the server's log.")
    return AnswerError(f"an answer that cannot be read ({type(problem).__name__})", "Ask again; see the server's log.")


def _status(problem: openai.APIStatusError, config: EndpointConfig, redact: Redaction) -> AnswerError:
    status, words = problem.status_code, _words(problem, redact)
    found = f"status {status}{words}"
    if 300 <= status < 400:
        where = _host(redact(problem.response.headers.get("location", "")))  # a host is in lower case, a key may not be
        return AnswerError(
            f"status {status}: it redirects to {printable(where) or 'another address'}, which is not followed",
            "Mend base_url in fleet.toml, where that is the right address.",
        )
    if status in (401, 403):
        name = config.api_key_env
        held = f"Put the right key into the environment variable {name}." if name else "Name it: api_key_env = ..."
        return AnswerError(f"{found}: it {'refuses the key' if name else 'wants a key'}", held)
    if status == 404:
        return AnswerError(found, "Check model and base_url in fleet.toml; base_url usually ends in /v1.")
    again = status >= 500 or status in PASSING
    wait = retry_after(problem.response.headers) if again else None
    found += (": too many requests" if status == 429 else "") + (
        f"; it asks for a pause of {wait:.0f} s" if wait else ""
    )
    next_step = "Ask again later; see the server's log." if again else "See what the server says."
    next_step = "Ask again later, or lower parallel in fleet.toml." if status == 429 else next_step
    return AnswerError(found, next_step, again, wait, counts=status not in OWN_FAULT)


def _host(url: str) -> str:
    try:
        return httpx2.URL(url).host
    except httpx2.InvalidURL:
        return ""


def finish_of(reason: str | None, text: bool, tool: bool, redact: Redaction) -> Finish:
    """How an answer ended: `stop`, or `length` where it is cut off.

    Args:
        reason: its finish reason; None where it ended without one.
        text: whether any text has come.
        tool: whether a call of a tool has.

    Raises:
        AnswerError: it is no answer.
    """
    log, known = "See the server's log.", reason and reason.lower()
    if known in FILTERED:
        raise AnswerError("an answer that the server's content filter broke off", "Ask in other words.", counts=False)
    if known in TOOLS or (tool and not text):
        next_step = "Switch tools off on the server, or ask for an answer in words."
        raise AnswerError("a call of a tool, and Zooter offers none", next_step, counts=False)
    if reason is None and not text:
        raise AnswerError("a stream that ended without a word", log, True)
    if known in FAILED or (known not in (*ENDED, *CUT_OFF) and not text):
        what = "an answer" if text else "an answer without text"
        raise AnswerError(f'{what} that ended for the reason "{printable(redact(str(reason)))}"', log)
    return "stop" if known in ENDED else "length"


def _connection(problem: BaseException, config: EndpointConfig) -> AnswerError:
    causes = list(_causes(problem))
    tls = [cause for cause in causes if isinstance(cause, ssl.SSLError) or "[SSL" in str(cause)]
    if tls:
        why = printable(getattr(tls[-1], "verify_message", "") or getattr(tls[-1], "reason", "") or str(tls[-1]))
        return AnswerError(f"no TLS connection ({why})", "Mend the server's certificate, or base_url (http or https).")
    if any(isinstance(cause, httpx2.ConnectTimeout) for cause in causes):
        return AnswerError(
            f"no connection within {config.connect_seconds:g} s",
            "Check that the server runs and that base_url is right.",
            True,
        )
    if any(isinstance(cause, httpx2.ConnectError) for cause in causes):
        refused = any(isinstance(cause, ConnectionRefusedError) for cause in causes)
        unknown = any(isinstance(cause, socket.gaierror) for cause in causes)
        why = "refused" if refused else "no such host" if unknown else printable(str(problem.__cause__))
        return AnswerError(f"no connection ({why})", "Start the server, or mend base_url in fleet.toml.", True)
    return AnswerError("the connection broken off", "Ask again; see the server's log.", True)


def _causes(problem: BaseException | None) -> Iterator[BaseException]:
    while problem is not None:
        yield problem
        problem = problem.__cause__ or problem.__context__


def _words(problem: openai.APIError, redact: Redaction) -> str:
    """`, "what the server says"`, where it says anything."""
    body: Any = problem.body
    for name in ("error", "message", "detail"):
        body = body.get(name, body) if isinstance(body, Mapping) else body
    text = body if isinstance(body, str) else ""
    if not text or text.lstrip().startswith("<"):  # a web page says nothing in one line
        return ""
    return f', "{printable(redact(text))}"'


def printable(text: str) -> str:
    """A stranger's text as one short line without control characters."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= MOST_WORDS else line[: MOST_WORDS - 3] + "..."
