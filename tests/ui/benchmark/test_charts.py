from __future__ import annotations

import plotly.graph_objects as go

from zooter_core.evaluation.report_tables import Point
from zooter_core.ui.benchmark import charts
from zooter_core.ui.charts import colour

POOL = ("chat", "math")
POINTS = [
    Point("chat", 1, 0.5, 2.0, candidate=True),
    Point("math", 1, -0.5, 4.0, candidate=True),
    Point("router", 1, 1.0, 3.0),
    Point("oracle", 2, 1.5, 6.0),
]
LINE = [
    Point("router", 1.0, 1.0, 3.0, k=2, share=0.0, threshold=0.9),
    Point("router", 1.5, 1.3, 4.0, k=2, share=0.5, threshold=0.4),
    Point("router", 2.0, 1.4, 6.0, k=2, share=1.0, threshold=0.1),
]
SWEEP = {
    "rows": [
        {"beta": beta, "tau": tau, "mean": mean, "interval": [mean - 0.25, mean + 0.5], "regret": 0.5}
        for tau, beta, mean in ((1.0, 0.0, 1.0), (1.0, 0.3, 2.0), (0.1, 0.0, 1.5))
    ],
    "best": {"beta": 0.3, "tau": 1.0},
}


def traces(figure: go.Figure) -> dict[str, go.Scatter]:
    return {trace.name: trace for trace in figure.data}


def test_each_way_is_a_mark_in_its_own_colour_and_shape() -> None:
    found = traces(charts.cost_quality(POINTS, {}, POOL, priced=False))
    assert [(found[p.name].x[0], found[p.name].y[0]) for p in POINTS] == [(1, 0.5), (1, -0.5), (1, 1.0), (2, 1.5)]
    assert found["math"].marker.color == colour(POOL, "math")
    assert len({found[p.name].marker.symbol for p in POINTS}) == len(POINTS)


def test_a_line_a_k_with_a_mark_a_threshold() -> None:
    found = traces(charts.cost_quality(POINTS, {2: LINE}, POOL, priced=False))
    line = found["router, 2 where unsure"]
    assert (list(line.x), list(line.y)) == ([1.0, 1.5, 2.0], [1.0, 1.3, 1.4])
    assert "2 models for 50% of the queries" in line.text[1]
    assert "above 0.400" in line.text[1]
    assert (list(found["as many at random"].x), list(found["as many at random"].y)) == ([1.0, 2.0], [1.0, 1.4])


def test_dollars_where_prices_are_known() -> None:
    figure = charts.cost_quality(POINTS, {2: LINE}, POOL, priced=True)
    found = traces(figure)
    assert list(found["router, 2 where unsure"].x) == [3.0, 4.0, 6.0]
    assert "6 dollars a thousand queries" in found["oracle"].text[0]
    assert "dollars" in figure.layout.xaxis.title.text


def test_beta_has_its_interval_and_a_line_a_tau() -> None:
    figure = charts.beta(SWEEP)
    line = traces(figure)["tau 1"]
    assert (list(line.x), list(line.y)) == ([0.0, 0.3], [1.0, 2.0])
    assert (list(line.error_y.array), list(line.error_y.arrayminus)) == ([0.5, 0.5], [0.25, 0.25])
    assert list(line.marker.symbol) == ["circle", "star"]
    assert figure.layout.showlegend
    assert not charts.beta(SWEEP | {"rows": SWEEP["rows"][:2]}).layout.showlegend
