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

from zooter_core.endpoint import EndpointConfig, retry_after
from zooter_core.errors import WorkError

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0  # seconds between attempts, where the server names none
LONGEST_WAIT = 60.0  # seconds; a server that wants a longer pause is not asked again
PASSING = (408, 409, 425, 429)  # statuses that may be another next time, besides 500 and above
OWN_FAULT = (400, 413, 422)  # of one request; the next may be answered
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

    def told(self, candidate: str, config: EndpointConfig) -> str:
        """The whole message."""
        return str(WorkError(f"an answer of {candidate} from {config.host}", self.found, self.next_step))


def pause(attempt: int, wait: float | None, chance: float | None = None) -> float | None:
    """Seconds to the next attempt after attempt number `attempt` (from 0); None when the server wants too long a wait.

    What the server asks for is kept to, and a little more; else the pauses double, each shortened by chance (jitter) by
    up to a half, so that many clients do not come back at the same moment.
    """
    chance = random.random() if chance is None else chance
    if wait is None:
        return float(min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE) * (1 - chance / 2))
    return None if wait > LONGEST_WAIT else wait + 0.25 * chance


def fault_of(problem: BaseException, config: EndpointConfig, key: str | None) -> AnswerError:
    """The fault behind an exception of the client; `key` is blotted out of whatever the server says."""
    if isinstance(problem, AnswerError):
        return problem
    if isinstance(problem, openai.APIStatusError):
        return _status(problem, config, key)
    if isinstance(problem, openai.APIConnectionError):
        return _connection(problem, config)
    if isinstance(problem, openai.APIError):  # an error event in the middle of a stream
        return AnswerError(f"an error in place of text{_words(problem, key)}", "Ask again; see the server's log.")
    if isinstance(problem, json.JSONDecodeError | UnicodeDecodeError):
        return AnswerError("a line in its stream that is not JSON", "Ask again; see the server's log.")
    return AnswerError(f"an answer that cannot be read ({type(problem).__name__})", "Ask again; see the server's log.")


def _status(problem: openai.APIStatusError, config: EndpointConfig, key: str | None) -> AnswerError:
    status, words = problem.status_code, _words(problem, key)
    found = f"status {status}{words}"
    if 300 <= status < 400:
        where = httpx2.URL(problem.response.headers.get("location", "")).host
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


def _words(problem: openai.APIError, key: str | None) -> str:
    """`, "what the server says"`, where it says anything."""
    body: Any = problem.body
    for name in ("error", "message", "detail"):
        body = body.get(name, body) if isinstance(body, Mapping) else body
    text = body if isinstance(body, str) else ""
    if not text or text.lstrip().startswith("<"):  # a web page says nothing in one line
        return ""
    return f', "{printable(text.replace(key, "***") if key else text)}"'


def printable(text: str) -> str:
    """A stranger's text as one short line without control characters."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= MOST_WORDS else line[: MOST_WORDS - 3] + "..."
