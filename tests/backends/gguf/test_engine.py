"""Why a model does not load in llama.cpp, and which conversation gets which of its slots."""

from __future__ import annotations

import threading

import pytest

from support.gguf_models import candidate
from support.patience import PATIENCE
from zooter_core.backends.gguf import child, engine
from zooter_core.backends.gguf.engine import Engine, Slots, first_error, last_line
from zooter_core.backends.gguf.header import read_header
from zooter_core.base.errors import WorkError

pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")


def test_a_reason_that_comes_after_the_failure_and_in_pieces_is_read(model, tmp_path, monkeypatch):
    """llama.cpp logs from a thread of its own: here why comes half a second after the failure."""
    (tmp_path / "child.py").write_text(
        """
import sys, time
print('{"died": "failed to load"}', flush=True)
for piece in ("0.00.008 ", "E load: ", "not a model", "\\n"):
    time.sleep(0.1)
    print(piece, end="", file=sys.stderr, flush=True)
sys.stdin.read()
"""
    )
    monkeypatch.setattr(child, "__file__", str(tmp_path / "child.py"))
    with pytest.raises(WorkError, match="not a model"):
        Engine(candidate(model), read_header(model), [])


def test_a_failure_that_llama_cpp_does_not_log_has_the_library_s_own_reason(model, tmp_path, monkeypatch):
    (tmp_path / "child.py").write_text("""import sys; print('{"died": "no backend"}', flush=True); sys.stdin.read()""")
    monkeypatch.setattr(child, "__file__", str(tmp_path / "child.py"))
    monkeypatch.setattr(engine, "REASON_SECONDS", 0.1)
    with pytest.raises(WorkError, match="no backend"):
        Engine(candidate(model), read_header(model), [])


@pytest.mark.parametrize(
    ("text", "error", "last"),
    [
        ("", "", ""),
        ("0.00.008.074 ", "", "0.00.008.074"),  # half a line
        ("0.08 E load: unknown model arch", "", "0.08 E load: unknown model arch"),
        ("0.08 I loading\n0.09 E load: no such file\n0.10 E main: bye\n", "no such file", "0.10 E main: bye"),
        ("GGML_ASSERT(rows > 0) failed\n", "GGML_ASSERT(rows > 0) failed", "GGML_ASSERT(rows > 0) failed"),
    ],
)
def test_the_reason_is_the_first_error_that_is_whole(text, error, last):
    assert (first_error(text), last_line(text)) == (error, last)


NEVER = threading.Event()


def test_a_conversation_gets_the_slot_that_has_read_most_of_it():
    slots = Slots(3, 1000)
    taken = [slots.take(adapter, tokens, 10, NEVER) for adapter, tokens in ((0, [1, 2, 3]), (1, [1, 2, 3]), (0, [9]))]
    for slot in taken:
        slots.give_back(slot)
    assert slots.take(1, [1, 2, 3, 4], 10, NEVER) is taken[1]
    assert slots.take(0, [1, 2, 7], 10, NEVER) is taken[0]


def test_a_new_conversation_gets_the_slot_that_was_unused_for_longest():
    slots = Slots(2, 1000)
    first, second = slots.take(None, [1], 10, NEVER), slots.take(None, [2], 10, NEVER)
    slots.give_back(second)
    slots.give_back(first)
    assert slots.take(None, [3], 10, NEVER) is first


def test_who_finds_no_slot_or_no_room_waits_until_there_is():
    for count, room in ((1, 1000), (2, 15)):
        slots = Slots(count, room)
        first, taken = slots.take(None, [1], 10, NEVER), []
        waiting = threading.Thread(
            target=lambda slots=slots, taken=taken: taken.append(slots.take(None, [2], 10, NEVER))
        )
        waiting.start()
        waiting.join(0.05)
        assert not taken
        slots.give_back(first)
        waiting.join(PATIENCE)
        assert taken[0] is not None


def test_a_stop_ends_the_wait():
    slots, stop = Slots(1, 1000), threading.Event()
    slots.take(None, [1], 10, NEVER)
    stop.set()
    assert slots.take(None, [2], 10, stop) is None
