"""`zooter evaluate --sweep`."""

from __future__ import annotations

import json
import sys

import pytest


@pytest.fixture
def sweep(scores) -> list[object]:
    return ["evaluate", "--scores", scores, "--sweep"]


def test_json_and_table(zooter, sweep):
    """A row for each beta and tau; folds, seeds and what is not named are those of `zooter distill --scores`."""
    code, out, _ = zooter(*sweep, "beta=0,1", "tau=0.1,1", "--json")
    assert code == 0
    figures = json.loads(out)
    assert [(row["beta"], row["tau"]) for row in figures["rows"]] == [(0, 0.1), (1, 0.1), (0, 1), (1, 1)]
    assert (figures["folds"], figures["seeds"], figures["normalise"]) == (5, 3, "spread")
    code, out, _ = zooter(*sweep, "beta=0,1", "tau=0.1,1")
    assert code == 0
    cells = [[cell.strip() for cell in line.split("│")[1:4]] for line in out.splitlines() if line[0] == "│"]
    assert cells == [[f"{row['beta']:g}", f"{row['tau']:g}", f"{row['mean']:.4f}"] for row in figures["rows"]]
    assert f"{figures['best']['beta']:g} with tau {figures['best']['tau']:g}" in out
    assert figures["verdict"]["n"] == 10


def test_plot(zooter, sweep, tmp_path):
    plot = tmp_path / "sweep.html"
    code, out, _ = zooter(*sweep, "beta=0.3", "normalise=none", "--plot", plot, "--json")
    assert code == 0
    assert [(row["beta"], row["tau"]) for row in json.loads(out)["rows"]] == [(0.3, 0.3)]
    assert json.loads(out)["normalise"] == "none"
    page = plot.read_text(encoding="utf-8")
    assert "tau 0.3" in page
    assert "cdn." not in page.split("<body>")[0]


def test_a_plot_without_plotly_names_the_extra_before_the_work(refused, sweep, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly", None)  # as where it is not installed
    message = refused(2, *sweep, "beta=1", "--plot", tmp_path / "sweep.html")
    assert "--plot needs the package plotly" in message
    assert "zooter[plots]" in message


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["beta=2"], "every beta between 0 and 1"),
        (["tau=0"], "every tau above 0"),
        (["beta=much"], "--sweep as beta=NUMBERS"),
        (["folds=3"], "--sweep as beta=NUMBERS"),
        (["beta=1", "--router", "any"], "no --router with --sweep"),
        (["beta=1", "--plot", "sweep.png"], "ends in .html"),
    ],
)
def test_impossible_sweeps_are_exit_2(refused, sweep, options, part):
    assert part in refused(2, *sweep, *options)
