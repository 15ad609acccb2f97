"""The process of `zooter demo`. It guards the terminal before it imports Streamlit, whose loggers store stderr."""

import atexit
import gc
import os
import sys
from contextlib import suppress

from zooter_core.base.terminal import guard


def leave(code: int) -> None:
    """End the process now. Python's own end aborts it if a thread is still loading a model or a library in C++."""
    atexit._run_exitfuncs()  # temporary folders go, child processes end
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    guard()
    gc.disable()  # until the server has started: a fifth of the time of its imports

    from zooter_core.ui.server import serve

    try:
        serve()
    except SystemExit as end:
        leave(end.code if isinstance(end.code, int) else int(end.code is not None))
