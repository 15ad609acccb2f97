"""Sessions of processes, by which Linux shares the processor before it looks at the rank (`nice`) of each process.

Each terminal and each service is a session. sched(7) calls what they get autogroups.
"""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

RANKED = Path("/proc/sys/kernel/sched_autogroup_enabled")
PR_SET_PDEATHSIG = 1  # of prctl(2)


def rank_session(leader: int) -> None:
    """Give a whole session of processes the rank (`nice`) that this process has, among other sessions.

    Linux shares the processor between sessions first (autogroups, see sched(7)), so that the rank of a process alone
    says nothing outside its own one. Elsewhere, and in control groups, this does nothing.
    """
    with suppress(OSError, AttributeError):
        Path(f"/proc/{leader}/autogroup").write_text(str(os.nice(0)), encoding="ascii")


def lead_session() -> None:
    """Go on as the leader of a new session, so that `rank_session` ranks this work and not all of its terminal's.

    A copy of the process goes on. The process itself hands it the terminal's signals, ends as it ends, and takes it
    along when it is killed. Nothing changes where Linux does not rank sessions, or this process leads one already.
    Threads are not copied: call it before there are any.
    """
    if not RANKED.exists() or RANKED.read_text().strip() != "1" or os.getsid(0) == os.getpid():
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP})
    original = os.getpid()
    if copy := os.fork():
        _accompany(copy, mask)
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != original:  # it was killed before the line above
        os._exit(1)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _accompany(copy: int, mask: set[int | signal.Signals]) -> NoReturn:
    """Wait for the end of a copy, with signals as `mask` had them."""

    def hand_on(number: int, _: object) -> None:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(copy, number)

    def pause(number: int, frame: object) -> None:
        hand_on(signal.SIGSTOP, frame)
        os.kill(os.getpid(), signal.SIGSTOP)  # until SIGCONT
        hand_on(signal.SIGCONT, frame)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, hand_on)
    signal.signal(signal.SIGTSTP, pause)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    code = os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
    if code < 0:
        with suppress(OSError):  # SIGKILL has no handler
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)
