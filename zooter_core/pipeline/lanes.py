"""The lanes of the step collect, which run in parallel: one for each candidate behind an endpoint, and one for all
models in memory, which take turns.

A lane writes each response when it is complete, and then yields its key (query, candidate, sample). Keys and the seeds
of requests do not depend on the order of responses.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from zooter_core.backends import Request, iter_responses
from zooter_core.backends.merge_streams import Stream, merge_streams
from zooter_core.backends.thoughts import most_tokens
from zooter_core.base.errors import Failure, WorkError, ZooterError, listed
from zooter_core.base.jsonl import Appender
from zooter_core.base.progress import Tell, silent
from zooter_core.base.records import Message, Query, Response
from zooter_core.config.fleet import GenerationConfig
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline import batches
from zooter_core.pipeline.on_ray import RayWorkers
from zooter_core.pipeline.tally import Budget, Tally

ENOUGH = 4  # refused queries, or consecutive failures, after which a candidate gets no more requests
RESTS = 2  # pauses for a candidate that has answered before; each is twice as long as the previous one
REST_SECONDS = 30.0  # the first pause, for backends without endpoints
TRIES = 3  # attempts for a single request while others succeed
BLANK = 10  # one answer in ten may be blank
WORKER_QUERIES = 256  # queries per worker, since answering fewer takes less time than loading the model again


class ResponseKey(NamedTuple):
    id: str
    candidate: str
    sample: int

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> ResponseKey:
        return cls(record["id"], record["candidate"], record["sample"])


@dataclass(frozen=True)
class RequestBatch:
    """Requests that a model in memory answers together.

    It has the generation settings with the batch's seed, and each request with the key of its response.
    """

    candidate: str
    generation: GenerationConfig
    keys: Mapping[Request, ResponseKey]

    def answers(
        self, ensemble: Ensemble, stop: threading.Event, tell: Tell = silent
    ) -> Iterator[tuple[ResponseKey, Response]]:
        """Yield the responses when they are complete. `tell` is called with notes, such as that a model is loading."""
        pieces = ensemble.run_candidate(self.candidate, list(self.keys), stop, self.generation)
        for request, response in iter_responses(pieces, tell):
            yield self.keys[request], response


def answer_batch(ensemble: Ensemble, batch: RequestBatch) -> list[tuple[ResponseKey, Response]] | Failure:
    """The responses of a batch, or the reason why its candidate cannot work. Called by workers."""
    try:
        return list(batch.answers(ensemble, threading.Event()))
    except ZooterError as problem:
        return problem.failure


@dataclass
class CollectJob:
    """The queries, settings and results that the lanes share."""

    ensemble: Ensemble
    generation: GenerationConfig
    samples: int
    queries: Sequence[Query]  # sorted by data set and length
    done: set[ResponseKey]  # keys of the responses in the file
    tallies: Mapping[str, Tally]
    budget: Budget = field(default_factory=Budget)
    tell: Tell = silent  # called with notes, by the threads of the lanes
    out: Appender | None = None
    # The candidates' numbers, from which seeds are derived. They stay the same if the pool changes. By default, the
    # indices in the pool.
    numbers: Mapping[str, int] = field(default_factory=dict)

    def count(self) -> None:
        """Set the number of responses that each tally needs, and the number of those that are in the file."""
        for name, tally in self.tallies.items():
            keys = {key for batch in self.batches(name) for key in batch.keys.values()}
            tally.total, tally.done = len(keys), len(keys & self.done)

    def load(self, allow_missing: bool, workers: RayWorkers | None = None) -> None:
        """Load the candidates that lack responses and run in this process, so that errors appear before any work.

        Args:
            allow_missing: record an error as the candidate's problem instead of raising it.
        """
        for name, tally in self.tallies.items():
            candidate = self.ensemble.fleet.candidate(name)
            if tally.done >= tally.total or (workers is not None and not self.ensemble.independent(name)):
                continue
            try:
                self.ensemble.backend_for(candidate).load(candidate)
            except ZooterError as problem:
                if not allow_missing:
                    raise
                tally.problem = problem.failure

    def run(self, file: Path, show: Callable[[], None], workers: RayWorkers | None = None) -> None:
        """Append the missing responses to a file, and call `show` after each response.

        The problems of candidates are recorded in their tallies.
        """
        lanes = self.lanes(workers)
        with Appender(file) as self.out, closing(merge_streams(lanes, threading.Event())) as written:
            for _ in written:
                show()

    def lanes(self, workers: RayWorkers | None) -> list[Stream[ResponseKey]]:
        """The lanes of the candidates that lack responses and have no problem.

        In this process, models in memory take turns. On workers, only models with the same base take turns, so that the
        base is loaded once.
        """
        here: dict[str, list[Lane]] = {}
        on_workers: dict[object, list[Lane]] = {}
        for name, tally in self.tallies.items():
            if tally.done >= tally.total or tally.problem:
                continue
            one, independent = self.ensemble.fleet.candidate(name), self.ensemble.independent(name)
            if independent or workers is None:
                here.setdefault(name if independent else f"backend {one.backend}", []).append(Lane(self, name))
            else:
                base = (one.backend, one.model, one.revision, one.dtype, one.quantisation)
                on_workers.setdefault(base, []).append(Lane(self, name))
        streams: list[Stream[ResponseKey]] = [partial(_in_turn, lanes) for lanes in here.values()]
        if workers is not None:
            streams += [partial(_on_workers, lanes, workers, len(on_workers)) for lanes in on_workers.values()]
        return streams

    def batches(self, name: str) -> Iterator[RequestBatch]:
        """The fixed batches of a candidate."""
        candidate = self.ensemble.fleet.candidate(name)
        number = self.numbers.get(name, self.ensemble.fleet.pool.index(name))
        size = max(1, batches.batch_size(len(self.queries) * self.samples) // self.samples)
        for first in range(0, len(self.queries), size):
            seed = self.generation.seed * 1_000_003 + number * len(self.queries) + first
            rows = [(query, sample) for query in self.queries[first : first + size] for sample in range(self.samples)]
            keys = {
                Request(candidate, self.messages(name, query), seed + row): ResponseKey(query.id, name, sample)
                for row, (query, sample) in enumerate(rows)
            }
            yield RequestBatch(name, replace(self.generation, seed=seed), keys)

    def messages(self, name: str, query: Query) -> tuple[Message, ...]:
        return (Message("user", query.text),)

    def write(self, record: Mapping[str, Any]) -> None:
        assert self.out is not None
        self.out.append([self.line(record)])
        self.done.add(ResponseKey.of(record))
        self.tallies[record["candidate"]].count(record)

    def line(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        return record


class Lane:
    """Collects the missing responses of one candidate."""

    def __init__(self, job: CollectJob, name: str) -> None:
        self.job, self.name, self.tally = job, name, job.tallies[name]
        candidate = job.ensemble.fleet.candidate(name)
        most = most_tokens(candidate, job.generation, candidate.thinking not in (None, False))
        # The highest possible cost of one response from an endpoint, without the prompt.
        self.most_dollars = most * (self.tally.price or 0.0) / 1e6 if candidate.endpoint else 0.0
        # Refusals are written only after the candidate has answered a query, since a candidate that refuses all queries
        # is broken.
        self.refusals: list[tuple[ResponseKey, Response]] = []
        self.tries: Counter[ResponseKey] = Counter()  # failed attempts; TRIES for requests that are not sent again
        self.under_way: dict[Request, ResponseKey] = {}  # requests that were sent to an endpoint
        self.short = False  # whether the budget ended the latest round of requests
        self.failures, self.in_a_row = 0, 0  # failed requests of that round: all, and those after the last answer
        self.problem: Failure | None = None  # the first of the latest consecutive failures

    def run(self, stop: threading.Event) -> Iterator[ResponseKey]:
        """Collect the missing responses in this process."""
        yield from self._at_pace(stop) if self.job.ensemble.independent(self.name) else self._in_batches(stop)
        if not stop.is_set():
            yield from self.judge_refusals()

    def missing_batches(self) -> Iterator[RequestBatch]:
        """The batches that lack a response. Each is generated as a whole: its responses depend on each other."""
        return (b for b in self.job.batches(self.name) if not self.job.done.issuperset(b.keys.values()))

    def _in_batches(self, stop: threading.Event) -> Iterator[ResponseKey]:
        """Collect batches one after the other."""
        for batch in self.missing_batches():
            if stop.is_set() or self.tally.problem:
                return
            for key, response in batch.answers(self.job.ensemble, stop, self.job.tell):
                yield from self.take_of_batch(key, response)

    def take_of_batch(self, key: ResponseKey, response: Response) -> Iterator[ResponseKey]:
        """Write a response of a batch, unless it is already in the file. A failure becomes the candidate's problem."""
        if _failed(response):
            self.tally.problem = self.tally.problem or response.error
        elif key not in self.job.done and response.finish != "stopped":
            yield from self._take(key, response)

    def _at_pace(self, stop: threading.Event) -> Iterator[ResponseKey]:
        """Send all requests at the pace of their server. Failed requests are sent again, at most TRIES times."""
        tally, budget, rests = self.tally, self.job.budget, 0
        endpoint = self.job.ensemble.fleet.candidate(self.name).endpoint
        problem: Failure | None = None
        while not stop.is_set() and not tally.problem:
            new = tally.new
            yield from self._round(stop)
            problem = self.problem or problem
            if stop.is_set() or tally.problem:
                return
            if self.short and not budget.wait(self.most_dollars, stop):
                tally.problem = Failure("", f"the budget of ${budget.limit:g} is used up", "Raise --budget-usd.")
            elif not self.short and not self.failures:
                tally.problem = problem if tally.done + len(self.refusals) < tally.total else None
                return
            elif self.in_a_row >= ENOUGH or (self.failures and tally.new == new):
                rests = 0 if tally.new > new else rests
                if rests == RESTS or not tally.works:
                    tally.problem = self.problem
                    return
                pause = (endpoint.rest_seconds if endpoint else REST_SECONDS) * 2**rests
                reason, rests = self.problem.reason if self.problem else "", rests + 1
                count = "once" if self.failures == 1 else f"{self.failures:,} times"
                self.job.tell(f"{self.name} failed {count} ({reason}). The next attempt is in {pause:g} s.")
                stop.wait(pause)

    def _round(self, stop: threading.Event) -> Iterator[ResponseKey]:
        """Send each missing request once."""
        self.short, self.failures, self.in_a_row, self.problem = False, 0, 0, None
        pieces = self.job.ensemble.run_candidate(self.name, self._requests(), stop, self.job.generation)
        try:
            for request, response in iter_responses(pieces, self.job.tell):
                key = self.under_way[request]
                if _failed(response):
                    self.problem = self.problem if self.in_a_row else response.error
                    self.failures, self.in_a_row = self.failures + 1, self.in_a_row + 1
                    self.tries[key] += 1
                    self.tally.tokens += response.tokens
                elif response.finish != "stopped":
                    self.in_a_row, self.tries[key] = 0, TRIES  # so that a waiting refusal is not requested again
                    yield from self._take(key, response)
                del self.under_way[request]
                self.job.budget.release(self.most_dollars)
                if self.tally.problem:
                    break
        finally:
            for _ in self.under_way:  # if the round ends early
                self.job.budget.release(self.most_dollars)
            self.under_way = {}

    def _requests(self) -> Iterator[Request]:
        """Yield requests when the endpoint can take them. Stops after ENOUGH consecutive failures or without budget."""
        for batch in self.job.batches(self.name):
            for request, key in batch.keys.items():
                if key in self.job.done or self.tries[key] >= TRIES:
                    continue
                if self.in_a_row >= ENOUGH or self.tally.problem:
                    return
                if not self.job.budget.reserve(self.most_dollars):
                    self.short = True
                    return
                self.under_way[request] = key
                yield request

    def _take(self, key: ResponseKey, response: Response) -> Iterator[ResponseKey]:
        """Write a response after the waiting refusals, or add a refusal to the waiting ones."""
        tally = self.tally
        if not (response.error or response.text.strip()):
            blank = Failure(f"an answer of {self.name}", "an empty answer", "Ask another candidate.")
            response = replace(response, finish="refused", error=blank)
            tally.blank += not response.thought_tokens  # otherwise counted with its record
        if response.error and not tally.works:
            self.refusals.append((key, response))
            if len(self.refusals) >= batches.BATCH:
                yield from self.judge_refusals()
            return
        for waiting in self.refusals:
            yield self._write(*waiting)
        self.refusals = []
        yield self._write(key, response)
        if response.error and tally.blank > max(ENOUGH, tally.total // BLANK):
            reason = (
                f"{tally.blank} of {tally.done} answers are empty or unfinished, the latest: {response.error.reason}"
            )
            tally.problem = Failure(f"answers of {self.name}", reason, response.error.next_step)

    def judge_refusals(self) -> Iterator[ResponseKey]:
        """Write the waiting refusals. If ENOUGH queries were refused, the candidate is broken, and none is written."""
        if len({key.id for key, _ in self.refusals}) >= ENOUGH:
            first = self.refusals[0][1].error
            reason = f"none of {len(self.refusals)}; the first because: {first.reason if first else ''}"
            self.tally.problem = Failure(f"a response of {self.name}", reason)
        else:
            yield from (self._write(key, response) for key, response in self.refusals)
        self.refusals = []

    def _write(self, key: ResponseKey, response: Response) -> ResponseKey:
        self.job.write({"id": key.id, "sample": key.sample, **response.to_json()})
        return key


def _in_turn(lanes: Sequence[Lane], stop: threading.Event) -> Iterator[ResponseKey]:
    """Run lanes in this process, one after the other."""
    for lane in lanes:
        yield from lane.run(stop)


def _on_workers(
    lanes: Sequence[Lane], workers: RayWorkers, models: int, stop: threading.Event
) -> Iterator[ResponseKey]:
    """Let workers answer the batches of candidates with the same base model, and write each batch when it ends.

    Args:
        models: the number of base models that run at the same time.
    """
    lane_of, lacking = {lane.name: lane for lane in lanes}, [b for lane in lanes for b in lane.missing_batches()]
    samples = lanes[0].job.samples
    processes = math.ceil(sum(len(batch.keys) for batch in lacking) / samples / WORKER_QUERIES)
    try:
        for number, result in workers.map(answer_batch, lacking, listed(lane_of), processes, models):
            lane = lane_of[lacking[number].candidate]
            if isinstance(result, Failure):
                lane.tally.problem = lane.tally.problem or result
                continue
            for key, response in result:
                yield from lane.take_of_batch(key, response)
    except WorkError as problem:
        for lane in lanes:
            if lane.tally.done < lane.tally.total:
                lane.tally.problem = lane.tally.problem or problem.failure
    for lane in lanes:
        yield from lane.judge_refusals()


def in_order(queries: Sequence[Query]) -> list[Query]:
    """The queries in the order for batches: by data set and length."""
    return sorted(queries, key=lambda query: (query.dataset or "", len(query.text), query.id))


def _failed(response: Response) -> bool:
    """Whether a response failed for a temporary reason, or because of the candidate, and not because of the query."""
    return response.error is not None and response.finish != "refused"
