"""A bound on the processor time of learning: after each piece of work the worker rests until its share is kept.

The time counts of this process and of its child processes, in which local models may run. A model server that someone
else started is not counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from zooter_core.base.cores import cores


def processor_seconds() -> float:
    """The processor time of this process and its child processes so far, those that have ended included."""
    import psutil

    here = psutil.Process()
    total = sum(here.cpu_times()[:4])  # user and system time, then the same of children that have ended
    for child in here.children(recursive=True):
        try:
            total += sum(child.cpu_times()[:4])
        except psutil.Error:  # it ends at this moment
            continue
    return float(total)


@dataclass
class Pace:
    """Keeps work under a share of the processor.

    Attributes:
        share: of the time of all cores that this process may use, above 0; 1 never rests.
        cores, clock, used: the number of cores, a clock, and the processor time so far, all in seconds.
    """

    share: float = 1.0
    cores: int = field(default_factory=cores)
    clock: Callable[[], float] = time.monotonic
    used: Callable[[], float] = processor_seconds
    _since: tuple[float, float] = field(init=False)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """A piece of work begins now. Time without work before it does not count as rest."""
        self._since = self.clock(), self.used()

    def rest(self, stop: threading.Event) -> float:
        """Rest after a piece of work, unless `stop` is set meanwhile. Gives the seconds."""
        if self.share >= 1:
            return 0.0
        used = self.used()
        seconds = max(0.0, (used - self._since[1]) / (self.share * self.cores) - (self.clock() - self._since[0]))
        if seconds:
            stop.wait(seconds)
        self._since = self.clock(), used  # what children do while this rests counts for the next piece
        return seconds
