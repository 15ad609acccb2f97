from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from zooter_core.base.records import Decision, Response
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import Fleet
from zooter_core.router.explain import QueryPart
from zooter_core.router.neighbours import Neighbour
from zooter_core.ui.chat import why
from zooter_core.ui.chat.turns import Turn
from zooter_core.ui.jobs import Answers, CandidateAnswer

POOL = ("chat", "math")


def test_parts_are_shaded_by_what_they_contribute() -> None:
    pieces = [QueryPart("How", 0.4), QueryPart("many", 0.1), QueryPart("*apples*", 0.01), QueryPart("sing", -0.2)]
    assert why.shaded(pieces, "orange") == (
        "**:orange-background[How]** :orange-background[many] \\*apples\\* :gray-background[sing]"
    )
    assert why.shaded([QueryPart("Hello", 0.0)], "blue") == "Hello"


def test_a_training_query_is_a_sentence_with_its_winner() -> None:
    label, rewards = {"chat": 0.9, "math": 0.1}, {"chat": -1.0, "math": 2.0}
    scored = Neighbour("1", 0.9, label, (), "gsm8k", "Add   3\nand 4.", rewards)
    bare = Neighbour("2", 0.8, label, (), "gsm8k", None, {})
    assert why.sentences([scored, bare], POOL) == [
        "- :orange-badge[math] won “Add 3 and 4.”",
        "- :blue-badge[chat] won *a query of gsm8k, whose text is not included*",
    ]
    assert "without its training queries" in why.sentences([], POOL)[0]


def test_a_choice_is_compared_with_running_all_models() -> None:
    pool = [CandidateConfig(name, "transformers", "m") for name in POOL]
    ensemble = SimpleNamespace(fleet=Fleet("f", Path(), tuple(pool)))
    response = Response("chat", "Hello", tokens=1000)
    turn = Turn("Hi", Decision.of("Hi", {"chat": 0.9, "math": 0.1}), Answers({"chat": CandidateAnswer.of(response)}))
    assert why.saving_text(ensemble, turn) == (
        "1 of 2 models ran and wrote 1,000 tokens; all 2 would write about 2,000, if their answers were as long."
    )
