"""Which models are in memory. A model is loaded with its first use and stays while there is room. When there is none,
the least recently used model that is idle is unloaded.

Callers that need a model which is not loaded wait in a queue, and only the first one loads or unloads models. Two
callers who need two models that do not fit together are therefore both served, one after the other.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Generic, Protocol, TypeVar

from zooter_core.backends import Backend, TurnQueue
from zooter_core.backends.local import memory
from zooter_core.base.errors import WorkError, first_line, listed
from zooter_core.config.candidates import CandidateConfig

NEVER = threading.Event()  # a stop that nobody sets


class Model(Protocol):
    """A loaded model. `sizes` are its measured bytes by device."""

    name: str
    sizes: memory.Sizes

    @property
    def usable(self) -> bool:
        """Whether it can still serve."""

    def close(self) -> None:
        """Release everything that takes memory."""


Loaded = TypeVar("Loaded", bound=Model)
Key = TypeVar("Key")


class Residency(Generic[Loaded]):
    """The models in memory by key, the least recently used one first."""

    def __init__(self) -> None:
        self._models: dict[object, Loaded] = {}
        self._users: Counter[object] = Counter()
        self._retired: set[object] = set()
        self._changed = threading.Condition()
        self._turns = TurnQueue()
        self._draining = False  # whether a caller waits for models in use to become idle: no new use may begin

    @contextmanager
    def use(
        self,
        key: object,
        candidate: CandidateConfig,
        needed: Callable[[], int],  # bytes
        load: Callable[[], Loaded],
        stop: threading.Event,
    ) -> Iterator[Loaded | None]:
        """The model of a key while the block runs. None if `stop` was set while it waited or loaded.

        Raises:
            ZooterError: the model cannot be loaded, or does not fit even without the others.
        """
        model = self._take(key, candidate, needed, load, stop)
        try:
            yield model
        finally:
            if model is not None:
                self._release(key)

    def _take(
        self,
        key: object,
        candidate: CandidateConfig,
        needed: Callable[[], int],
        load: Callable[[], Loaded],
        stop: threading.Event,
    ) -> Loaded | None:
        if (model := self._use(key)) is not None:
            return model
        ticket = self._turns.join()
        try:
            if not ticket.wait(stop):
                return None
            if (model := self._use(key)) is not None:
                return model
            if not self._end_unusable(key, stop) or not self._make_room(candidate, needed(), stop):
                return None
            model = self._load(candidate, needed, load)
            with self._changed:
                self._models[key] = model
                self._users[key] += 1
            return model
        except InterruptedError:  # the stop has ended the loading
            return None
        finally:
            ticket.leave()

    def _release(self, key: object) -> None:
        with self._changed:
            self._users[key] -= 1
            self._models[key] = self._models.pop(key)  # now the most recently used
            if not self._is_usable(key) and not self._users[key]:
                self._unload(key)
            self._changed.notify_all()

    def retain(self, needed: Callable[[Any], bool]) -> None:
        """Unload the models whose keys are not needed, each as soon as nobody uses it. No new use of them begins."""
        with self._changed:
            for key in [key for key in self._models if not needed(key)]:
                self._retired.add(key)
                if not self._users[key]:
                    self._unload(key)

    def has(self, key: object) -> bool:
        """Whether the model of a key is loaded."""
        with self._changed:
            return key in self._models

    def next_of(self, keys: Iterable[Key]) -> Key:
        """The key to use next so that the fewest models are loaded: a loaded one, else the first."""
        order = list(keys)
        with self._changed:
            return next((key for key in order if key in self._models), order[0])

    def fits(self, key: object, candidate: CandidateConfig, needed: Callable[[], int]) -> bool:
        """Whether the model of a key is loaded, or is the first, or its bytes fit beside the loaded ones."""
        with self._changed:
            if key in self._models or not self._models:
                return True
        size = needed()  # may read files, which must not keep others waiting
        with self._changed:
            return self._room(candidate) >= size

    def note(self, key: object, candidate: CandidateConfig, needed: Callable[[], int]) -> str:
        """The note that a model replaces others in memory; "" if it does not."""
        needed = cache(needed)
        if self.fits(key, candidate, needed):
            return ""
        size, others = memory.in_words(needed()), ", ".join(self.names())
        return f"Loading {candidate.name}: its {size} do not fit into memory together with {others}."

    def names(self) -> list[str]:
        """The loaded models, the least recently used one first."""
        with self._changed:
            return [model.name for model in self._models.values()]

    def sizes(self) -> dict[object, int]:
        """Bytes of each loaded model, by key."""
        with self._changed:
            return {key: sum(model.sizes.values()) for key, model in self._models.items()}

    def used(self) -> memory.Sizes:
        """Bytes of all loaded models, by device."""
        used: Counter[str] = Counter()
        with self._changed:
            for model in self._models.values():
                used.update(model.sizes)
        return dict(used)

    def spare(self) -> None:
        """Unload all idle models and return their memory."""
        with self._changed:
            for key in [key for key in self._models if not self._users[key]]:
                self._unload(key)
        memory.give_back()

    def _use(self, key: object) -> Loaded | None:
        with self._changed:
            if self._draining or not self._is_usable(key):
                return None
            self._users[key] += 1
            return self._models[key]

    def _is_usable(self, key: object) -> bool:
        return key in self._models and self._models[key].usable and key not in self._retired

    def _end_unusable(self, key: object, stop: threading.Event) -> bool:
        """Unload the model of a key, which can no longer serve, after its last use. False after a stop."""
        with self._changed:
            while self._users[key]:
                if stop.is_set():
                    return False
                self._changed.wait(0.1)  # a stop does not notify
            if key in self._models:
                self._unload(key)
        return True

    def _room(self, candidate: CandidateConfig) -> int:
        used, budget = self.used(), memory.budget_of(candidate)
        return sum(memory.room(device, used, budget) for device in memory.devices(candidate.device_map))

    def _make_room(self, candidate: CandidateConfig, needed: int, stop: threading.Event) -> bool:
        """Unload models until a new one fits; those in use when they become idle. False if `stop` was set."""
        with self._changed:
            self._check(candidate, needed)
            try:
                while self._room(candidate) < needed and self._models:
                    idle = next((key for key in self._models if not self._users[key]), None)
                    if idle is not None:
                        self._unload(idle)
                    elif stop.is_set():
                        return False
                    else:
                        self._draining = True
                        self._changed.wait(0.1)  # a stop does not notify
            finally:
                self._draining = False
        return True

    def _check(self, candidate: CandidateConfig, needed: int) -> None:
        """Refuse a model that cannot fit, before others are unloaded for it. One that may spread uses the CPU too."""
        if candidate.device_map in memory.SPREAD:
            return
        (device,) = memory.devices(candidate.device_map)
        most, budget = self.used().get(device, 0) + memory.free(device), memory.budget_of(candidate)
        limit = f"free on {device} with no other model"
        if budget is not None and budget < most:
            most, limit = budget, "the budget"
        if needed > most:
            raise too_large(candidate, needed, f"{memory.in_words(most)} ({limit})")

    def _load(self, candidate: CandidateConfig, needed: Callable[[], int], load: Callable[[], Loaded]) -> Loaded:
        """Load a model. If memory runs out, try once more without all idle models."""
        for last in (False, True):
            try:
                return load()
            except Exception as problem:
                if not memory.is_full(problem):
                    raise
                why = first_line(problem)
            self.spare()  # not inside `except`: the exception keeps the half-loaded model alive
            if last:
                break
        device = memory.devices(candidate.device_map)[0]
        others = listed(self.names())
        free = f"{memory.in_words(memory.free(device))} free on {device}{f' beside {others}' if others else ''} ({why})"
        raise too_large(candidate, needed(), free)

    def _unload(self, key: object) -> None:
        self._models.pop(key).close()
        self._retired.discard(key)
        del self._users[key]


def too_large(candidate: CandidateConfig, needed: int, available: str) -> WorkError:
    """The error that a model does not fit into memory."""
    smaller = "" if candidate.quantisation == "4bit" else 'quantisation = "4bit" makes the model smaller, '
    step = f'or raise budget_gb in [memory]; {smaller}device_map = "auto" spreads it over devices.'
    expected = f"{memory.in_words(needed)} of memory for {candidate.model}"
    return WorkError(expected, available, f"Free memory, {step}")


class ResidentBackend(Backend):
    """A backend that runs its models on this machine, and unloads them when there is no room."""

    resident: Residency[Any]

    def sizes(self) -> Mapping[object, int]:
        """Bytes of each loaded model, by its key."""
        return self.resident.sizes()

    def spare(self) -> None:
        """Unload the models that nobody uses."""
        self.resident.spare()
