"""The map of the training queries: dots, names of regions, and the query on it."""

from __future__ import annotations

import numpy as np

from support.hostile_texts import NAMES
from zooter_core.method.tag_table import TIE
from zooter_core.ui.charts import GREY, PALETTE
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


def option(scheme: str = "light") -> dict:
    pool = list(NAMES)
    plain = query_map.places(pool, POINTS, [number % 2 for number in range(90)], [["hover"]] * 90)
    named = query_map.with_regions(plain, [Region("<script>", 0.5, 0.5)], scheme)
    return query_map.with_query(named, [9.0, 0.0], pool[0], pool, "your query", POINTS[:5].tolist())


def test_names_can_be_read_on_either_ground() -> None:
    inks = {scheme: option(scheme)["series"][-3]["label"] for scheme in ("light", "dark")}
    assert inks["light"]["color"] != inks["dark"]["color"]
    assert all(label["color"] != label["textBorderColor"] for label in inks.values())


def test_every_query_is_on_the_map_in_its_winners_colour():
    points = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]])
    option = query_map.places(("a", "b"), points, [1, TIE, 1], [["one"], ["two"], ["three"]])
    a, b, several = option["series"]
    assert (a["data"], b["data"]) == ([], [[0.0, 0.0, "one"], [2.0, 4.0, "three"]])
    assert several["data"] == [[1.0, 2.0, "two"]]
    assert (b["itemStyle"]["color"], several["itemStyle"]["color"]) == (PALETTE[1], GREY)


def test_a_query_outside_the_map_is_at_its_edge_and_the_map_stays_as_it_was():
    option = query_map.places(("a",), np.array([[0.0, 0.0], [1.0, 1.0]]), [0, 0], [["x"], ["y"]])
    shown = query_map.with_query(option, [9.0, 0.5], "a", ("a",))
    assert shown["series"][-1]["data"] == [[option["xAxis"]["max"], 0.5]]
    assert len(option["series"]) == 1


def test_a_name_that_the_querys_label_would_cover_makes_room():
    option = query_map.places(("a",), np.array([[0.0, 0.0], [1.0, 1.0]]), [0, 0], [["x"], ["y"]])
    option = query_map.with_regions(option, [Region("near", 0.45, 0.5), Region("above", 0.5, 0.7)], "light")
    names, *_ = query_map.with_query(option, [0.5, 0.5], "a", ("a",))["series"][1:]
    assert [name["name"] for name in names["data"]] == ["above"]


def test_lines_lead_from_a_query_to_similar_ones():
    option = query_map.places(("a",), np.array([[0.0, 0.0], [1.0, 1.0]]), [0, 0], [["x"], ["y"]])
    *_, lines, dot = query_map.with_query(option, [0.5, 0.5], "a", ("a",), "an example", [[1.0, 1.0]])["series"]
    assert lines["data"] == [{"coords": [[0.5, 0.5], [1.0, 1.0]]}]
    assert (lines["lineStyle"]["color"], dot["name"]) == (PALETTE[0], "an example")
