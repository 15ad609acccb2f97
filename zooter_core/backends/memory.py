"""Computes how much memory models may use: the free memory of a device minus a margin, but at most the budget.

`Sizes` are measured bytes by device ("cuda:0", "cpu").
"""

from __future__ import annotations

import gc
import math
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from zooter_core.base.cores import CGROUP
from zooter_core.base.errors import ZooterError, did_you_mean
from zooter_core.config.candidates import CandidateConfig

Sizes = dict[str, int]
SPREAD = ("auto", "balanced", "balanced_low_0", "sequential")  # values of device_map that are not devices
MARGIN = 0.05  # share of a device's memory that generation itself needs
GB = 1e9
# Files of a cgroup, version 2 and 1: the limit in bytes, the usage in bytes, and the usage by purpose.
LIMITS = (
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)
FULL = ("can't allocate memory", "out of memory", "not enough memory")


def devices(device_map: str | None) -> tuple[str, ...]:
    """The devices for a candidate's weights, the first choice first.

    Raises:
        ZooterError: `device_map` names a device that this machine does not have.
    """
    if device_map == "cpu":
        return ("cpu",)
    import torch

    gpus = tuple(f"cuda:{number}" for number in range(torch.cuda.device_count()))
    if device_map is None or (device_map == "cuda" and gpus):
        return gpus[:1] or ("cpu",)
    if device_map in SPREAD:
        return gpus or ("cpu",)
    if device_map not in (*gpus, "cpu"):
        choices = (*SPREAD, *gpus, "cpu")
        count = {0: "is no GPU", 1: "is one GPU"}.get(len(gpus), f"are {len(gpus)} GPUs")
        raise ZooterError(
            "device_map to name a device of this machine, or a way to spread weights over devices",
            f'"{device_map}"',
            f"{did_you_mean(device_map, choices)} There {count}.",
        )
    return (device_map,)


def free(device: str) -> int:
    """The free bytes of a device, including those that torch has reserved but does not use. In a container, no more
    than its limit allows."""
    if device == "cpu":
        import psutil

        return int(min(psutil.virtual_memory().available, measure_container()[1]))
    import torch

    reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0] + reserved)


def total(device: str) -> int:
    """The total bytes of a device. In a container, no more than its limit."""
    if device == "cpu":
        import psutil

        return int(min(psutil.virtual_memory().total, measure_container()[0]))
    import torch

    return int(torch.cuda.mem_get_info(device)[1])


def measure_container(root: Path = CGROUP) -> tuple[float, float]:
    """The memory limit of this process's container, and its free part, in bytes; both are infinite without a limit.

    Args:
        root: the mount point of the cgroups, version 2 or 1.
    """
    for limit, usage, stat in LIMITS:
        with suppress(OSError, ValueError, KeyError):  # ValueError for "max": no limit
            counts = dict(line.split() for line in (root / stat).read_text().splitlines())
            cached = counts.get("total_inactive_file") or counts["inactive_file"]  # freed when memory is needed
            most = float((root / limit).read_text())
            return most, max(0.0, most - float((root / usage).read_text()) + float(cached))
    return math.inf, math.inf


def room(device: str, used: Mapping[str, int], budget: int | None) -> int:
    """The bytes that another model may use on a device, if the loaded models use `used`."""
    unused = free(device) - int(MARGIN * total(device))
    return max(unused if budget is None else min(unused, budget - used.get(device, 0)), 0)


def read_budget(candidate: CandidateConfig) -> int | None:
    """The most bytes that models may use on a device; None if the fleet sets no budget."""
    gigabytes = candidate.memory.budget_gb if candidate.memory else None
    return None if gigabytes is None else int(gigabytes * GB)


def is_full(problem: BaseException | None) -> bool:
    """Whether an exception, or one of its causes, means that memory ran out."""
    torch = sys.modules.get("torch")
    full = MemoryError if torch is None else (torch.OutOfMemoryError, MemoryError)
    while problem is not None:
        words = str(problem).lower()
        if isinstance(problem, full):
            return True
        if isinstance(problem, RuntimeError) and any(mark in words for mark in FULL):
            return True
        problem = problem.__cause__
    return False


def shortage(problem: BaseException) -> str:
    """How much more memory was needed according to an exception, such as "2.00 GiB more"; "more" if it does not say."""
    amount = re.search(r"tried to allocate ([\d.]+ ?\w+)", str(problem), re.IGNORECASE)
    return f"{amount[1]} more" if amount else "more"


def give_back() -> None:
    """Return unused memory to the system, including torch's cache."""
    gc.collect()
    torch = sys.modules.get("torch")  # None if llama.cpp runs all models
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def in_bytes(size: float) -> str:
    """A size with its unit, such as "26.0 GB", "310 MB" or "120 kB"."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}" if size < 100 * scale else f"{size / scale:.0f} {unit}"
    return f"{size / 1e3:.0f} kB"
