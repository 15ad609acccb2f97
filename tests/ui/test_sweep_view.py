from __future__ import annotations

from zooter_core.ui import sweep_view

SWEEP = {
    "rows": [
        {"beta": beta, "tau": tau, "mean": mean, "interval": [mean - 0.25, mean + 0.5], "regret": 0.5}
        for tau, beta, mean in ((1.0, 0.3, 2.0), (1.0, 0.0, 1.0), (0.1, 0.0, 1.5))
    ],
    "best": {"beta": 0.3, "tau": 1.0},
}


def test_the_chart_has_a_line_per_tau_in_order_of_beta_with_intervals_and_a_star() -> None:
    figure = sweep_view.chart(SWEEP)
    line = next(trace for trace in figure.data if trace.name == "tau 1")
    assert (list(line.x), list(line.y)) == ([0.0, 0.3], [1.0, 2.0])
    assert (list(line.error_y.array), list(line.error_y.arrayminus)) == ([0.5, 0.5], [0.25, 0.25])
    assert list(line.marker.symbol) == ["circle", "star"]
    assert figure.layout.showlegend
    assert not sweep_view.chart(SWEEP | {"rows": SWEEP["rows"][:2]}).layout.showlegend
