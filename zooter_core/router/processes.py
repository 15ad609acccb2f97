"""Several processes that train together: started by `accelerate launch` or torchrun, which name them by environment.

The main process does everything alone but the training itself, in which the others help. So it alone writes files, and
it alone prints, except for the message of an error: that comes from the process that failed first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

WAIT = timedelta(days=1)  # of the others while the main process reads and embeds
STORE_WAIT = timedelta(seconds=5)


def several() -> bool:
    """Whether this process is one of several."""
    return int(os.environ.get("WORLD_SIZE", 1)) > 1


@contextmanager
def together(help_main: Callable[[], None]) -> Iterator[bool]:
    """Connect the processes and say whether this is the main one. While the block runs, the others share its work.

    Args:
        help_main: called in the others; it works on what the main process sends, until that is None.

    Raises:
        SystemExit: another process failed before this one and has said why.
    """
    try:
        main: bool = accelerator().is_main_process
        if not main:
            help_main()
        yield main
        if main:
            send(None)
        _disconnect()
    except BaseException as problem:
        if isinstance(problem, SystemExit) or _is_first():
            raise
        raise SystemExit(1) from problem


def accelerator() -> Any:
    """The Accelerator of this process, on its GPU if it has one, in bfloat16 if the GPU supports that.

    `accelerate launch` decides on the precision of the processes that it starts.
    """
    import torch
    from accelerate import Accelerator
    from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs

    # Buffers never change, and only the last step of a batch needs to wait for the other processes.
    handlers = [InitProcessGroupKwargs(timeout=WAIT), DistributedDataParallelKwargs(broadcast_buffers=False)]
    chosen = several() or "ACCELERATE_MIXED_PRECISION" in os.environ
    precision = "bf16" if not chosen and torch.cuda.is_available() and torch.cuda.is_bf16_supported() else None
    return Accelerator(cpu=not torch.accelerator.is_available(), mixed_precision=precision, kwargs_handlers=handlers)


def send(task: Any) -> None:
    """Give the other processes something to do; None ends them."""
    if several():
        from torch import distributed

        distributed.broadcast_object_list([task], src=0)


def receive() -> Any:
    """What the main process sends."""
    from torch import distributed

    tasks = [None]
    distributed.broadcast_object_list(tasks, src=0)
    return tasks[0]


def _disconnect() -> None:
    """End the threads of the connection: one that still runs while Python ends can abort the process."""
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()


def _is_first() -> bool:
    """Whether no other process has failed before. Where that cannot be known, the main process counts as first."""
    from torch import distributed

    place, attempt = os.environ["MASTER_ADDR"], os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    try:
        store = distributed.TCPStore(place, int(os.environ["MASTER_PORT"]), is_master=False, timeout=STORE_WAIT)  # type: ignore[attr-defined]
        return bool(store.add(f"zooter-failed-{attempt}", 1) == 1)
    except distributed.DistError:  # it ends with the process that holds it
        return os.environ.get("RANK") == "0"
