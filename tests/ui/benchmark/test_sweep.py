from __future__ import annotations

from zooter_core.evaluation.figures import BetaTau, Sweep, SweepRow
from zooter_core.ui import plots
from zooter_core.ui.benchmark.sweep import chart


def sweep(taus: int = 1) -> Sweep:
    rows = [
        SweepRow(beta=beta, tau=float(tau), mean=1.5, interval=(1.25, 2.0), regret=0.5, minus_best=minus)
        for tau in range(1, taus + 1)
        for beta, minus in ((0.3, (0.0, 0.0)), (0.0, (-0.5, -0.1)))
    ]
    best = BetaTau(beta=0.3, tau=1.0)
    return Sweep(n=10, folds=2, seeds=1, normalise="none", rows=rows, best=best, differs=False)


def test_the_chart_has_a_line_per_tau_in_order_of_beta_with_intervals_and_a_star() -> None:
    option = chart(sweep(taus=2))
    line = next(series for series in option["series"] if series["name"] == "tau 1")
    assert [item["value"][:2] for item in line["data"]] == [[0.0, 1.5], [0.3, 1.5]]
    ends = [[end["coord"] for end in interval] for interval in line["markLine"]["data"]]
    assert ends == [[[0.0, 1.25], [0.0, 2.0]], [[0.3, 1.25], [0.3, 2.0]]]
    assert [item.get("symbol") for item in line["data"]] == [None, plots.STAR]
    assert option["legend"]["show"]
    assert not chart(sweep())["legend"]["show"]
