from __future__ import annotations

import json
import sys

import pytest


@pytest.fixture
def sweep(scores) -> list[object]:
    return ["sweep", "--scores", scores, "--folds", 2, "--seeds", 1]


def test_json_and_table(zooter, sweep, tmp_path):
    """A row for each beta and tau, on stdout as in the file of --out."""
    file = tmp_path / "new" / "sweep.json"
    options = ["--beta", "0,1", "--tau", "0.1,1", "--tagger", "given"]
    code, out, _ = zooter(*sweep, *options, "--json", "--out", file)
    assert code == 0
    figures = json.loads(out)
    assert [(row["beta"], row["tau"]) for row in figures["rows"]] == [(0, 0.1), (1, 0.1), (0, 1), (1, 1)]
    assert json.loads(file.read_text()) == figures
    assert [path.name for path in file.parent.iterdir()] == ["sweep.json"]  # nothing unfinished beside it
    code, out, _ = zooter(*sweep, *options)
    assert code == 0
    cells = [[cell.strip() for cell in line.split("│")[1:4]] for line in out.splitlines() if line[0] == "│"]
    assert cells == [[f"{row['beta']:g}", f"{row['tau']:g}", f"{row['mean']:.4f}"] for row in figures["rows"]]
    assert f"{figures['best']['beta']:g} with tau {figures['best']['tau']:g}" in out
    assert figures["verdict"]["n"] == 10


def test_plot(zooter, sweep, tmp_path):
    plot = tmp_path / "sweep.html"
    assert zooter(*sweep, "--beta", "0.3", "--tau", "0.1,1", "--plot", plot)[0] == 0
    page = plot.read_text(encoding="utf-8")
    assert "tau 0.1" in page
    assert "cdn." not in page.split("<body>")[0]


@pytest.mark.parametrize(
    ("place", "part"), [("", "is a folder"), ("file/sweep.json", "a place to write")], ids=["a folder", "under a file"]
)
def test_a_place_that_cannot_be_written_is_refused_before_the_work(refused, sweep, tmp_path, place, part):
    (tmp_path / "file").write_text("")
    assert part in refused(2, *sweep, "--out", tmp_path / place)


def test_a_plot_of_another_kind_is_exit_2(refused, sweep, tmp_path):
    assert "ends in .html" in refused(2, *sweep, "--plot", tmp_path / "sweep.png")


def test_a_plot_without_plotly_names_the_extra_before_the_work(refused, sweep, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly", None)  # as where it is not installed
    message = refused(2, *sweep, "--plot", tmp_path / "sweep.html")
    assert "--plot needs the package plotly" in message
    assert "zooter[plots]" in message


@pytest.mark.parametrize("betas", ["2", "0,-1", "much", ""])
def test_impossible_betas_are_exit_2(refused, sweep, betas):
    assert "beta" in refused(2, *sweep, "--beta", betas)
