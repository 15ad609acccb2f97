"""The names of the map's regions, and the map as a picture."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

from support.hostile_texts import NAMES
from zooter_core.ui.explorer import query_map
from zooter_core.ui.explorer.query_map import HEIGHT, MOST, PER_CHARACTER, Region, regions

POINTS = np.random.default_rng(0).normal(size=(90, 2), scale=0.05) + np.repeat([[0, 0], [1, 0], [0, 1]], 30, axis=0)
TAGS = [("sums", "all")] * 30 + [("poems", "all")] * 30 + [("code", "all")] * 29 + [("rare",)]
SVG = "{http://www.w3.org/2000/svg}"


def test_each_region_has_its_tag_where_its_queries_are() -> None:
    named = {region.name: region for region in regions(POINTS, TAGS)}
    assert {"sums", "poems", "code"} <= named.keys()
    assert "rare" not in named
    assert abs(named["poems"].x - 1) < 0.1
    assert abs(named["code"].y - 1) < 0.1
    assert not regions(POINTS[:0], [])


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


def test_the_picture_has_each_dot_the_names_the_query_and_its_lines() -> None:
    root = ElementTree.fromstring(query_map.picture_of(option(), "A title", "dark"))
    marks = [*root.iter(f"{SVG}circle"), *root.iter(f"{SVG}path"), *root.iter(f"{SVG}rect")]
    legend = len(NAMES) + 1
    assert len(marks) == 90 + 1 + legend + 1  # with the query, and the ground
    assert len(list(root.iter(f"{SVG}line"))) == 5
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"A title", "<script>", "your query"} <= set(texts)
    for line in root.iter(f"{SVG}line"):
        assert 0 <= float(line.get("x1", -1)) <= query_map.WIDE
        assert query_map.HEAD <= float(line.get("y1", -1)) <= query_map.HIGH


def test_names_can_be_read_on_either_ground() -> None:
    inks = {scheme: option(scheme)["series"][-3]["label"] for scheme in ("light", "dark")}
    assert inks["light"]["color"] != inks["dark"]["color"]
    assert all(label["color"] != label["textBorderColor"] for label in inks.values())
