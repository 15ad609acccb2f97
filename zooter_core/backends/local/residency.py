"""Which models are in memory. One is loaded when first asked for and kept while there is room; then the one that was
used longest ago leaves, if nobody uses it.

Whoever needs a model that is not there stands in line, and only the first in line loads or lets others leave: two who
ask in turn for two models that do not fit together are both served.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from zooter_core.backends.local import memory
from zooter_core.backends.turn_queue import TurnQueue
from zooter_core.config.candidates import CandidateConfig
from zooter_core.errors import WorkError, first_line, listed


class Model(Protocol):
    """What is kept: `sizes` are its bytes by device, measured."""

    name: str
    sizes: memory.Sizes

    @property
    def usable(self) -> bool:
        """Whether it can still serve."""

    def close(self) -> None:
        """Let go of everything that takes memory."""


Kept = TypeVar("Kept", bound=Model)
Key = TypeVar("Key")


class Residency(Generic[Kept]):
    """The models in memory, by key; the one used longest ago comes first."""

    def __init__(self) -> None:
        self._kept: dict[object, Kept] = {}
        self._users: Counter[object] = Counter()
        self._changed = threading.Condition()
        self._turns = TurnQueue()
        self._short = False  # whether the first in line waits for models in use: nobody may begin to use one

    def take(
        self,
        key: object,
        candidate: CandidateConfig,
        needed: Callable[[], int],
        make: Callable[[], Kept],
        stop: threading.Event,
    ) -> Kept | None:
        """The model of a key, for use until `release`; None if `stop` came while it waited.

        Args:
            needed: bytes that it will take, as far as its files tell.
            make: loads it.

        Raises:
            ZooterError: it cannot be loaded, or does not fit with all others gone.
        """
        if (found := self._use(key)) is not None:
            return found
        ticket = self._turns.join()
        try:
            if not ticket.wait(stop):
                return None
            if (found := self._use(key)) is not None:
                return found
            if not self._make_room(candidate, needed(), stop):
                return None
            made = self._load(candidate, needed, make)
            with self._changed:
                self._kept[key] = made
                self._users[key] += 1
            return made
        finally:
            ticket.leave()

    def release(self, key: object) -> None:
        """The end of a use."""
        with self._changed:
            self._users[key] -= 1
            self._kept[key] = self._kept.pop(key)  # the last to leave
            if not self._kept[key].usable and not self._users[key]:
                self._leave(key)
            self._changed.notify_all()

    def has(self, key: object) -> bool:
        with self._changed:
            return key in self._kept

    def next_of(self, keys: Iterable[Key]) -> Key:
        """Which of several to use next, so that the fewest are loaded: one that is there, else the first."""
        order = list(keys)
        with self._changed:
            return next((key for key in order if key in self._kept), order[0])

    def fits(self, candidate: CandidateConfig, needed: int) -> bool:
        """Whether a model fits beside those that are there."""
        with self._changed:
            return self._room(candidate) >= needed

    def names(self) -> list[str]:
        """The models that are there, the one used longest ago first."""
        with self._changed:
            return [model.name for model in self._kept.values()]

    def sizes(self) -> dict[object, int]:
        """Bytes of each model that is there, by key."""
        with self._changed:
            return {key: sum(model.sizes.values()) for key, model in self._kept.items()}

    def held(self) -> memory.Sizes:
        """Bytes that they take together, by device."""
        with self._changed:
            return self._held()

    def spare(self) -> None:
        """Let all that nobody uses leave, and give back what memory is to be had: some has run out."""
        with self._changed:
            for key in [key for key in self._kept if not self._users[key]]:
                self._leave(key)
        memory.give_back()

    def _use(self, key: object) -> Kept | None:
        with self._changed:
            if self._short or key not in self._kept:
                return None
            self._users[key] += 1
            return self._kept[key]

    def _held(self) -> memory.Sizes:
        held: Counter[str] = Counter()
        for model in self._kept.values():
            held.update(model.sizes)
        return dict(held)

    def _room(self, candidate: CandidateConfig) -> int:
        held, budget = self._held(), memory.budget_of(candidate)
        return sum(memory.room(device, held, budget) for device in memory.devices(candidate.device_map))

    def _make_room(self, candidate: CandidateConfig, needed: int, stop: threading.Event) -> bool:
        """Let others leave until a model fits, those that are in use when they are done; False if `stop` came.

        Raises:
            WorkError: it does not fit with all of them gone.
        """
        with self._changed:
            self._check(candidate, needed)
            try:
                while self._room(candidate) < needed and self._kept:
                    idle = next((key for key in self._kept if not self._users[key]), None)
                    if idle is not None:
                        self._leave(idle)
                    elif stop.is_set():
                        return False
                    else:
                        self._short = True
                        self._changed.wait(0.1)  # a stop does not notify
            finally:
                self._short = False
        return True

    def _check(self, candidate: CandidateConfig, needed: int) -> None:
        """Refuse what cannot fit, before others leave for it. What may spread takes the processor's memory as well."""
        if candidate.device_map in memory.SPREAD:
            return
        (device,) = memory.devices(candidate.device_map)
        most, budget = self._held().get(device, 0) + memory.free(device), memory.budget_of(candidate)
        limit = f"free on {device} with no other model"
        if budget is not None and budget < most:
            most, limit = budget, "the budget"
        if needed > most:
            raise too_large(candidate, needed, f"{memory.told(most)} ({limit})")

    def _load(self, candidate: CandidateConfig, needed: Callable[[], int], make: Callable[[], Kept]) -> Kept:
        """Load a model; where memory runs out, once more with all that are idle gone."""
        for last in (False, True):
            try:
                return make()
            except Exception as problem:
                if not memory.is_full(problem):
                    raise
                why = first_line(problem)
            self.spare()  # only now: until here the error holds on to what had been loaded
            if last:
                break
        device = memory.devices(candidate.device_map)[0]
        beside = listed(self.names())
        found = f"{memory.told(memory.free(device))} free on {device}{f' beside {beside}' if beside else ''} ({why})"
        raise too_large(candidate, needed(), found)

    def _leave(self, key: object) -> None:
        self._kept.pop(key).close()
        del self._users[key]


def too_large(candidate: CandidateConfig, needed: int, found: str) -> WorkError:
    how = "" if candidate.quantisation == "4bit" else 'quantisation = "4bit" makes it smaller, '
    return WorkError(
        f"{memory.told(needed)} of memory for {candidate.model}",
        found,
        f'Free some, or raise budget_gb in [memory]; {how}device_map = "auto" puts a part elsewhere.',
    )
