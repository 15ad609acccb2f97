from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import pytest
from streamlit.testing.v1 import AppTest

from support.hostile_texts import NAMES, PAYLOADS, faults, payload
from zooter_core.base.errors import Failure
from zooter_core.base.paths import ROOT
from zooter_core.base.records import Ranked, Response, Tag
from zooter_core.evaluation.charts import GREY, text
from zooter_core.ui import charts

POOL = ("chat", "math", "code", "writer")


def test_rewards_are_a_dot_beside_each_name_in_the_colours_of_their_models() -> None:
    ranked = [
        Ranked(Response("writer", "a"), 1.5, 1),
        Ranked(Response("math", "b"), -0.001, 2),
        Ranked(Response("chat", "", finish="error", error=Failure.of("broken"))),
    ]
    figure = charts.rewards(ranked, POOL)
    (dots,) = figure["data"]
    assert figure["layout"]["yaxis"]["ticktext"] == ["writer", "math"]
    assert (dots["x"], dots["text"]) == ([1.5, -0.001], ["1.50", "0.00"])
    assert dots["hovertext"][0] == "The response of writer has the reward 1.50."
    assert dots["marker"]["color"] == [charts.colour(POOL, name) for name in ("writer", "math")]


def test_tags_are_badges_that_none_of_them_ends() -> None:
    assert charts.tag_badges((Tag("arithmetic", 0.812),)) == ":gray-badge[arithmetic 81%]"
    assert "no tag" in charts.tag_badges(())
    for name in PAYLOADS:
        assert faults(charts.tag_badges((Tag(payload(name), 0.5),))) == []


@pytest.mark.parametrize(
    ("scores", "shown"),
    [
        ({"poetry": 0.5}, ["poetry"]),
        ({"poetry": 0.49}, []),  # doubtful
        ({"poetry": 0.6, "pet care": 0.49}, ["poetry"]),
        ({"fractions": 0.52, "arithmetic": 0.51}, []),  # one hardly beats the other
        ({"poetry": 0.6, "song lyrics": 0.58}, ["poetry", "song lyrics"]),
        ({}, []),
    ],
)
def test_a_doubtful_tag_is_not_shown(scores: dict[str, float], shown: list[str]) -> None:
    tags = charts.shown_tags([Tag(name, score) for name, score in scores.items()])
    assert [tag.name for tag in tags] == shown


HOSTILE = ["<b>", *NAMES]
SHAPES = {"svg", "rect", "circle", "text"}
PLAIN = {"viewBox", "width", "height", "preserveAspectRatio", "x", "y", "rx", "cx", "cy", "r", "fill", "opacity",
         "text-anchor", "font-family", "font-size", "font-weight"}  # fmt: skip


def test_whatever_a_model_is_called_a_picture_holds_shapes_alone() -> None:
    avatars = [charts.avatar(HOSTILE, name) for name in HOSTILE]
    for picture in (charts.stacked(NAMES, HOSTILE), *avatars):
        for element in ElementTree.fromstring(picture).iter():
            assert element.tag.removeprefix(f"{{{charts.SVG}}}") in SHAPES
            assert set(element.keys()) <= PLAIN
            assert all("url" not in value for value in element.attrib.values())


@pytest.mark.parametrize(
    ("pool", "letters"),
    [
        (["chat", "math", "code"], ["CH", "M", "CO"]),
        (["qwen2.5-coder", "qwen2.5-7b", "qwen3-8b", "Llama 3"], ["QC", "Q7", "Q3", "L"]),
        (["gpt", "gpt-mini", ""], ["G", "GM", ""]),
    ],
)
def test_models_with_the_same_initial_have_different_letters(pool: list[str], letters: list[str]) -> None:
    assert [charts.letters(pool, name) for name in pool] == letters


def test_a_stacked_bar_has_shares_of_its_width_the_largest_first() -> None:
    bar = ElementTree.fromstring(charts.stacked({"a": 0.25, "b": 0.75}, ["a", "b"]))
    assert [(part.get("x"), part.get("width")) for part in bar] == [("0.00", "75.00"), ("75.00", "25.00")]


def test_who_won_is_a_bar_for_each_skill_in_the_colours_of_the_models() -> None:
    name = "<b>{a}</b>"
    figure = charts.wins({"verse": {"chat": 0.25, name: 0.75}, "facts": {"chat": 1.0}}, ["chat", name], ["chat"])
    chat, other = figure["data"]
    assert figure["layout"]["yaxis"]["ticktext"] == ["verse", "facts"]
    assert (chat["x"], chat["y"]) == ([0.25, 1.0], [0, 1])
    assert chat["hovertext"][0] == "chat gave the best answer to 25% of verse."
    assert (other["x"], other["name"]) == ([0.75, 0.0], text(name))
    assert [one["marker"]["color"] for one in (chat, other)] == [charts.colour(["chat"], "chat"), GREY]


def test_plotly_draws_a_chart_as_high_as_the_page_leaves_room_for() -> None:
    def page() -> None:
        from zooter_core.ui import charts

        charts.draw({"data": [{"type": "bar", "x": [1]}], "layout": {}}, "key", "A chart", 240)

    (chart,) = AppTest.from_function(page).run().get("plotly_chart")
    assert json.loads(chart.proto.spec)["layout"]["height"] == 240


def test_a_class_that_changes_restyles_no_dots_of_a_chart() -> None:
    """Streamlit changes classes with each key press. A rule that ends in no tag, class or attribute may concern every
    element below one with such a class, so the browser would style them all."""
    style = re.sub(
        r"/\*.*?\*/", "", (ROOT / "zooter_core" / "ui" / "style.css").read_text(encoding="utf-8"), flags=re.DOTALL
    )
    selectors = [words for words in re.split(r"[{};]", style) if "[" in words]
    assert len(selectors) > 50
    ends = re.compile(r"\][^,]*[>+~\s]\s*(\*|:(?!is\b)[a-z-]+)")
    assert [words.strip() for words in selectors if ends.search(words)] == []
