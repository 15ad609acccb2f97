"""Use a fleet: route a query to one model, rank the responses of all models, or select the top k.

`Ensemble` is the public class: the methods for users come first, then those that run candidates and score responses.
`models` loads its models; the packages below implement how a model answers, scores or chooses.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from zooter_core.backends import Backend, Piece, Request, iter_responses, stream_or_fail
from zooter_core.backends.attachments import estimated_tokens, with_attachments
from zooter_core.backends.conversation import Conversation, alternating, check_query, last_query, to_messages
from zooter_core.backends.gguf import choose_backend
from zooter_core.backends.merge_streams import merge_streams
from zooter_core.base.errors import ZooterError
from zooter_core.base.progress import Tell, silent
from zooter_core.base.records import Decision, Ranked, Response, Selection
from zooter_core.config.fleet import Fleet, GenerationConfig
from zooter_core.data import prices
from zooter_core.fleet.attempts import Attempts, iter_text
from zooter_core.fleet.models import FleetModels
from zooter_core.labelling.rewards import PLAIN
from zooter_core.labelling.rewards.scoring import QueryResponses, QueryRewards, rank_by_reward, score_queries

if TYPE_CHECKING:
    from zooter_core.router.explain import Explanation


class Ensemble(FleetModels):
    """A fleet, ready to use. Its models load on first use, and all threads share them::

        ensemble = Ensemble(load_fleet("models/embedded"))
        ensemble.route("What is 2 + 3?").candidate         # one candidate, chosen by the router
        "".join(ensemble.stream("What is 2 + 3?"))         # its answer
        ensemble.rank("What is 2 + 3?")                    # the responses of all candidates, best first

    A query is a text, or a conversation: a sequence of messages that ends with the user's. Every method raises a
    ZooterError for a query that is empty, longer than 20,000 characters or not Unicode text, and for a fleet.toml
    without the table that it needs ([router], [reward]). `generation` replaces the settings of fleet.toml.

    Attributes:
        can_rank: whether there is a reward model; without one, responses are shown without a ranking.
        latest: each candidate's latest response.
        loads: the candidates that `load` has tried -> the error, or None.
    """

    def route(self, query: Conversation, willingness: float | None = None) -> Decision:
        """Choose the candidate that should answer (paper, section 3.2).

        Returns:
            The decision. Its `query` is the text that was routed, to which `tags` and `explain` refer as well. For a
            conversation, it is the user's newest turn with the turns to which it refers (`router.turns`).

        Args:
            willingness: how much probability of the best answer to give up for the lowest price instead of the
                highest. Above 0, the candidate with the highest utility is chosen (`prices.utilities`). Default: the
                fleet's (`prices.find_willingness`).

        Raises:
            ZooterError: the willingness is below 0, or above 0 and a candidate has no price in fleet.toml.
        """
        messages = to_messages(query)
        check_query(messages[-1].content if messages else "")
        (decision,) = self.routing([[message.content for message in messages if message.role == "user"]])
        return decision if willingness is None else prices.by_willingness(self.fleet, decision, willingness)

    def route_all(self, queries: Sequence[str]) -> list[Decision]:
        """Route many texts in one batch."""
        for query in queries:
            check_query(query)
        return self.routing([[query] for query in queries])

    def explain(self, decision: Decision) -> Explanation:
        """Explain why the router chose a candidate: words, tags and similar training queries."""
        from zooter_core.router.explain import explain

        return explain(self.router, decision, self.neighbours)

    def select(self, query: Conversation, k: int = 2, threshold: float | None = None) -> Selection:
        """Choose the candidates that should answer: the k most probable if the router is unsure, otherwise the first.

        `rank(query, selection.candidates)` then runs them and finds the best response.

        Args:
            threshold: a query is unsure if its `unsureness`, in [0, 1], is above it. Default: `unsure_above` of
                [router] in fleet.toml; if that is not set, no query is unsure.

        Raises:
            ZooterError: k is below 1.
        """
        if k < 1:
            raise ZooterError("at least one candidate to run", str(k), "Give a k of 1 or more.")
        decision = self.route(query)
        config = self.fleet.router  # None: a starting router chooses
        if threshold is None:
            threshold = config.unsure_above if config else math.inf
        value = self.unsureness(decision, decision.order[:k])
        unsure = value > threshold
        return Selection(decision, value, unsure, decision.order[: k if unsure else 1])

    def unsureness(self, decision: Decision, order: Sequence[str]) -> float:
        """How unsure the router is of a decision, in [0, 1]: the expected gain of the other responses, or a measure of
        the margin if the router's folder has no training queries.

        Args:
            order: the candidates that would answer if it is unsure, the chosen one first.
        """
        learned = self.neighbours if len(order) > 1 else None
        if learned is not None and set(order) <= set(learned.candidates):  # else one joined after training
            columns = np.array([[learned.candidates.index(name) for name in order]])
            return float(learned.gain_ranks(self.router.encoder.embed([decision.query]), columns)[0])
        from zooter_core.method.selection import margin

        return float(margin(np.array([list(decision.probabilities.values())]))[0])

    def stream(
        self,
        query: Conversation,
        candidate: str | None = None,
        generation: GenerationConfig | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[str]:
        """Yield the answer to a query as text while it is generated.

        The chosen candidate answers; if it fails before its first token, the next most probable one does.

        Args:
            candidate: the candidate to ask, without routing and fallback.
            stop: an event that ends the answer when it is set.

        Raises:
            ZooterError: there is no such candidate.
            WorkError: no candidate can answer, or the answer breaks off. All text before the error is yielded.
        """
        first, *reserves = self.route(query).order if candidate is None else (candidate,)
        pieces = self.run_candidates([first], query, stop or threading.Event(), generation, reserves)
        return iter_text(pieces)

    def rank(
        self, query: Conversation, candidates: Sequence[str] = (), generation: GenerationConfig | None = None
    ) -> list[Ranked]:
        """Run candidates and rank their responses by reward, best first (reward model ranking, RMR).

        Args:
            candidates: the names of the candidates to run. Default: all of the fleet.

        Raises:
            ZooterError: there is no such candidate, or the reward model cannot work.
            WorkError: no response has a reward.
        """
        names = candidates or self.fleet.pool
        pieces = self.run_candidates(names, query, threading.Event(), generation)
        responses = {response.candidate: response for _, response in iter_responses(pieces)}
        return self.rank_responses(last_query(to_messages(query)), [responses[name] for name in names])

    def run_candidates(
        self,
        candidates: Sequence[str],
        query: Conversation,
        stop: threading.Event,
        generation: GenerationConfig | None = None,
        reserves: Sequence[str] = (),
    ) -> Iterator[Piece]:
        """Yield pieces of the candidates' responses to a query. All candidates run at the same time.

        If all of them fail before their first token, the reserves run one after the other, each announced by an empty
        piece. A failed response keeps the text that was streamed for it. If the last message is the assistant's, the
        candidates continue it, and a response has only the continuation. If messages have attachments, the first piece
        of each request tells how much of them the candidate reads (`piece.request.readings`).
        """
        messages = to_messages(query)
        check_query(last_query(messages))
        turns = alternating(messages)
        requests = [Request(self.fleet.candidate(name), turns) for name in (*candidates, *reserves)]
        return self._until_answered(requests, len(candidates), stop, generation)

    def _until_answered(
        self, requests: Sequence[Request], together: int, stop: threading.Event, generation: GenerationConfig | None
    ) -> Iterator[Piece]:
        attempts, begun = Attempts(self.fleet, [request.candidate.name for request in requests], together), 0
        while names := attempts.next():
            group, begun = requests[begun : begun + len(names)], begun + len(names)
            group = [self._with_attachments(request, generation) for request in group]
            for request in group:
                if request.readings or begun > together:
                    yield Piece(request)
            if begun > together and stop.is_set():
                yield Piece.stopped(group[0])
                return
            texts = dict.fromkeys(group, "")
            for piece in self.run_requests(group, stop, generation):
                texts[piece.request] += piece.text
                if (response := piece.response) is not None:
                    self.latest[response.candidate] = response
                    if response.failed_before_first_token:
                        response = replace(response, text=texts[piece.request].strip())
                        piece = replace(piece, response=response)
                    if response.failed_before_first_token:
                        attempts.failed(piece.candidate)
                    else:
                        attempts.answered(piece.candidate)
                yield piece

    def run_requests(
        self, requests: Sequence[Request], stop: threading.Event, generation: GenerationConfig | None = None
    ) -> Iterator[Piece]:
        """Yield pieces of the responses to requests, one response each. All backends run at the same time."""
        settings, groups = generation or self.fleet.generation, self._by_backend(requests)
        yield from merge_streams([partial(stream_or_fail, *group, settings) for group in groups], stop)

    def _with_attachments(self, request: Request, generation: GenerationConfig | None = None) -> Request:
        """A request whose messages' texts include their attachments, as far as the candidate can read them."""
        if not any(message.attachments for message in request.messages):
            return request
        candidate, settings = request.candidate, generation or self.fleet.generation
        try:
            backend = self.backend_for(candidate)
            limits = (backend.context(candidate), settings.max_new_tokens, partial(backend.count_tokens, candidate))
            messages, readings = with_attachments(request.messages, *limits)
        except ZooterError:  # raised again when the candidate is asked
            messages, readings = with_attachments(request.messages, None, 0, estimated_tokens)
        return replace(request, messages=messages, readings=readings)

    def read_ahead(self, conversation: Conversation) -> None:
        """Let candidates process a conversation in the background, if their backend supports it, so that the answer to
        the next query begins sooner. The next request ends this."""
        messages = to_messages(conversation)
        loaded = [candidate for candidate in self.fleet.candidates if choose_backend(candidate) in self._used]
        requests = [self._with_attachments(Request(candidate, messages)) for candidate in loaded]
        for backend, group in self._by_backend(requests):
            backend.read_ahead(group)

    def _by_backend(self, requests: Sequence[Request]) -> list[tuple[Backend, list[Request]]]:
        groups: dict[Backend, list[Request]] = {}
        for request in requests:
            groups.setdefault(self.backend_for(request.candidate), []).append(request)
        return list(groups.items())

    def run_candidate(
        self,
        candidate: str,
        requests: Iterable[Request],
        stop: threading.Event,
        generation: GenerationConfig | None = None,
    ) -> Iterator[Piece]:
        """`run_requests` for one candidate. An `independent` one takes requests from the iterator as it has room."""
        backend = self.backend_for(self.fleet.candidate(candidate))
        return stream_or_fail(backend, requests, generation or self.fleet.generation, stop)

    def independent(self, candidate: str) -> bool:
        """Whether a candidate's responses do not depend on the other requests of the same call."""
        return self.backend_for(self.fleet.candidate(candidate)).independent

    def rank_responses(
        self, query: str, responses: Sequence[Response], stop: threading.Event | None = None
    ) -> list[Ranked]:
        """Rank responses by reward, best first. Ties keep their order.

        Responses that failed, are empty or have no reward come last and have no rank.

        Raises:
            ZooterError: the reward model cannot work.
            WorkError: no response has a reward.
        """
        complete = [response for response in responses if response.error is None and response.text]
        (scored,) = self.score_responses([(query, [response.text for response in complete])], stop=stop)
        return rank_by_reward(responses, complete, scored)

    def score_responses(
        self,
        queries: Sequence[QueryResponses],
        progress: Callable[[int], None] = lambda done: None,
        stop: threading.Event | None = None,
        cached: bool = True,
    ) -> list[QueryRewards]:
        """The rewards of responses to queries: `score_queries` with the fleet's model and, if `cached`, its cache."""
        return score_queries(self.reward_model, queries, self._cache() if cached else None, progress, stop)

    def renewed(self, fleet: Fleet) -> Ensemble:
        """The ensemble for a changed fleet.toml. It shares what is already loaded for unchanged settings."""
        new = Ensemble(fleet, self.backends, self.light)
        if fleet.reward == self.fleet.reward and "reward" in self._parts:
            new._parts["reward"] = self._parts["reward"]
        if fleet.runtime == self.fleet.runtime and "router" in self._parts:
            new._running = [self.router.encoder]
        return new

    def load(self, progress: Tell = silent, on_router: Callable[[], None] = lambda: None) -> None:
        """Load all parts now. A candidate or reward model that does not load is skipped, and raises its error on use.

        Args:
            on_router: called when queries can be routed. From then on, a candidate that is asked loads at once.

        Raises:
            ZooterError: the router or the tagger does not load.
        """
        progress("Loading the router ...")
        self.route("Hello")
        on_router()
        self.routing([["Hello", "Thanks"]])  # a second turn, so that the examples of small talk are embedded
        for candidate in self.fleet.candidates:
            progress(f"Loading the candidate {candidate.name} ...")
            try:
                self.backend_for(candidate).load(candidate)
                self.loads[candidate.name] = None
            except ZooterError as problem:
                self.loads[candidate.name] = problem
        progress("Loading the reward model ...")
        with suppress(ZooterError):
            score_queries(self.reward_model, [(PLAIN[0], PLAIN[1:])])  # not from the cache
