from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from support.patience import PATIENCE
from zooter_core.base.errors import Failure
from zooter_core.base.records import Decision, Ranked, Response
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import Fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui.compare.comparisons import Comparison, describe_agreement, start
from zooter_core.ui.compare.votes import describe_votes, read_votes
from zooter_core.ui.history import history
from zooter_core.ui.jobs import Answers, CandidateAnswer

DECISION = Decision.of("q", {"chat": 0.2, "math": 0.8})
CANDIDATES = (CandidateConfig("chat", "gguf", "a"), CandidateConfig("math", "gguf", "b", usd_per_million_tokens=50.0))
FLEET = Fleet("a fleet", Path("/a/fleet"), CANDIDATES)


def ranked(*names: str) -> list[Ranked]:
    """Responses to DECISION's query, the best first; one whose name is in capitals failed."""
    tokens = {"math": 20, "chat": 80}
    failed = {"error": Failure.of("broken"), "finish": "error"}
    return [
        Ranked(Response(name.lower(), "", **failed))
        if name.isupper()
        else Ranked(Response(name, "text", tokens=tokens[name]), 1.0 - place, place)
        for place, name in enumerate(names, 1)
    ]


@pytest.mark.parametrize(
    ("names", "sentences"),
    [
        (("math", "chat"), ("agree on **math**", "20 of the 100 tokens: 80% saved")),
        (("chat", "math"), ("puts **chat** first", "the router chose **math**, which ranks 2nd", "80% saved")),
        (("chat", "MATH"), ("which gave no answer.",)),
        (("MATH",), ("nothing to rank",)),
    ],
)
def test_the_verdict_compares_router_and_reward_model(names: tuple[str, ...], sentences: tuple[str, ...]) -> None:
    text = describe_agreement(DECISION, ranked(*names))
    assert [sentence for sentence in sentences if sentence not in text] == []
    assert ("saved" in text) == all(name.islower() for name in names)
    tied = [replace(item, rank=1) for item in ranked("chat", "math")]
    assert "agree on **math**, which shares the first place with 1 other" in describe_agreement(DECISION, tied)
    absent = Decision.of("q", {"chat": 0.19, "math": 0.18, "code": 0.63})  # no other takes the place of its choice
    text = describe_agreement(absent, ranked("math", "chat"))
    assert "puts **math** first. The router would have asked **code** (63%)" in text
    assert "agree" not in text


def comparison_of_two(*, blind: bool = False, order: tuple[str, ...] = ("math", "chat")) -> Comparison:
    responses = {name: Response(name, f"says {name}", tokens=20) for name in ("chat", "math")}
    ranking = [Ranked(responses["chat"], 2.0, 1), Ranked(responses["math"], 1.0, 2)]
    job = Answers({name: CandidateAnswer.of(response) for name, response in responses.items()}, ranking)
    return Comparison("q", DECISION, job, FLEET, order, blind=blind, hidden=blind)


def test_a_highest_reward_that_two_share_is_nobodys() -> None:
    comparison = comparison_of_two()
    assert comparison.best == "chat"
    comparison.job.ranked = [replace(item, reward=1.0, rank=1) for item in comparison.ranked()]
    comparison.cast("best", "chat")
    assert not any("highest reward" in line for line in describe_votes([comparison.vote]))


def test_names_are_letters_until_the_vote_which_is_kept() -> None:
    comparison = comparison_of_two(blind=True)
    assert [comparison.label(name) for name in comparison.order] == ["Response A", "Response B"]
    comparison.cast("best", "chat")
    assert comparison.label("chat") == "chat"
    vote = comparison.vote
    assert (vote.blind, vote.best, vote.choice, vote.reward) == (True, "chat", "math", "chat")
    assert not comparison.votable  # the names are known now
    comparison.cast("best", "math")  # by the key that was pressed twice
    assert comparison.vote is vote
    assert read_votes(history().votes("/a/fleet"))[-1] == vote


def test_who_gave_no_answer_loses_no_vote() -> None:
    comparison = comparison_of_two(order=("math", "chat", "code"))
    comparison.job.answers["code"] = CandidateAnswer.of(ranked("CODE")[0].response)
    comparison.cast("best", "chat")
    assert comparison.vote is not None
    assert comparison.vote.candidates == ("chat", "math")


def test_everything_is_in_its_json() -> None:
    comparison = comparison_of_two(blind=True)
    comparison.cast("best", "math")
    shape = json.loads(json.dumps(comparison.to_json()))
    assert [item["candidate"] for item in shape["responses"]] == ["chat", "math"]
    assert [item["rank"] for item in shape["responses"]] == [1, 2]
    assert [item["usd"] for item in shape["responses"]] == [0.0, 0.001]
    assert shape["responses"][0]["text"] == "says chat"
    assert shape["route"]["probabilities"] == {"chat": 0.2, "math": 0.8}
    assert shape["vote"]["best"] == "math"


def test_a_form_is_kept_or_lacking_but_not_right() -> None:
    with_form, without = (replace(item, reason="It has lines.") for item in ranked("math", "chat"))
    text = describe_agreement(DECISION, [with_form, replace(without, right=False)])
    assert text.startswith("1 of 2 responses lacks the form that was asked for. :material/check_circle: Router and")
    assert "No response lacks the form" in describe_agreement(DECISION, [with_form, without])
    neither = [replace(item, right=False, lacking="4 lines, 3 asked") for item in (with_form, without)]
    assert describe_agreement(DECISION, neither).startswith("2 of 2 responses lack the form")


def test_a_blind_order_is_drawn_anew(tiny_ensemble: Ensemble) -> None:
    comparisons = [start(tiny_ensemble, "Hello", blind=True) for _ in range(12)]
    for comparison in comparisons:
        comparison.job.stop()
        comparison.job.wait(PATIENCE)
        assert set(comparison.order) == set(comparison.job.candidates)
    assert len({comparison.order for comparison in comparisons}) > 1  # by chance all alike once in 360 million
    assert start(tiny_ensemble, "Hello", ("two", "base"), previous=comparisons[0]).order == ("base", "two")
