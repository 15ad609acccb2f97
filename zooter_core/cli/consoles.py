"""The consoles that commands print on: `out` for results, `err` for everything else, with notes and progress.

Names, answers and files come from others, so no string is read as markup or as the name of an emoji; styles are given
beside a text, never within it. On a terminal everything passes `visible`; a pipe gets the text unchanged.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.file_proxy import FileProxy
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from zooter_core.base.errors import Failure, listed
from zooter_core.base.money import in_dollars
from zooter_core.base.progress import Tell
from zooter_core.base.terminal import Screen, json_text, visible

if TYPE_CHECKING:
    from zooter_core.fleet.ensemble import Ensemble
    from zooter_core.pipeline.tally import Tally

MOST_LISTED = 20  # queries that are set aside


def print_cost(ensemble: Ensemble, samples: int = 1) -> None:
    """Print how many comparisons a query takes, if the reward model compares responses in pairs."""
    config = ensemble.fleet.reward
    if config is not None and config.compares:
        responses = len(ensemble.fleet.pool) * samples
        err.print(
            f"The reward model compares all ordered pairs: {responses} responses per query take "
            f"{responses * (responses - 1)} comparisons."
        )


def print_agreement(ensemble: Ensemble) -> None:
    """Print how often two judges agreed, if two have judged."""
    agreed, compared = ensemble.agreement
    if compared:
        err.print(f"The two judges agreed on {agreed / compared:.0%} of {compared:,} verdicts.")


def print_set_aside(reasons: Mapping[str, str], lacking: str = "rewards") -> None:
    """Print which queries, by their ids, lack something, and why."""
    if not reasons:
        return
    err.print(f"{len(reasons)} {'query is' if len(reasons) == 1 else 'queries are'} set aside, without {lacking}:")
    for name, reason in list(reasons.items())[:MOST_LISTED]:
        err.print(f"  {name}: {reason}")
    if len(reasons) > MOST_LISTED:
        err.print(f"  and {len(reasons) - MOST_LISTED} more")


def print_router(pool: Sequence[str], router: Path, report: Path, fleet: Path | None) -> None:
    """Say where a router is, and how a fleet gets it."""
    folder = fleet or "my-fleet"
    err.print(f"A router for {listed(pool)} is in {router}.")
    err.print(
        f"To use it:  {shlex.join(['cp', '-r', str(router), str(report), f'{folder}/'])}\n"
        f'and in its fleet.toml, set path = "{router.name}" below [router].'
    )


def print_missing(problems: Mapping[str, Failure]) -> None:
    """Print which candidates, by their names, lack responses, and why."""
    for name, failure in problems.items():
        err.print(f"{name} is skipped, and some of its responses are missing: {failure.reason}")
    if problems:
        err.print("The step collect stays open. The same command asks for what is missing.")


def print_note(note: str) -> None:
    if note:
        err.print(note, style="dim")


WIDEST = 10_000  # columns of a table


class Output(Console):
    """A console for stdout or stderr. Lines are not wrapped."""

    def __init__(self, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)

    @property
    def file(self) -> IO[str]:
        """The stream it writes to: the terminal itself, behind the guard."""
        stream = super().file
        return stream.behind if isinstance(stream, Screen) else stream

    @file.setter
    def file(self, stream: IO[str]) -> None:
        self._file = stream

    def on_broken_pipe(self) -> None:
        """Leave `zooter route - | head` to `main`, which exits with 0; rich would exit with 1."""
        raise BrokenPipeError

    def print(self, *objects: Any, **options: Any) -> None:
        """Print without cutting or wrapping anything. A table takes the width it needs."""
        for table in objects:
            if isinstance(table, Table):
                table.width = self.measure(table, options=self.options.update(max_width=WIDEST)).maximum
        super().print(*objects, **{"soft_wrap": True} | options)

    def shown(self, text: str) -> str:
        """A text as this console shows it."""
        return visible(text) if self.file.isatty() else text

    def render_str(self, text: str, **options: Any) -> Text:
        """Escape before anything is measured, so that the columns of a table fit."""
        return super().render_str(self.shown(text), **{**options, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Escape whatever is printed, of any type."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(self.shown(segment.text), segment.style)


out = Output()
err = Output(stderr=True)


def print_json(shape: Any, indent: int | None = None, flush: bool = False) -> None:
    print(json_text(shape, indent), flush=flush)


def print_figures(figures: Any, json: bool, table: Callable[[Any], None]) -> None:
    if json:
        from zooter_core.evaluation.figures import to_json

        print_json(to_json(figures), flush=True)
    else:
        table(figures)


# Progress on stderr: bars and spinners on a terminal, elsewhere a plain line now and then.

EVERY = 30.0  # seconds between two lines of one step


def tally_text(tally: Tally) -> str:
    """What a candidate has done: rate, tokens, cost so far, time left; or why it is skipped."""
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
    """Progress in plain lines: one at the end of each step, and before that at most one every `EVERY` seconds."""

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
        """The candidates of the step, for its next line."""
        self._tallies = tallies

    def note(self, text: str) -> None:
        if self._is_due():
            self._print(text)

    def end(self) -> None:
        """Print the latest line, unless it has been printed."""
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
    """The time left of a step. A candidate's text has its own."""

    def render(self, task: Task) -> Text:
        return Text() if task.fields["more"] else super().render(task)


class Bars:
    """Progress on a terminal: a bar for each step and each candidate."""

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
    """A bar for each step on a terminal, else lines. Yields what to call with a step, the part done and the total."""
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
    """A spinner with a text on a terminal, else lines; yields a function that changes the text.

    Args:
        lines: shared by several waits in a row, so that a line is due every `EVERY` seconds in all of them together.
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
    """What libraries write to stderr, printed above the bars. rich's own class lets colours and links pass."""

    def write(self, text: str) -> int:
        super().write(err.shown(text))
        return len(text)


@contextmanager
def _above_bars() -> Iterator[None]:
    """While bars are drawn on stderr, other output there appears above them."""
    proxy = _AboveBars(err, err.file)
    with redirect_stderr(proxy):
        yield
    proxy.flush()  # a line without an end
