"""The consoles that commands print to: `out` for results, `err` for everything else.

Names, answers and files are untrusted, so texts are never interpreted as markup or emoji names; styles are separate
arguments. On a terminal, `visible` escapes everything; a pipe gets the text unchanged.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from zooter_core.base.errors import Failure, listed
from zooter_core.base.terminal import Screen, json_text, visible

if TYPE_CHECKING:
    from zooter_core.fleet.ensemble import Ensemble

MOST_LISTED = 20  # queries that are listed as set aside


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
    """Print how often two judges agreed, if two judges were used."""
    agreed, compared = ensemble.agreement
    if compared:
        err.print(f"The two judges agreed on {agreed / compared:.0%} of {compared:,} verdicts.")


def print_set_aside(reasons: Mapping[str, str], lacking: str = "rewards") -> None:
    """Print the queries that are set aside.

    Args:
        reasons: query id -> why the query is set aside.
        lacking: what the queries lack.
    """
    if not reasons:
        return
    err.print(f"{len(reasons)} {'query is' if len(reasons) == 1 else 'queries are'} set aside, without {lacking}:")
    for name, reason in list(reasons.items())[:MOST_LISTED]:
        err.print(f"  {name}: {reason}")
    if len(reasons) > MOST_LISTED:
        err.print(f"  and {len(reasons) - MOST_LISTED} more")


def print_router(pool: Sequence[str], router: Path, report: Path, fleet: Path | None) -> None:
    """Print where a router is, and how to use it in a fleet."""
    folder = fleet or "my-fleet"
    err.print(f"A router for {listed(pool)} is in {router}.")
    err.print(
        f"To use it:  {shlex.join(['cp', '-r', str(router), str(report), f'{folder}/'])}\n"
        f'and in its fleet.toml, set path = "{router.name}" below [router].'
    )


def print_missing(problems: Mapping[str, Failure]) -> None:
    """Print the candidates that lack responses, by name, with the reasons."""
    for name, failure in problems.items():
        err.print(f"{name} is skipped, and some of its responses are missing: {failure.reason}")
    if problems:
        err.print("The step collect is incomplete. Run the same command again to get the missing responses.")


def print_note(note: str) -> None:
    if note:
        err.print(note, style="dim")


WIDEST = 10_000  # characters in a line of a table
NARROWEST = 6  # characters in a column of a table that does not fit on the terminal, such as -4.037


class Output(Console):
    """A console for stdout or stderr. Lines are not wrapped, except inside the columns of a table."""

    def __init__(self, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)

    @property
    def file(self) -> IO[str]:
        """The stream to write to: the terminal itself, without the guard (`base/terminal.py`)."""
        stream = super().file
        return stream.behind if isinstance(stream, Screen) else stream

    @file.setter
    def file(self, stream: IO[str]) -> None:
        self._file = stream

    def on_broken_pipe(self) -> None:
        """Let `main` handle `zooter route - | head`, which exits with 0; rich would exit with 1."""
        raise BrokenPipeError

    def print(self, *objects: Any, **options: Any) -> None:
        """Print without cutting or wrapping. A table is as wide as its content, but on a terminal it wraps cells."""
        for table in objects:
            if isinstance(table, Table):
                table.width = self._table_width(table)
        super().print(*objects, **{"soft_wrap": True} | options)

    def _table_width(self, table: Table) -> int:
        """The width of a table: that of its content. On a terminal, cells are wrapped if the table is wider, until no
        column has more than NARROWEST characters."""
        options = self.options.update(max_width=WIDEST)
        width = self.measure(table, options=options).maximum
        if width <= self.width or not self.file.isatty():
            return width
        for column in table.columns:
            column.overflow, column.max_width = "fold", NARROWEST
        least = self.measure(table, options=options).maximum
        for column in table.columns:
            column.max_width = None
        return max(self.width, least)

    def shown(self, text: str) -> str:
        """The text as this console shows it."""
        return visible(text) if self.file.isatty() else text

    def render_str(self, text: str, **options: Any) -> Text:
        """Escape a text before it is measured, so that the columns of a table are aligned."""
        return super().render_str(self.shown(text), **{**options, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Escape everything that is printed, of any type."""
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
