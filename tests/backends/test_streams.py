"""Streams that run at the same time, and an ensemble with several backends."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from support.patience import PATIENCE
from zooter_core.backends import Backend, Piece, iter_responses
from zooter_core.backends.merge_streams import merge_streams
from zooter_core.base.records import Response
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.ensemble import Ensemble

# Merged streams


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


# Several backends


SEA = "What is the sea?"


def run(ensemble, candidates):
    """The response of every candidate, by name."""
    pieces = ensemble.run_candidates(candidates, SEA, threading.Event())
    return {response.candidate: response for _, response in iter_responses(pieces)}


class Echo(Backend):
    """A backend that answers at once, in reverse order."""

    def __init__(self, mark):
        self.mark = mark

    def stream(self, requests, generation, stop):
        for request in reversed(requests):
            yield Piece(request, response=Response(request.candidate.name, self.mark))


def two_backends(fleet, names, backends):
    """An ensemble in which the named candidates have the other one of two backends."""
    ensemble = Ensemble(fleet)
    candidates = tuple(replace(c, backend="other") if c.name in names else c for c in fleet.candidates)
    ensemble.fleet, ensemble.backends = replace(fleet, candidates=candidates), backends
    return ensemble


def test_backends_work_at_the_same_time(tiny_fleet):
    """Each waits for the other."""
    together = threading.Barrier(2)

    class Waiting(Echo):
        def stream(self, requests, generation, stop):
            together.wait(PATIENCE)
            yield from super().stream(requests, generation, stop)

    backends = {"transformers": Waiting("t"), "other": Waiting("o")}
    responses = run(two_backends(load_fleet(tiny_fleet), ["one"], backends), ["base", "one"])
    assert {name: response.text for name, response in responses.items()} == {"base": "t", "one": "o"}


def test_a_backend_that_raises_leaves_the_others_alone(tiny_fleet):
    class Broken(Echo):
        def stream(self, requests, generation, stop):
            yield next(super().stream(requests, generation, stop))
            raise RuntimeError("out of order")

    backends = {"transformers": Echo("t"), "other": Broken("b")}
    responses = run(two_backends(load_fleet(tiny_fleet), ["base", "two"], backends), ["base", "one", "two"])
    assert (responses["one"].text, responses["two"].text) == ("t", "b")
    assert (responses["base"].finish, str(responses["base"].error)) == ("error", "other: RuntimeError: out of order")
