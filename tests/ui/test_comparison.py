from __future__ import annotations

from zooter_core.records import Decision, Ranked, Response
from zooter_core.ui.comparison import verdict

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
    failed = Ranked(Response("math", "", finish="error", error="broken"))
    said = verdict(DECISION, [Ranked(Response("chat", "text", tokens=5), 0.3, 1), failed])
    assert "without a rank" in said
    assert "saved" not in said


def test_nobody_answered() -> None:
    assert "nothing to rank" in verdict(DECISION, [Ranked(Response("math", "", error="broken"))])
