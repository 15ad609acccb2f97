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


def traces(figure: go.Figure) -> dict[str, go.Scatter]:
    return {trace.name: trace for trace in figure.data}


def test_each_way_is_a_mark_in_its_own_colour_and_shape() -> None:
    by_name = traces(charts.cost_quality(POINTS, {}, POOL, priced=False))
    assert [(by_name[p.name].x[0], by_name[p.name].y[0]) for p in POINTS] == [(1, 0.5), (1, -0.5), (1, 1.0), (2, 1.5)]
    assert by_name["math"].marker.color == colour(POOL, "math")
    assert len({by_name[p.name].marker.symbol for p in POINTS}) == len(POINTS)


def test_a_line_a_k_with_a_mark_a_threshold() -> None:
    by_name = traces(charts.cost_quality(POINTS, {2: LINE}, POOL, priced=False))
    line = by_name["router, 2 models if unsure"]
    assert (list(line.x), list(line.y)) == ([1.0, 1.5, 2.0], [1.0, 1.3, 1.4])
    assert "2 models for 50% of the queries" in line.text[1]
    assert "above 0.400" in line.text[1]
    assert (list(by_name["random queries"].x), list(by_name["random queries"].y)) == ([1.0, 2.0], [1.0, 1.4])


def test_dollars_where_prices_are_known() -> None:
    figure = charts.cost_quality(POINTS, {2: LINE}, POOL, priced=True)
    by_name = traces(figure)
    assert list(by_name["router, 2 models if unsure"].x) == [3.0, 4.0, 6.0]
    assert "6 dollars per thousand queries" in by_name["oracle"].hovertext[0]
    assert "dollars" in figure.layout.xaxis.title.text


def test_every_point_and_line_has_its_name_beside_it_and_there_is_no_legend() -> None:
    figure = charts.cost_quality(POINTS, {2: LINE}, POOL, priced=False)
    by_name = traces(figure)
    assert [by_name[point.name].text[0] for point in POINTS] == [point.name for point in POINTS]
    assert [note.text for note in figure.layout.annotations] == ["2 if unsure", "random queries"]
    assert figure.layout.showlegend is False
    figure = charts.cost_quality(POINTS, {2: LINE, 3: LINE}, POOL, priced=False)
    assert [note.text for note in figure.layout.annotations] == ["2 if unsure", "3", "random queries"]


def test_labels_of_close_points_go_apart() -> None:
    near = [Point("router", 1, 0.5), Point("RMR", 1, 0.46), Point("oracle", 2, 1.5), Point("random", 2, -0.5)]
    by_name = traces(charts.cost_quality(near, {}, POOL, priced=False))
    places = [by_name[point.name].textposition for point in near]
    assert places == ["top right", "bottom right", "middle right", "middle right"]


def test_a_chart_of_one_point_is_drawn() -> None:
    assert len(charts.cost_quality(POINTS[:1], {}, POOL, priced=False).data) == 1
