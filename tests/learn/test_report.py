"""The report on invented traffic whose truth is known."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from support.invented_traffic import DAY, POOL, against_best, fill_week
from zooter_core.cli.main import main
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.learn.changes import NEWEST, fallen_rewards, unfamiliar_queries
from zooter_core.learn.report import report_on
from zooter_core.learn.report_text import figures, report_json, sentences
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import SAMPLE, LoggedDecision, LoggedReward
from zooter_core.method.worth import Estimate


@pytest.fixture
def empty(tmp_path):
    with Traffic.open(tmp_path / "empty") as opened:
        yield opened


@pytest.fixture
def traffic(week, tmp_path):
    """A week, to be changed."""
    with Traffic.open(Path(shutil.copytree(week, tmp_path / "week"))) as opened:
        yield opened


def test_routing_is_compared_with_every_rule(report, traffic):
    assert fallen_rewards(traffic, 0, 7 * DAY) == []
    assert report.best.name in ("general", "code")
    general, small = report.rule("general"), report.rule("small")
    assert general.gain.low < 1 < general.gain.high  # 2 more on every second query
    assert general.cost.mean == pytest.approx(0.5, abs=0.1)
    assert report.rule("random").gain.mean == pytest.approx(2 - 1 / 6, abs=0.3)
    assert report.rule("rmr").gain.mean < 0
    assert report.answered == {"general": 1000, "code": 1000, "small": 0}
    first, *rest = sentences(report)
    assert first.startswith("Routing earned ")
    assert "more reward per answer than always using" in first
    assert "No answer came from small; 2 of 3 models were enough." in rest
    traffic._database.execute("DELETE FROM rewards WHERE why = 'served'")
    wide = report_on(traffic, "f", 0, 7 * DAY).rule("small").gain  # every served reward narrows the interval
    assert small.gain.error < wide.error
    assert small.gain.low < 4 < small.gain.high


def test_costs_are_compared_only_where_every_answer_has_a_price(traffic):
    """Else those of routing would be the mean of its dear answers alone, and as high as always asking their model."""
    for table in ("decisions", "rewards"):
        traffic._database.execute(f"UPDATE {table} SET dollars = NULL WHERE candidate = 'code'")
    report = report_on(traffic, "f", 0, 7 * DAY)
    assert "cost" not in " ".join(sentences(report)[:2])
    assert not {"dollars per 1,000", "cost of routing"} & {*figures(report)[0]}


@pytest.mark.parametrize(
    ("cost", "sentence", "cell"),
    [
        ((0.59, 0.5, 0.7), "and cost 41% less (95% CI 30% to 50%)", "59%"),
        ((1.4, 1.2, 1.7), "and cost 40% more (95% CI 20% to 70%)", "140%"),
        ((23.23, 20.1, 27.0), "and cost 23 times as much (95% CI 20 to 27)", "23 times"),
        ((1.5, 0.4, 9.0), "at no significantly different cost (1.5 times as much, 95% CI 0.4 to 9.0)", "150%"),
        ((1.1, 0.9, 1.3), "at no significantly different cost (+10%, 95% CI -10% to +30%)", "110%"),
        ((0.001, 0.0005, 0.002), "and cost over 99% less", "under 1%"),
    ],
)
def test_what_is_far_from_a_percentage_is_told_in_times(report, cost, sentence, cell):
    priced = against_best(report, cost=Estimate(*cost, 0.1, 400))
    assert sentence in sentences(priced)[0]
    headings, rows = figures(priced)
    assert rows[1][headings.index("cost of routing")] == cell


def test_intervals_and_shares_in_words(report):
    loss = sentences(against_best(report, gain=Estimate(-1.2, -1.5, -0.9, 0.15, 400)))[0]
    assert loss.startswith("Routing earned 1.20 less reward per answer than always using ")
    assert "(95% CI 0.90 to 1.50)" in loss  # without a sign
    assert "drawn at random (20%)" in " ".join(sentences(report))
    assert "drawn at random (0.4%)" in " ".join(sentences(replace(report, inclusion=(0.004, 0.004))))


def test_a_model_that_has_just_joined_is_not_the_best_one_yet(traffic, report):
    before = report
    sampled = traffic.sampled(0, 7 * DAY)[-8:]
    traffic.add_rewards(LoggedReward(one, "new", 9.0, time=7 * DAY, why=SAMPLE, inclusion=0.2) for one in sampled)
    report = report_on(traffic, "f", 0, 7 * DAY)
    assert sentences(report)[0] == sentences(before)[0]
    assert report.rule("new") is None
    chance = report.rule("random")
    assert chance.gain.n == report.sampled
    assert chance.reward.mean > before.rule("random").reward.mean  # among those who answered, the new one included
    assert not any("nan" in line for line in sentences(report))


def test_chores_and_named_models_are_left_out(empty):
    traffic = empty
    fill_week(traffic, n=200, share=1.0)
    before = report_on(traffic, "f", 0, 7 * DAY)
    more = [
        LoggedDecision("chore", 5, "t", candidate="small", probability=0.5, chore=True),
        LoggedDecision("named", 5, "t", candidate="small"),
    ]
    traffic.add(more)
    traffic.add_rewards(
        LoggedReward(entry.request_id, name, 9, why=SAMPLE, inclusion=1.0, time=6) for entry in more for name in POOL
    )
    after = report_on(traffic, "f", 0, 7 * DAY)
    assert (after.routed, after.chores, after.requests) == (200, 1, 202)
    assert str(after.rules) == str(before.rules)  # nan does not equal itself


def test_little_data_has_no_figures(empty):
    traffic = empty
    assert sentences(report_on(traffic, "f", 0, DAY))[0].startswith("There was no traffic")
    fill_week(traffic, n=100, share=0.1)
    report = report_on(traffic, "f", 0, 7 * DAY)
    assert report.rules == []
    assert "too little data" in sentences(report)[0]
    assert "zooter learn" in sentences(report)[0]


def test_only_the_period_counts(traffic):
    assert report_on(traffic, "f", 7 * DAY, 14 * DAY).requests == 0
    assert 900 < report_on(traffic, "f", 0, 3.5 * DAY).routed < 1100


def test_votes_and_a_candidate_that_got_worse_are_noticed(empty):
    traffic = empty
    fill_week(traffic, votes=400, broken_after=0.5)
    agreement = report_on(traffic, "f", 0, 7 * DAY).agreement
    assert agreement["all tags"].mean == 1
    assert set(agreement) >= {"all tags", "code", "talk"}
    (change,) = fallen_rewards(traffic, 0, 7 * DAY)
    assert (change.kind, change.name) == ("reward", "code")
    assert change.before - change.after == pytest.approx(2, abs=0.7)
    assert change.since == pytest.approx(3.5 * DAY, abs=DAY)


def test_queries_unlike_the_training_are_counted(empty, tiny_fleet):
    traffic = empty
    ensemble = Ensemble(load_fleet(tiny_fleet))
    learned = np.eye(8, dtype=np.float32)[np.arange(80) % 2]

    class Encoder:
        def embed(self, texts):
            return np.eye(8, dtype=np.float32)[[0 if "near" in text else 5 for text in texts]]

        def sentence(self, vectors):
            return vectors

    parts = SimpleNamespace(neighbours=SimpleNamespace(vectors=learned), router=SimpleNamespace(encoder=Encoder()))
    traffic.add(
        LoggedDecision(f"r{n}", n, "far" if n % 3 == 0 else "near", probability=0.5, tags=["sea"]) for n in range(90)
    )
    traffic.add(LoggedDecision(f"i{n}", n, "near", source="import") for n in range(NEWEST))
    traffic.add_rewards(LoggedReward(f"i{n}", "a", 1.0) for n in range(NEWEST))
    (change,) = unfamiliar_queries(traffic, parts, 0, 100)
    assert (change.kind, round(change.after, 2)) == ("far", 0.33)
    assert "sea" in change.message
    assert unfamiliar_queries(traffic, parts, 0, 20) == []  # too few
    assert unfamiliar_queries(traffic, ensemble, 0, 100) == [] or ensemble.neighbours  # a router may have no neighbours


def test_a_router_whose_queries_do_not_load_leaves_the_rest_of_the_report(week, fleet_copy):
    (fleet_copy / "router" / "neighbours.json").write_text("{")
    with Traffic.open(week) as traffic:
        report = report_on(traffic, "f", 0, 7 * DAY, Ensemble(load_fleet(fleet_copy)))
    assert "neighbours" in report.note
    assert report.rules


def test_the_command_reports(traffic, tiny_fleet, capsys, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 7.1 * DAY)
    call = ["report", "--data", str(traffic.path.parent), "--fleet", str(tiny_fleet)]
    assert main([*call, "--since", "30d"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Routing earned")
    assert "always general" in out
    assert "\nWhat to do: " in out
    assert main([*call, "--json"]) == 0
    shape = json.loads(capsys.readouterr().out)
    assert shape["rules"]["general"]["gain"]["n"] > 100
    assert set(shape) == {
        "fleet", "since", "until", "sentences", "requests", "routed", "chores", "answered", "sampled", "inclusion",
        "rules", "best_single", "calibration", "agreement", "changes", "thinking", "requests_a_day", "advice",
    }  # fmt: skip
    assert "temperature" not in json.dumps(shape)
    assert set(shape["advice"]) == {"kind", "sentence", "reason", "command"}
    assert [set(change) for change in shape["changes"]] == [{"kind", "name", "before", "after", "since", "message"}]


def test_a_router_that_is_too_sure_is_named(traffic):
    traffic._database.execute(
        """UPDATE decisions SET probabilities = '{"general": 0.02, "code": 0.96, "small": 0.02}'"""
    )
    report = report_on(traffic, "f", 0, 7 * DAY)
    (change,) = (change for change in report.changes if change.kind == "calibration")
    assert change.message.startswith("The router is too sure")
    assert change.message in sentences(report)


@pytest.mark.parametrize(("price", "cells"), [(0.001, {"0.50", "1.00"}), (1e-7, {"0.000050", "0.00010"}), (0.0, None)])
def test_dollars_are_shown_as_far_as_they_count(traffic, price, cells):
    for table in ("decisions", "rewards"):
        traffic._database.execute(f"UPDATE {table} SET dollars = ? * (candidate = 'general')", [price])
    headings, rows = figures(report_on(traffic, "f", 0, 7 * DAY))
    assert ("dollars per 1,000" in headings) == (cells is not None)
    if cells:
        shown = [row[headings.index("dollars per 1,000")] for row in rows]
        assert "0.00" not in shown
        assert {text for text in shown if text != "0"} & cells


def test_tokens_are_shown_with_thoughts_and_what_these_earn_by_tag(traffic, report):
    assert figures(report)[0][-1] == "tokens"
    for table in ("decisions", "rewards"):
        traffic._database.execute(f"UPDATE {table} SET tokens = 40, thought_tokens = 0")
        traffic._database.execute(
            f"UPDATE {table} SET tokens = 350, thought_tokens = 300, dollars = 0.001 WHERE candidate = 'code'"
        )
    report = report_on(traffic, "f", 0, 7 * DAY)
    headings, rows = figures(report)
    of = {row[0]: row[-1] for row in rows}
    assert headings[-1] == "tokens (thoughts)"
    assert (of["always code"], of["always general"], of["RMR"]) == ("350 (300)", "40 (0)", "430 (300)")
    lines = sentences(report)
    assert any(line.startswith("code, which thinks, earned ") and "310 more tokens" in line for line in lines)
    (by_tag,) = (line for line in lines if "thinking earned" in line)
    assert re.search(r"on code, (thinking earned )?[12]\.\d\d more", by_tag, re.IGNORECASE)
    assert re.search(r"on talk, (thinking earned )?[01]\.\d\d less", by_tag, re.IGNORECASE)
    assert report_json(report)["thinking"][0]["tokens"]["mean"] == pytest.approx(310)
    twins = report_on(traffic, "f", 0, 7 * DAY, twins=[["code", "small"]])
    assert {(row.thinker, row.other, row.twins) for row in twins.thinking} == {("code", "small", True)}
