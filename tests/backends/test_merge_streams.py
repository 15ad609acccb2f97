from __future__ import annotations

import threading
import time

import pytest

from zooter_core.backends.merge_streams import Stop, merge_streams


def counting(mark, seconds=0.0, most=3):
    def stream(stop):
        for number in range(most):
            if stop.is_set():
                return
            yield f"{mark}{number}"
            time.sleep(seconds)

    return stream


def test_items_keep_their_order_and_their_streams_number():
    found = list(merge_streams([counting("a"), counting("b")], threading.Event()))
    assert [item for number, item in found if number == 0] == ["a0", "a1", "a2"]
    assert [item for number, item in found if number == 1] == ["b0", "b1", "b2"]


def test_a_fast_stream_does_not_wait_for_a_slow_one():
    blocked = threading.Event()

    def slow(stop):
        blocked.wait(10)
        yield "late"

    items = merge_streams([slow, counting("fast")], threading.Event())
    assert [next(items) for _ in range(3)] == [(1, "fast0"), (1, "fast1"), (1, "fast2")]
    blocked.set()
    assert list(items) == [(0, "late")]


def test_a_stream_that_raises_ends_alone():
    def broken(stop):
        yield "first"
        raise ValueError("no more\nsecond line")

    found = list(merge_streams([broken, counting("b")], threading.Event()))
    assert [item for number, item in found if number == 0] == ["first", "ValueError: no more"]
    assert [item for number, item in found if number == 1] == ["b0", "b1", "b2"]


def test_whoever_goes_away_stops_the_streams():
    endless = counting("x", 0.01, most=10**9)
    items = merge_streams([endless, endless], threading.Event())
    next(items)
    items.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "merge_streams"]


def test_a_stop_of_the_callers_reaches_the_streams():
    stop = threading.Event()
    found = []
    for number, item in merge_streams([counting("x", 0.01, most=10**9)], stop):
        found.append((number, item))
        stop.set()
    assert found[0] == (0, "x0")
    assert len(found) < 5


@pytest.mark.parametrize("own", [True, False])
def test_a_stop_is_set_by_either(own):
    outer = threading.Event()
    inner = Stop(outer)
    assert not inner.is_set()
    (inner if own else outer).set()
    assert inner.is_set()
    assert outer.is_set() is not own
