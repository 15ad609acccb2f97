"""Backend `vllm`: candidates on one base model share a process of vLLM, each with its own LoRA adapter.

A process has a fixed share of its device's memory for weights and conversations. Models that do not fit into memory
together take turns.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from zooter_core.backends import Piece, Request
from zooter_core.backends.local import memory
from zooter_core.backends.local.checkpoint import Checkpoint
from zooter_core.backends.local.residency import Residency, ResidentBackend
from zooter_core.backends.vllm.engine import Engine
from zooter_core.backends.vllm.turn import Turn
from zooter_core.base.errors import WorkError, ZooterError, first_line
from zooter_core.base.strict_json import dump_json, parse_json
from zooter_core.base.weights import check_readable
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig

EngineKey = tuple[Any, ...]
SHARE = "gpu_memory_utilization"  # of vLLM's arguments: of the device's memory, also of a processor's
GPU_SHARE, CPU_SHARE = 0.9, 0.4
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # of adapters, for which vLLM reserves memory
NEVER = threading.Event()


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

    def load(self, candidate: CandidateConfig) -> None:
        """Make the candidate ready to answer; one that does not fit beside the loaded models is only checked."""
        if candidate.adapter:
            rank_of(candidate)
        if not self.resident.fits(self.key_of(candidate), candidate, lambda: bytes_of(candidate)):
            Checkpoint.of(candidate).tokenizer()
        elif engine := self.take(candidate, NEVER):
            self.give_back(engine)

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

    def take(self, candidate: CandidateConfig, stop: threading.Event) -> Engine | None:
        """The process of a candidate, started if necessary. The caller must release it. None if `stop` came first."""
        key, size = self.key_of(candidate), bytes_of(candidate)
        device = memory.devices(None)[0]
        settings = {SHARE: round(size / memory.total(device), 4), **self._adapter_room(candidate), **candidate.vllm}
        try:
            return self.resident.take(
                key,
                candidate,
                lambda: size,
                lambda: Engine(key, Checkpoint.of(candidate), settings, {device: size}, stop),
                stop,
            )
        except InterruptedError:
            return None

    def give_back(self, engine: Engine) -> None:
        """End the use of a process."""
        self.resident.release(engine.key)

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
