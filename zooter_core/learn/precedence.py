"""Users' requests go first: the endpoint says in a file that it is answering, and learning on its machine gives way.

The file holds the id of the endpoint's process while that answers, and 0 otherwise. An endpoint that was killed in the
middle of an answer does not count as answering, since its process is gone.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FILE = "answering"
DIGITS = 10  # of a process id
LOOK_SECONDS = 0.02  # between two looks at the file
QUIET_SECONDS = 0.3  # without a request, before work goes on: whoever got an answer may ask again at once
PATIENCE_SECONDS = 120.0  # of waiting, after which a piece of work is done all the same


class Answering:
    """The endpoint's side. Used by one event loop.

    Args:
        folder: of the traffic.

    Raises:
        OSError: there is no place for the file.
    """

    def __init__(self, folder: Path) -> None:
        self._file, self._requests = (folder / FILE).open("wb", buffering=0), 0
        self._write(0)

    def _write(self, process: int) -> None:
        with suppress(OSError, ValueError):  # a full disk, or an answer that ends after the file was closed
            self._file.seek(0)
            self._file.write(f"{process:0{DIGITS}d}".encode())

    @contextmanager
    def request(self) -> Iterator[None]:
        """A request while it waits and is answered."""
        self._requests += 1
        if self._requests == 1:
            self._write(os.getpid())
        try:
            yield
        finally:
            self._requests -= 1
            if not self._requests:
                self._write(0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Precedence:
    """The learner's side.

    Args:
        folder: of the traffic; None where learning takes nothing from the endpoint.
        patience: seconds of waiting, after which a piece of work is done all the same.
    """

    def __init__(self, folder: Path | None = None, patience: float = PATIENCE_SECONDS) -> None:
        self._file, self._patience, self._waited = folder and folder / FILE, patience, 0.0

    def requested(self) -> bool:
        """Whether an endpoint is answering."""
        import psutil

        try:
            process = int(self._file.read_bytes()) if self._file else 0
        except (OSError, ValueError):  # no endpoint has kept traffic here since this file exists
            return False
        return process > 0 and psutil.pid_exists(process)

    def give_way(self, stop: threading.Event) -> None:
        """Wait, in the middle of work, if a request is being answered."""
        if self.requested():
            self._wait(stop)

    def _wait(self, stop: threading.Event) -> None:
        """Wait until no request has been answered for a while, or patience or `stop` ends it."""
        quiet = 0.0
        while self._waited < self._patience and quiet < QUIET_SECONDS and not stop.is_set():
            quiet = 0.0 if self.requested() else quiet + LOOK_SECONDS
            stop.wait(LOOK_SECONDS)
            self._waited += LOOK_SECONDS

    @contextmanager
    def quiet(self, stop: threading.Event) -> Iterator[threading.Event]:
        """Work that gives way: it begins when no request is being answered, and should end when the event is set.

        The event is set as soon as there is a request again, and with `stop`. Waiting adds up until a piece of work
        ends undisturbed.
        """
        if self._waited or self.requested():  # else nobody has asked for a while
            self._wait(stop)
        leave, ended = threading.Event(), threading.Event()
        patient = self._waited < self._patience

        def watch() -> None:
            while not ended.wait(LOOK_SECONDS):
                if stop.is_set() or (patient and self.requested()):
                    leave.set()
                    return

        begun = time.monotonic()
        thread = threading.Thread(target=watch, name="precedence", daemon=True)
        thread.start()
        try:
            yield leave
        finally:
            ended.set()
            thread.join()
            self._waited = self._waited + time.monotonic() - begun if leave.is_set() else 0.0
