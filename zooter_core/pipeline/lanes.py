"""The lanes of the step collect, which run at the same time: one for each candidate behind an endpoint, and one for
all models in memory, which take turns.

A lane writes each response when it ends and then yields "", or yields a note. What it writes has a key (query,
candidate, sample), and so has the seed of each request: the order in which responses come does not matter.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from zooter_core.backends import Request, iter_responses
from zooter_core.backends.endpoint.retry import RetryPolicy
from zooter_core.backends.merge_streams import Stream, merge_streams
from zooter_core.backends.thoughts import most_tokens
from zooter_core.base.errors import Failure
from zooter_core.base.jsonl import Appender
from zooter_core.base.records import Message, Query, Response
from zooter_core.config.fleet import GenerationConfig
from zooter_core.fleet.attempts import Attempts
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline import batches
from zooter_core.pipeline.tally import Budget, Tally

ENOUGH = 4  # queries that a candidate refuses, or failures in a row, after which it is no longer asked
RESTS = 2  # of a candidate that has answered before: pauses after ENOUGH failures in a row, each twice the one before
REST_SECONDS = 30.0  # of the first pause, for a backend without endpoints
TRIES = 3  # of a single request while others succeed
BLANK = 10  # one answer in so many may be blank


class Key(NamedTuple):
    """The key of a response."""

    id: str
    candidate: str
    sample: int

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Key:
        """The key of a line of responses.jsonl."""
        return cls(record["id"], record["candidate"], record["sample"])


class Elsewhere(Protocol):
    """Where models in memory and batches of a step run, if not in this process."""

    def group(self, name: str) -> object:
        """What is equal for candidates that share a lane."""

    def lane(self, job: CollectJob, names: Sequence[str]) -> Stream[str]:
        """The lane of some candidates."""

    def compute(self, step: str, jobs: Iterable[Any]) -> Iterator[tuple[int, batches.Lines]]:
        """The lines of each job of a step with the job's number, as they end."""


@dataclass
class CollectJob:
    """What the lanes share.

    Attributes:
        queries: sorted by data set and length.
        part: which of the fixed batches to collect.
        done: the keys of the responses that are in the file.
        batch: responses in a batch; by default `batches.rows_of` all. A run goes on with what it began with.
        numbers: of the candidates, for the seeds; by default their places in the pool. They stay when the pool changes.
    """

    ensemble: Ensemble
    generation: GenerationConfig
    samples: int
    queries: Sequence[Query]
    done: set[tuple[object, ...]]
    tallies: Mapping[str, Tally]
    budget: Budget = field(default_factory=Budget)
    batch: int | None = None
    part: slice = field(default_factory=lambda: slice(None))
    out: Appender | None = None
    numbers: Mapping[str, int] = field(default_factory=dict)

    def number(self, name: str) -> int:
        """The number of a candidate."""
        return self.numbers.get(name, self.ensemble.fleet.pool.index(name))

    def count(self) -> None:
        """Set how many responses each tally needs, and how many of them are in the file."""
        for name, tally in self.tallies.items():
            keys = {key for _, batch in self.batches(name) for key in batch.values()}
            tally.total, tally.done = len(keys), len(keys & self.done)

    def run(
        self,
        file: Path,
        tell: Callable[[str], None] = lambda note: None,
        show: Callable[[], None] = lambda: None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        """Append the missing responses to a file. The tallies say afterwards who had a problem.

        Args:
            tell: called with a note.
            show: called after each response.
        """
        lanes = self.lanes(elsewhere)
        with Appender(file, private=True) as self.out, closing(merge_streams(lanes, threading.Event())) as notes:
            for note in notes:
                if note:
                    tell(note)
                else:
                    show()

    def lanes(self, elsewhere: Elsewhere | None = None) -> list[Stream[str]]:
        """The lanes of the candidates that lack something and have no problem yet."""
        local: dict[str, list[str]] = {}
        on_workers: dict[object, list[str]] = {}
        for name, tally in self.tallies.items():
            if tally.done >= tally.total or tally.problem:
                continue
            if self.ensemble.independent(name):
                local[name] = [name]
            elif elsewhere is None:
                local.setdefault(f"backend {self.ensemble.fleet.candidate(name).backend}", []).append(name)
            else:
                on_workers.setdefault(elsewhere.group(name), []).append(name)
        lanes: list[Stream[str]] = [partial(_Lane(self).run, names) for names in local.values()]
        return lanes + [elsewhere.lane(self, names) for names in on_workers.values() if elsewhere is not None]

    def batches(self, name: str) -> Iterator[tuple[int, dict[Request, Key]]]:
        """The fixed batches of a candidate, each with its seed."""
        number, candidate = self.number(name), self.ensemble.fleet.candidate(name)
        rows_of_all = self.batch or batches.rows_of(len(self.queries) * self.samples)
        size = max(1, rows_of_all // self.samples)
        for first in range(0, len(self.queries), size)[self.part]:
            seed = self.generation.seed * 1_000_003 + number * len(self.queries) + first
            rows = [(query, sample) for query in self.queries[first : first + size] for sample in range(self.samples)]
            yield (
                seed,
                {
                    Request(candidate, self.messages(name, query), seed + row): Key(query.id, name, sample)
                    for row, (query, sample) in enumerate(rows)
                },
            )

    def messages(self, name: str, query: Query) -> tuple[Message, ...]:
        """What a candidate is asked."""
        return (Message("user", query.text),)

    def write(self, record: Mapping[str, Any]) -> None:
        """Write a response, and count it."""
        assert self.out is not None
        self.out.append([self.line(record)])
        self.done.add(Key.of(record))
        self.tallies[record["candidate"]].count(record)

    def line(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """A response as its line of responses.jsonl."""
        return record

    def most_dollars(self, name: str) -> float:
        """What one response of an endpoint may cost at most, without the prompt."""
        candidate = self.ensemble.fleet.candidate(name)
        most = most_tokens(candidate, self.generation, candidate.thinking not in (None, False))
        return most * (self.tallies[name].price or 0.0) / 1e6 if candidate.endpoint else 0.0


class _Lane:
    """One lane. `refusals` wait until their candidate has answered something: one that refuses everything is broken."""

    def __init__(self, job: CollectJob) -> None:
        self.job = job
        self.refusals: list[tuple[Key, Request, Response]] = []

    def run(self, names: Sequence[str], stop: threading.Event) -> Iterator[str]:
        """Collect what is missing of some candidates, one after the other."""
        for name in names:
            alone = self.job.ensemble.independent(name)
            yield from (self._alone if alone else self._in_batches)(name, stop)
            if self.refusals and not stop.is_set():
                yield from self._judge_refusals(name)
            self.refusals = []

    def _in_batches(self, name: str, stop: threading.Event) -> Iterator[str]:
        """Batches one after the other, each as a whole, because its responses depend on each other."""
        job, tally = self.job, self.job.tallies[name]
        for seed, keys in job.batches(name):
            if stop.is_set() or tally.problem:
                return
            if job.done.issuperset(keys.values()):
                continue
            notes: list[str] = []
            pieces = job.ensemble.run_candidate(name, list(keys), stop, replace(job.generation, seed=seed))
            for request, response in iter_responses(pieces, notes.append):
                yield from notes
                notes.clear()
                if _failed(response):
                    tally.problem = tally.problem or response.error
                elif keys[request] not in job.done:
                    yield from self._take(keys[request], request, response)

    def _alone(self, name: str, stop: threading.Event) -> Iterator[str]:
        """All requests at the pace of their server. Those that fail are sent again, until nothing helps."""
        job, tally, attempts = self.job, self.job.tallies[name], self._attempts(name)
        tries: Counter[Key] = Counter()
        problem: Failure | None = None
        while not stop.is_set() and not tally.problem:
            turn = _Turn(job, name, tries)
            new = tally.new
            yield from self._turn(turn, tries, stop)
            problem = turn.problem or problem
            if stop.is_set() or tally.problem:
                return
            if turn.short and not job.budget.wait(job.most_dollars(name), stop):
                tally.problem = Failure("", f"the budget of ${job.budget.limit:g} is used up")
            elif not turn.short and not turn.failures:
                tally.problem = problem if tally.done + len(self.refusals) < tally.total else None
                return
            elif turn.in_a_row >= ENOUGH or (turn.failures and tally.new == new):
                attempts = self._attempts(name) if tally.new > new else attempts
                attempts.failed(name, temporary=tally.works)
                if not attempts.next():
                    tally.problem = turn.problem
                    return
                reason = turn.problem.reason if turn.problem else ""
                yield f"{name} failed {turn.failures} times ({reason}). It is asked again in {attempts.pause:g} s."
                stop.wait(attempts.pause)

    def _attempts(self, name: str) -> Attempts:
        """The attempts at what a candidate lacks, the first of which is under way."""
        fleet = self.job.ensemble.fleet
        endpoint = fleet.candidate(name).endpoint
        first = endpoint.rest_seconds if endpoint else REST_SECONDS
        attempts = Attempts(fleet, [name], policy=RetryPolicy(RESTS, first, math.inf, spread=0.0))
        attempts.next()
        return attempts

    def _turn(self, turn: _Turn, tries: Counter[Key], stop: threading.Event) -> Iterator[str]:
        job, tally = self.job, turn.tally
        notes: list[str] = []
        pieces = job.ensemble.run_candidate(tally.candidate, turn.requests(), stop, job.generation)
        try:
            for request, response in iter_responses(pieces, notes.append):
                yield from notes
                notes.clear()
                key = turn.keys[request]
                if _failed(response):
                    turn.fail(key, response)
                elif response.finish != "stopped":
                    turn.in_a_row, tries[key] = 0, TRIES  # a refusal that waits is not asked for again
                    yield from self._take(key, request, response)
                del turn.keys[request]
                job.budget.release(turn.most)
                if tally.problem:
                    break
        finally:
            for _ in turn.keys:  # requests under way when it ends early
                job.budget.release(turn.most)

    def _take(self, key: Key, request: Request, response: Response) -> Iterator[str]:
        """Write a response, after the refusals that waited for it; or let a refusal wait."""
        tally = self.job.tallies[key.candidate]
        if response.finish == "stopped":
            return
        if not (response.error or response.text.strip()):
            blank = Failure(f"an answer of {key.candidate}", "an empty answer", "Ask another candidate.")
            response = replace(response, finish="refused", error=blank)
            tally.blank += not response.thought_tokens  # else it is counted with its record
        if response.error and not tally.works:
            self.refusals.append((key, request, response))
            if len(self.refusals) >= batches.BATCH:
                yield from self._judge_refusals(key.candidate)
            return
        for waiting in self.refusals:
            yield self._write(waiting[0], waiting[2])
        self.refusals = []
        yield self._write(key, response)
        if response.error and tally.blank > max(ENOUGH, tally.total // BLANK):
            reason = (
                f"{tally.blank} of {tally.done} answers are empty or unfinished, the latest: {response.error.reason}"
            )
            tally.problem = Failure(f"answers of {key.candidate}", reason, response.error.next_step)

    def _judge_refusals(self, name: str) -> Iterator[str]:
        """A candidate that has answered nothing and refuses several queries is broken: nothing of it is written."""
        if len({request.messages for _, request, _ in self.refusals}) >= ENOUGH:
            first = self.refusals[0][2].error
            reason = f"none of {len(self.refusals)}; the first because: {first.reason if first else ''}"
            self.job.tallies[name].problem = Failure(f"a response of {name}", reason)
        else:
            yield from (self._write(key, response) for key, _, response in self.refusals)
        self.refusals = []

    def _write(self, key: Key, response: Response) -> str:
        self.job.write({"id": key.id, "sample": key.sample, **response.to_json()})
        return ""


class _Turn:
    """One pass over the requests that a candidate lacks.

    Attributes:
        short: whether the budget ended it.
        failures, in_a_row: requests that failed, and those of them after the last answer.
        problem: of the first failure in a row.
    """

    def __init__(self, job: CollectJob, name: str, tries: Counter[Key]) -> None:
        self.job, self.tally, self.tries = job, job.tallies[name], tries
        self.most = job.most_dollars(name)
        self.keys: dict[Request, Key] = {}  # of the requests under way
        self.short, self.failures, self.in_a_row = False, 0, 0
        self.problem: Failure | None = None

    def requests(self) -> Iterator[Request]:
        """The requests, as there is room for them; none after ENOUGH failures in a row."""
        for _, keys in self.job.batches(self.tally.candidate):
            for request, key in keys.items():
                if key in self.job.done or self.tries[key] >= TRIES:
                    continue
                if self.in_a_row >= ENOUGH or self.tally.problem:
                    return
                if not self.job.budget.reserve(self.most):
                    self.short = True
                    return
                self.keys[request] = key
                yield request

    def fail(self, key: Key, response: Response) -> None:
        """Count a failure."""
        if not self.in_a_row:
            self.problem = response.error
        self.failures, self.in_a_row = self.failures + 1, self.in_a_row + 1
        self.tries[key] += 1
        self.tally.tokens += response.tokens


def in_order(queries: Sequence[Query]) -> list[Query]:
    """Queries in the order in which batches are made: by data set and length."""
    return sorted(queries, key=lambda query: (query.dataset or "", len(query.text), query.id))


def _failed(response: Response) -> bool:
    """Whether a response failed for a reason that may pass, or that lies in the candidate."""
    return response.error is not None and response.finish != "refused"
