"""Progress on stderr: bars and spinners on a terminal, elsewhere a plain line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

from rich.file_proxy import FileProxy
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.spinner import Spinner
from rich.text import Text

from zooter_core.cli.consoles import Output, err

EVERY = 30.0  # seconds between two lines of one step
Show = Callable[[str, int, int], None]  # step, done, total


class Lines:
    """Progress in plain lines: one at the end of each step, and before that at most one every `EVERY` seconds."""

    def __init__(self, console: Output, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._printed_at = clock()
        self._state: tuple[str, int, int] | None = None
        self._printed: tuple[str, int, int] | None = None

    def show(self, step: str, done: int, total: int) -> None:
        if self._state and self._state[0] != step:
            self.end()
        self._state = (step, done, total)
        if done >= total or self._is_due():
            self.end()

    def note(self, text: str) -> None:
        """A state without figures."""
        if self._is_due():
            self._print(text)

    def end(self) -> None:
        """Print the latest state, unless it has been printed."""
        if self._state and self._state != self._printed:
            step, done, total = self._printed = self._state
            self._print(f"{step}: {done:,} of {total:,}")

    def _is_due(self) -> bool:
        return self._clock() - self._printed_at >= EVERY

    def _print(self, text: str) -> None:
        self._console.print(text)
        self._printed_at = self._clock()


@contextmanager
def bars() -> Iterator[Show]:
    """A bar for each step on a terminal, else lines. Yields what to call with a step, the part done and the total."""
    if not err.file.isatty():
        lines = Lines(err)
        try:
            yield lines.show
        finally:
            lines.end()
        return
    names = TextColumn("{task.description:>8}", markup=False)
    columns = (names, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with _above(err), Progress(*columns, console=err, redirect_stdout=False) as progress:
        tasks: dict[str, Any] = {}

        def show(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = progress.add_task(step, total=total)
            progress.update(tasks[step], completed=done)

        yield show


@contextmanager
def waiting(text: str) -> Iterator[Callable[[str], None]]:
    """A spinner with a text on a terminal, else lines; yields a function that changes the text."""
    if not err.file.isatty():
        yield Lines(err).note
        return
    spinner = Spinner("dots", Text(err.shown(text)), style="status.spinner")
    with _above(err), Live(spinner, console=err, transient=True, redirect_stdout=False):
        yield lambda text: spinner.update(text=Text(err.shown(text)))


class _AboveBars(FileProxy):
    """What libraries write to stderr, printed above the bars. rich's own class lets colours and links pass."""

    def __init__(self, console: Output) -> None:
        super().__init__(console, console.file)
        self._shown = console.shown

    def write(self, text: str) -> int:
        super().write(self._shown(text))
        return len(text)


@contextmanager
def _above(console: Output) -> Iterator[None]:
    """While bars are drawn on stderr, other output there appears above them."""
    proxy = _AboveBars(console)
    with redirect_stderr(proxy):
        yield
    proxy.flush()  # a line without an end
