"""A running endpoint (`zooter serve`) in the shape of an ensemble, for the demo.

`POST /v1/route` gives the decisions, each candidate answers chat completions under its own name, and `POST /v1/rerank`
gives rewards if the fleet has a reward model. Training queries and reports are with the fleet's files, elsewhere.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import numpy as np

from zooter_core.backends import Backend
from zooter_core.backends.endpoint.redaction import Redaction
from zooter_core.base.errors import WorkError, ZooterError, first_line, listed, one_line
from zooter_core.base.records import LARGEST_SCORE, Decision, Response, Tag
from zooter_core.base.strict_json import parse_json
from zooter_core.base.weights import Progress, silent
from zooter_core.config.candidates import ENDPOINT, CandidateConfig
from zooter_core.config.endpoint import EndpointConfig, key_in
from zooter_core.config.fleet import Fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.fleet.routing import Routed, Turns
from zooter_core.labelling.rewards.scoring import QueryResponses, QueryRewards
from zooter_core.method.selection import Outputs
from zooter_core.router.router import PROBE, Router

KEY = "ZOOTER_API_KEY"  # the environment variable that holds the endpoint's key
VERSION = "/v1"  # the path of the API
RMR = "rmr"  # the model that an endpoint lists if its fleet has a reward model
CONNECT_SECONDS, REPLY_SECONDS = 5.0, 60.0
MOST_CONVERSATIONS = 100  # in one request
EXAMPLE = "Give the address of a running `zooter serve`, such as http://127.0.0.1:8400."
LATER = ("POST /rerank", "POST /feedback")  # calls to what has proved to be a Zooter endpoint
TRY_AGAIN = "Try again later; see the endpoint's log."


def endpoint_url(address: str) -> str:
    """The address of an endpoint's API, from what a user typed: without a path, it is at /v1.

    Raises:
        ZooterError: it is no web address, or it holds a password.
    """
    try:
        url = EndpointConfig(base_url=address.strip().rstrip("/")).base_url
    except ZooterError:
        shown = f'"{address}"' if "@" not in address else "one with a name or password"
        raise ZooterError("the web address of an endpoint, without a password, ? or #", shown, EXAMPLE) from None
    return url if urlsplit(url).path else url + VERSION


class Endpoint:
    """The connection to a running endpoint, which has been asked for its models and for a decision.

    Attributes:
        url: the address of its API.
        candidates: those that this client may use, in the pool's order.
        has_rewards: whether its fleet has a reward model.

    Raises:
        ZooterError: it is no Zooter endpoint, or it wants another key.
        WorkError: it cannot be reached, or fails.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        variable = KEY if os.environ.get(KEY, "").strip() else None
        key = key_in(KEY, url) if variable else None  # whoever starts this has named both
        # The endpoint has retries and circuit breakers of its own.
        config = EndpointConfig(url, api_key_env=variable, retries=0, rest_seconds=0)
        self._keyed, self._redact = key is not None, Redaction(key)
        self._http = httpx2.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx2.Timeout(REPLY_SECONDS, connect=CONNECT_SECONDS),
            trust_env=not config.local,
        )
        models = self._models()
        pool = [name for name in self._routed([[PROBE]])[0]["probabilities"] if name in models]
        if not pool:
            raise self._no_zooter("no candidate in its list of models")
        self.candidates = tuple(_candidate(name, models[name], config) for name in pool)
        self.has_rewards = RMR in models

    @property
    def pool(self) -> tuple[str, ...]:
        """The candidates' names."""
        return tuple(candidate.name for candidate in self.candidates)

    def route(self, conversations: Sequence[Sequence[str]]) -> list[Decision]:
        """The decision on each conversation, by its user's turns, oldest first. Raises as the class.

        With a key for some candidates alone, the probabilities are theirs, scaled to sum to one.
        """
        decisions: list[Decision] = []
        for start in range(0, len(conversations), MOST_CONVERSATIONS):
            part = conversations[start : start + MOST_CONVERSATIONS]
            decisions += [
                self._decision("".join(turns[-1:]), record)
                for turns, record in zip(part, self._routed(part), strict=True)
            ]
        return decisions

    def rewards(self, query: str, texts: Sequence[str]) -> list[float | None]:
        """The reward of each response to a query; None for one that has none. Raises as the class."""
        results = self._ask("POST", "/rerank", {"query": query, "documents": list(texts)}).get("results")
        rewards: list[float | None] = [None] * len(texts)
        if not isinstance(results, list) or not all(_is_result(result, len(texts)) for result in results):
            raise self._no_zooter("another reply to POST /rerank")
        for result in results:
            rewards[result["index"]] = float(result["relevance_score"])
        return rewards

    def give_feedback(self, request_id: str, verdict: str) -> None:
        """Store what a visitor says about an answer. Raises as the class."""
        self._ask("POST", "/feedback", {"request_id": request_id, "verdict": verdict})

    def _decision(self, query: str, record: Mapping[str, Any]) -> Decision:
        probabilities = record["probabilities"]
        if absent := [name for name in self.pool if name not in probabilities]:
            raise WorkError(
                f"the candidates {listed(self.pool)} at {self.url}",
                f"others, without {listed(absent)}",
                "Start the demo again.",
                f"The endpoint {self.url} serves other models now.",
            )
        total = sum(probabilities[name] for name in self.pool) or 1.0
        tags = tuple(Tag(str(tag["name"]), float(tag["score"])) for tag in record["tags"])
        return Decision.of(query, {name: probabilities[name] / total for name in self.pool}, tags)

    def _models(self) -> dict[str, Mapping[str, Any]]:
        """The models by name."""
        entries = self._ask("GET", "/models").get("data")
        entries = entries if isinstance(entries, list) else []
        return {entry["id"]: entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str)}

    def _routed(self, conversations: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
        """What the endpoint says of each conversation, checked."""
        messages = [[{"role": "user", "content": turn} for turn in turns] for turns in conversations]
        records = self._ask("POST", "/route", {"conversations": messages}).get("data")
        good = isinstance(records, list) and len(records) == len(conversations)
        if not isinstance(records, list) or not good or not all(map(_is_decision, records)):
            raise self._no_zooter("another reply to POST /route")
        return records

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object of a reply with status 200."""
        try:
            reply = self._http.request(method, self.url + path, json=body)
        except (httpx2.RequestError, httpx2.InvalidURL) as problem:
            reason = self._redact(first_line(problem))
            raise WorkError(
                f"a running endpoint at {self.url}", reason, "Start it with `zooter serve`, or correct the address.",
                f"The endpoint {self.url} cannot be reached: {reason}.",
            ) from None  # fmt: skip
        try:
            shape = parse_json(reply.content)
        except ValueError:
            shape = None
        if reply.status_code == 200 and isinstance(shape, dict):
            return shape
        raise self._refusal(reply.status_code, shape, f"{method} {path}")

    def _refusal(self, status: int, shape: Any, call: str) -> ZooterError:
        """The error behind a reply that is no answer."""
        error = shape.get("error") if isinstance(shape, dict) else None
        message = error.get("message") if isinstance(error, dict) else None
        if status == 401:
            reason = f"that it refuses the one in {KEY}" if self._keyed else f"that {KEY} is not set"
            sentence = f"The endpoint {self.url} {'refuses the key in ' + KEY if self._keyed else 'wants an API key'}."
            next_step = f"Put a key of its `zooter serve keys add` into the environment variable {KEY}."
            return ZooterError(f"a key for {self.url}", reason, next_step, sentence)
        if not isinstance(message, str) or (status in (404, 405) and call not in LATER):
            return self._no_zooter(f"status {status} for {call}")
        reason = one_line(self._redact(message))
        return WorkError(
            f"an answer of {self.url}",
            f"status {status}: {reason}",
            TRY_AGAIN,
            f"The endpoint {self.url} says: {reason}",
        )

    def _no_zooter(self, reason: str) -> ZooterError:
        sentence = f"There is no Zooter endpoint at {self.url}: {reason}."
        return ZooterError(f"a Zooter endpoint at {self.url}", reason, EXAMPLE, sentence)


class RemoteRouter(Router):
    """The router behind an endpoint. It has no encoder here."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.candidates, self._endpoint = endpoint.pool, endpoint

    @property
    def labels(self) -> Mapping[str, Any]:
        return {}

    def outputs(self, queries: Sequence[str]) -> Outputs:
        decisions = self._endpoint.route([[query] for query in queries])
        return Outputs(np.array([list(decision.probabilities.values()) for decision in decisions]))


class RemoteEnsemble(Ensemble):
    """The fleet behind an endpoint. It has no training queries, and ranks if it has a reward model there."""

    def __init__(self, endpoint: Endpoint, shared: dict[str, Backend] | None = None) -> None:
        super().__init__(Fleet(endpoint.url, Path(), endpoint.candidates), shared)
        self._endpoint, self._router = endpoint, RemoteRouter(endpoint)
        self.can_rank = endpoint.has_rewards

    @property
    def router(self) -> Router:
        return self._router

    @property
    def neighbours(self) -> None:
        return None

    def decide(self, conversations: Sequence[Turns]) -> list[Routed]:
        decisions = self._endpoint.route(conversations)
        return [Routed(one, Outputs(np.array([list(one.probabilities.values())]))) for one in decisions]

    def score_responses(
        self,
        queries: Sequence[QueryResponses],
        progress: Callable[[int], None] = lambda done: None,
        stop: threading.Event | None = None,
    ) -> list[QueryRewards]:
        """The rewards of the responses to each query, from the reward model of the endpoint's fleet.

        Args:
            stop: not used; the endpoint ends what nobody waits for.

        Raises:
            ZooterError: that fleet has none.
        """
        if not self.can_rank:
            sentence = f"The fleet at {self._endpoint.url} has no reward model, so the responses are not ranked."
            raise ZooterError("a reward model", "none", "Add [reward] to its fleet.toml, and reload it.", sentence)
        scored = []
        for done, (query, texts) in enumerate(queries, 1):
            rewards = self._endpoint.rewards(query, texts) if texts else []
            scored.append(QueryRewards(tuple(rewards), "the endpoint gave it no reward" if None in rewards else None))
            progress(done)
        return scored

    def give_feedback(self, response: Response, good: bool) -> None:
        if response.request_id is not None:
            self._endpoint.give_feedback(response.request_id, "good" if good else "bad")

    def load(self, progress: Progress = silent, on_router: Callable[[], None] = lambda: None) -> None:
        """Nothing loads here: the endpoint has answered already."""
        on_router()


def _candidate(name: str, entry: Mapping[str, Any], config: EndpointConfig) -> CandidateConfig:
    description = entry.get("description")
    return CandidateConfig(
        name, ENDPOINT, name, description=description if isinstance(description, str) else "", endpoint=config
    )


def _is_result(result: object, count: int) -> bool:
    """Whether a result of a ranking names one of `count` texts and has a finite reward."""
    if not isinstance(result, dict):
        return False
    place, reward = result.get("index"), result.get("relevance_score")
    good = isinstance(reward, int | float) and type(reward) is not bool and abs(reward) <= LARGEST_SCORE
    return good and type(place) is int and 0 <= place < count


def _is_decision(record: object) -> bool:
    """Whether a record has what a decision needs, in the right types."""
    if not isinstance(record, dict):
        return False
    shares, tags = record.get("probabilities"), record.get("tags")
    return (
        isinstance(shares, dict)
        and bool(shares)
        and all(type(share) in (int, float) and share >= 0 for share in shares.values())
        and isinstance(tags, list)
        and all(isinstance(tag, dict) and "name" in tag and type(tag.get("score")) in (int, float) for tag in tags)
    )
