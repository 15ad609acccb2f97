"""Backend `vllm`: candidates on one base model share a process of vLLM, each with its own LoRA adapter.

A process has a fixed share of its device's memory for weights and conversations. Models that do not fit into memory
together take turns.

vLLM forms its batches itself. If a process dies, a new one answers the requests that it was at, one after the other,
until it is clear which of them ends it: that one is refused, and the others go on. After DEATHS processes that answered
nothing, no other one starts.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from itertools import groupby
from pathlib import Path
from typing import Any

from zooter_core.backends import Piece, Request
from zooter_core.backends.conversation import prompt_ids, too_long
from zooter_core.backends.local import memory
from zooter_core.backends.local.checkpoint import Checkpoint
from zooter_core.backends.local.model import FIX_ADAPTER
from zooter_core.backends.local.residency import NEVER, Residency, ResidentBackend
from zooter_core.backends.server_process import POLL_SECONDS
from zooter_core.backends.vllm.engine import Engine, Events
from zooter_core.base.errors import Failure, WorkError, ZooterError, first_line
from zooter_core.base.records import Finish, Response
from zooter_core.base.strict_json import dump_json, parse_json
from zooter_core.base.weights import check_readable
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig

EngineKey = tuple[Any, ...]
SHARE = "gpu_memory_utilization"  # argument of vLLM: share of the device's memory (GPU or host)
GPU_SHARE, CPU_SHARE = 0.9, 0.4
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # of adapters, for which vLLM reserves memory
DEATHS = 3
AHEAD = 2  # requests that are sent, for each that vLLM has room for
STARTED_AGAIN = "The next query starts vLLM again."
POISON = "Leave this query out: vLLM ends with it each time."


class VllmBackend(ResidentBackend):
    """Processes of vLLM by base model and settings."""

    independent = True  # except for rounding: a batch adds numbers in another order

    def __init__(self) -> None:
        self.resident: Residency[Engine] = Residency()
        self._expected: list[CandidateConfig] = []
        self._ranks: dict[str, int] = {}

    def expect(self, candidates: Sequence[CandidateConfig]) -> None:
        """Note candidates that will be asked, so that a process has room for the adapters of its base."""
        self._expected += [candidate for candidate in candidates if candidate not in self._expected]

    def retain(self, candidates: Sequence[CandidateConfig]) -> None:
        self.resident.retain({self.key_of(candidate) for candidate in candidates}.__contains__)

    def load(self, candidate: CandidateConfig) -> None:
        """Make the candidate ready to answer; one that does not fit beside the loaded models is only checked."""
        if candidate.adapter:
            rank_of(candidate)
        if not self.resident.fits(self.key_of(candidate), candidate, lambda: bytes_of(candidate)):
            Checkpoint.of(candidate).tokenizer()
        else:
            with self.engine(candidate, NEVER):
                """It is loaded now."""

    def stream(
        self, requests: Iterable[Request], generation: GenerationConfig, stop: threading.Event
    ) -> Iterator[Piece]:
        """Run all requests on one base at the same time, as many as vLLM has room for, and base after base."""
        numbered: Iterable[tuple[int, Request]] = enumerate(requests)
        if isinstance(requests, Sequence):
            numbered = sorted(numbered, key=lambda pair: self._place(pair[1].candidate))
        for _, group in groupby(numbered, key=lambda pair: self.key_of(pair[1].candidate)):
            yield from Turn(self, group, generation, stop, isinstance(requests, Sequence)).run()
            if stop.is_set() and not isinstance(requests, Sequence):
                return

    def _place(self, candidate: CandidateConfig) -> tuple[bool, str]:
        """Sorts requests by base, those of loaded ones first."""
        key = self.key_of(candidate)
        return not self.resident.has(key), repr(key)

    def engine(self, candidate: CandidateConfig, stop: threading.Event) -> AbstractContextManager[Engine | None]:
        """The process of a candidate, started if necessary. None if `stop` came first."""
        key, size = self.key_of(candidate), bytes_of(candidate)
        device = memory.devices(None)[0]
        settings = {SHARE: round(size / memory.total(device), 4), **self._adapter_room(candidate), **candidate.vllm}

        def start() -> Engine:
            return Engine(Checkpoint.of(candidate), settings, {device: size}, stop)

        return self.resident.use(key, candidate, lambda: size, start, stop)

    def note(self, candidate: CandidateConfig) -> str:
        """The note that a model has to be loaded, which takes vLLM a minute or more; "" if it is."""
        key, others = self.key_of(candidate), self.resident.names()
        if self.resident.has(key):
            return ""
        fits = not others or self.resident.fits(key, candidate, lambda: bytes_of(candidate))
        instead = "" if fits else f" in place of {others[0]}"
        return f"Loading {candidate.name} with vLLM{instead}, which can take minutes."

    def key_of(self, candidate: CandidateConfig) -> EngineKey:
        """What is the same for all candidates on one process."""
        settings = (candidate.model, candidate.revision, candidate.dtype, candidate.context_tokens)
        return (*settings, dump_json(candidate.vllm, sort_keys=True), *self._adapter_room(candidate).values())

    def _adapter_room(self, candidate: CandidateConfig) -> dict[str, Any]:
        """vLLM's arguments for the adapters of a base; none without adapters."""
        same = [other for other in (*self._expected, candidate) if other.model == candidate.model]
        adapters = {other.adapter: other for other in same if other.adapter}
        if not adapters:
            return {}
        most = max(self._rank(other) for other in adapters.values())
        rank = next((rank for rank in RANKS if rank >= most), most)
        return {"enable_lora": True, "max_lora_rank": rank, "max_loras": len(adapters)}

    def _rank(self, candidate: CandidateConfig) -> int:
        """The rank of a candidate's adapter; 0 if it cannot be read, which shows when it is asked."""
        adapter = candidate.adapter or ""
        if adapter not in self._ranks:
            try:
                self._ranks[adapter] = rank_of(candidate)
            except ZooterError:
                self._ranks[adapter] = 0
        return self._ranks[adapter]


def bytes_of(candidate: CandidateConfig) -> int:
    """Bytes of its device that a process of vLLM takes, weights and conversations: a share that is set when it starts.

    Raises:
        ZooterError: the budget is not a number above 0.
    """
    device = memory.devices(None)[0]
    total, budget = memory.total(device), memory.budget_of(candidate)
    share = candidate.vllm.get(SHARE)
    if isinstance(share, int | float) and 0 < share <= 1:
        return int(share * total)
    most = int((CPU_SHARE if device == "cpu" else GPU_SHARE) * total)
    return most if budget is None else min(most, budget)


def rank_of(candidate: CandidateConfig) -> int:
    """The rank of a candidate's LoRA adapter.

    Raises:
        WorkError: it is no folder with one.
    """
    folder = Path(candidate.adapter or "")
    check_readable(folder)
    try:
        config = parse_json((folder / "adapter_config.json").read_text(encoding="utf-8"))
        return int(max([config["r"], *config.get("rank_pattern", {}).values()]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        what, step = f"a LoRA adapter for {candidate.name} at {folder}", "Fix `adapter` in fleet.toml."
        raise WorkError(what, f"no rank in its adapter_config.json ({first_line(problem)})", step) from problem


class Answer:
    """The answer to one request, as far as it has come.

    Attributes:
        shown: characters that have been yielded, perhaps of an answer that died with its process.
        suspect: whether a process died while it was at this request among others.
    """

    def __init__(self, request: Request, seed: int) -> None:
        self.request, self.seed = request, seed
        self.shown, self.suspect = 0, False
        self.begin()

    def begin(self) -> None:
        """Begin, or begin again."""
        self.text, self.tokens = "", 0
        self.first: float | None = None
        self.start = time.perf_counter()

    def add(self, event: Mapping[str, Any]) -> Iterator[Piece]:
        """What is new with an event: text, and the response at the end."""
        self.text += event["text"]
        self.tokens += event["tokens"]
        if self.first is None and event["tokens"]:
            self.first = time.perf_counter() - self.start
        if len(self.text) > self.shown:
            new, self.shown = self.text[self.shown :], len(self.text)
            yield Piece(self.request, new)
        finish = event["finish"]
        if finish in ("stop", "length"):
            yield self.end(finish)
        elif finish:
            yield self.end("error", Failure("a complete answer", f'one that vLLM ended with "{finish}"'))

    def end(self, finish: Finish, error: Failure | None = None) -> Piece:
        """The last piece."""
        seconds, name = time.perf_counter() - self.start, self.request.candidate.name
        response = Response(name, self.text.strip(), self.tokens, seconds, self.first, finish, error)
        return Piece(self.request, response=response)


class Turn:
    """The requests of one call for one base model.

    Args:
        requests: with their numbers; drawn from when there is room.
    """

    def __init__(
        self,
        engines: VllmBackend,
        requests: Iterator[tuple[int, Request]],
        generation: GenerationConfig,
        stop: threading.Event,
        draw_all: bool,
    ) -> None:
        self._engines, self._requests, self._generation, self._stop = engines, requests, generation, stop
        self._draw_all = draw_all  # a stop also answers requests that are still queued
        self._running: dict[int, Answer] = {}
        self._again: deque[Answer] = deque()
        self._deaths, self._answered = 0, False
        self._problem: Failure | None = None  # why no other process starts

    def run(self) -> Iterator[Piece]:
        """Answer the requests, with further processes if one dies."""
        while (answer := self._next()) is not None:
            if self._problem or self._stop.is_set():
                yield answer.end("error" if self._problem else "stopped", self._problem)
                continue
            self._again.appendleft(answer)
            candidate = answer.request.candidate
            with ExitStack() as uses:
                try:
                    if note := self._engines.note(candidate):
                        yield Piece(answer.request, note=note)
                    engine = uses.enter_context(self._engines.engine(candidate, self._stop))
                except Exception as problem:
                    self._problem = Failure.of(problem)
                    continue
                if engine is not None:
                    try:
                        yield from self._on(engine)
                    finally:
                        engine.cancel(list(self._running))
                        self._running.clear()

    def _next(self) -> Answer | None:
        """The next request to send, or to end."""
        if self._again:
            return self._again.popleft()
        if self._stop.is_set() and not self._draw_all:
            return None
        number, request = next(self._requests, (0, None))
        if request is None:
            return None
        return Answer(request, (self._generation.seed + number if request.seed is None else request.seed) % 2**31)

    def _on(self, engine: Engine) -> Iterator[Piece]:
        """Answer on one process, until there are no more requests, it dies, or `stop` is set."""
        events = Events()  # a new queue for each process: a request that is sent after its death hears of that
        while True:
            while not self._stop.is_set() and self._has_room(engine) and (answer := self._next()) is not None:
                if refusal := self._send(engine, answer, events):
                    yield refusal
            if self._stop.is_set():
                yield from (answer.end("stopped") for answer in self._running.values())
            if self._stop.is_set() or not self._running:
                return
            try:
                event = events.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if "died" in event:
                yield from self._bury(event)
                return
            if event["number"] in self._running:  # else it was cancelled
                yield from self._take(event)

    def _has_room(self, engine: Engine) -> bool:
        """Whether to send another request. A suspect is sent alone."""
        if self._again and self._again[0].suspect:
            return not self._running
        suspect = len(self._running) == 1 and next(iter(self._running.values())).suspect
        return not suspect and len(self._running) < AHEAD * engine.room

    def _send(self, engine: Engine, answer: Answer, events: Events) -> Piece | None:
        """Send a request. Its last piece, if it cannot be answered."""
        try:
            with engine.tokenizing:
                prompt = prompt_ids(answer.request, engine.tokenizer)
        except ZooterError as problem:
            return answer.end("error", problem.failure)
        if len(prompt) >= engine.positions:
            refused = too_long(answer.request.candidate.name, len(prompt), engine.positions - 1)
            return answer.end("refused", refused.failure)
        params = {
            "max_tokens": min(self._generation.max_new_tokens, engine.positions - len(prompt)),
            "temperature": self._generation.temperature,
            "top_k": self._generation.top_k,
            "seed": answer.seed,
        }
        answer.begin()
        number = engine.submit(prompt, params, answer.request.candidate.adapter, events)
        self._running[number] = answer
        return None

    def _take(self, event: Mapping[str, Any]) -> Iterator[Piece]:
        """The pieces of one event."""
        answer = self._running[event["number"]]
        if "error" in event:
            del self._running[event["number"]]
            yield self._refused(answer, event)
            return
        if event["finish"]:
            del self._running[event["number"]]
            self._deaths, self._answered = 0, True
        yield from answer.add(event)

    def _refused(self, answer: Answer, event: Mapping[str, Any]) -> Piece:
        """The last piece of a request that vLLM did not begin."""
        name = answer.request.candidate.name
        if event["adapter"]:
            return answer.end("error", Failure(f"a LoRA adapter for {name}", event["error"], FIX_ADAPTER))
        return answer.end("refused", Failure(f"vLLM to accept a prompt of {name}", event["error"], "Change the query."))

    def _bury(self, death: Mapping[str, Any]) -> Iterator[Piece]:
        """Decide about the requests that a process was at when it died."""
        answers = list(self._running.values())
        self._running.clear()
        self._deaths += 1
        name, alone = answers[0].request.candidate.name, death["running"] == 1
        if alone and self._answered:
            yield answers[0].end("refused", Failure(f"an answer of {name}", death["died"], POISON))
            self._again.extendleft(reversed(answers[1:]))  # sent after the death, before it was known
            return
        if self._deaths == DEATHS or (alone and answers[0].suspect and not self._again):
            self._problem = Failure(f"an answer of {name}", death["died"], STARTED_AGAIN)
        for answer in answers:
            answer.suspect = True
        self._again.extend(answers)  # behind the others: one of those may be answered, and then the engine is well
