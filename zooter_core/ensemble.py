"""The engine: route a query (one model runs), rank every candidate's response (RMR: all run), or select (top k)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from zooter_core import backends
from zooter_core.backends import Backend, Piece, Request
from zooter_core.backends.fallback import with_fallback
from zooter_core.backends.merge_streams import merge_streams
from zooter_core.config.fleet import NO_ROUTER, Fleet, GenerationConfig
from zooter_core.data import prices
from zooter_core.errors import Failure, WorkError, ZooterError, check_text
from zooter_core.labelling import rewards, taggers
from zooter_core.labelling.rewards.cache import ScoreCache
from zooter_core.labelling.rewards.scoring import Asked, Scored, score_queries
from zooter_core.method import selection
from zooter_core.records import Decision, Message, Ranked, Response, Selection
from zooter_core.router.encoder import Encoders
from zooter_core.router.explain import Explanation, explain
from zooter_core.router.neighbours import Neighbours
from zooter_core.router.router import Router, routing_text
from zooter_core.weights import resolve, version_of

MOST_CHARACTERS = 20_000
COMPARED = 4  # queries whose responses are compared before progress is told: they cost much
Config = TypeVar("Config")
Part = TypeVar("Part")


class Ensemble:
    """A fleet, ready to work. Its parts load when first used and are shared by every session."""

    def __init__(self, fleet: Fleet, running: dict[str, Backend] | None = None) -> None:
        """
        Args:
            running: backends by kind that other fleets use too, so that a model is loaded once; kinds that it lacks are
                added to it.
        """
        self.fleet = fleet
        self.encoders = Encoders(fleet.router.runtime if fleet.router else "torch")
        self.backends: dict[str, Backend] = {} if running is None else running
        for kind in {candidate.backend for candidate in fleet.candidates} - set(self.backends):
            self.backends[kind] = backends.backend(kind)
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
        return self._part("tagger", self.fleet.tagger, lambda c: taggers.tagger(c, self.encoders, self.backend_of))

    @property
    def reward_model(self) -> rewards.RewardModel:
        return self._part("reward", self.fleet.reward, lambda c: rewards.reward_model(c, self.backend_of, self._spare))

    def backend_of(self, kind: str) -> Backend:
        """The backend of a kind, shared with the candidates, so that a judge on their base shares its weights."""
        if kind not in self.backends:
            self.backends[kind] = backends.backend(kind)
        return self.backends[kind]

    def _spare(self) -> None:
        """Let the candidates' models that nobody uses leave the memory."""
        for backend in self.backends.values():
            backend.spare()

    def _cache(self) -> ScoreCache | None:
        """Rewards that are known; None where they are not kept."""
        version = getattr(self.reward_model, "version", None)
        if version is None or not (self.fleet.reward and self.fleet.reward.cache):
            return None
        return self._part(
            "cache",
            self.fleet.reward,
            lambda config: ScoreCache(f"{self.fleet.hash_of('reward')} {version_of(config.model)} {version}"),
        )

    def rewards(self, asked: Sequence[Asked], tell: Callable[[int], None] = lambda done: None) -> list[Scored]:
        """Rewards of all responses to each query; what has none is set aside with the reason.

        Args:
            tell: told how many queries are done before all are, where that takes long.

        Raises:
            ZooterError: the reward model cannot work.
        """
        model, cache = self.reward_model, self._cache()
        size = COMPARED if isinstance(model, rewards.Comparing) else len(asked)
        found: list[Scored] = []
        for first in range(0, len(asked), max(size, 1)):
            found += score_queries(model, asked[first : first + size], cache)
            if len(found) < len(asked):
                tell(len(found))
        return found

    def _part(self, name: str, config: Config | None, make: Callable[[Config], Part]) -> Part:
        """A part of the fleet, made when first asked for; one thread makes it, others wait.

        Raises:
            ZooterError: fleet.toml does not have it, or it cannot be made.
        """
        if config is None:
            raise lacks(self.fleet, name)
        if name not in self._parts:  # what is there is had without waiting for another that is being made
            with self._lock:
                if name not in self._parts:
                    self._parts[name] = make(config)
        found: Part = self._parts[name]
        return found

    def load(
        self,
        progress: Callable[[str], None] = lambda message: None,
        routes: Callable[[], None] = lambda: None,
    ) -> None:
        """Load all parts now, in the order in which a person meets them, telling what is being loaded.

        A candidate or reward model that fails is passed over here: it tells its error where it is used, and the
        others go on.

        Args:
            routes: called when queries can be routed. A candidate that is asked from then on is loaded at once.

        Raises:
            ZooterError: the router or tagger cannot work.
        """
        progress("Loading the router ...")
        self.route([Message("user", "Hello")])
        self.fetch(progress)
        routes()
        for candidate in self.fleet.candidates:
            progress(f"Loading the candidate {candidate.name} ...")
            with suppress(ZooterError):
                self.backends[candidate.backend].load(candidate)
        progress("Loading the reward model ...")
        with suppress(ZooterError):
            score_queries(self.reward_model, [("Hello", ("Hello!", "What?"))])  # not from the cache

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
        tags = self.tagger.tag(queries) if self.fleet.tagger and self.tagger.quick else [()] * len(queries)
        routed = self.router.route(queries)
        return [
            Decision.of(decision.query, {name: decision.probabilities[name] for name in self.fleet.pool}, names)
            for decision, names in zip(routed, tags, strict=True)
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
        return Selection(decision, value, unsure, decision.order[: k if unsure else 1])

    def answer(
        self,
        candidates: Sequence[str],
        messages: Sequence[Message],
        stop: threading.Event,
        generation: GenerationConfig | None = None,
        reserves: Sequence[str] = (),
    ) -> Iterator[Piece]:
        """Responses of candidates to one conversation, as pieces; `Piece.index` counts `candidates`, then `reserves`.

        Where all candidates fail before their first token, the reserves take over one by one (`with_fallback`). A last
        message of the assistant's is gone on with; the response is then what follows it.
        """
        check_query(last_query(messages))
        requests = [Request(self.fleet.candidate(name), tuple(messages)) for name in (*candidates, *reserves)]
        first, others = requests[: len(candidates)], requests[len(candidates) :]
        return with_fallback(lambda asked: self.stream(asked, stop, generation), first, others, stop)

    def stream(
        self, requests: Sequence[Request], stop: threading.Event, generation: GenerationConfig | None = None
    ) -> Iterator[Piece]:
        """Requests handed to the backends of their candidates, which work at the same time; one response a request."""
        by_kind: dict[str, list[int]] = {}
        for index, request in enumerate(requests):
            by_kind.setdefault(request.candidate.backend, []).append(index)
        kinds, rows = list(by_kind), list(by_kind.values())
        streams = [
            partial(self.backends[kind].stream, [requests[row] for row in own], generation or self.fleet.generation)
            for kind, own in by_kind.items()
        ]
        unfinished = dict(enumerate(requests))
        for kind, item in merge_streams(streams, stop):
            if isinstance(item, Piece):
                piece = replace(item, index=rows[kind][item.index])
                if piece.response is not None:
                    del unfinished[piece.index]
                yield piece
                continue
            for index in set(rows[kind]) & set(unfinished):  # the backend itself broke down
                name, failure = unfinished[index].candidate.name, Failure.of(f"{kinds[kind]}: {item}")
                yield Piece(index, response=Response(name, "", finish="error", error=failure))

    def independent(self, candidate: str) -> bool:
        """Whether a candidate's responses do not depend on what is asked together with them."""
        return self.backends[self.fleet.candidate(candidate).backend].independent

    def rank(self, query: str, responses: Sequence[Response]) -> list[Ranked]:
        """Responses by reward, the best first (ties keep their order).

        Those that failed, are empty or have no reward come last, without rank.

        Raises:
            ZooterError: the reward model cannot work.
            WorkError: none of the responses has a reward.
        """
        good = [response for response in responses if response.error is None and response.text]
        scored = self.rewards([(query, [response.text for response in good])])[0]
        if good and not any(reward is not None for reward in scored.rewards):
            raise WorkError("a reward for the responses", f"none: {scored.reason}", "Try `zooter check`.")
        placed = [
            (response, reward) for response, reward in zip(good, scored.rewards, strict=True) if reward is not None
        ]
        order = sorted(range(len(placed)), key=lambda row: -placed[row][1])
        ranked = [Ranked(*placed[row], rank=place) for place, row in enumerate(order, 1)]
        with_rank = {id(item.response) for item in ranked}
        return ranked + [Ranked(response) for response in responses if id(response) not in with_rank]


def lacks(fleet: Fleet, table: str) -> ZooterError:
    """The error that fleet.toml does not have a table."""
    next_step = NO_ROUTER if table == "router" else f"Add [{table}] to it."
    return ZooterError(f"a [{table}] table in fleet.toml of {fleet.name}", "none", next_step)


def last_query(messages: Sequence[Message]) -> str:
    """The user's last message."""
    return next((message.content for message in reversed(messages) if message.role == "user"), "")


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
