"""Shows progress on stderr: bars and spinners on a terminal, otherwise plain lines at intervals."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import TYPE_CHECKING

from rich.file_proxy import FileProxy
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.spinner import Spinner
from rich.text import Text

from zooter_core.base.money import in_dollars
from zooter_core.base.progress import Tell
from zooter_core.cli.consoles import Output, err

if TYPE_CHECKING:
    from zooter_core.pipeline.tally import Tally

EVERY = 30.0  # seconds between two lines of a step


def tally_text(tally: Tally) -> str:
    """The progress of a candidate: rate, tokens, cost so far and remaining time; or why it is skipped."""
    parts = []
    if tally.new:
        parts.append(f"{tally.rate:.1f}/s" if tally.rate >= 1 else f"{60 * tally.rate:.1f}/min")
    if tally.tokens:
        parts.append(f"{tally.tokens:,} tokens")
        parts += [f"${in_dollars(tally.dollars)}"] if tally.price else []
    if tally.blank:
        parts.append(f"{tally.blank:,} empty or unfinished")
    if tally.problem:
        parts.append(f"skipped: {tally.problem.reason}")
    elif (seconds_left := tally.seconds_left) and tally.done < tally.total:
        hours, seconds = divmod(round(seconds_left), 3600)
        parts.append(f"{hours}:{seconds // 60:02}:{seconds % 60:02} left")
    return ", ".join(parts) or ("kept" if tally.done else "no answer yet")


class Lines:
    """Shows progress in plain lines: one at the end of each step, and others at most every `EVERY` seconds."""

    def __init__(self, console: Output, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock, self._printed_at = console, clock, clock()
        self._step = self._line = self._printed = ""
        self._tallies: Sequence[Tally] = ()

    def __call__(self, step: str, done: int, total: int) -> None:
        if step != self._step:
            self.end()
        self._step, self._line = step, f"{step}: {done:,} of {total:,}"
        if done >= total or self._is_due():
            self.end()

    def watch(self, tallies: Sequence[Tally]) -> None:
        """Show these candidates with the next line of the step."""
        self._tallies = tallies

    def note(self, text: str) -> None:
        if self._is_due():
            self._print(text)

    def end(self) -> None:
        """Print the latest line, unless it has already been printed."""
        if self._line != self._printed:
            self._printed = self._line
            self._print(self._line)
            for tally in self._tallies:
                self._print(f"  {tally.candidate}: {tally.done:,} of {tally.total:,}, {tally_text(tally)}")
            self._tallies = ()

    def _is_due(self) -> bool:
        return self._clock() - self._printed_at >= EVERY

    def _print(self, text: str) -> None:
        self._console.print(text)
        self._printed_at = self._clock()


class _TimeRemaining(TimeRemainingColumn):
    """The remaining time of a step. A candidate's text has its own remaining time."""

    def render(self, task: Task) -> Text:
        return Text() if task.fields["more"] else super().render(task)


class Bars:
    """Shows progress on a terminal: a bar for each step and each candidate."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, step: str, done: int, total: int) -> None:
        self._update(step, step, done, total, "")

    def watch(self, tallies: Sequence[Tally]) -> None:
        for tally in tallies:
            name, text = err.shown(tally.candidate), err.shown(tally_text(tally))
            self._update(f"collect {tally.candidate}", name, tally.done, tally.total, text)

    def _update(self, key: str, name: str, done: int, total: int, more: str) -> None:
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(name, total=total, more="")
        self._progress.update(self._tasks[key], completed=done, more=more)


@contextmanager
def bars() -> Iterator[Lines | Bars]:
    """Yield a progress callback, which draws a bar for each step on a terminal, and otherwise prints lines."""
    if not err.file.isatty():
        lines = Lines(err)
        try:
            yield lines
        finally:
            lines.end()
        return
    names = TextColumn("{task.description:>8}", markup=False)
    more = TextColumn("{task.fields[more]}", markup=False)
    columns = (names, BarColumn(), MofNCompleteColumn(), _TimeRemaining(), more)
    with _above_bars(), Progress(*columns, console=err, redirect_stdout=False) as progress:
        yield Bars(progress)


@contextmanager
def waiting(text: str, lines: Lines | None = None) -> Iterator[Tell]:
    """Show a spinner with a text on a terminal, otherwise print lines. Yield a function that changes the text.

    Args:
        lines: pass the same object to consecutive waits, so that at most one line is printed every `EVERY` seconds.
    """
    if not err.file.isatty():
        lines = lines or Lines(err)
        lines.note(text)
        yield lines.note
        return
    spinner = Spinner("dots", Text(err.shown(text)), style="status.spinner")
    with _above_bars(), Live(spinner, console=err, transient=True, redirect_stdout=False):
        yield lambda text: spinner.update(text=Text(err.shown(text)))


class _AboveBars(FileProxy):
    """Prints what libraries write to stderr above the bars. Unlike rich's class, it lets no colours and links pass."""

    def write(self, text: str) -> int:
        super().write(err.shown(text))
        return len(text)


@contextmanager
def _above_bars() -> Iterator[None]:
    """While the block runs, print other output on stderr above the bars."""
    proxy = _AboveBars(err, err.file)
    with redirect_stderr(proxy):
        yield
    proxy.flush()  # prints a last line that has no line break
