from __future__ import annotations

import subprocess
import sys

from support.hostile_texts import PAYLOADS, faults, payload
from zooter_core.errors import Failure
from zooter_core.records import Decision, Ranked, Response, Tag
from zooter_core.router.explain import Explanation, Piece
from zooter_core.ui import charts

POOL = ("chat", "math", "code", "writer")
DECISION = Decision.of("2 + 2?", {"chat": 0.1, "math": 0.7, "code": 0.15, "writer": 0.05})


def test_probabilities_are_bars_in_pool_order_with_their_values() -> None:
    (bars,) = charts.probabilities(DECISION).data
    assert list(bars.y) == list(POOL)
    assert list(bars.x) == [0.1, 0.7, 0.15, 0.05]
    assert list(bars.text) == ["10%", "70%", "15%", "5%"]
    assert "probability" in bars.hovertemplate


def test_small_contributions_have_a_decimal() -> None:
    def shown(*contributions: float) -> list[str]:
        explanation = Explanation("math", [Piece(f"word {n}", value) for n, value in enumerate(contributions)], [], [])
        (bars,) = charts.contributions(explanation, POOL).data
        return list(bars.text)

    assert shown(0.021, -0.003) == ["+2.1", "-0.3"]
    assert shown(0.213, -0.052) == ["+21", "-5"]


def test_a_candidate_keeps_its_colour_in_every_chart() -> None:
    ranked = [
        Ranked(Response("writer", "a"), 1.5, 1),
        Ranked(Response("math", "b"), -0.5, 2),
        Ranked(Response("chat", "", finish="error", error=Failure.of("broken"))),
    ]
    (bars,) = charts.rewards(ranked, POOL).data
    assert list(bars.y) == ["math", "writer"]
    assert list(bars.marker.color) == [charts.colour(POOL, "math"), charts.colour(POOL, "writer")]
    (other,) = charts.probabilities(DECISION).data
    assert other.marker.color[1] == bars.marker.color[0]


def test_colours_differ_and_go_round_in_a_large_pool() -> None:
    pool = [str(number) for number in range(9)]
    colours = [charts.colour(pool, name) for name in pool]
    assert len(set(colours)) == len(charts.PALETTE)
    assert colours[0] == colours[len(charts.PALETTE)]


def test_a_name_in_a_chart_is_no_mark_up() -> None:
    name = '<a href="http://elsewhere.example">x</a> %{y}'
    shown = '&lt;a href="http://elsewhere.example"&gt;x&lt;/a&gt; %{y}'
    (bars,) = charts.probabilities(Decision.of("?", {name: 0.6, "b": 0.4})).data
    assert list(bars.y) == [shown, "b"]
    explanation = Explanation(name, [Piece("<b>word</b>", 0.1)], [], [])
    (bars,) = charts.contributions(explanation, [name, "b"]).data
    assert list(bars.customdata[0]) == ["&lt;b&gt;word&lt;/b&gt;", shown]
    assert name not in bars.hovertemplate
    assert charts.label("a\n" * 500).endswith("…")
    assert len(charts.label("a" * 500)) == 200


def test_a_tag_ends_no_badge() -> None:
    for name in PAYLOADS:
        assert faults(charts.tag_badges((Tag(payload(name), 0.5),))) == []


def test_tags_are_badges_and_none_is_said() -> None:
    assert charts.tag_badges((Tag("arithmetic", 0.812),)) == ":blue-badge[arithmetic 0.81]"
    assert "no tag" in charts.tag_badges(())


def test_pandas_is_imported_before_any_chart() -> None:
    code = "import sys, zooter_core.ui.charts; print(hasattr(sys.modules.get('pandas'), 'Series'))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "True"
