"""The progress and cost of collecting: a tally for each candidate, and a budget that all candidates share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from zooter_core.base.errors import Failure


@dataclass
class Tally:
    """Counts one candidate's answers."""

    candidate: str
    total: int = 0  # answers that the step needs
    done: int = 0  # answers in the file, also from earlier starts
    tokens: int = 0  # of these answers, and of failed answers since this start
    price: float | None = None  # US dollars per million tokens; None if fleet.toml has no price
    blank: int = 0  # answers without text or with thoughts only, which get no reward; too many stop the candidate
    works: bool = False  # whether the candidate has answered a query
    problem: Failure | None = None  # why the candidate is skipped
    new: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def dollars(self) -> float:
        """The cost so far, without the prompts."""
        return self.tokens * (self.price or 0.0) / 1e6

    @property
    def rate(self) -> float:
        """Answers per second since this start."""
        return self.new / max(time.monotonic() - self.started, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """The time until the last answer at this rate; None before the first answer."""
        return (self.total - self.done) / self.rate if self.new else None

    def count(self, record: Mapping[str, Any], new: bool = True) -> None:
        """Count an answer in the file. `new` is whether it was added since this start."""
        self.done, self.new, self.tokens = self.done + 1, self.new + new, self.tokens + record["tokens"]
        self.works = self.works or record.get("error") is None
        self.blank += record.get("error") is not None and bool(record.get("thought_tokens"))


class Budget:
    """A budget in US dollars for the answers of a run. `spent` returns the dollars so far.

    The highest possible cost of running requests is reserved, so that the budget is never exceeded.
    """

    def __init__(self, limit: float | None = None, spent: Callable[[], float] = lambda: 0.0) -> None:
        self.limit, self._spent = limit, spent
        self._reserved, self._under_way = 0.0, 0
        self._changed = threading.Condition()

    def reserve(self, dollars: float) -> bool:
        """Reserve the highest possible cost of a request. Returns False if the rest of the budget is less."""
        with self._changed:
            if not self._has(dollars):
                return False
            self._reserved += dollars
            self._under_way += 1
            return True

    def release(self, dollars: float) -> None:
        """End a request's reservation. Call this after counting its cost."""
        with self._changed:
            self._under_way -= 1
            self._reserved -= dollars
            self._changed.notify_all()

    def wait(self, dollars: float, stop: threading.Event) -> bool:
        """Wait until this amount is available. Returns False if there is no running request that could release it."""
        with self._changed:
            while not self._has(dollars):
                if not self._under_way or stop.is_set():
                    return False
                self._changed.wait(0.1)  # a stop does not notify this condition
            return True

    def _has(self, dollars: float) -> bool:
        return self.limit is None or not dollars or self._spent() + self._reserved + dollars <= self.limit
