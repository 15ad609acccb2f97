from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from support import tiny_models
from support.app_pages import Open, charts, words
from zooter_core.base.records import Query
from zooter_core.data.scores import Scores
from zooter_core.method.labels import LabelConfig
from zooter_core.pipeline import distill
from zooter_core.router.kinds import DistillConfig
from zooter_core.router.neighbours import ARRAYS, Neighbours
from zooter_core.ui import resources
from zooter_core.ui.explorer import query_map
from zooter_core.ui.explorer.view import TABS
from zooter_core.ui.widgets import EXAMPLES

TAGS = ("arithmetic", "code", "writing")


@pytest.fixture(scope="module")
def distilled(tiny_fleet: Path, tiny_encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a router that was truly distilled, from made-up scores, with a fifth of the queries held back."""
    scores = np.random.default_rng(0).normal(size=(len(tiny_models.QUERIES), len(tiny_models.POOL)))
    queries = tuple(Query(str(n), text, "all", (TAGS[n % 3],)) for n, text in enumerate(tiny_models.QUERIES))
    folder = tmp_path_factory.mktemp("distilled") / "router"
    labels, training = LabelConfig(holdout=0.3), DistillConfig(epochs=2, keep_texts=True)
    distill(Scores(queries, tiny_models.POOL, scores), folder, labels=labels, training=training, encoder=tiny_encoder)
    return folder


@pytest.fixture
def learned_fleet(slow_fleet: Path, distilled: Path) -> Path:
    """The tiny fleet with that router."""
    (slow_fleet / "router").unlink()
    return Path(shutil.copytree(distilled, slow_fleet / "router")).parent


def bars(page: AppTest) -> list[float]:
    """The probabilities."""
    (drawn,) = charts(page)["explorer-bars"]["data"]
    shares: list[float] = drawn["x"]
    return shares


def query_on_map(page: AppTest) -> str:
    """The HTML over the map."""
    (over,) = (element.proto.body for element in page.get("html") if "zooter-query" in element.proto.body)
    return str(over)


def tags(page: AppTest) -> list[str]:
    """The rows of the heat map."""
    names: list[str] = charts(page)["explorer-probability"]["layout"]["yaxis"]["ticktext"]
    return names


def test_what_was_learned_is_shown_before_anything_is_typed(open_page: Open, learned_fleet: Path) -> None:
    page = open_page("explorer", learned_fleet)
    neighbours = Neighbours.load(learned_fleet / "router")
    assert sum(bars(page)) == pytest.approx(1)
    assert f"Nothing typed yet: this is the example *{EXAMPLES[0]}*" in words(page)
    drawn = charts(page)
    assert {words["text"][3:-4] for words in drawn["explorer-map"]["layout"]["annotations"]} <= set(TAGS)
    example = query_on_map(page)
    assert "On the map: an example" in example
    assert example.count("<i") == 5  # lines
    hovers = [words for trace in drawn["explorer-map"]["data"] for words in trace["hovertext"]]
    assert len(hovers) == len(neighbours.queries)
    assert any(neighbours.queries[0].text in words.replace("<br>", " ") for words in hovers)
    assert [tab.label for tab in page.tabs] == list(TABS)
    assert set(drawn) == {
        *("explorer-map", "explorer-bars"),
        *("explorer-probability", "explorer-entropies", "explorer-reliability"),
    }
    assert all(figure["alt"] for figure in drawn.values())
    assert "expected calibration error" in words(page)
    assert f"of {len(neighbours.queries)} queries are above 0.9" in words(page)


def test_a_query_moves_bars_and_has_its_place_on_the_map(open_page: Open, learned_fleet: Path) -> None:
    page = open_page("explorer", learned_fleet)
    before = bars(page)
    page.text_input[0].set_value("Add up 7 apples?").run()
    assert bars(page) != before
    assert sum(bars(page)) == pytest.approx(1)
    typed = query_on_map(page)
    assert "On the map: your query" in typed
    neighbours = Neighbours.load(learned_fleet / "router")
    row = next((n for n, query in enumerate(neighbours.queries) if query.text == "Add up 7 apples?"), None)
    if row is not None:  # a query it has learned from lies on its own dot
        spread = query_map.Spread(neighbours.places)(neighbours.places[row])
        layout = charts(page)["explorer-map"]["layout"]
        (left, right), (bottom, top) = layout["xaxis"]["range"], layout["yaxis"]["range"]
        x, y = (float(share) for share in re.search('left: (.+)%; top: (.+)%">', typed).groups())
        drawn = [left + x / 100 * (right - left), top + y / 100 * (bottom - top)]
        np.testing.assert_allclose(drawn, spread, atol=0.02)
    assert "would answer" in words(page)
    page.text_input[0].set_value("").run()
    assert bars(page) == before
    page.pills[0].set_value(EXAMPLES[1]).run()  # an example is put into the box
    assert page.text_input[0].value == EXAMPLES[1]
    assert "would answer" in words(page)
    page.text_input[0].set_value("x" * 100_000).run()
    assert "100,000" in page.error[0].value


def test_tags_are_sorted_and_cut_by_the_controls(open_page: Open, learned_fleet: Path) -> None:
    page = open_page("explorer", learned_fleet)
    neighbours = Neighbours.load(learned_fleet / "router")
    assert sorted(tags(page)) == sorted(TAGS)
    page.segmented_control[0].set_value("number of queries").run()
    counts = neighbours.tag_shares()
    assert tags(page) == sorted(TAGS, key=lambda tag: (-counts[tag][0], tag))
    first = charts(page)["explorer-probability"]["data"][0]
    assert "on average over" in first["hovertext"][0][0].replace("<br>", " ")
    many = [replace(query, tags=(f"tag {n}",)) for n, query in enumerate(neighbours.queries)]
    for queries, shown in ((many, 12), ([replace(query, tags=()) for query in many], 0)):
        replace(neighbours, queries=queries).save(learned_fleet / "router")
        resources.forget(learned_fleet)
        page = open_page("explorer", learned_fleet)
        if shown:
            assert len(tags(page)) == shown
            page.toggle(key="explorer-more").set_value(True).run()
            assert len(tags(page)) == len(many)
        else:
            assert "have no tags" in words(page)


def test_a_router_without_its_queries_says_so(open_page: Open) -> None:
    page = open_page("explorer")
    page.text_input[0].set_value("What is 12 + 30?").run()
    assert len(bars(page)) == len(tiny_models.POOL)
    assert set(charts(page)) == {"explorer-bars"}  # no map
    assert "without its training queries" in words(page)
    assert "zooter distill" in words(page)
    assert "no report.json beside this router" in words(page)


HELD_BACK_NONE = '{"candidates": {"all": {"n": 1, "mean_reward": {}, "share_of_wins": {}, "reward_entropy": 0}}}'


def test_broken_files_leave_the_typing(open_page: Open, learned_fleet: Path) -> None:
    others = ("base", "one", "<b>three</b>")
    replace(Neighbours.load(learned_fleet / "router"), candidates=others).save(learned_fleet / "router")
    page = open_page("explorer", learned_fleet)
    assert "training queries of the candidates base, one, two" in page.error[0].value
    (learned_fleet / "router" / ARRAYS).write_bytes(b"no")
    resources.forget(learned_fleet)
    page = open_page("explorer", learned_fleet)
    assert "complete neighbours in" in page.error[0].value
    page.text_input[0].set_value("What is 12 + 30?").run()
    assert len(bars(page)) == len(tiny_models.POOL)
    for text, message in (("{", "a readable"), (HELD_BACK_NONE, "--holdout 0.2")):  # why the reliability is unknown
        (learned_fleet / "router" / "report.json").write_text(text)
        assert message in words(page.run())
