"""Reward kind `http`: a reward model behind an endpoint, which scores pairs in batches.

`api` says what is sent to `url`, and what comes back:
- `pairs`, your own endpoint: {"model", "pairs": [{"query", "response"}]} -> {"rewards": [number]}.
- `score`, vLLM's /score: {"model", "text_1": [query], "text_2": [response]} -> {"data": [{"index", "score"}]}.
- `pooling`, vLLM's /pooling: {"model", "input": [text]} with a `template`, else {"model", "messages"} with one response
  a request and the server's chat template -> {"data": [{"index", "data": [number]}]}. If a model gives a number for
  every token, the last one counts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from zooter_core.backends import Backend
from zooter_core.backends.endpoint.backend import Portal
from zooter_core.backends.endpoint.client import Client
from zooter_core.backends.endpoint.faults import EndpointError
from zooter_core.backends.endpoint.redaction import Redaction
from zooter_core.backends.endpoint.retry import retry_pause
from zooter_core.base.errors import WorkError
from zooter_core.config.endpoint import key_from
from zooter_core.config.labelling import HttpConfig
from zooter_core.config.trust import on_this_machine
from zooter_core.labelling.rewards import Unscored, fill_template

CONNECT_SECONDS = 10.0
TIMEOUT_SECONDS = 60.0
AT_ONCE = 16  # responses in a request
MOST_TIMEOUTS = 2  # of a batch, and of single pairs in a row; then the endpoint counts as hanging
RETRIES = 2
KEY_REFUSED, NOT_FOUND = (401, 403), 404
SHAPES = {
    "pairs": '{"rewards": [number, ...]}',
    "score": '{"data": [{"score": number}, ...]}',
    "pooling": '{"data": [{"data": [number, ...]}, ...]}',
}
Pair = tuple[str, str]


class RefusedPairsError(Exception):
    """The endpoint did not score these pairs, but may score others."""


class HttpReward:
    """A reward endpoint.

    Raises:
        ZooterError: the environment lacks the key that fleet.toml names, or it may not go there.
    """

    def __init__(self, config: HttpConfig, backend: Callable[[str], Backend]) -> None:
        self.config, self.url = config, config.url
        key = key_from(config.api_key_env, "the reward endpoint", self.url, config.insecure)
        self._redact = Redaction(key)
        self._timeouts = 0  # of single pairs in a row
        self._client = Client(self.url, key, config.api_key_env, on_this_machine(self.url), CONNECT_SECONDS)
        self._portal = Portal("rewards")
        self._portal.closing.append(self._client.close)
        self.version = ""

    def score(self, pairs: Sequence[Pair]) -> list[float]:
        one_a_request = self.config.api == "pooling" and not self.config.template
        size = 1 if one_a_request else AT_ONCE
        rewards: list[float] = []
        for first in range(0, len(pairs), size):
            rewards += self._batch(pairs[first : first + size])
        return rewards

    def _batch(self, pairs: Sequence[Pair]) -> list[float]:
        """The rewards of one request. If it is refused, every pair is sent once by itself."""
        try:
            return self._request(pairs, RETRIES)
        except RefusedPairsError as problem:
            if len(pairs) == 1:
                return [Unscored(str(problem))]
        rewards: list[float] = []
        for pair in pairs:
            try:
                rewards += self._request([pair], 0)
            except RefusedPairsError as problem:
                rewards.append(Unscored(str(problem)))
        return rewards

    def _request(self, pairs: Sequence[Pair], retries: int) -> list[float]:
        reply = self._post(pairs, retries)
        self._timeouts = 0
        text = self._redact(reply.decode("utf-8", "replace"))
        try:
            # A reward that is no finite number is set aside with its response.
            rewards = _read(json.loads(reply), self.config.api, self._redact)
        except (ValueError, RecursionError):
            raise self._error("JSON", f"{text!r:.60}") from None
        if rewards is None:
            raise self._error(SHAPES[self.config.api], f"{text!r:.80}")
        if len(rewards) != len(pairs):
            raise self._error(f"{len(pairs)} rewards", str(len(rewards)))
        return rewards

    def _body(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        config = self.config
        body: dict[str, Any] = {"model": config.model} if config.model else {}
        if config.api == "score":
            return body | {"text_1": [query for query, _ in pairs], "text_2": [text for _, text in pairs]}
        if config.api == "pairs":
            return body | {"pairs": [{"query": query, "response": text} for query, text in pairs]}
        if config.template:
            texts = [fill_template(config.template, {"query": query, "response": text}) for query, text in pairs]
            return body | {"input": texts}
        turns = [{"role": "user", "content": pairs[0][0]}, {"role": "assistant", "content": pairs[0][1]}]
        return body | {"messages": turns, "add_generation_prompt": False}

    def _post(self, pairs: Sequence[Pair], retries: int) -> bytes:
        """The body of the reply with status 200.

        Raises:
            WorkError: the endpoint cannot be reached, or does not serve this fleet at all.
            RefusedPairsError: it is still busy, slow or failing after all retries, or does not accept these pairs.
        """
        body = self._body(pairs)
        for attempt in count():
            try:
                reply = self._client.fetch("POST", self.url, body, TIMEOUT_SECONDS)
                return self._portal.submit(reply).result()
            except EndpointError as problem:
                error = problem
            if error.timed_out:
                if attempt + 1 >= MOST_TIMEOUTS or attempt >= retries:
                    raise self._timed_out(len(pairs))
                continue
            pause = retry_pause(attempt, retries if error.temporary else 0, error.retry_after)
            if pause is None:
                raise self._failure(error)
            time.sleep(pause)
        raise AssertionError

    def _timed_out(self, pairs: int) -> Exception:
        """The error after a time-out: these pairs are too slow, or the endpoint hangs."""
        self._timeouts += pairs == 1
        reason = f"no answer in {TIMEOUT_SECONDS:g} s"
        if self._timeouts < MOST_TIMEOUTS:
            return RefusedPairsError(f"the reward endpoint gave {reason}")
        return self._error("an answer", reason, "Restart it, or give it more room.")

    def _failure(self, error: EndpointError) -> Exception:
        """What a failure means for these pairs, or for all."""
        status = error.server_status
        if status in KEY_REFUSED:
            variable = self.config.api_key_env
            name_it = "Name the variable that holds its key: api_key_env in [reward]."
            return self._error("access", error.message, f"Check the key in {variable}." if variable else name_it)
        if status == NOT_FOUND:
            return self._error("this url and model", error.message, "Fix url or model in [reward].")
        if status and 300 <= status < 400:
            return self._error("no redirect", error.message, "Use the last url itself.")
        if error.refused or (status and error.temporary):
            return RefusedPairsError(f"the reward endpoint answered {error.message}")
        if error.unreachable:
            return self._error("a connection", error.message, "Start it, or fix url in [reward].")
        return self._error("status 200 and JSON", error.message)

    def _error(self, expected: str, found: str, next_step: str = "Check api and url in [reward].") -> WorkError:
        return WorkError(f"{expected} at the reward endpoint {_shown(self.url)}", found, next_step)


def _shown(url: str) -> str:
    """A url without a name and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _read(reply: Any, api: str, redact: Redaction) -> list[float] | None:
    """The rewards in a reply, in the order of the pairs; None if it has another shape."""
    rows = reply.get("rewards" if api == "pairs" else "data") if isinstance(reply, dict) else None
    if not isinstance(rows, list):
        return None
    if api == "pairs":
        return [_number(row, redact) for row in rows]
    if not all(isinstance(row, dict) and ("score" if api == "score" else "data") in row for row in rows):
        return None
    rows = sorted(rows, key=lambda row: row.get("index", 0))  # stable: without an index they stay in order
    return [_number(row["score"] if api == "score" else _last(row["data"]), redact) for row in rows]


def _last(data: Any) -> Any:
    """The last number in nested lists, which is a sequence's or that of its last token."""
    while isinstance(data, list) and data:
        data = data[-1]
    return data


def _number(value: Any, redact: Redaction) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        with suppress(OverflowError):
            return float(value)
    return Unscored(f"the reward endpoint gave {redact(repr(value)):.40}")
