from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from support.command_files import POOL, NoReward, read_lines, replace_text, write_lines
from support.sample_report import as_figures
from zooter_core.evaluation.figures import Verdict
from zooter_core.evaluation.verdicts import sentences


@pytest.fixture
def evaluate(tiny_fleet, scores) -> list[object]:
    """The call, with the tiny fleet's router."""
    return ["evaluate", "--router", tiny_fleet / "router", "--scores", scores]


def test_the_verdict_comes_last_and_is_in_the_json(zooter, evaluate, scores):
    verdict = as_figures(Verdict, json.loads(zooter(*evaluate, "--json", fleet=None)[1])["verdict"])
    assert (verdict.n, verdict.hindsight, verdict.source, verdict.points) == (10, True, "judged", False)
    lines = zooter(*evaluate, fleet=None)[1].splitlines()
    assert lines[-len(sentences(verdict)) :] == sentences(verdict)
    assert ", the best single model in hindsight" in lines[-1]
    fair = zooter(*evaluate, "--learned-from", scores, fleet=None)[1]
    assert "hindsight" not in fair.splitlines()[-1]
    assert f"knn{' ' * 12}" in fair  # a baseline, which learns from these scores too
    assert "always using" in fair.splitlines()[-1]


def test_queries_that_the_router_has_learned_from_are_counted_and_tell_where_it_is_unsure(
    zooter, evaluate, scores, tmp_path
):
    assert "has learned from" not in zooter(*evaluate, fleet=None)[2]
    router = tmp_path / "router"
    assert zooter("distill", "--scores", scores, "--out", router, "--holdout", 0.5)[0] == 0
    learned = len(np.load(router / "learned.npy"))
    call = ("evaluate", "--router", router, "--scores", scores, "--plot", tmp_path / "plot.html")
    _, out, err = zooter(*call, fleet=None)
    assert "for k = 2, unsure by the expected gain of a second answer: no significant difference" in out
    assert 0 < learned < 10
    assert f"learned from {learned} of these 10 queries" in err
    (router / "neighbours.json").unlink()
    assert "for k = 2, unsure by the margin: " in zooter(*call, fleet=None)[1]


def test_a_misspelt_candidate_is_named_with_the_right_one(refused, evaluate, scores, tmp_path):
    lines = read_lines(scores)
    lines[0]["scores"]["tow"] = lines[0]["scores"].pop("two")
    call = [*evaluate[:-1], write_lines(tmp_path / "typo.jsonl", lines)]
    message = refused(2, *call, fleet=None)
    assert "scores of tow" in message
    assert 'Did you mean "two"?' in message


def test_notes_on_scores_that_lack_are_about_judging(zooter, evaluate, scores, tmp_path):
    lines = read_lines(scores)
    for line in lines[1:]:
        del line["scores"]["one"]
    err = zooter(*evaluate[:-1], write_lines(tmp_path / "few.jsonl", lines), fleet=None)[2]
    assert "one on 9. A choice without a score does not count." in err
    assert "one has scores on 1 of 10 queries, too few to be the best single model." in err


def test_table_one_for_several_data_sets(zooter, tiny_fleet, scores, answered, tmp_path):
    """A row per method with what `--json` says of it, data set by data set; RMR where responses are ranked."""
    call = ["evaluate", "--fleet", tiny_fleet, "--scores", answered, "--rmr"]
    code, out, _ = zooter(*call, "--json", fleet=None)
    assert code == 0
    figures = json.loads(out)
    rows = figures["datasets"].values()
    assert all(row["random"] <= row["oracle"] and row["rmr"] <= row["oracle"] for row in rows)
    code, out, _ = zooter(*call, fleet=None)
    assert code == 0
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")]
    table = {row[0]: row[1:] for row in cells if len(row) == 8}
    best = figures["average"]["best_single"]["candidate"]
    assert list(table)[: len(POOL) + 1] == ["two", "base", "one", f"BMA ({best})"]
    assert list(table)[4:] == ["router", "RMR", "oracle", "regret of router"]
    assert table[f"BMA ({best})"] == table[best]
    for name, key in (("router", "chosen"), ("RMR", "rmr"), ("oracle", "oracle"), ("regret of router", "regret")):
        assert table[name][:2] == [f"{row[key]:.3f}" for row in rows]
    assert table["RMR"][3:5] == [f"{figures['mtr']['rmr']:.2f}", f"{figures['uplift']['rmr']:.0%}"]
    assert table["two"][:2] == [f"{row['candidates']['two']:.3f}" for row in rows]
    assert f"regret of router: {figures['mean']['regret']:.3f} (95% interval " in out


def test_a_row_for_a_single_data_set(zooter, evaluate, scores, tmp_path):
    one = write_lines(tmp_path / "one.jsonl", [line for line in read_lines(scores) if line["dataset"] == "x"])
    out = zooter(*evaluate[:-1], one, fleet=None)[1]
    words = ("BMA", "over data sets", "data set", "%Uplift, one model", "regret of router")
    assert [word in out for word in words] == [False, False, True, True, True]


def test_scores_of_a_part_of_the_candidates_are_judged_by_training_scores_of_all(zooter, evaluate, scores, tmp_path):
    def part(line):
        return {**line, "scores": {name: line["scores"][name] for name in ("one", "two")}}

    two = write_lines(tmp_path / "two.jsonl", map(part, read_lines(scores)))
    figures = json.loads(zooter(*evaluate[:-1], two, "--learned-from", scores, "--json", fleet=None)[1])
    assert figures["verdict"]["against"] in ("one", "two")
    assert not figures["verdict"]["hindsight"]


def test_prices_rewards_and_a_plot(zooter, tiny_fleet, answered, priced, tmp_path):
    call = ["evaluate", "--router", tiny_fleet / "router", "--fleet", priced, "--scores", answered]
    call += ["--rmr", "--willingness", 0.5, "--plot", tmp_path / "plot.html"]
    code, out, _ = zooter(*call, "--json", fleet=None)
    assert code == 0
    shape = json.loads(out)
    selection, trade = shape["selection"], shape["trade"]
    oracle, judge = selection["curves"][0]["points"], selection["judge"]["curves"][0]["points"]
    assert oracle[0] == judge[0]
    assert oracle[-1]["score"] >= judge[-1]["score"]
    assert oracle[-1]["dollars"] > oracle[0]["dollars"] == pytest.approx(trade["at_0"]["dollars"])
    assert (trade["willingness"], trade["at_0"]["score"]) == (0.5, pytest.approx(shape["mean"]["chosen"]))
    assert shape["verdict"]["dollars"] == pytest.approx(trade["at_0"]["dollars"])
    assert trade["price"] < trade["at_0"]["price"]
    page = (tmp_path / "plot.html").read_text(encoding="utf-8")
    assert all(word in page for word in ("dollars per thousand", "router, 2 models", "best by reward"))
    code, out, _ = zooter(*call, fleet=None)
    assert code == 0
    words = ("best by score", "best by reward", "for k = 2, unsure by the margin", "at a willingness of 0.5")
    assert all(word in out for word in words)
    assert "dollars per thousand queries, those of" in out.splitlines()[-1]
    for name in POOL:  # of other names, where servers or routers have those of the scores
        replace_text(priced / "fleet.toml", f'name = "{name}"\n', f'name = "my-{name}"\nrouted_as = "{name}"\n')
    code, out, _ = zooter(*call[:7], fleet=None)
    assert (code, "dollars per thousand queries, those of" in out.splitlines()[-1]) == (0, True)


def test_queries_that_the_reward_model_cannot_score_are_named(zooter, tiny_fleet, answered, tmp_path, monkeypatch):
    first = read_lines(answered)[0]
    model = NoReward(f"one says {first['query']}")
    monkeypatch.setattr("zooter_core.fleet.ensemble.Ensemble.reward_model", model)
    call = ["evaluate", "--fleet", tiny_fleet, "--scores", answered, "--rmr", "--plot", tmp_path / "plot.html"]
    code, out, err = zooter(*call, "--json", fleet=None)
    assert code == 0
    assert "1 query is set aside" in err
    assert f"  {first['id']}: " in err
    assert json.loads(out)["selection"]["judge"]["curves"]


def test_a_router_or_a_fleet_with_one_is_needed(refused, tiny_fleet, fleet_copy, scores):
    call = ["evaluate", "--scores", scores]
    assert "neither" in refused(2, *call, fleet=None)
    assert "no --rmr without --fleet" in refused(2, *call, "--rmr", "--router", tiny_fleet / "router", fleet=None)
    assert "responses of all candidates to the query 0, for --rmr" in refused(2, *call, "--rmr", fleet=tiny_fleet)
    replace_text(fleet_copy / "fleet.toml", '[router]\npath = "router"\n', "")
    assert "a [router] table" in refused(2, *call, fleet=fleet_copy)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--plot", "plot.png"], "ends in .html"),
        (["--willingness", 0.5], "no --willingness without --fleet"),
        (["--willingness", 0.5, "--fleet", "FLEET"], "a price of every candidate"),
    ],
)
def test_impossible_combinations_are_exit_2(refused, evaluate, tiny_fleet, options, part):
    values = [tiny_fleet if value == "FLEET" else value for value in options]
    assert part in refused(2, *evaluate, *values, fleet=None)


# --sweep


@pytest.fixture
def sweep(scores) -> list[object]:
    return ["evaluate", "--scores", scores, "--sweep"]


def test_a_sweep_has_a_row_for_each_beta_and_tau_and_a_plot(zooter, sweep, tmp_path):
    """Folds, seeds and what is not named are those of `zooter distill --scores`."""
    code, out, _ = zooter(*sweep, "beta=0,1", "tau=0.1,1", "--plot", tmp_path / "sweep.html", "--json")
    assert code == 0
    page = (tmp_path / "sweep.html").read_text(encoding="utf-8")
    assert ("tau 0.1" in page, "cdn." in page.split("<body>")[0]) == (True, False)
    figures = json.loads(out)
    assert [(row["beta"], row["tau"]) for row in figures["rows"]] == [(0, 0.1), (1, 0.1), (0, 1), (1, 1)]
    assert (figures["folds"], figures["seeds"], figures["normalise"]) == (5, 3, "spread")
    code, out, _ = zooter(*sweep, "beta=0,1", "tau=0.1,1")
    assert code == 0
    cells = [[cell.strip() for cell in line.split("│")[1:4]] for line in out.splitlines() if line[0] == "│"]
    assert cells == [[f"{row['beta']:g}", f"{row['tau']:g}", f"{row['mean']:.4f}"] for row in figures["rows"]]
    assert f"{figures['best']['beta']:g} with tau {figures['best']['tau']:g}" in out
    assert figures["verdict"]["n"] == 10


def test_a_plot_without_plotly_names_the_extra_before_the_work(refused, sweep, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly", None)  # as where it is not installed
    message = refused(2, *sweep, "beta=1", "--plot", tmp_path / "sweep.html")
    assert "--plot needs the package plotly" in message
    assert "zooter[plots]" in message


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["beta=2"], "beta=NUMBERS from 0 to 1"),
        (["tau=0"], "tau=NUMBERS above 0"),
        (["beta=much"], "--sweep as beta=NUMBERS"),
        (["folds=3"], "--sweep as beta=NUMBERS"),
        (["beta=1", "--router", "any"], "no --router with --sweep"),
        (["beta=1", "--plot", "sweep.png"], "ends in .html"),
    ],
)
def test_impossible_sweeps_are_exit_2(refused, sweep, options, part):
    assert part in refused(2, *sweep, *options)
