"""How much memory models may take: what a device has free now, less a margin, and a budget where one is set.

Sizes are bytes by device ("cuda:0", "cpu"), measured: nothing here depends on what a model is called.
"""

from __future__ import annotations

import gc
import math
import os
import re
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from zooter_core.config.candidates import CandidateConfig
from zooter_core.errors import ZooterError, did_you_mean

Sizes = dict[str, int]
BUDGET = "ZOOTER_MEMORY_GB"  # in the environment; takes the place of [memory] budget_gb
SPREAD = ("auto", "balanced", "balanced_low_0", "sequential")  # what accelerate's device_map can be, besides a device
MARGIN = 0.05  # of a device's memory, left for what generation itself needs
GB = 1e9
FULL = ("can't allocate memory", "out of memory", "not enough memory")


def devices(device_map: str | None) -> tuple[str, ...]:
    """The devices that a candidate's weights may lie on, the first one first.

    Raises:
        ZooterError: there is no such device.
    """
    gpus = tuple(f"cuda:{number}" for number in range(torch.cuda.device_count()))
    if device_map is None or (device_map == "cuda" and gpus):
        return gpus[:1] or ("cpu",)
    if device_map in SPREAD:
        return gpus or ("cpu",)
    if device_map not in (*gpus, "cpu"):
        known = (*SPREAD, *gpus, "cpu")
        raise ZooterError(
            "a device_map that is a device here, or a way to spread over them",
            f'"{device_map}"',
            f"{did_you_mean(device_map, known)} There {'are' if len(gpus) > 1 else 'is'} {gpu_count(len(gpus))}.",
        )
    return (device_map,)


def gpu_count(number: int) -> str:
    return {0: "no GPU", 1: "one GPU"}.get(number, f"{number} GPUs")


def free(device: str) -> int:
    """Bytes that can still be had on a device, with those that torch keeps for later use."""
    if device == "cpu":
        import psutil

        return int(psutil.virtual_memory().available)
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0] + kept)


def total(device: str) -> int:
    """Bytes that a device has."""
    if device == "cpu":
        import psutil

        return int(psutil.virtual_memory().total)
    return int(torch.cuda.mem_get_info(device)[1])


def room(device: str, held: Mapping[str, int], budget: int | None) -> int:
    """Bytes that another model may take on a device where models hold `held` already."""
    left = free(device) - int(MARGIN * total(device))
    return max(left if budget is None else min(left, budget - held.get(device, 0)), 0)


def budget_of(candidate: CandidateConfig) -> int | None:
    """The most bytes that models may hold on a device; None where only the device sets a limit.

    Raises:
        ZooterError: the environment's number is none.
    """
    said = os.environ.get(BUDGET)
    if not said:
        gigabytes = candidate.memory.budget_gb if candidate.memory else None
        return None if gigabytes is None else int(gigabytes * GB)
    try:
        number = float(said)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ZooterError(f"{BUDGET} as a number above 0", f'"{said}"', f"For instance {BUDGET}=40.")
    return int(number * GB)


def is_full(problem: BaseException | None) -> bool:
    """Whether an error, or one that it came from, says that memory ran out."""
    while problem is not None:
        words = str(problem).lower()
        if isinstance(problem, torch.OutOfMemoryError | MemoryError):
            return True
        if isinstance(problem, RuntimeError) and any(mark in words for mark in FULL):
            return True
        problem = problem.__cause__
    return False


def asked_for(problem: BaseException) -> str:
    """How much more an error says that was asked for, in words; "more" where it does not say."""
    found = re.search(r"tried to allocate ([\d.]+ ?\w+)", str(problem), re.IGNORECASE)
    return f"{found[1]} more" if found else "more"


def give_back(watched: Sequence[weakref.ref[Any]] | None = None) -> None:
    """Let the memory of what nobody holds any more go, out of torch's hands too.

    Args:
        watched: what is meant to be gone; where it is, there are no cycles to look for, which takes a while.
    """
    if watched is None or any(ref() is not None for ref in watched):
        gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def told(size: float) -> str:
    """Bytes in words: 26.0 GB, 310 MB, 120 kB."""
    for unit, each in (("GB", 1e9), ("MB", 1e6)):
        if size >= each:
            return f"{size / each:.1f} {unit}" if size < 100 * each else f"{size / each:.0f} {unit}"
    return f"{size / 1e3:.0f} kB"
