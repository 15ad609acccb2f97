"""The consoles that commands print on, and the one place that decides how text of others gets there.

No string is ever read as markup or as the name of an emoji, wherever rich renders it: styles are given beside a text,
never within it. On a terminal everything passes `visible`; into a pipe it goes as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.file_proxy import FileProxy
from rich.live import Live
from rich.segment import Segment
from rich.spinner import Spinner
from rich.text import Text

from zooter_core.terminal import Screen, visible


class Output(Console):
    """A console for stdout or stderr."""

    def __init__(self, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)

    @property
    def file(self) -> IO[str]:
        """Where it writes: the terminal itself, behind the guard."""
        stream = super().file
        return stream.behind if isinstance(stream, Screen) else stream

    @file.setter
    def file(self, stream: IO[str]) -> None:
        self._file = stream

    def on_broken_pipe(self) -> None:
        """`zooter route - | head` is no failure; rich would exit with 1. The command line ends with 0."""
        raise BrokenPipeError

    def shown(self, text: str) -> str:
        """A text as this console shows it."""
        return visible(text) if self.file.isatty() else text

    def render_str(self, text: str, **options: Any) -> Text:
        """Here, before anything is measured, so that the columns of a table fit."""
        return super().render_str(self.shown(text), **{**options, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Everything printed comes through here, whatever it was made of."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(self.shown(segment.text), segment.style)

    @contextmanager
    def waiting(self, text: str) -> Iterator[Callable[[str], None]]:
        """A spinner with a text, on a terminal, while the body runs; yields a function that changes the text."""
        spinner = Spinner("dots", Text(self.shown(text)), style="status.spinner")
        with above_bars(self), Live(spinner, console=self, transient=True, redirect_stdout=False):
            yield lambda text: spinner.update(text=Text(self.shown(text)))


class _AboveBars(FileProxy):
    """What others write to stderr, printed above the bars of a console. rich's own would let colours and links pass."""

    def __init__(self, console: Output) -> None:
        super().__init__(console, console.file)
        self._shown = console.shown

    def write(self, text: str) -> int:
        super().write(self._shown(text))
        return len(text)


@contextmanager
def above_bars(console: Output) -> Iterator[None]:
    """While bars are drawn on stderr, what others write there comes above them."""
    if not console.file.isatty():
        yield
        return
    proxy = _AboveBars(console)
    with redirect_stderr(proxy):
        yield
    proxy.flush()  # a line that was not ended
