from __future__ import annotations

from zooter_core.router.explain import Piece
from zooter_core.router.neighbours import Neighbour
from zooter_core.ui.chat import why

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
