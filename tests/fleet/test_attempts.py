from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from support.patience import PATIENCE
from zooter_core.backends import Backend, Piece, iter_responses
from zooter_core.backends.endpoint.faults import EndpointError
from zooter_core.base.errors import WorkError
from zooter_core.base.records import Message, Response
from zooter_core.config.candidates import ENDPOINT, CandidateConfig
from zooter_core.config.endpoint import EndpointConfig
from zooter_core.config.fleet import Fleet, load_fleet
from zooter_core.fleet.attempts import Attempts, note
from zooter_core.fleet.ensemble import Ensemble

ASK = [Message("user", "What is the sea?")]


class Acting(Backend):
    """A backend in which every candidate yields its words, then fails or ends. `requested` keeps their order."""

    independent = True

    def __init__(self, **acts: tuple[str | Exception, ...]):
        self.acts, self.requested = acts, []

    def stream(self, requests, generation, stop):
        for request in requests:
            name = request.candidate.name
            self.requested.append(name)
            *words, end = self.acts[name]
            yield from (Piece(request, word) for word in words)
            if isinstance(end, RuntimeError):
                raise end
            if isinstance(end, WorkError):
                yield Piece.failed(request, end)  # a backend may leave out the text before an error
            else:
                yield Piece(request, response=Response(name, "".join(words), finish=end))


DOWN = WorkError("an answer", "no connection", "Start it.")


@pytest.fixture
def acting(tiny_fleet):
    """A function that returns an ensemble whose candidates base, one and two act as given."""
    ensemble = Ensemble(load_fleet(tiny_fleet))

    def act(**acts):
        ensemble.backends = {"transformers": Acting(**acts)}
        return ensemble

    return act


def run(ensemble, candidates, reserves, stop=None):
    """(candidate, text) of all pieces without a response, and the responses by candidate."""
    pieces = list(ensemble.run_candidates(candidates, ASK, stop or threading.Event(), None, reserves))
    texts = [(piece.candidate, piece.text) for piece in pieces if piece.response is None]
    return texts, {response.candidate: response for _, response in iter_responses(pieces)}


BROKEN = RuntimeError("out of order")
WIDE, DEEP = ("Wide", "stop"), ("Deep", "stop")


@pytest.mark.parametrize(
    ("acts", "order"),
    [
        ({"base": (DOWN,), "one": WIDE}, ["base", "one"]),
        ({"base": (BROKEN,), "one": WIDE}, ["base", "one"]),
        ({"base": (DOWN,), "one": (BROKEN,), "two": DEEP}, ["base", "one", "two"]),
        ({"base": (DOWN,), "one": (DOWN,), "two": (DOWN,)}, ["base", "one", "two"]),
        *(({"base": ("Wide ", "and", end)}, ["base"]) for end in (DOWN, BROKEN)),
        *(({"base": act}, ["base"]) for act in (WIDE, ("stopped",), ("stop",))),  # no failures
    ],
)
def test_reserves_run_in_turn_after_failures_before_the_first_token(acting, acts, order):
    ensemble = acting(**acts)
    texts, responses = run(ensemble, ["base"], ["one", "two"])
    assert ensemble.backends["transformers"].requested == list(responses) == order
    for name in order:
        *words, end = acts[name]
        assert [text for other, text in texts if other == name and text] == words
        assert responses[name].text == "".join(words)
        error = str(responses[name].error)
        assert str(end) in error if isinstance(end, Exception) else error == "None"
    assert [text for other, text in texts if other == "one"][:1] == [""] * ("one" in order)  # it is announced


def test_one_answer_of_several_candidates_is_enough(acting):
    ensemble = acting(base=(DOWN,), one=WIDE, two=DEEP)
    assert set(run(ensemble, ["base", "one"], ["two"])[1]) == {"base", "one"}
    ensemble = acting(base=(DOWN,), one=(DOWN,), two=DEEP)
    assert run(ensemble, ["base", "one"], ["two"])[1]["two"].text == "Deep"


def test_no_reserve_runs_after_a_stop(acting):
    stop = threading.Event()
    stop.set()
    ensemble = acting(base=(DOWN,), one=DEEP)
    _, responses = run(ensemble, ["base"], ["one"], stop)
    assert (responses["one"].finish, responses["one"].error) == ("stopped", None)
    assert ensemble.backends["transformers"].requested == ["base"]


@pytest.fixture
def acting_apart(acting):
    """A function that returns such an ensemble, in which one has a backend of its own."""

    def act(one: Acting, **acts):
        ensemble = acting(**acts)
        base, first, two = ensemble.fleet.candidates
        ensemble.fleet = replace(ensemble.fleet, candidates=(base, replace(first, backend="other"), two))
        ensemble.backends["other"] = one
        return ensemble

    return act


def test_a_reserve_may_have_another_backend(acting_apart):
    ensemble = acting_apart(Acting(one=DEEP), base=(DOWN,), two=(DOWN,))
    _, responses = run(ensemble, ["base", "two"], ["one"])
    assert {name: response.text for name, response in responses.items()} == {"base": "", "two": "", "one": "Deep"}


def test_backends_work_at_the_same_time_and_one_that_raises_leaves_the_others_alone(acting_apart):
    together = threading.Barrier(2)

    class Waiting(Acting):
        def stream(self, requests, generation, stop):
            together.wait(PATIENCE)
            yield from super().stream(requests, generation, stop)

    ensemble = acting_apart(Waiting(one=(BROKEN,)))
    ensemble.backends["transformers"] = Waiting(base=WIDE, two=DEEP)
    _, responses = run(ensemble, ["base", "one", "two"], [])
    assert (responses["base"].text, responses["two"].text) == ("Wide", "Deep")
    assert (responses["one"].finish, str(responses["one"].error)) == ("error", "other: RuntimeError: out of order")


def test_stream_yields_the_text_of_whoever_answers(acting):
    first, second, third = acting().route(ASK).order
    ensemble = acting(**{first: (DOWN,), second: ("Wide ", "and deep", "stop"), third: ("No", "stop")})
    assert list(ensemble.stream(ASK)) == ["Wide ", "and deep"]


def test_stream_of_a_named_candidate_has_no_fallback(acting):
    ensemble = acting(base=(DOWN,), one=DEEP)
    with pytest.raises(WorkError) as caught:
        list(ensemble.stream(ASK, "base"))
    assert caught.value.failure == DOWN.failure
    assert list(ensemble.stream(ASK, "one")) == ["Deep"]
    texts = acting(base=("Wide ", "and", DOWN)).stream(ASK, "base")  # it breaks off
    assert (next(texts), next(texts)) == ("Wide ", "and")
    with pytest.raises(WorkError, match="no connection"):
        next(texts)


def test_stream_names_every_reason_if_no_candidate_answers(acting):
    with pytest.raises(WorkError, match=r"(- \w+: no connection.*\s*){3}"):
        list(acting(base=(DOWN,), one=(DOWN,), two=(DOWN,)).stream(ASK))


def test_a_note_says_who_could_not_why_and_who_does():
    def failed(name, reason, text=""):
        return Response(name, text, finish="error", error=WorkError("an answer", reason, "Try again.").failure)

    math = failed("math", 'status 503, "Loading. Try later"')
    assert note([math], "code") == 'math could not answer (status 503, "Loading. Try later"); code answers instead.'
    assert note([math, failed("chat", "a gap", "Half")]).endswith(", chat broke off (a gap).")
    assert note([], "code") == ""


def attempts_at(order, **options):
    """Attempts at candidates, each on a server of its own."""
    servers = {name: EndpointConfig(f"http://{name}/v1", retries=2) for name in order}
    candidates = [CandidateConfig(name, ENDPOINT, name, endpoint=server) for name, server in servers.items()]
    return Attempts(Fleet("", Path(), tuple(candidates)), order, **options)


def fault(status, **facts):
    return EndpointError(f"status {status}", server_status=status, **facts)


def test_each_is_asked_once_and_the_last_again_after_pauses_that_grow_or_that_it_asks_for():
    attempts = attempts_at("ab")
    for name in "ab":
        assert (attempts.next(), attempts.pause) == ([name], 0.0)
        attempts.failed(name, fault(503, temporary=True))
    assert attempts.next() == ["b"]
    assert 0.25 <= attempts.pause <= 0.5
    attempts.failed("b", fault(503, temporary=True, retry_after=7.0))
    assert attempts.next() == ["b"]
    assert 7.0 <= attempts.pause <= 7.25
    attempts.failed("b", fault(503, temporary=True))
    assert attempts.next() == []  # its retries are used up


def test_what_will_not_pass_is_not_tried_again_and_nobody_is_asked_after_an_answer():
    attempts = attempts_at("ab", together=2)
    assert attempts.next() == ["a", "b"]
    attempts.failed("b", fault(401))
    assert attempts.next() == []
    attempts = attempts_at("ab")
    attempts.next()
    attempts.answered("a")
    assert attempts.next() == []


def test_a_slow_candidate_that_fails_for_good_does_not_end_the_attempts_at_the_last():
    attempts = attempts_at("ab")
    assert [attempts.next(), attempts.next()] == [["a"], ["b"]]  # b beside a
    attempts.failed("b", fault(503, temporary=True))
    attempts.failed("a", fault(401))
    assert attempts.next() == ["b"]


def test_each_failure_of_a_server_counts_once_unless_the_request_is_to_blame():
    attempts = attempts_at("abc")
    for name, status in (("a", 500), ("b", 500), ("c", 503), ("c", 503)):
        attempts.failed(name, fault(status))
    assert attempts.unhealthy == ["c"]  # nobody has answered, and two failed alike
    attempts.answered("c")
    assert attempts.unhealthy == ["a", "b"]
    alone = attempts_at("ab")
    alone.failed("a", fault(500))
    assert alone.unhealthy == ["a"]
    refused = attempts_at("a")
    refused.failed("a", fault(400, subject="request"))
    assert refused.unhealthy == []
