"""Streams that run at the same time."""

from __future__ import annotations

import threading

import pytest

from support.patience import PATIENCE
from zooter_core.backends.merge_streams import merge_streams


def counting(mark, most=3):
    def stream(stop):
        for number in range(most):
            if stop.is_set():
                return
            yield f"{mark}{number}"

    return stream


def test_a_fast_stream_does_not_wait_for_a_slow_one():
    blocked = threading.Event()

    def slow(stop):
        blocked.wait(PATIENCE)
        yield "late"

    items = merge_streams([slow, counting("fast")], threading.Event())
    assert [next(items) for _ in range(3)] == ["fast0", "fast1", "fast2"]
    blocked.set()
    assert list(items) == ["late"]


@pytest.mark.parametrize("others", [0, 1])
def test_an_exception_is_raised_and_stops_the_other_streams(others):
    def broken(stop):
        yield "first"
        raise ValueError("no more")

    endless, stop = counting("x", most=10**9), threading.Event()
    with pytest.raises(ValueError, match="no more"):
        list(merge_streams([broken, *[endless] * others], stop))
    assert not stop.is_set()  # it is the caller's
    assert not [thread for thread in threading.enumerate() if thread.name == "merge_streams"]


def test_a_reader_that_goes_away_stops_the_streams():
    endless = counting("x", most=10**9)
    items = merge_streams([endless, endless], threading.Event())
    next(items)
    items.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "merge_streams"]


@pytest.mark.parametrize("streams", [1, 2])
def test_a_stop_of_the_callers_reaches_the_streams(streams):
    stop = threading.Event()
    items = []
    for item in merge_streams([counting("x", most=10**9)] * streams, stop):
        items.append(item)
        stop.set()
    assert items[0] == "x0"
