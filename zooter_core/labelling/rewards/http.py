"""Reward kind `http`: a reward model behind an endpoint, asked in batches.

`api` says what is sent to `url`, and what is read:
- `pairs`, an endpoint of one's own: {"model", "pairs": [{"query", "response"}]} -> {"rewards": [number]}.
- `score`, vLLM's /score: {"model", "text_1": [query], "text_2": [response]} -> {"data": [{"index", "score"}]}.
- `pooling`, vLLM's /pooling: {"model", "input": [text]} with a `template`, else {"model", "messages"} one response a
  request and the server's chat template -> {"data": [{"index", "data": [number]}]}; where a model gives a number for
  each token, the last one counts.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx2

from zooter_core.backends import Backend
from zooter_core.backends.http.redaction import Redaction
from zooter_core.config.endpoint import key_from, retry_after
from zooter_core.config.labelling import HttpConfig
from zooter_core.errors import WorkError, ZooterError, first_line
from zooter_core.labelling.rewards import Unscored
from zooter_core.labelling.rewards.texts import filled

TRIES = 3
WAIT = 0.5  # seconds before the second try, twice as long before each further one
LONGEST_WAIT = 30.0  # that Retry-After may ask for
CONNECT = 10.0  # seconds
BUSY = (408, 429, 500, 502, 503, 504)
Pair = tuple[str, str]


HANGS = 2  # time-outs of a single pair in a row: then the endpoint hangs


class RefusedError(Exception):
    """The endpoint is there but did not score these pairs; others may do."""


class SlowError(RefusedError):
    """No answer came in time."""


class HttpReward:
    """A reward endpoint. Redirects are not followed: the key is for the host that fleet.toml names.

    Raises:
        ZooterError: the url is none, or the environment lacks the key that fleet.toml names.
    """

    def __init__(self, config: HttpConfig, backend: Callable[[str], Backend]) -> None:
        self.config = config
        self.url = config.url
        if not _is_address(self.url):
            raise ZooterError("url as http://... or https://... in [reward]", f'"{self.url}"', "Mend fleet.toml.")
        key = key_from(config.api_key_env, "the reward endpoint")
        self._redact = Redaction(key)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.slow = 0  # pairs in a row that no answer came for
        timeout = httpx2.Timeout(config.timeout_seconds, connect=min(CONNECT, config.timeout_seconds))
        self.client = httpx2.Client(headers=headers, timeout=timeout, follow_redirects=False)
        self.version = ""

    def score(self, pairs: Sequence[Pair]) -> list[float]:
        alone = self.config.api == "pooling" and not self.config.template  # a request holds one conversation
        size = 1 if alone else self.config.batch
        rewards: list[float] = []
        for first in range(0, len(pairs), size):
            rewards += self._batch(pairs[first : first + size])
        return rewards

    def _batch(self, pairs: Sequence[Pair]) -> list[float]:
        """Rewards of one request; where it is refused, of each pair by itself, once."""
        try:
            return self._ask(pairs, TRIES)
        except RefusedError as problem:
            if len(pairs) == 1:
                return [Unscored(str(problem))]
        rewards: list[float] = []
        for pair in pairs:
            try:
                rewards += self._ask([pair], 1)
            except RefusedError as problem:
                rewards.append(Unscored(str(problem)))
        return rewards

    def _too_slow(self, pairs: int, problem: Exception) -> Exception:
        """A time-out: of these pairs alone, or of one after the other."""
        self.slow += pairs == 1
        found = f"no answer in {self.config.timeout_seconds:g} s"
        if self.slow < HANGS:
            return SlowError(f"the reward endpoint gave {found}")
        return self._wrong("it to answer", found, "Start it anew, or raise timeout_seconds in [reward].")

    def _ask(self, pairs: Sequence[Pair], tries: int) -> list[float]:
        answer = self._post(pairs, tries)
        self.slow = 0
        text = self._redact(answer.text)
        try:
            found = _read(answer.json(), self.config.api, self._redact)
        except (ValueError, RecursionError):
            kind = self._redact(answer.headers.get("content-type", "no type"))
            raise self._wrong("JSON", f"{kind:.60} {text!r:.60}") from None
        if found is None:
            raise self._wrong(SHAPES[self.config.api], f"{text!r:.80}")
        if len(found) != len(pairs):
            raise self._wrong(f"{len(pairs)} rewards", str(len(found)))
        return found

    def _body(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        config = self.config
        body: dict[str, Any] = {"model": config.model} if config.model else {}
        if config.api == "score":
            return body | {"text_1": [query for query, _ in pairs], "text_2": [text for _, text in pairs]}
        if config.api == "pairs":
            return body | {"pairs": [{"query": query, "response": text} for query, text in pairs]}
        if config.template:
            texts = [filled(config.template, {"query": query, "response": text}) for query, text in pairs]
            return body | {"input": texts}
        turns = [{"role": "user", "content": pairs[0][0]}, {"role": "assistant", "content": pairs[0][1]}]
        return body | {"messages": turns, "add_generation_prompt": False}

    def _post(self, pairs: Sequence[Pair], tries: int) -> httpx2.Response:
        """The answer with status 200, after bounded tries.

        Raises:
            WorkError: the endpoint cannot be reached, or will not serve this fleet at all.
            RefusedError: it is busy, slow or failed each time, or does not take these pairs.
        """
        body = self._body(pairs)
        for number in range(tries):
            last = number + 1 == tries
            try:
                answer = self.client.post(self.url, json=body)
            except httpx2.ReadTimeout as problem:
                if last or number:  # twice is enough of waiting
                    raise self._too_slow(len(pairs), problem) from problem
            except httpx2.TransportError as problem:
                if last:
                    found = self._redact(first_line(problem))
                    raise self._wrong("it to answer", found, "Start it, or mend url.") from None
                time.sleep(_pause(number))
            else:
                if answer.status_code not in BUSY or last:
                    break
                time.sleep(_pause(number, answer))
        self._check(answer)
        return answer

    def _check(self, answer: httpx2.Response) -> None:
        status = answer.status_code
        if status == 200:
            return
        said = f"{status}: {self._redact(answer.text)!r:.80}"
        if status in (401, 403):
            named = self.config.api_key_env
            hint = (
                f"Check the key in {named}."
                if named
                else "Name the variable that holds its key: api_key_env in [reward]."
            )
            raise self._wrong("leave to ask", str(status), hint)
        if status == 404:
            raise self._wrong("url and model to be there", said, "Mend url or model in [reward].")
        if answer.is_redirect:
            raise self._wrong("no redirect", f"{status} to another place", "Name the last url itself.")
        if status in (400, 413, 422) or status in BUSY:
            raise RefusedError(f"the reward endpoint answered {said}")
        raise self._wrong("status 200", said)

    def _wrong(self, expected: str, found: str, hint: str = "Check api and url in [reward].") -> WorkError:
        return WorkError(f"{expected} at the reward endpoint {_shown(self.url)}", found, hint)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an IPv6 address, a port that is none
        return False


def _shown(url: str) -> str:
    """A url without the name and password that may be in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


SHAPES = {
    "pairs": '{"rewards": [number, ...]}',
    "score": '{"data": [{"score": number}, ...]}',
    "pooling": '{"data": [{"data": [number, ...]}, ...]}',
}


def _read(answer: Any, api: str, redact: Redaction) -> list[float] | None:
    """The rewards of an answer, in the order asked for; None where it has another shape.

    What is no number is shown without the key.
    """
    rows = answer.get("rewards" if api == "pairs" else "data") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        return None
    if api == "pairs":
        return [_number(row, redact) for row in rows]
    if not all(isinstance(row, dict) and ("score" if api == "score" else "data") in row for row in rows):
        return None
    rows = sorted(rows, key=lambda row: row.get("index", 0))  # stable: without an index as they came
    return [_number(row["score"] if api == "score" else _last(row["data"]), redact) for row in rows]


def _last(data: Any) -> Any:
    """The last number of nested lists: a sequence's, or its last token's."""
    while isinstance(data, list) and data:
        data = data[-1]
    return data


def _number(value: Any, redact: Redaction) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        with suppress(OverflowError):
            return float(value)
    return Unscored(f"the reward endpoint gave {redact(repr(value)):.40}")


def _pause(number: int, answer: httpx2.Response | None = None) -> float:
    """Seconds before the next try: what Retry-After asks for, else longer each time, with some chance in it."""
    asked = None if answer is None else retry_after(answer.headers)
    if asked is not None:
        return min(asked, LONGEST_WAIT)
    return WAIT * 2**number * random.uniform(0.5, 1.5)
