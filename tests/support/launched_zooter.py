"""`zooter` as one of several processes that `accelerate launch` starts: launched_zooter.py FAILING ARGUMENT...

A checkpoint is written after every step of fine-tuning. FAILING is "PROCESS:STEP:HOW": in that step of that process an
error is raised (`error`), or the process is killed (`kill`). With `none`, all of them work.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from zooter_core.base.errors import WorkError
from zooter_core.cli.main import main
from zooter_core.router import finetune


def failing_at(step: int, how: str) -> Any:
    """Stands in for `Training._step`."""
    real, left = finetune.Training._step, step

    def do_step(self: finetune.Training, batch: list[int]) -> float:
        nonlocal left
        left -= 1
        if left == 0 and how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if left == 0:
            raise WorkError("a whole GPU", "smoke")
        return real(self, batch)

    return do_step


if __name__ == "__main__":
    finetune.SAVE_SECONDS = 0.0
    if sys.argv[1] != "none":
        process, step, how = sys.argv[1].split(":")
        if process == os.environ["RANK"]:
            finetune.Training._step = failing_at(int(step), how)  # type: ignore[method-assign]
    sys.exit(main(sys.argv[2:]))
