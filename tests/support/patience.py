"""How long tests wait at most. Tests wait for conditions: only what never comes takes so long."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 300.0  # seconds; far beyond what a slow machine needs beside other work
NEVER = 2 * PATIENCE  # seconds after which what hangs on purpose gives up; whoever waits for it has failed by then


def wait_until(condition: Callable[[], object], pause: float = 0.02) -> None:
    """Wait until a condition holds."""
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(pause)
