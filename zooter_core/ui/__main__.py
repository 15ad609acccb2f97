"""The process of `zooter demo`. It guards the terminal before it imports Streamlit, whose loggers keep stderr."""

import atexit
import gc
import os
import sys
from contextlib import suppress

from zooter_core.base.terminal import guard


def leave(code: int) -> None:
    """End the process now. A normal exit would abort if a thread is still loading a model or a C++ library."""
    atexit._run_exitfuncs()  # removes temporary folders and ends child processes
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    guard()
    gc.disable()  # until the server has started; saves a fifth of the time of its imports

    from zooter_core.ui.server import serve

    try:
        serve()
    except SystemExit as end:
        leave(end.code if isinstance(end.code, int) else int(end.code is not None))
