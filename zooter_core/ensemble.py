"""The engine: route a query (one model runs), rank every candidate's response (RMR: all run), or select (top k)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from zooter_core import backends, prices, rewards, selection, taggers
from zooter_core.backends import Backend, Piece, Request
from zooter_core.encoder import Encoders
from zooter_core.errors import ZooterError, check_text
from zooter_core.explain import Explanation, explain
from zooter_core.fleet import Fleet, GenerationConfig
from zooter_core.neighbours import Neighbours
from zooter_core.records import Decision, Message, Ranked, Response, Selection
from zooter_core.router import Router, routing_text
from zooter_core.weights import resolve

MOST_CHARACTERS = 20_000
Config = TypeVar("Config")
Part = TypeVar("Part")


class Ensemble:
    """A fleet, ready to work. Its parts load when first used and are shared by every session."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.encoders = Encoders(fleet.router.runtime if fleet.router else "torch")
        self.backends: dict[str, Backend] = {c.backend: backends.backend(c.backend) for c in fleet.candidates}
        self._parts: dict[str, Any] = {}
        self._lock = threading.Lock()

    @property
    def router(self) -> Router:
        """The router, in the fleet's pool."""
        return self._part(
            "router", self.fleet.router, lambda c: Router.load(c.path, self.encoders).for_pool(self.fleet.pool)
        )

    @property
    def neighbours(self) -> Neighbours | None:
        """The queries that the router learned from, where its folder keeps them."""
        return self._part("neighbours", self.fleet.router, lambda config: Neighbours.load(config.path))

    @property
    def tagger(self) -> taggers.Tagger:
        return self._part("tagger", self.fleet.tagger, lambda config: taggers.tagger(config, self.encoders))

    @property
    def reward_model(self) -> rewards.RewardModel:
        return self._part("reward", self.fleet.reward, rewards.reward_model)

    def _part(self, name: str, config: Config | None, make: Callable[[Config], Part]) -> Part:
        """A part of the fleet, made when first asked for; one thread makes it, others wait.

        Raises:
            ZooterError: fleet.toml does not have it, or it cannot be made.
        """
        if config is None:
            raise ZooterError(f"a [{name}] table in fleet.toml of {self.fleet.name}", "none", f"Add [{name}] to it.")
        with self._lock:
            if name not in self._parts:
                self._parts[name] = make(config)
            found: Part = self._parts[name]
            return found

    def load(self, progress: Callable[[str], None] = lambda message: None) -> None:
        """Load all parts now, in the order in which a person meets them, telling what is being loaded.

        A candidate or reward model that fails is passed over here: it tells its error where it is used, and the
        others go on.

        Raises:
            ZooterError: the router or tagger cannot work.
        """
        progress("Loading the router ...")
        self.route([Message("user", "Hello")])
        self.fetch(progress)
        for candidate in self.fleet.candidates:
            progress(f"Loading the candidate {candidate.name} ...")
            with suppress(ZooterError):
                self.backends[candidate.backend].load(candidate)
        progress("Loading the reward model ...")
        with suppress(ZooterError):
            self.reward_model.score([("Hello", "Hello!")])

    def fetch(self, progress: Callable[[str], None]) -> None:
        """Have the candidates' weights at hand; tells of a conversion, which takes a while and comes once."""
        for reference in dict.fromkeys(candidate.model for candidate in self.fleet.candidates):
            with suppress(ZooterError):  # told where the candidate is used
                resolve(reference, progress)

    def route(self, messages: Sequence[Message]) -> Decision:
        """Who should answer the last message of a conversation.

        Raises:
            ZooterError: the message is empty or too long.
        """
        check_query(messages[-1].content)
        return self._decide([routing_text(messages)])[0]

    def explain(self, decision: Decision) -> Explanation:
        """Why a candidate was chosen."""
        return explain(self.router, decision, self.neighbours)

    def route_all(self, queries: Sequence[str]) -> list[Decision]:
        """Decisions for many queries in one batch."""
        for query in queries:
            check_query(query)
        return self._decide(queries)

    def _decide(self, queries: Sequence[str]) -> list[Decision]:
        tags = self.tagger.tag(queries) if self.fleet.tagger else [()] * len(queries)
        rows = self.router.route(queries)
        return [
            Decision.of(query, {name: row[name] for name in self.fleet.pool}, found)
            for query, row, found in zip(queries, rows, tags, strict=True)
        ]

    def trade(self, decision: Decision, willingness: float) -> Decision:
        """The decision with prices traded in: the highest `prices.utilities`; at a willingness of 0 what it was.

        Raises:
            ZooterError: a candidate has no price in fleet.toml, or the willingness is below 0.
        """
        if willingness == 0:
            return decision
        paid = prices.prices_of(self.fleet, list(decision.probabilities))
        worth = prices.utilities(np.array(list(decision.probabilities.values())), paid, willingness)
        utilities = dict(zip(decision.probabilities, worth.tolist(), strict=True))
        return Decision.of(decision.query, decision.probabilities, decision.tags, utilities)

    def select(
        self, messages: Sequence[Message], k: int = 2, threshold: float | None = None, trigger: str | None = None
    ) -> Selection:
        """Who should run for the last message: the k most probable where the router is unsure, else the first of them.

        `answer` runs them and `rank` finds the best response. A query is unsure where the trigger's value is above the
        threshold; both are the fleet's `[router] trigger` and `unsure_above` where not given.

        Raises:
            ZooterError: the message is empty or too long, k is below 1, or the router has no such trigger.
        """
        if k < 1:
            raise ZooterError("at least one candidate to run", str(k), "Give a k of 1 or more.")
        decision = self.route(messages)
        config = self.fleet.router
        assert config is not None  # it has routed
        outputs = self.router.outputs([decision.query])  # the vectors are remembered
        value = float(selection.unsureness(outputs, trigger or config.trigger)[0])
        unsure = value > (config.unsure_above if threshold is None else threshold)
        order = sorted(decision.probabilities, key=lambda name: -decision.probabilities[name])  # equals keep pool order
        return Selection(decision, value, unsure, tuple(order[: k if unsure else 1]))

    def answer(
        self,
        candidates: Sequence[str],
        messages: Sequence[Message],
        stop: threading.Event,
        generation: GenerationConfig | None = None,
    ) -> Iterator[Piece]:
        """Responses of candidates to one conversation, as pieces; `Piece.index` counts `candidates`."""
        check_query(messages[-1].content)
        requests = [Request(self.fleet.candidate(name), tuple(messages)) for name in candidates]
        return self.stream(requests, stop, generation)

    def stream(
        self, requests: Sequence[Request], stop: threading.Event, generation: GenerationConfig | None = None
    ) -> Iterator[Piece]:
        """Requests handed to the backends of their candidates; one response a request comes back."""
        by_kind: dict[str, list[int]] = {}
        for index, request in enumerate(requests):
            by_kind.setdefault(request.candidate.backend, []).append(index)
        for kind, rows in by_kind.items():
            pieces = self.backends[kind].stream(
                [requests[row] for row in rows], generation or self.fleet.generation, stop
            )
            for piece in pieces:
                yield replace(piece, index=rows[piece.index])

    def rank(self, query: str, responses: Sequence[Response]) -> list[Ranked]:
        """Responses by reward, the best first (ties keep their order); failed and empty ones last, without rank."""
        good = [response for response in responses if response.error is None and response.text]
        scores = self.reward_model.score([(query, response.text) for response in good])
        order = sorted(range(len(good)), key=lambda row: -scores[row])
        ranked = [Ranked(good[row], scores[row], place) for place, row in enumerate(order, 1)]
        return ranked + [Ranked(response) for response in responses if response not in good]


def check_query(text: str) -> None:
    """A query that can be routed.

    Raises:
        ZooterError: it is empty, not Unicode text, or longer than MOST_CHARACTERS.
    """
    if not text.strip():
        raise ZooterError("a query", "an empty text", "Type a question or a task.")
    check_text(text, "a query")
    if len(text) > MOST_CHARACTERS:
        raise ZooterError(
            f"a query of at most {MOST_CHARACTERS:,} characters", f"{len(text):,}", "Shorten it, or split it."
        )
