"""The number of threads for llama.cpp and numpy: as many as there are free cores that this process may use.

The threads of a model wait for each other after every layer, so a single thread without a core delays all of them. On
a busy machine, fewer threads can be several times as fast.
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
    """The number of cores that this process may use, at least 1. In a container, it can be lower than the host's.

    Args:
        root: the mount point of the cgroups, version 2 or 1.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(root)
    return max(1, min(affinity, math.floor(quota))) if quota else affinity


def free_cores() -> int:
    """The number of `cores` that other processes leave idle, at least 1. Takes SAMPLE seconds.

    A core counts as used if it is busy now and was busy in the last minute. This ignores short loads, such as a browser
    that opens the demo or an installation that has just ended.
    """
    import psutil  # here, since routing does not need it

    everywhere, here = os.cpu_count() or 1, psutil.Process()
    before = sum(here.cpu_times()[:2])
    busy = psutil.cpu_percent(interval=SAMPLE) / 100 * everywhere
    now = max(0.0, busy - (sum(here.cpu_times()[:2]) - before) / SAMPLE)
    in_the_last_minute = os.getloadavg()[0] if hasattr(os, "getloadavg") else now
    return max(1, min(cores(), round(everywhere - min(now, in_the_last_minute))))


def _quota(root: Path) -> float | None:
    """The cores that the cgroup's quota allows; None if there is no quota."""
    try:
        if (root / "cpu.max").is_file():
            allowed, period = (root / "cpu.max").read_text().split()
        else:
            allowed, period = ((root / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        number = float(allowed) / float(period)  # ValueError for "max": no quota
    except (OSError, ValueError, ZeroDivisionError):
        return None
    return number if number > 0 else None


@contextmanager
def one_thread() -> Iterator[None]:
    """While the block runs, numpy multiplies matrices in the calling thread only, if it uses OpenBLAS as its wheels do.

    This is for many small products: numpy's threads wait for each other after each one. If other processes use the
    cores, waiting takes much longer than the computation.
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
    """The OpenBLAS library of numpy; None if numpy uses another library."""
    import ctypes

    import numpy as np

    with suppress(OSError):
        for file in Path(np.__file__).parents[1].glob("numpy.libs/libscipy_openblas64_*"):
            library = ctypes.CDLL(str(file))
            if hasattr(library, "scipy_openblas_set_num_threads64_"):
                return library
    return None
