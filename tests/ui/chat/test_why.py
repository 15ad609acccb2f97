from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from zooter_core.base.records import Decision, Response
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import Fleet
from zooter_core.router.explain import Piece
from zooter_core.router.neighbours import Neighbour
from zooter_core.ui.chat import why
from zooter_core.ui.chat.turns import Turn
from zooter_core.ui.jobs import Answers

POOL = ("chat", "math")


def test_parts_are_shaded_by_what_they_contribute() -> None:
    pieces = [Piece("How", 0.4), Piece("many", 0.1), Piece("*apples*", 0.01), Piece("sing", -0.2)]
    assert why.shaded(pieces, "orange") == (
        "**:orange-background[How]** :orange-background[many] \\*apples\\* :gray-background[sing]"
    )
    assert why.shaded([Piece("Hello", 0.0)], "blue") == "Hello"


def test_a_training_query_is_a_sentence_with_its_winner() -> None:
    label, rewards = {"chat": 0.9, "math": 0.1}, {"chat": -1.0, "math": 2.0}
    scored = Neighbour("1", 0.9, label, (), "gsm8k", "Add   3\nand 4.", rewards)
    bare = Neighbour("2", 0.8, label, (), "gsm8k", None, {})
    assert why.sentences([scored, bare], POOL) == [
        "- :orange-badge[math] won “Add 3 and 4.”",
        "- :blue-badge[chat] won *a query of gsm8k, whose text is not included*",
    ]
    assert "without its training queries" in why.sentences([], POOL)[0]


@pytest.mark.parametrize(("price", "cost"), [(8.0, r": \$0.00020 instead of about \$0.0010"), (None, "")])
def test_a_choice_is_compared_with_running_all_models_in_dollars_where_all_have_a_price(price, cost) -> None:
    """100 tokens at $2 a million, or as many of each model at $2 and $8."""
    prices = {"chat": 2.0, "math": price}
    pool = [CandidateConfig(name, "transformers", "m", usd_per_million_tokens=usd) for name, usd in prices.items()]
    ensemble = SimpleNamespace(fleet=Fleet("f", Path(), tuple(pool)))
    response = Response("chat", "Hello", tokens=100)
    turn = Turn("Hi", Decision.of("Hi", {"chat": 0.9, "math": 0.1}), Answers(("chat",), {}, {"chat": response}))
    assert why.saving_text(ensemble, turn) == (
        f"1 of 2 models ran and wrote 100 tokens; all 2 would write about 200, if their answers were as long{cost}."
    )
