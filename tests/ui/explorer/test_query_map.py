"""The map of the training queries: dots, names of regions, and the query on it."""

from __future__ import annotations

import numpy as np

from support.hostile_texts import NAMES
from zooter_core.evaluation.charts import GREY, PALETTE
from zooter_core.method.tag_table import TIE
from zooter_core.ui.explorer import query_map
from zooter_core.ui.explorer.query_map import HEIGHT, MOST, PER_CHARACTER, Region, regions

POINTS = np.random.default_rng(0).normal(size=(90, 2), scale=0.05) + np.repeat([[0, 0], [1, 0], [0, 1]], 30, axis=0)
TAGS = [("sums", "all")] * 30 + [("poems", "all")] * 30 + [("code", "all")] * 29 + [("rare",)]


def test_each_region_has_its_tag_where_its_queries_are() -> None:
    named = {region.name: region for region in regions(POINTS, TAGS)}
    assert {"sums", "poems", "code"} <= named.keys()
    assert "rare" not in named
    assert abs(named["poems"].x - 1) < 0.1
    assert abs(named["code"].y - 1) < 0.1
    assert not regions(POINTS[:0], [])


def test_a_tag_of_few_of_many_queries_is_no_region() -> None:
    points = np.concatenate([np.repeat(POINTS, 10, axis=0), np.full((8, 2), 0.5)])
    tags = [names for names in TAGS for _ in range(10)] + [("few",)] * 8  # beside one another, and nothing among them
    assert "few" not in {region.name for region in regions(points, tags)}


def test_places_are_drawn_half_way_to_their_ranks_in_the_same_order() -> None:
    points = np.array([[0.0, 0.0], [0.1, 2.0], [0.2, 4.0], [1.0, 8.0]])
    drawn = query_map.Spread(points)(points)
    share = query_map.RANKED
    assert drawn[1].tolist() == [share / 3 + (1 - share) * 0.1, share / 3 + (1 - share) * 0.25]
    assert drawn[3].tolist() == [1.0, 1.0]
    outside = query_map.Spread(points)(np.array([2.0, -8.0]))
    assert outside[0] > 1
    assert outside[1] < 0
    assert np.isfinite(query_map.Spread(points[:1])(points[0])).all()


def test_names_are_few_and_do_not_touch() -> None:
    chance = np.random.default_rng(1)
    points = chance.uniform(size=(400, 2))
    named = regions(points, [(f"tag number {number % 25}",) for number in range(400)])
    assert 1 < len(named) <= MOST
    for place, one in enumerate(named):
        for other in named[:place]:
            beside = abs(one.x - other.x) > PER_CHARACTER * (len(one.name) + len(other.name)) / 2 * 0.99
            assert beside or abs(one.y - other.y) > HEIGHT * 0.99


POOL = list(NAMES)


def test_every_query_is_on_the_map_in_its_winners_colour_and_shape() -> None:
    points = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]])
    drawn = query_map.places(("a", "b"), points, [1, TIE, 1], [["One."], ["Two."], ["Three."]])
    a, b, several = drawn["data"]
    assert list(a["x"]) == []
    assert (list(b["x"]), list(b["y"]), b["hovertext"]) == ([0.0, 2.0], [0.0, 4.0], ["One.", "Three."])
    assert (list(several["x"]), several["hovertext"]) == ([1.0], ["Two."])
    assert (b["marker"]["color"], several["marker"]["color"]) == (PALETTE[1], GREY)
    assert a["marker"]["symbol"] != b["marker"]["symbol"]


def test_the_query_over_the_map_lies_where_it_would_be_on_it_whatever_the_models_are_called() -> None:
    winners, sentences = [number % 2 for number in range(90)], [["hover"]] * 90
    drawn = query_map.places(POOL, POINTS, winners, sentences, [Region("<script>", 0.5, 0.5)])
    assert [words["text"] for words in drawn["layout"]["annotations"]] == ["<b>&#60;script&#62;</b>"]
    layout = drawn["layout"]
    assert not layout["margin"]["autoexpand"]  # else a long legend would move the map alone
    (left, right), (bottom, top) = layout["xaxis"]["range"], layout["yaxis"]["range"]
    quarter = np.array([left + 0.25 * (right - left), bottom + 0.9 * (top - bottom)])
    over = query_map.query(drawn, quarter, "#000000", "your query", np.array([[left, bottom]]), 500)
    assert "left: 25.00%; top: 10.00%" in over
    assert "--x: -25.00; --y: 90.00" in over  # the line
    assert f"height: {500 - layout['margin']['t'] - layout['margin']['b']}px" in over
    outside = query_map.query(drawn, np.array([right + 9, bottom]), "#000000", "your query", POINTS[:5], 500)
    assert "left: 100.00%; top: 100.00%" in outside
    assert outside.count("<i") == 5
    few, long = (
        query_map.places(pool, POINTS, winners, sentences)["layout"]["margin"]["t"]
        for pool in (("a", "b"), ("openai/gpt-4.1-mini", "qwen2.5-7b-instruct", "mistral-small-24b"))
    )
    assert few < drawn["layout"]["margin"]["t"]
    assert long - few == 2 * query_map.LEGEND  # a phone has room for one such name in a line
