"""A running endpoint (`zooter serve`) in the shape of an ensemble, for the demo.

`POST /v1/route` gives the decisions, each candidate answers chat completions under its own name, and `POST /v1/rerank`
gives rewards if the fleet has a reward model. Training queries and reports are with the fleet's files, elsewhere.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

import numpy as np
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from zooter_core.backends import Backend
from zooter_core.backends.endpoint.backend import Portal
from zooter_core.backends.endpoint.client import Client
from zooter_core.backends.endpoint.faults import EndpointError
from zooter_core.base.errors import WorkError, ZooterError, listed
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

Checked = TypeVar("Checked")
KEY = "ZOOTER_API_KEY"  # the environment variable that holds the endpoint's key
VERSION = "/v1"  # the path of the API
RMR = "rmr"  # the model that an endpoint lists if its fleet has a reward model
REPLY_SECONDS = 60.0
MOST_CONVERSATIONS = 100  # in one request
EXAMPLE = "Give the address of a running `zooter serve`, such as http://127.0.0.1:8400."
LATER = ("POST /rerank", "POST /feedback")  # calls to what has proved to be a Zooter endpoint
TRY_AGAIN = "Try again later; see the endpoint's log."


class _Model(BaseModel):
    id: str
    description: str = ""


class _Decision(BaseModel):
    """What the endpoint says of a conversation."""

    probabilities: Annotated[dict[str, Annotated[float, Field(ge=0)]], Field(min_length=1)]
    tags: tuple[Tag, ...]


class _Reward(BaseModel):
    """What it says of a document, by its place among those that were sent."""

    index: Annotated[int, Field(ge=0)]
    relevance_score: Annotated[float, Field(ge=-LARGEST_SCORE, le=LARGEST_SCORE)]


MODELS, DECISIONS, REWARDS = TypeAdapter(list[_Model]), TypeAdapter(list[_Decision]), TypeAdapter(list[_Reward])


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


def server_url(address: str) -> str:
    """The address of a model server, up to and with its /v1, from what a user typed, perhaps without a scheme.

    Raises:
        ZooterError: as `endpoint_url`.
    """
    try:
        return endpoint_url(address if "://" in address else f"http://{address}")
    except ZooterError as problem:
        shown = f'"{address}"' if "@" not in address else "An address with a name or password"
        sentence = f"{shown} is not the address of a server." if address else "There is no address yet."
        example = "It looks like http://localhost:8000/v1."
        raise ZooterError("the address of a server", problem.failure.found, example, sentence) from None


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
        self._keyed, self._portal = key is not None, Portal("endpoint")
        self._client = Client(url, key, variable, config.local, config.connect_seconds)
        self._portal.closing.append(self._client.close)
        models = {model.id: model.description for model in self._checked(MODELS, "GET", "/models", "data")}
        pool = [name for name in self._routed([[PROBE]])[0].probabilities if name in models]
        if not pool:
            raise self._no_zooter("no candidate in its list of models")
        self.candidates = tuple(
            CandidateConfig(name, ENDPOINT, name, description=models[name], endpoint=config) for name in pool
        )
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
        rewards: list[float | None] = [None] * len(texts)
        body = {"query": query, "documents": list(texts)}
        for result in self._checked(REWARDS, "POST", "/rerank", "results", body):
            if result.index >= len(texts):
                raise self._no_zooter("another reply to POST /rerank")
            rewards[result.index] = result.relevance_score
        return rewards

    def give_feedback(self, request_id: str, verdict: str) -> None:
        """Store what a visitor says about an answer. Raises as the class."""
        self._ask("POST", "/feedback", {"request_id": request_id, "verdict": verdict})

    def _decision(self, query: str, record: _Decision) -> Decision:
        probabilities = record.probabilities
        if absent := [name for name in self.pool if name not in probabilities]:
            raise WorkError(
                f"the candidates {listed(self.pool)} at {self.url}",
                f"others, without {listed(absent)}",
                "Start the demo again.",
                f"The endpoint {self.url} serves other models now.",
            )
        total = sum(probabilities[name] for name in self.pool) or 1.0
        return Decision.of(query, {name: probabilities[name] / total for name in self.pool}, record.tags)

    def _routed(self, conversations: Sequence[Sequence[str]]) -> list[_Decision]:
        """What the endpoint says of each conversation."""
        messages = [[{"role": "user", "content": turn} for turn in turns] for turns in conversations]
        records = self._checked(DECISIONS, "POST", "/route", "data", {"conversations": messages})
        if len(records) != len(conversations):
            raise self._no_zooter("another reply to POST /route")
        return records

    def _checked(
        self, form: TypeAdapter[Checked], method: str, path: str, name: str, body: Mapping[str, Any] | None = None
    ) -> Checked:
        """A field of a reply, in the form that it must have."""
        try:
            return form.validate_python(self._ask(method, path, body).get(name))
        except ValidationError:
            raise self._no_zooter(f"another reply to {method} {path}") from None

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object of a reply with status 200."""
        try:
            shape = parse_json(self._portal.submit(self._client.fetch(method, path, body, REPLY_SECONDS)).result())
        except EndpointError as error:
            raise self._refusal(error, f"{method} {path}") from None
        except ValueError:
            shape = None
        if not isinstance(shape, dict):
            raise self._no_zooter(f"status 200 for {method} {path}")
        return shape

    def _refusal(self, error: EndpointError, call: str) -> ZooterError:
        """The error behind a reply that is no answer, or behind none."""
        status = error.server_status
        if error.unreachable or error.timed_out:
            return WorkError(
                f"a running endpoint at {self.url}",
                error.message,
                "Start it with `zooter serve`, or correct the address.",
                f"The endpoint {self.url} cannot be reached: {error.message}.",
            )
        if status == 401:
            reason = f"that it refuses the one in {KEY}" if self._keyed else f"that {KEY} is not set"
            sentence = f"The endpoint {self.url} {'refuses the key in ' + KEY if self._keyed else 'wants an API key'}."
            next_step = f"Put a key of its `zooter serve keys add` into the environment variable {KEY}."
            return ZooterError(f"a key for {self.url}", reason, next_step, sentence)
        if not error.words or (status in (404, 405) and call not in LATER):
            return self._no_zooter(f"status {status} for {call}" if status else error.reason)
        return WorkError(
            f"an answer of {self.url}",
            error.message,
            TRY_AGAIN,
            f"The endpoint {self.url} says: {error.words}",
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
        cached: bool = True,
    ) -> list[QueryRewards]:
        """The rewards of the responses to each query, from the reward model of the endpoint's fleet.

        Args:
            stop, cached: not used; the endpoint ends what nobody waits for, and has a cache of its own.

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
