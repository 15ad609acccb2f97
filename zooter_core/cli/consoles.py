"""The consoles that commands print on: `out` for results, `err` for everything else.

Names, answers and files come from others, so no string is read as markup or as the name of an emoji; styles are given
beside a text, never within it. On a terminal everything passes `visible`; a pipe gets the text unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from zooter_core.terminal import Screen, json_text, visible

WIDEST = 10_000  # columns of a table


class Output(Console):
    """A console for stdout or stderr. Lines are as long as what they say: a terminal may fold them, we do not."""

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
        print_json(figures)
    else:
        table(figures)
