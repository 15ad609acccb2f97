"""The command line on a real terminal: stdout and stderr are pseudo-terminals, and their output is read back."""

from __future__ import annotations

import io
import os
import pty
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from support.patience import PATIENCE
from zooter_core.cli import consoles
from zooter_core.cli.main import main

# Every kind of text that a terminal acts on, and every kind that rich does.
CLEAR, COLOUR, LINK, CLIPBOARD = "\x1b[2J", "\x1b[38;5;199m", "\x1b]8;;http://evil.example\x1b\\", "\x1b]52;c;eA==\x07"
CONTROLS = f"{CLEAR}{COLOUR}{LINK}{CLIPBOARD}\x9b5n\x08\x7f\rover\u202e\u2066"
MARKUP = "[/red][bold]b[/bold][link=http://evil.example]l[/link] :smile:"
HOSTILE = CONTROLS + MARKUP
RICH = re.compile(r"\x1b\[(?:[0-9]{1,2}(?:;[0-9]{1,2})*m|0m|\?25[lh]|[0-9]*[AGK])|\r(?=\x1b\[[12][AK])|\r(?=\n)")
ACTS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass
class Screen:
    """What a call has sent to stdout and stderr."""

    code: int = 0
    parts: dict[str, bytearray] = field(default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()})

    @property
    def out(self) -> str:
        return self.parts["stdout"].decode("utf-8").replace("\r\n", "\n")

    @property
    def err(self) -> str:
        return self.parts["stderr"].decode("utf-8").replace("\r\n", "\n")

    def check(self) -> str:
        """All output, which must hold no control characters but those of rich's colours and bars."""
        output = self.out + self.err
        rest = RICH.sub("", output)
        assert not ACTS.search(rest), repr(rest[max(0, ACTS.search(rest).start() - 40) :][:160])
        assert COLOUR not in output
        assert "Traceback" not in output
        assert "the command failed" not in output
        return rest


def squeezed(text: str) -> str:
    """A text without the white space and the frames of a table, which may break it anywhere."""
    return "".join(letter for letter in text if not letter.isspace() and not "─" <= letter <= "╿")


@contextmanager
def terminal(into: bytearray) -> Iterator[io.TextIOBase]:
    """A text file on a pseudo-terminal; what is written there is in `into` at the end."""
    master, slave = pty.openpty()

    def read() -> None:
        while True:
            try:
                part = os.read(master, 1 << 16)
            except OSError:  # nobody has the other end open any more
                return
            if not part:
                return
            into.extend(part)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    file = open(slave, "w", encoding="utf-8")  # noqa: SIM115 (closed below, before the reader ends)
    try:
        yield file
    finally:
        file.close()
        thread.join(PATIENCE)
        os.close(master)


@contextmanager
def pipe(into: bytearray) -> Iterator[io.TextIOBase]:
    """A text file that is no terminal."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="utf-8")
    yield file
    file.flush()
    into.extend(raw.getvalue())


@contextmanager
def streams(stdout: io.TextIOBase, stderr: io.TextIOBase, environment: dict[str, str] | None = None) -> Iterator[None]:
    """These as stdout and stderr; the consoles start over, as in a new process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        patch.setattr(sys, "stderr", stderr)
        patch.setenv("TERM", "xterm")
        patch.setenv("COLUMNS", "600")
        patch.delenv("NO_COLOR", raising=False)
        for name, value in (environment or {}).items():
            patch.setenv(name, value)
        for console in (consoles.out, consoles.err):
            console.__init__(console.stderr)  # type: ignore[misc]
        yield
    for console in (consoles.out, consoles.err):
        console.__init__(console.stderr)  # type: ignore[misc]


def typed(*arguments: object, piped: tuple[str, ...] = (), environment: dict[str, str] | None = None) -> Screen:
    """Call the command line on a terminal; the streams named in `piped` go into a pipe."""
    screen = Screen()
    out, err = screen.parts.values()
    with (
        (pipe if "stdout" in piped else terminal)(out) as stdout,
        (pipe if "stderr" in piped else terminal)(err) as stderr,
        streams(stdout, stderr, environment),
    ):
        screen.code = main([str(argument) for argument in arguments])
    return screen
