"""Decides which models stay in memory. A model is loaded on first use and stays while there is room. To make room, the
least recently used idle model is unloaded.

Only one caller at a time loads and unloads models; others wait. If two callers need models that do not fit into memory
together, both are therefore served, one after the other.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from zooter_core.backends import POLL_SECONDS, Backend, memory
from zooter_core.base.errors import WorkError, first_line, listed
from zooter_core.config.candidates import CandidateConfig

NEVER = threading.Event()  # a stop event that is never set


class LoadedModel(Protocol):
    """A loaded model. `sizes` are its measured bytes by device."""

    name: str
    sizes: memory.Sizes

    @property
    def usable(self) -> bool:
        """Whether the model can still answer."""

    def close(self) -> None:
        """Release the model's memory."""


Loaded = TypeVar("Loaded", bound=LoadedModel)


@dataclass(frozen=True)
class Loader(Generic[Loaded]):
    """Loads a model, and knows its requirements."""

    key: Hashable  # the same for all candidates that share the model
    candidate: CandidateConfig
    devices: tuple[str, ...]  # for the weights, the first choice first
    bytes: int  # the memory that the model will use
    load: Callable[[], Loaded]
    spreads: bool = False  # whether the weights may be spread over all of these devices and the CPU

    @property
    def budget(self) -> int | None:
        """The most bytes that models may take on a device."""
        return memory.read_budget(self.candidate)

    def too_large(self, available: str) -> WorkError:
        """The error for a model that does not fit into memory."""
        smaller = "" if self.candidate.quantisation == "4bit" else 'quantisation = "4bit" makes the model smaller, '
        step = f'or raise budget_gb in [memory]; {smaller}device_map = "auto" spreads it over devices.'
        expected = f"{memory.in_bytes(self.bytes)} of memory for {self.candidate.model}"
        return WorkError(expected, available, f"Free memory, {step}")


@dataclass
class _Resident(Generic[Loaded]):
    """A model in memory."""

    model: Loaded
    users: int = 0  # callers that use the model now
    retired: bool = False  # whether the model is unloaded after its last user

    @property
    def usable(self) -> bool:
        """Whether a new caller may use the model."""
        return self.model.usable and not self.retired


class Residency(Generic[Loaded]):
    """The models in memory by key, the least recently used one first."""

    def __init__(self) -> None:
        self._residents: dict[Hashable, _Resident[Loaded]] = {}
        self._changed = threading.Condition()
        self._loading = threading.Lock()  # held by the only caller that may load or unload models
        self._draining = False  # whether that caller waits for models to become idle; no new use may begin meanwhile

    @contextmanager
    def use(self, loader: Loader[Loaded], stop: threading.Event) -> Iterator[Loaded | None]:
        """Yield a model, loading it if necessary. It stays loaded while the block runs. Yield None if `stop` is set
        first.

        Raises:
            ZooterError: the model cannot be loaded, or does not fit even without the others.
        """
        model = self._take(loader, stop)
        try:
            yield model
        finally:
            if model is not None:
                self._release(loader.key)

    def _take(self, loader: Loader[Loaded], stop: threading.Event) -> Loaded | None:
        if (model := self._begin_use(loader.key)) is not None:
            return model
        if not acquire(self._loading, stop):
            return None
        try:
            if (model := self._begin_use(loader.key)) is not None:
                return model
            if not self._make_room(loader, stop):
                return None
            model = self._load(loader)
            with self._changed:
                self._residents[loader.key] = _Resident(model, users=1)
            return model
        except InterruptedError:  # `stop` was set during loading
            return None
        finally:
            self._loading.release()

    def _begin_use(self, key: Hashable) -> Loaded | None:
        with self._changed:
            resident = self._residents.get(key)
            if self._draining or resident is None or not resident.usable:
                return None
            resident.users += 1
            return resident.model

    def _release(self, key: Hashable) -> None:
        with self._changed:
            resident = self._residents[key] = self._residents.pop(key)  # now the most recently used
            resident.users -= 1
            if not resident.usable and not resident.users:
                self._unload(key)
            self._changed.notify_all()

    def retain(self, needed: Callable[[Any], bool]) -> None:
        """Unload the models whose keys are not needed, each as soon as it is idle. New callers cannot use them."""
        with self._changed:
            for key in [key for key in self._residents if not needed(key)]:
                self._residents[key].retired = True
                if not self._residents[key].users:
                    self._unload(key)

    def has(self, key: Hashable) -> bool:
        with self._changed:
            return key in self._residents

    def fits(self, loader: Loader[Loaded]) -> bool:
        """Whether a model is loaded, or can be loaded without unloading others."""
        with self._changed:
            return loader.key in self._residents or not self._residents or self._room(loader) >= loader.bytes

    def note(self, loader: Loader[Loaded]) -> str:
        """A note that a model will replace others in memory; "" if it will not."""
        if self.fits(loader):
            return ""
        size, others = memory.in_bytes(loader.bytes), ", ".join(self.names())
        return f"Loading {loader.candidate.name}: its {size} do not fit into memory together with {others}."

    def names(self) -> list[str]:
        """The loaded models, the least recently used one first."""
        with self._changed:
            return [resident.model.name for resident in self._residents.values()]

    def sizes(self) -> dict[object, int]:
        """The bytes that each loaded model uses, by key."""
        with self._changed:
            return {key: sum(resident.model.sizes.values()) for key, resident in self._residents.items()}

    def used(self) -> memory.Sizes:
        """The bytes that all loaded models use, by device."""
        used: Counter[str] = Counter()
        with self._changed:
            for resident in self._residents.values():
                used.update(resident.model.sizes)
        return dict(used)

    def spare(self) -> None:
        """Unload all idle models and return their memory to the system."""
        with self._changed:
            for key in [key for key, resident in self._residents.items() if not resident.users]:
                self._unload(key)
        memory.give_back()

    def _room(self, loader: Loader[Loaded]) -> int:
        used = self.used()
        return sum(memory.room(device, used, loader.budget) for device in loader.devices)

    def _make_room(self, loader: Loader[Loaded], stop: threading.Event) -> bool:
        """Unload models until the new one fits, and an unusable one with the same key. Models in use are unloaded when
        they become idle. Return False if `stop` was set first."""
        size = loader.bytes
        with self._changed:
            self._check(loader)
            try:
                while (replaces := loader.key in self._residents) or (self._residents and self._room(loader) < size):
                    keys = [loader.key] if replaces else self._residents
                    idle = next((key for key in keys if not self._residents[key].users), None)
                    if idle is not None:
                        self._unload(idle)
                    elif stop.is_set():
                        return False
                    else:
                        self._draining = not replaces
                        self._changed.wait(POLL_SECONDS)  # setting `stop` does not notify
            finally:
                self._draining = False
        return True

    def _check(self, loader: Loader[Loaded]) -> None:
        """Refuse a model that cannot fit, before others are unloaded for it."""
        if loader.spreads:  # the weights may also use the CPU's memory
            return
        device, budget = loader.devices[0], loader.budget
        most, limit = self.used().get(device, 0) + memory.free(device), f"free on {device} with no other model"
        if budget is not None and budget < most:
            most, limit = budget, "the budget"
        if loader.bytes > most:
            raise loader.too_large(f"{memory.in_bytes(most)} ({limit})")

    def _load(self, loader: Loader[Loaded]) -> Loaded:
        """Load a model. If memory runs out, unload all idle models and try again."""
        for last in (False, True):
            try:
                return loader.load()
            except Exception as problem:
                if not memory.is_full(problem):
                    raise
                why = first_line(problem)
            self.spare()  # not inside `except`: the exception keeps the half-loaded model alive
            if last:
                break
        device, others = loader.devices[0], listed(self.names())
        free = f"{memory.in_bytes(memory.free(device))} free on {device}"
        raise loader.too_large(f"{free}{f' with {others} loaded' if others else ''} ({why})")

    def _unload(self, key: Hashable) -> None:
        self._residents.pop(key).model.close()


def acquire(lock: threading.Lock, stop: threading.Event) -> bool:
    """Acquire a lock. Return False if `stop` is set first."""
    while not stop.is_set():
        if lock.acquire(timeout=POLL_SECONDS):
            return True
    return False


class ResidentBackend(Backend):
    """A backend that runs models on this machine, and unloads idle ones to make room for others."""

    resident: Residency[Any]

    def sizes(self) -> Mapping[object, int]:
        return self.resident.sizes()

    def spare(self) -> None:
        self.resident.spare()
