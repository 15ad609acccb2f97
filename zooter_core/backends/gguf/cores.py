"""How many threads llama.cpp gets: as many as this process may use cores, by its affinity and its cgroup's quota."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def cores(root: Path = CGROUP) -> int:
    """The cores that this process may use, at least 1. In a container, the host's number of cores is too high.

    Args:
        root: where the cgroups are mounted, version 2 or 1.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(root)
    return max(1, min(affinity, math.floor(quota))) if quota else affinity


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
