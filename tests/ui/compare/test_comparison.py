from __future__ import annotations

import json

import pytest

from zooter_core.ensemble import Ensemble
from zooter_core.errors import Failure, ZooterError
from zooter_core.records import Decision, Ranked, Response
from zooter_core.ui.compare import votes
from zooter_core.ui.compare.comparison import Comparison, among, chosen, start, verdict
from zooter_core.ui.history import history
from zooter_core.ui.jobs import Answers

DECISION = Decision.of("q", {"chat": 0.2, "math": 0.8})


def ranked(first: str, second: str) -> list[Ranked]:
    tokens = {"math": 20, "chat": 80}
    return [
        Ranked(Response(name, "text", tokens=tokens[name]), 1.0 - place, place)
        for place, name in enumerate((first, second), 1)
    ]


def test_agreement_and_what_is_saved() -> None:
    said = verdict(DECISION, ranked("math", "chat"))
    assert "agree on **math**" in said
    assert "20 tokens in place of 100: 80% saved" in said


def test_disagreement_names_both_and_the_place() -> None:
    said = verdict(DECISION, ranked("chat", "math"))
    assert "puts **chat** first" in said
    assert "the router chose **math**, which ended in place 2" in said


def test_the_chosen_candidate_may_have_failed() -> None:
    failed = Ranked(Response("math", "", finish="error", error=Failure.of("broken")))
    said = verdict(DECISION, [Ranked(Response("chat", "text", tokens=5), 0.3, 1), failed])
    assert "without a rank" in said
    assert "saved" not in said


def test_nobody_answered() -> None:
    assert "nothing to rank" in verdict(DECISION, [Ranked(Response("math", "", error=Failure.of("broken")))])


def made(*, blind: bool = False, order: tuple[str, ...] = ("math", "chat")) -> Comparison:
    said = {name: Response(name, f"says {name}", tokens=20) for name in ("chat", "math")}
    ranking = [Ranked(said["chat"], 2.0, 1), Ranked(said["math"], 1.0, 2)]
    job = Answers(("chat", "math"), {name: response.text for name, response in said.items()}, said, ranking)
    return Comparison("q", DECISION, job, "a fleet", ("chat", "math"), {"math": 50.0}, order, blind=blind, hidden=blind)


def test_names_are_letters_until_the_vote_which_is_kept() -> None:
    found = made(blind=True)
    assert [found.label(name) for name in found.order] == ["Response A", "Response B"]
    found.cast("best", "chat")
    assert found.label("chat") == "chat"
    assert found.vote is not None
    assert (found.vote.blind, found.vote.best, found.vote.router, found.vote.reward) == (True, "chat", "math", "chat")
    assert not found.votable  # the names are known now
    assert votes.read(history().votes("a fleet"))[-1] == found.vote


def test_an_open_vote_can_be_changed() -> None:
    found = made()
    found.cast("best", "chat")
    assert found.votable
    found.cast("tie")
    assert found.vote is not None
    assert (found.vote.outcome, found.vote.best, found.vote.blind) == ("tie", None, False)


def test_a_vote_after_the_names_were_shown_is_not_blind() -> None:
    found = made(blind=True)
    found.reveal()
    assert found.votable
    found.cast("none")
    assert found.vote is not None
    assert not found.vote.blind


def test_there_is_no_vote_on_one_response() -> None:
    found = made()
    found.job.responses["chat"] = Response("chat", "", finish="error", error=Failure.of("broken"))
    assert found.answered == ["math"]
    assert not found.votable


def test_cost_is_tokens_times_price_and_none_without_one() -> None:
    found = made()
    assert found.usd(found.job.responses["math"]) == pytest.approx(20 * 50 / 1e6)
    assert found.usd(found.job.responses["chat"]) is None


def test_everything_is_in_its_json() -> None:
    found = made(blind=True)
    found.cast("best", "math")
    shape = json.loads(json.dumps(found.to_json()))
    assert [item["candidate"] for item in shape["responses"]] == ["chat", "math"]
    assert [item["rank"] for item in shape["responses"]] == [1, 2]
    assert [item["usd"] for item in shape["responses"]] == [None, 0.001]
    assert shape["responses"][0]["text"] == "says chat"
    assert shape["route"]["probabilities"] == {"chat": 0.2, "math": 0.8}
    assert shape["vote"]["best"] == "math"


def test_a_decision_among_some_has_shares_of_one_and_a_choice_among_them() -> None:
    whole = Decision.of("q", {"a": 0.5, "b": 0.3, "c": 0.2})
    found = among(whole, ("b", "c"))
    assert dict(found.probabilities) == pytest.approx({"b": 0.6, "c": 0.4})
    assert found.candidate == "b"
    assert among(whole, ("c", "b", "a")) is whole
    assert among(Decision.of("q", {"a": 1.0, "b": 0.0, "c": 0.0}), ("b", "c")).probabilities == {"b": 0.5, "c": 0.5}


def test_fewer_than_two_are_refused_and_none_means_all() -> None:
    assert chosen(("a", "b", "c"), ()) == ("a", "b", "c")
    assert chosen(("a", "b", "c"), ("c", "a")) == ("a", "c")
    with pytest.raises(ZooterError, match="at least two models"):
        chosen(("a", "b"), ("b",))


def test_a_blind_order_is_drawn_anew(tiny_ensemble: Ensemble) -> None:
    found = [start(tiny_ensemble, "Hello", blind=True) for _ in range(12)]
    for one in found:
        one.job.stop()
        one.job.wait(20)
        assert set(one.order) == set(one.job.candidates)
    assert len({one.order for one in found}) > 1  # by chance all alike once in 360 million
    assert start(tiny_ensemble, "Hello", ("two", "base"), earlier=found[0]).order == ("base", "two")
