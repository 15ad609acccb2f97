from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from zooter_core.ui.benchmark import card
from zooter_core.ui.charts import ROUTER


def figures(chosen: float, oracle: float = 0.5) -> dict[str, Any]:
    means = {"random": -1.0, "best_single": -0.5, "chosen": chosen, "rmr": 0.25, "oracle": oracle}
    rows = {"n": 1, "candidates": {"<b>": 1.0, "two": 2.0}}
    return {"mean": means, "datasets": {"x": rows}, "average": {"best_single": {"candidate": "<b>"}, **rows}}


@pytest.mark.parametrize(
    ("chosen", "oracle", "sentence"),
    [
        (0.3, 0.5, "80% of the way from the best single model to a perfect choice, with one call instead of 2."),
        (-0.6, 0.5, "Worse than <b> alone, with one call instead of 2."),
        (-0.5, -0.5, "<b> alone is already a perfect choice on every query."),
    ],
)
def test_the_sentence_says_what_the_figures_are(chosen: float, oracle: float, sentence: str) -> None:
    assert card.sentence(figures(chosen, oracle)) == sentence


def test_the_picture_has_every_method_where_its_reward_is() -> None:
    root = ElementTree.fromstring(card.drawn(figures(0.5, 0.5), ["<b>", "two"]))
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"random model", "<b> alone", "router: one call", "all models: 2 calls", "perfect choice"} <= set(texts)
    dots = [(dot.get("fill"), float(dot.get("cx", 0))) for dot in root.iter("{http://www.w3.org/2000/svg}circle")]
    places = [x for _, x in dots]
    assert places[0] == card.LEFT
    assert places[1] == pytest.approx(card.LEFT + (card.RIGHT - card.LEFT) / 3, abs=0.1)
    assert dots[2] == (ROUTER, card.RIGHT)
