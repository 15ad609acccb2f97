"""An ensemble whose candidates have different backends."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from support.patience import PATIENCE
from zooter_core.backends import Backend, Piece, Request, iter_responses, stream_or_fail
from zooter_core.base.records import Message, Response
from zooter_core.config.fleet import GenerationConfig, load_fleet
from zooter_core.fleet.ensemble import Ensemble

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


def test_every_request_gets_its_response_whatever_its_backend(tiny_fleet):
    ensemble = two_backends(load_fleet(tiny_fleet), ["one"], {"transformers": Echo("t"), "other": Echo("o")})
    names = ["two", "one", "base", "one"]
    pieces = list(ensemble.run_candidates(names, SEA, threading.Event()))
    assert len({piece.request for piece in pieces}) == 4
    answers = sorted((piece.candidate, piece.response.text) for piece in pieces)
    assert answers == [("base", "t"), ("one", "o"), ("one", "o"), ("two", "t")]


def test_backends_work_at_the_same_time(tiny_fleet):
    """The first waits until the other has answered."""
    answered = threading.Event()

    class Waiting(Echo):
        def stream(self, requests, generation, stop):
            assert answered.wait(PATIENCE)
            yield from super().stream(requests, generation, stop)

    class First(Echo):
        def stream(self, requests, generation, stop):
            yield from super().stream(requests, generation, stop)
            answered.set()

    backends = {"transformers": Waiting("t"), "other": First("o")}
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


def test_a_backend_that_draws_nothing_and_raises_is_not_taken_for_one_without_requests(tiny_fleet):
    class Deaf:
        def stream(self, requests, generation, stop):
            yield Piece(requests[0])

    request = Request(load_fleet(tiny_fleet).candidates[0], (Message("user", SEA),))
    with pytest.raises(TypeError, match="not subscriptable"):
        list(stream_or_fail(Deaf(), iter([request]), GenerationConfig(), threading.Event()))


class Plain(Backend):
    """What is abstract, and nothing else."""

    def stream(self, requests, generation, stop):
        for request in requests:
            yield Piece(request, response=Response(request.candidate.name, request.messages[-1].content))


def test_a_subclass_needs_stream_alone(tiny_fleet):
    echo, candidate = Plain(), load_fleet(tiny_fleet).candidates[0]
    assert (echo.turns, echo.independent, echo.sizes(), echo.spare()) == (None, False, {}, None)
    request = Request(candidate, (Message("user", echo.trial(candidate)),))
    ((_, response),) = iter_responses(stream_or_fail(echo, [request], GenerationConfig(), threading.Event()))
    assert response.text == "Say hello."
    with pytest.raises(TypeError, match="stream"):
        type("Silent", (Backend,), {})()
