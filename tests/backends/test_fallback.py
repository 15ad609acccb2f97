from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from zooter_core.backends import Piece
from zooter_core.backends.fallback import nobody, note
from zooter_core.config.fleet import load_fleet
from zooter_core.ensemble import Ensemble
from zooter_core.errors import WorkError
from zooter_core.records import Decision, Message, Response

ASK = [Message("user", "What is the sea?")]


class Acted:
    """A backend that plays a part a candidate: words, then an error or an end. `asked` keeps who was asked."""

    independent, line = True, None

    def __init__(self, **parts: tuple[str | Exception, ...]):
        self.parts, self.asked = parts, []

    def stream(self, requests, generation, stop):
        for index, request in enumerate(requests):
            name = request.candidate.name
            self.asked.append(name)
            *words, end = self.parts[name]
            yield from (Piece(index, word) for word in words)
            if isinstance(end, RuntimeError):
                raise end
            finish = "error" if isinstance(end, Exception) else end
            told = end.failure if isinstance(end, WorkError) else None
            text = "" if told else "".join(words)  # a backend may leave out what had come before an error
            yield Piece(index, response=Response(name, text, finish=finish, error=told))


DOWN = WorkError("an answer", "no connection", "Start it.")


@pytest.fixture
def acting(tiny_fleet):
    """An ensemble whose candidates base, one and two play their parts."""
    ensemble = Ensemble(load_fleet(tiny_fleet))

    def made(**parts):
        ensemble.backends = {"transformers": Acted(**parts)}
        return ensemble

    return made


def asked(ensemble, candidates, reserves, stop=None):
    """What came: (index, text) of all pieces that are no end, and the responses by index."""
    pieces = list(ensemble.answer(candidates, ASK, stop or threading.Event(), None, reserves))
    said = [(piece.index, piece.text) for piece in pieces if piece.response is None]
    return said, {piece.index: piece.response for piece in pieces if piece.response is not None}


def test_the_next_answers_where_the_first_cannot_begin_and_is_announced(acting):
    said, responses = asked(acting(base=(DOWN,), one=("Wide", "stop")), ["base"], ["one", "two"])
    assert said == [(1, ""), (1, "Wide")]
    assert [(r.candidate, r.text, r.error) for r in responses.values()] == [
        ("base", "", DOWN.failure),
        ("one", "Wide", None),
    ]


def test_nobody_else_is_asked_where_the_first_answers(acting):
    ensemble = acting(base=("Wide", "stop"), one=("Deep", "stop"))
    assert asked(ensemble, ["base"], ["one"])[0] == [(0, "Wide")]
    assert ensemble.backends["transformers"].asked == ["base"]


@pytest.mark.parametrize("end", [DOWN, RuntimeError("out of order")])
def test_after_the_first_token_what_has_come_stays_and_nobody_takes_over(acting, end):
    ensemble = acting(base=("Wide ", "and", end), one=("Deep", "stop"))
    said, responses = asked(ensemble, ["base"], ["one"])
    assert said == [(0, "Wide "), (0, "and")]
    assert (responses[0].text, responses[0].finish) == ("Wide and", "error")
    assert str(end) in str(responses[0].error)
    assert ensemble.backends["transformers"].asked == ["base"]


def test_a_backend_that_breaks_down_is_a_failure_like_any_other(acting):
    responses = asked(acting(base=(RuntimeError("out of order"),), one=("Deep", "stop")), ["base"], ["one"])[1]
    assert str(responses[0].error) == "transformers: RuntimeError: out of order"
    assert responses[1].text == "Deep"


def test_one_after_the_other_until_one_can_or_nobody_is_left(acting):
    parts = {"base": (DOWN,), "one": (DOWN,)}
    assert asked(acting(**parts, two=("Deep", "stop")), ["base"], ["one", "two"])[1][2].text == "Deep"
    responses = asked(acting(**parts, two=(DOWN,)), ["base"], ["one", "two"])[1]
    assert all(response.failed_before_first_token for response in responses.values())


def test_of_several_asked_together_one_that_can_is_enough(acting):
    ensemble = acting(base=(DOWN,), one=("Wide", "stop"), two=("Deep", "stop"))
    assert set(asked(ensemble, ["base", "one"], ["two"])[1]) == {0, 1}
    ensemble = acting(base=(DOWN,), one=(DOWN,), two=("Deep", "stop"))
    assert asked(ensemble, ["base", "one"], ["two"])[1][2].text == "Deep"


def test_a_stop_and_an_empty_answer_are_no_failures(acting):
    for end in ("stopped", "stop"):
        ensemble = acting(base=(end,), one=("Deep", "stop"))
        assert asked(ensemble, ["base"], ["one"])[1].keys() == {0}


def test_nobody_takes_over_after_a_stop(acting):
    stop = threading.Event()
    stop.set()
    ensemble = acting(base=(DOWN,), one=("Deep", "stop"))
    responses = asked(ensemble, ["base"], ["one"], stop)[1]
    assert (responses[1].finish, responses[1].error) == ("stopped", None)
    assert ensemble.backends["transformers"].asked == ["base"]


def test_reserves_of_other_backends_take_over(acting):
    ensemble = acting(base=(DOWN,), two=(DOWN,))
    base, one, two = ensemble.fleet.candidates
    ensemble.fleet = replace(ensemble.fleet, candidates=(base, replace(one, backend="other"), two))
    ensemble.backends["other"] = Acted(one=("Deep", "stop"))
    responses = asked(ensemble, ["base", "two"], ["one"])[1]
    assert [responses[index].text for index in range(3)] == ["", "", "Deep"]


def test_the_order_is_the_decisions():
    assert Decision.of("q", {"a": 0.2, "b": 0.4, "c": 0.4}).order == ("b", "c", "a")
    traded = Decision.of("q", {"a": 0.2, "b": 0.4, "c": 0.4}, (), {"a": 0.2, "b": -0.1, "c": 0.1})
    assert traded.order == ("a", "c", "b")
    assert traded.order[0] == traded.candidate


def failed(name, found, text=""):
    failure = WorkError(f"an answer of {name} from host", found, "Ask again.").failure
    return Response(name, text, finish="error", error=failure)


def test_a_note_says_who_could_not_why_and_who_does():
    math = failed("math", 'status 503, "Loading. Try later"')
    assert note([math], "code") == 'math could not answer (status 503, "Loading. Try later"); code answers instead.'
    assert note([math, failed("chat", "a gap", "Half")]) == (
        'math could not answer (status 503, "Loading. Try later"), chat broke off (a gap).'
    )
    assert note([], "code") == ""


def test_nobody_names_every_reason():
    problem = nobody([failed("math", "no connection (refused)"), failed("code", "a gap"), failed("chat", "no host")])
    assert problem.exit_code == 1
    assert str(problem) == (
        "Expected an answer of math, code or chat, but found none:\n- math: no connection (refused). Ask again.\n"
        "- code: a gap. Ask again.\n- chat: no host. Ask again. \n\n`zooter check` tries each of them."
    )
