"""How many threads llama.cpp and numpy get: as many as there are free cores among those that this process may use.

The threads of a model wait for each other after every layer, so one thread without a core holds up all of them. On a
busy machine, fewer threads are several times as fast.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

CGROUP = Path("/sys/fs/cgroup")
SAMPLE = 0.1  # seconds


def cores(root: Path = CGROUP) -> int:
    """The cores that this process may use, at least 1. In a container, the host's number of cores is too high.

    Args:
        root: where the cgroups are mounted, version 2 or 1.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(root)
    return max(1, min(affinity, math.floor(quota))) if quota else affinity


def free_cores() -> int:
    """How many of `cores` other processes leave idle, at least 1. Takes SAMPLE seconds.

    A core counts as used if it is busy now and was busy in the last minute. So a browser that opens the demo does not
    count, nor does an installation that has just ended.
    """
    import psutil  # here, because routing does without it

    everywhere, here = os.cpu_count() or 1, psutil.Process()
    before = sum(here.cpu_times()[:2])
    busy = psutil.cpu_percent(interval=SAMPLE) / 100 * everywhere
    now = max(0.0, busy - (sum(here.cpu_times()[:2]) - before) / SAMPLE)
    in_the_last_minute = os.getloadavg()[0] if hasattr(os, "getloadavg") else now
    return max(1, min(cores(), round(everywhere - min(now, in_the_last_minute))))


def _quota(root: Path) -> float | None:
    """The cores of a cgroup's quota; None without one."""
    try:
        if (root / "cpu.max").is_file():
            allowed, period = (root / "cpu.max").read_text().split()
        else:
            allowed, period = ((root / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        number = float(allowed) / float(period)  # "max" is no number
    except (OSError, ValueError, ZeroDivisionError):
        return None
    return number if number > 0 else None


@contextmanager
def one_thread() -> Iterator[None]:
    """Let numpy multiply matrices in the calling thread alone, where its library is OpenBLAS, as in its wheels.

    This is for many small products: numpy's threads wait for each other at each one, and if other processes use the
    cores, that takes much longer than the work.
    """
    library = _openblas()
    if library is None:
        yield
        return
    before = library.scipy_openblas_get_num_threads64_()
    library.scipy_openblas_set_num_threads64_(1)
    try:
        yield
    finally:
        library.scipy_openblas_set_num_threads64_(before)


@cache
def _openblas() -> Any:
    """The library that numpy multiplies matrices with; None where it is another one."""
    import ctypes

    import numpy as np

    with suppress(OSError):
        for file in Path(np.__file__).parents[1].glob("numpy.libs/libscipy_openblas64_*"):
            library = ctypes.CDLL(str(file))
            if hasattr(library, "scipy_openblas_set_num_threads64_"):
                return library
    return None
