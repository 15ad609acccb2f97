"""Text from others in everything that rich prints, and what libraries print while bars are drawn."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

from support.terminal_screen import CLEAR, HOSTILE, LINK, MARKUP, Screen, squeezed, streams, terminal
from zooter_core.base.terminal import guarded, visible
from zooter_core.cli.consoles import Output
from zooter_core.cli.progress import bars, waiting

PLACES = {
    "text": lambda text: text,
    "styled": lambda text: Text(text, style="bold"),
    "cell": lambda text: _table(text),
    "header": lambda text: Table(text, Column(text)),
    "title": lambda text: Table("a", title=text, caption=text, title_justify="left"),
    "panel": lambda text: Panel(text, title="own"),
}


def _table(text: str) -> Table:
    table = Table("a", "b")
    table.add_row(text, "x")
    table.add_row("y", text)
    return table


@contextmanager
def on_a_terminal() -> Iterator[Screen]:
    """Both streams are guarded terminals; what they got is there afterwards."""
    screen = Screen()
    out, err = screen.parts.values()
    with terminal(out) as stdout, terminal(err) as stderr, streams(stdout, stderr), guarded():
        yield screen


@pytest.mark.parametrize("place", PLACES)
def test_nothing_of_others_is_read_as_markup_or_acts(place):
    with on_a_terminal() as screen:
        Output().print(PLACES[place](f"a {HOSTILE} z"))
    text = str(Text(HOSTILE)) if place == "styled" else HOSTILE  # rich leaves bells and the like out of its own Text
    assert squeezed(f"a{visible(text)}z") in squeezed(screen.check())


def test_a_table_with_controls_is_as_wide_as_it_looks():
    with on_a_terminal() as screen:
        Output().print(_table(f"a{CLEAR}"))
    widths = {len(line) for line in screen.check().splitlines() if line}
    assert len(widths) == 1


@given(st.text("[]/\\:=@#()bold smile123\x1b", min_size=1))
def test_any_text_stands_as_it_is_in_a_pipe(text):
    console = Output()
    with console.capture() as capture:
        console.print(text, soft_wrap=True)
        console.print(_table(text))
    assert capture.get().startswith(f"{text}\n")
    assert squeezed(text) in squeezed(capture.get().removeprefix(f"{text}\n"))


def test_what_others_print_beside_a_bar():
    logger = logging.getLogger("a library")
    with on_a_terminal() as screen:
        handler = logging.StreamHandler()
        logger.addHandler(handler)
        with bars() as progress:
            progress(f"step {MARKUP}", 1, 2)
            print(f"printed {HOSTILE}", file=sys.stderr)
            progress(f"step {MARKUP}", 2, 2)
        logger.warning(f"logged {HOSTILE}")
        logger.removeHandler(handler)
        with waiting(f"waiting {HOSTILE}") as show:
            show(f"still {HOSTILE}")
            print(f"half a line {HOSTILE}", end="", file=sys.stderr)
    rest = screen.check()
    assert LINK not in rest
    for source in ("printed", "logged", "waiting", "half a line"):
        assert f"{source} {visible(HOSTILE)[:20]}" in rest.replace("\n", "")
    assert f"step {MARKUP}" in rest
