"""The GPUs of this machine, and the size in a model's name. Neither needs a library."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass

MOST_BILLIONS = 1e6  # larger numbers are not sizes of models
SIZE = re.compile(r"(?<![\d.a-z])(\d+(?:\.\d+)?)\s*([bm])(?![a-z0-9])", re.IGNORECASE)


@dataclass(frozen=True)
class Gpu:
    """A GPU. Memory is in bytes."""

    name: str
    total: int
    free: int


def billions_in(text: str) -> float | None:
    """The billions of parameters in a name or a size: 7.6 for "7.6B", 0.135 for "smollm2-135m"."""
    sizes = SIZE.findall(text)
    billions = round(float(sizes[-1][0]) / (1 if sizes[-1][1] in "bB" else 1000), 3) if sizes else 0.0
    return billions if 0 < billions < MOST_BILLIONS else None


def gpus() -> tuple[Gpu, ...]:
    """This machine's NVIDIA GPUs with their free memory, as nvidia-smi reports them; () if there are none."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    query = [tool, "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        lines = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout.splitlines()
        rows = [[part.strip() for part in line.split(",")] for line in lines if line.strip()]
        return tuple(Gpu(name, int(total) << 20, int(free) << 20) for name, total, free in rows)
    except (OSError, ValueError, subprocess.SubprocessError):
        return ()
