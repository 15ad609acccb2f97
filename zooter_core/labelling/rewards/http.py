"""Reward kind `http`: a reward model behind an endpoint, which scores pairs in batches.

`api` is the format of requests to `url` and of replies:
- `pairs`, your own endpoint: {"model", "pairs": [{"query", "response"}]} -> {"rewards": [number]}.
- `score`, vLLM's /score: {"model", "text_1": [query], "text_2": [response]} -> {"data": [{"index", "score"}]}.
- `pooling`, vLLM's /pooling: {"model", "input": [text]} with a `template`, else {"model", "messages"} with one response
  per request and the server's chat template -> {"data": [{"index", "data": [number]}]}. If a model gives a number for
  every token, the last one counts.

vLLM is asked for logits: its default, their sigmoid, rounds to 1.0 for every response with a high reward.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from zooter_core.backends import Backend
from zooter_core.backends.endpoint.backend import Portal
from zooter_core.backends.endpoint.client import Client
from zooter_core.backends.endpoint.faults import ACCOUNT, EndpointError
from zooter_core.backends.endpoint.retry import retry_pause
from zooter_core.base.errors import WorkError
from zooter_core.base.strict_json import is_number
from zooter_core.config.endpoint import key_from
from zooter_core.config.labelling import HttpConfig
from zooter_core.config.trust import on_this_machine
from zooter_core.labelling.rewards import Unscored, fill_template

CONNECT_SECONDS = 10.0
TIMEOUT_SECONDS = 60.0
AT_ONCE = 16  # responses in a request
MOST_TIMEOUTS = 2  # consecutive ones; with one more, the endpoint counts as hanging
RETRIES = 2
CHECK = "See whether it runs, and check url, api and model in [reward]."
SHAPES = {
    "pairs": '{"rewards": [number, ...]}',
    "score": '{"data": [{"score": number}, ...]}',
    "pooling": '{"data": [{"data": [number, ...]}, ...]}',
}
Pair = tuple[str, str]


class HttpReward:
    """A reward endpoint.

    Raises:
        ZooterError: the key that fleet.toml names is not in the environment, or must not be sent there.
    """

    def __init__(self, config: HttpConfig, backend: Callable[[str], Backend]) -> None:
        self.config, self.version = config, "" if config.api == "pairs" else "logits"
        key = key_from(config.api_key_env, "the reward endpoint", config.url, config.insecure)
        self._client = Client(config.url, key, config.api_key_env, on_this_machine(config.url), CONNECT_SECONDS)
        self._portal = Portal("rewards")
        self._portal.closing.append(self._client.close)
        self._timeouts = 0  # since the last reply

    def score(self, pairs: Sequence[Pair]) -> list[float]:
        size = 1 if self.config.api == "pooling" and not self.config.template else AT_ONCE
        rewards: list[float] = []
        for first in range(0, len(pairs), size):
            rewards += self._scored(pairs[first : first + size], RETRIES)
        return rewards

    def _scored(self, pairs: Sequence[Pair], retries: int) -> list[float]:
        """The rewards of one request. If it is refused, fails or times out, every pair is sent once by itself.

        Raises:
            WorkError: the endpoint cannot be reached, or refuses every request of this fleet.
        """
        try:
            reply = self._post(pairs, retries)
        except EndpointError as error:
            self._timeouts += error.timed_out
            by_pair = error.refused or error.timed_out or (error.server_status and error.temporary)
            if not by_pair or self._timeouts > MOST_TIMEOUTS:
                step = error.next_step if error.server_status in ACCOUNT else CHECK
                raise self._error("an answer", error.message, step) from None
            if len(pairs) == 1:
                return [Unscored(f"the reward endpoint gave {error.message}")]
            return [reward for pair in pairs for reward in self._scored([pair], 0)]
        self._timeouts = 0
        return self._read(reply, len(pairs))

    def _post(self, pairs: Sequence[Pair], retries: int) -> bytes:
        """The body of the reply with status 200.

        Raises:
            EndpointError: all retries failed.
        """
        body = self._body(pairs)
        attempt = 0
        while True:
            try:
                return self._portal.submit(self._client.fetch("POST", self.config.url, body, TIMEOUT_SECONDS)).result()
            except EndpointError as error:
                pause = retry_pause(attempt, retries if error.temporary else 0, error.retry_after)
                if pause is None:
                    raise
            time.sleep(pause)
            attempt += 1

    def _body(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        config = self.config
        body: dict[str, Any] = {"model": config.model} if config.model else {}
        if config.api == "pairs":
            return body | {"pairs": [{"query": query, "response": text} for query, text in pairs]}
        body["use_activation"] = False
        if config.api == "score":
            return body | {"text_1": [query for query, _ in pairs], "text_2": [text for _, text in pairs]}
        if config.template:
            texts = [fill_template(config.template, {"query": query, "response": text}) for query, text in pairs]
            return body | {"input": texts}
        turns = [{"role": "user", "content": pairs[0][0]}, {"role": "assistant", "content": pairs[0][1]}]
        return body | {"messages": turns, "add_generation_prompt": False}

    def _read(self, reply: bytes, number: int) -> list[float]:
        """The rewards in a reply, in the order of the pairs."""
        api = self.config.api
        try:
            shape = json.loads(reply)  # accepts NaN: a response without a finite reward is set aside
            if api == "pairs":
                values = list(shape["rewards"])
            else:  # without indices, they are in order
                rows = sorted(shape["data"], key=lambda row: row.get("index", 0))
                values = [row["score"] if api == "score" else _last(row["data"]) for row in rows]
        except (ValueError, TypeError, KeyError, AttributeError):
            values = []
        if len(values) != number:
            text = self._client.redact(reply.decode("utf-8", "replace"))
            raise self._error(f"{number} rewards as {SHAPES[api]}", f"{text!r:.80}")
        return [self._number(value) for value in values]

    def _number(self, value: Any) -> float:
        if is_number(value):
            return float(value)
        return Unscored(f"the reward endpoint gave {self._client.redact(repr(value)):.40}")

    def _error(self, expected: str, found: str, next_step: str = CHECK) -> WorkError:
        parts = urlsplit(self.config.url)
        shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()  # without user name and password
        return WorkError(f"{expected} from the reward endpoint {shown}", found, next_step)


def _last(data: Any) -> Any:
    """The last number in nested lists: that of the sequence, or of its last token."""
    while isinstance(data, list) and data:
        data = data[-1]
    return data
