"""The report on invented traffic whose truth is known."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from support.traffic_week import DAY, POOL, fill
from zooter_core.cli.main import main
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.learn.changes import fallen_rewards, unfamiliar_queries
from zooter_core.learn.report import report_on
from zooter_core.learn.report_text import figures, report_json, sentences
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import SAMPLE, LoggedDecision, LoggedReward
from zooter_core.method.worth import Estimate


@pytest.fixture
def traffic(tmp_path):
    with Traffic.open(tmp_path) as opened:
        yield opened


def test_routing_is_compared_with_every_rule(traffic):
    fill(traffic)
    report = report_on(traffic, "f", 0, 7 * DAY)
    assert report.best.name in ("general", "code")
    general = report.rule("general")
    assert general.gain.low < 1 < general.gain.high  # 2 more on every second query
    assert general.cost.mean == pytest.approx(0.5, abs=0.1)
    assert report.rule("random").gain.mean == pytest.approx(2 - 1 / 6, abs=0.3)
    assert report.rule("rmr").gain.mean < 0
    assert report.answered() == {"general": 1000, "code": 1000, "small": 0}
    first, *rest = sentences(report)
    assert first.startswith("Routing earned ")
    assert "more reward per answer than always using" in first
    assert "2 of 3 models were needed; never chosen: small." in rest


def test_what_routing_loses_has_an_interval_without_a_sign(traffic):
    fill(traffic)
    traffic._database.execute("UPDATE rewards SET reward = reward - 4 WHERE candidate = 'code'")
    first = sentences(report_on(traffic, "f", 0, 7 * DAY))[0]
    assert re.match(
        r"Routing earned 1\.\d\d less reward .* than always using general \(95% CI 0\.\d\d to 1\.\d\d\)", first
    )


def test_a_model_that_has_just_joined_is_not_the_best_one_yet(traffic):
    fill(traffic)
    before = report_on(traffic, "f", 0, 7 * DAY)
    sampled = traffic.sampled(0, 7 * DAY)[-8:]
    traffic.add_rewards(LoggedReward(one, "new", 9.0, time=7 * DAY, why=SAMPLE, inclusion=0.2) for one in sampled)
    report = report_on(traffic, "f", 0, 7 * DAY)
    assert sentences(report)[0] == sentences(before)[0]
    assert report.rule("new") is None
    chance = report.rule("random")
    assert chance.gain.n == report.sampled
    assert chance.reward.mean > before.rule("random").reward.mean  # among those who answered, the new one included
    assert not any("nan" in line for line in sentences(report))


def test_every_served_reward_narrows_the_interval(traffic):
    fill(traffic)
    narrow = report_on(traffic, "f", 0, 7 * DAY).rule("small").gain
    traffic._database.execute("DELETE FROM rewards WHERE why = 'served'")
    wide = report_on(traffic, "f", 0, 7 * DAY).rule("small").gain
    assert narrow.error < wide.error
    assert narrow.low < 4 < narrow.high


def test_chores_and_named_models_are_left_out(traffic):
    fill(traffic, n=200, share=1.0)
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
    assert after.rules == before.rules


def test_little_data_has_no_figures(traffic):
    assert sentences(report_on(traffic, "f", 0, DAY))[0].startswith("There was no traffic")
    fill(traffic, n=100, share=0.1)
    report = report_on(traffic, "f", 0, 7 * DAY)
    assert report.rules == []
    assert "too little data" in sentences(report)[0]
    assert "zooter learn" in sentences(report)[0]


def test_only_the_period_counts(traffic):
    fill(traffic, begin=7 * DAY)
    assert report_on(traffic, "f", 0, 7 * DAY).requests == 0
    assert 900 < report_on(traffic, "f", 7 * DAY, 10.5 * DAY).routed < 1100


def test_a_share_below_one_percent_is_shown_as_it_is(traffic):
    fill(traffic)
    report = report_on(traffic, "mine", 0.0, 7 * DAY)
    assert "drawn at random (20%)" in " ".join(sentences(report))
    assert "drawn at random (0.4%)" in " ".join(sentences(replace(report, inclusion=(0.004, 0.004))))


def test_votes_are_compared_with_rewards(traffic):
    fill(traffic, votes=400)
    agreement = report_on(traffic, "f", 0, 7 * DAY).agreement
    assert agreement["all tags"].mean == 1
    assert set(agreement) >= {"all tags", "code", "talk"}


def test_a_candidate_that_got_worse_is_named_with_its_hour(traffic):
    fill(traffic, broken_after=0.5)
    (change,) = fallen_rewards(traffic, 0, 7 * DAY)
    assert (change.kind, change.name) == ("reward", "code")
    assert change.before - change.after == pytest.approx(2, abs=0.7)
    assert change.since == pytest.approx(3.5 * DAY, abs=DAY)


def test_nothing_is_said_where_nothing_changed(traffic):
    fill(traffic)
    assert fallen_rewards(traffic, 0, 7 * DAY) == []


def test_queries_unlike_the_training_are_counted(traffic, tiny_fleet):
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
    (change,) = unfamiliar_queries(traffic, parts, 0, 100)
    assert (change.kind, round(change.after, 2)) == ("far", 0.33)
    assert "sea" in change.message
    assert unfamiliar_queries(traffic, parts, 0, 20) == []  # too few
    assert unfamiliar_queries(traffic, ensemble, 0, 100) == [] or ensemble.neighbours  # a router may have no neighbours


def test_the_command_reports(tmp_path, capsys):
    import time

    with Traffic.open(tmp_path) as traffic:
        fill(traffic, begin=time.time() - 6.9 * DAY, n=1000)
    assert main(["report", "--data", str(tmp_path), "--since", "30d"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Routing earned")
    assert "always general" in out
    assert "\nWhat to do: " in out
    assert main(["report", "--data", str(tmp_path), "--json"]) == 0
    shape = json.loads(capsys.readouterr().out)
    assert shape["rules"]["general"]["gain"]["n"] > 100
    assert set(shape) == {
        "fleet", "since", "until", "sentences", "requests", "routed", "chores", "answered", "sampled", "inclusion",
        "rules", "best_single", "calibration", "agreement", "changes", "thinking", "requests_a_day", "advice",
    }  # fmt: skip
    assert "temperature" not in json.dumps(shape)
    assert set(shape["advice"]) == {"kind", "sentence", "reason", "command"}
    assert [set(change) for change in shape["changes"]] == [{"kind", "name", "before", "after", "since", "message"}]


@pytest.mark.parametrize("since", ["7", "d", "-7d", "7y", "0d", "1e9d", "٣d"])
def test_a_wrong_duration_is_refused(since, capsys):
    assert main(["report", f"--since={since}"]) == 2
    assert "7d" in capsys.readouterr().err


def test_no_traffic_says_how_to_begin(tmp_path, capsys):
    assert main(["report", "--data", str(tmp_path)]) == 2
    assert "zooter serve --learn" in capsys.readouterr().err


def test_a_router_that_is_too_sure_is_named(traffic):
    fill(traffic)
    traffic._database.execute(
        """UPDATE decisions SET probabilities = '{"general": 0.02, "code": 0.96, "small": 0.02}'"""
    )
    report = report_on(traffic, "f", 0, 7 * DAY)
    (change,) = (change for change in report.changes if change.kind == "calibration")
    assert change.message.startswith("The router is too sure")
    assert change.message in sentences(report)


def priced(report, *cost):
    """The same with this ratio of dollars to the best single model, and its interval."""
    ratio = Estimate(*cost, 0.1, 400)
    rules = [replace(rule, cost=ratio) if rule is report.best else rule for rule in report.rules]
    return replace(report, rules=rules)


@pytest.mark.parametrize(
    ("cost", "sentence", "cell"),
    [
        ((0.59, 0.5, 0.7), "and cost 41% less (95% CI 30% to 50%)", "59%"),
        ((1.4, 1.2, 1.7), "and cost 40% more (95% CI 20% to 70%)", "140%"),
        ((23.23, 20.1, 27.0), "and cost 23 times as much (95% CI 20 to 27)", "23 times"),
        ((1.9, 1.1, 5.2), "and cost 1.9 times as much (95% CI 1.1 to 5.2)", "190%"),
        ((1.5, 0.4, 9.0), "at no significantly different cost (1.5 times as much, 95% CI 0.4 to 9.0)", "150%"),
        ((1.1, 0.9, 1.3), "at no significantly different cost (+10%, 95% CI -10% to +30%)", "110%"),
        ((0.001, 0.0005, 0.002), "and cost over 99% less", "under 1%"),
    ],
)
def test_what_is_far_from_a_percentage_is_told_in_times(traffic, cost, sentence, cell):
    fill(traffic)
    report = priced(report_on(traffic, "f", 0, 7 * DAY), *cost)
    assert sentence in sentences(report)[0]
    headings, rows = figures(report)
    assert rows[1][headings.index("cost of routing")] == cell


@pytest.mark.parametrize(("price", "cells"), [(0.001, {"0.50", "1.00"}), (1e-7, {"0.000050", "0.00010"}), (0.0, None)])
def test_dollars_are_shown_as_far_as_they_count(traffic, price, cells):
    fill(traffic)
    for table in ("decisions", "rewards"):
        traffic._database.execute(f"UPDATE {table} SET dollars = ? * (candidate = 'general')", [price])
    headings, rows = figures(report_on(traffic, "f", 0, 7 * DAY))
    assert ("dollars per 1,000" in headings) == (cells is not None)
    if cells:
        shown = [row[headings.index("dollars per 1,000")] for row in rows]
        assert "0.00" not in shown
        assert {text for text in shown if text != "0"} & cells


def test_tokens_are_shown_with_thoughts_and_what_these_earn_by_tag(traffic):
    fill(traffic)
    headings, rows = figures(report_on(traffic, "f", 0, 7 * DAY))
    assert headings[-1] == "tokens"
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


def test_answers_that_end_in_thoughts_are_counted(traffic):
    fill(traffic)
    assert report_on(traffic, "f", 0, 7 * DAY).cut == {}
    traffic._database.execute(
        "UPDATE decisions SET finish = 'length', tokens = 256, thought_tokens = 250"
        " WHERE candidate = 'code' AND number % 4 = 0"
    )
    assert report_on(traffic, "f", 0, 7 * DAY).cut == {"code": pytest.approx(0.5)}
    traffic._database.execute("UPDATE decisions SET thought_tokens = 100")  # the text was cut, and not the thoughts
    assert report_on(traffic, "f", 0, 7 * DAY).cut == {}
