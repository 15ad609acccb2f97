from __future__ import annotations

import io
import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.terminal_screen import ACTS, CLEAR, HOSTILE, terminal
from zooter_core.base.terminal import Screen, guarded, json_text, visible

TEXT = st.text(st.characters(exclude_categories=()) | st.sampled_from("\x1b\x07\x9b\r\n\t\u202e\ud800[]8;m"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("bell\x07 back\x08\x7f", "bell\\x07 back\\x08\\x7f"),
        ("\x9b5n", "\\x9b5n"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("over\rwritten", "over\\rwritten"),
        ("a line\r\nand\tanother\n", "a line\r\nand\tanother\n"),
        ("half \ud83d", "half \\ud83d"),
        ("café 杯子 ☕ 👩‍👩‍👧 עברית \u200f", "café 杯子 ☕ 👩‍👩‍👧 עברית \u200f"),
    ],
)
def test_what_a_terminal_acts_on_is_written_out(text, shown):
    assert visible(text) == shown


@given(TEXT)
def test_any_text_can_be_shown(text):
    shown = visible(text)
    assert not ACTS.search(shown.replace("\r\n", ""))
    assert not any(unicodedata.category(letter) == "Cs" for letter in shown)
    assert visible(shown) == shown
    shown.encode("utf-8")


@given(st.dictionaries(TEXT, TEXT | st.lists(TEXT)))
def test_json_is_safe_to_show_and_says_the_same(shape):
    for indent in (None, 2):
        text = json_text(shape, indent)
        assert visible(text) == text
        assert json.loads(text) == json.loads(json.dumps(shape))


def test_a_terminal_gets_no_control_and_gets_its_stream_back(monkeypatch):
    written = bytearray()
    with terminal(written) as file:
        monkeypatch.setattr(sys, "stdout", file)
        with guarded():
            assert isinstance(sys.stdout, Screen)
            assert not sys.stdout.isatty()  # so that nobody sends it colours
            print(HOSTILE, "\x1b", end="")
            sys.stdout.writelines(["[2J", "\n"])
            sys.stdout.flush()
        assert sys.stdout is file
    assert written.decode() == f"{visible(HOSTILE)} \\x1b[2J\r\n"


@pytest.mark.parametrize(
    ("encoding", "text", "expected"),
    [("utf-8", CLEAR, CLEAR.encode()), ("latin-1", "caf\udce9 杯 é", b"caf\\udce9 \\u676f \xe9")],
    ids=["as it is", "what the encoding lacks"],
)
def test_a_pipe_gets_every_text(monkeypatch, encoding, text, expected):
    """Names of files need not be text, and not every stdout is UTF-8."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    with guarded():
        print(text, end="")
        sys.stdout.flush()
    assert raw.getvalue() == expected
