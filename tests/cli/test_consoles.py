"""What is printed: text from others, progress, tables and colours, on a terminal, a narrow one, and off one."""

from __future__ import annotations

import io
import logging
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from support.terminal_screen import CLEAR, HOSTILE, LINK, MARKUP, Screen, squeezed, streams, terminal
from zooter_core.base.errors import Failure
from zooter_core.base.terminal import guarded, visible
from zooter_core.cli.bars import Lines, bars, tally_text, waiting
from zooter_core.cli.consoles import Output
from zooter_core.pipeline.tally import Tally


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


@pytest.mark.parametrize("place", [str, _table, lambda text: Table(text, title=text)], ids=["text", "cell", "title"])
def test_nothing_of_others_is_read_as_markup_or_acts(place):
    with on_a_terminal() as screen:
        Output().print(place(f"a {HOSTILE} z"))
    assert squeezed(f"a{visible(HOSTILE)}z") in squeezed(screen.check())


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


def test_a_table_fits_on_a_narrow_terminal_and_no_number_is_broken():
    for names in (2, 4, 30):
        table = Table("data set", *(f"smollm2-135m-{number}" for number in range(names)))
        table.add_row("other-languages", *["-4.037"] * names)
        with pytest.MonkeyPatch.context() as patch, on_a_terminal() as screen:
            patch.setenv("COLUMNS", "60")
            Output().print(table)
        lines = screen.check().splitlines()
        assert (max(map(len, lines)) <= 60) == (names < 30)
        assert sum(line.count("-4.037") for line in lines) == names


# Progress and tables


@pytest.fixture
def clock() -> SimpleNamespace:
    return SimpleNamespace(now=0.0)


@pytest.fixture
def lines(clock) -> Lines:
    console = Output(stderr=True)
    console.file = io.StringIO()
    return Lines(console, lambda: clock.now)


def printed(lines: Lines) -> list[str]:
    return lines._console.file.getvalue().splitlines()


def test_a_line_at_most_every_thirty_seconds(lines, clock):
    for done in range(1, 1000):
        clock.now += 1
        lines("score", done, 1000)
    assert printed(lines) == [f"score: {done} of 1,000" for done in range(30, 1000, 30)]


def test_a_line_at_the_end_of_each_step(lines):
    for done in range(1, 11):
        lines("collect", done, 10)
    lines("collect", 10, 10)
    lines("distill", 3, 8)  # ends early
    lines(f"curve {MARKUP}", 1, 2)
    lines(f"curve {CLEAR}", 1, 2)
    lines.end()
    parts = ["collect: 10 of 10", "distill: 3 of 8", f"curve {MARKUP}: 1 of 2", f"curve {CLEAR}: 1 of 2"]
    assert printed(lines) == parts


def test_an_error_shows_how_far_a_step_came(capsys):
    def fail_midway() -> None:
        with bars() as progress:
            progress("score", 3, 8)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_midway()
    with waiting("Reading ..."):
        pass
    assert capsys.readouterr().err == "score: 3 of 8\n"


@pytest.mark.parametrize("columns", ["1", "20", "80", "400"])
def test_tables_and_lines_are_never_cut(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    name, interval = "a model with a very long name " * 3, "0.123 to 0.456"
    table = Table("candidate", "95% interval", title=f"fleet {name}", title_justify="left")
    table.add_row(name, interval)
    console = Output()
    console.print(table)
    console.print(f"best: {name}, {interval} " + "and more " * 20)
    title, *frame, line = capsys.readouterr().out.splitlines()
    assert title.strip() == f"fleet {name}".strip()
    assert len({len(part) for part in frame}) == 1
    assert f"│ {name} │ {interval} │" in frame
    assert line.startswith(f"best: {name}, {interval} and more")


def tally(**more) -> Tally:
    return Tally("math", 100, started=time.monotonic() - 10, **more)


def test_a_candidates_tally_in_words():
    assert tally(done=40, new=20, tokens=5000, price=2.0).dollars == pytest.approx(0.01)
    text = tally_text(tally(done=40, new=20, tokens=5000, price=2000.0))
    assert re.fullmatch(r"(2\.0|1\.9)/s, 5,000 tokens, \$10\.00, 0:00:3[01] left", text)
    assert tally_text(tally(problem=Failure("", "no connection"))) == "skipped: no connection"
    assert tally_text(tally()) == "no answer yet"
    assert tally_text(tally(done=5)) == "kept"  # of a benchmark whose answers are there
    assert re.fullmatch(r"[56]\.\d/min, 0:1\d:\d\d left", tally_text(tally(done=1, new=1)))
    assert tally_text(tally(done=100, new=100, tokens=7)).endswith("7 tokens")


def test_candidates_stand_under_the_line_of_their_step(lines):
    lines.watch([tally(done=100, new=100)])
    lines("collect", 100, 100)
    first, second = printed(lines)
    assert first == "collect: 100 of 100"
    assert second.startswith("  math: 100 of 100, ")
