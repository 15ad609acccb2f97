"""The consoles that commands print on, `out` for results and `err` for everything else, and notes on stderr.

Names, answers and files come from others, so no string is read as markup or as the name of an emoji; styles are given
beside a text, never within it. On a terminal everything passes `visible`; a pipe gets the text unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from zooter_core.base.errors import Failure
from zooter_core.base.terminal import Screen, json_text, visible

if TYPE_CHECKING:
    from zooter_core.fleet.ensemble import Ensemble

MOST_LISTED = 20  # queries that are set aside


def print_cost(ensemble: Ensemble, samples: int = 1) -> None:
    """How many comparisons a query takes, where the reward model compares responses in pairs."""
    config = ensemble.fleet.reward
    if config is not None and config.compares:
        responses = len(ensemble.fleet.pool) * samples
        err.print(
            f"The reward model compares all ordered pairs: {responses} responses per query take "
            f"{responses * (responses - 1)} comparisons."
        )


def print_set_aside(reasons: Mapping[str, str], lacking: str = "rewards") -> None:
    """Which queries lack something, and why.

    Args:
        reasons: by the id of a query.
    """
    if not reasons:
        return
    err.print(f"{len(reasons)} {'query is' if len(reasons) == 1 else 'queries are'} set aside, without {lacking}:")
    for name, reason in list(reasons.items())[:MOST_LISTED]:
        err.print(f"  {name}: {reason}")
    if len(reasons) > MOST_LISTED:
        err.print(f"  and {len(reasons) - MOST_LISTED} more")


def print_missing(problems: Mapping[str, Failure]) -> None:
    """Which candidates lack responses, and why.

    Args:
        problems: by the candidate's name.
    """
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
    """Print a command's result on stdout as JSON."""
    print(json_text(shape, indent), flush=flush)


def print_figures(figures: Any, json: bool, table: Callable[[Any], None]) -> None:
    """Print a command's figures on stdout, as JSON or as a table."""
    if json:
        print_json(figures if isinstance(figures, dict) else figures.to_json())
    else:
        table(figures)
