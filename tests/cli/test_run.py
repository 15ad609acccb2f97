"""`zooter run` and its steps, and `zooter score` and `zooter distill` of a run."""

from __future__ import annotations

import json
from pathlib import Path

from support.command_files import POOL, SEA, NoReward, read_lines, replace_text, write_lines
from zooter_core.fleet.ensemble import Ensemble


def test_a_second_call_shows_the_same_report_and_exports_scores(
    zooter, run_copy, queries, tmp_path, finished_run, tiny_fleet
):
    call = ["run", "--queries", queries, "--out", run_copy, "--router-set", "epochs=2", "--holdout", 0.5]
    code, out, err = zooter(*call, "--scores", tmp_path / "scores.jsonl")
    assert code == 0
    router, how, where = err.splitlines()[-3:]
    assert router == f"A router for {', '.join(POOL)} is in {run_copy / 'router'}."
    assert how == f"To use it:  cp -r {run_copy / 'router'} {run_copy / 'report.json'} {tiny_fleet}/"
    assert where == 'and in its fleet.toml, set path = "router" below [router].'
    assert "rewards of the candidates" in out
    assert "regret of router" in out
    assert "held-back queries" in out.splitlines()[-2]
    assert "tokens on average" in out.splitlines()[-1]
    for name in ("labels.jsonl", "report.json"):
        assert (run_copy / name).read_bytes() == (finished_run / name).read_bytes()
    assert list(read_lines(tmp_path / "scores.jsonl")[0]["scores"]) == list(POOL)


def test_empty_queries_in_a_file_of_traffic_are_set_aside_and_counted(zooter, queries, finished_run, tmp_path):
    lines = [json.dumps(line) for line in read_lines(queries)]
    lines[1:1] = ['{"id": "e1", "query": ""}', '{"id": "e2", "query": " \\n\\t "}']
    traffic = tmp_path / "traffic.jsonl"
    traffic.write_text("\n".join(lines) + "\n")
    call = ["run", "--queries", traffic, "--out", tmp_path / "run", "--holdout", 0.5, "--until", "label"]
    code, _, err = zooter(*call)
    assert code == 0
    assert f"2 queries are empty and set aside, first in {traffic}, line 2." in err
    assert (tmp_path / "run" / "labels.jsonl").read_bytes() == (finished_run / "labels.jsonl").read_bytes()


def test_steps_one_by_one_equal_a_run(zooter, finished_run, queries, tmp_path, tiny_fleet, monkeypatch):
    folder = tmp_path / "run"
    run = ["run", "--queries", queries, "--out", folder, "--scores", tmp_path / "scores.jsonl"]
    with monkeypatch.context() as patch:
        patch.setattr(Ensemble, "reward_model", None)  # no model but the candidates is loaded
        patch.setattr(Ensemble, "tagger", None)
        code, out, err = zooter(*run, "--until", "collect")
    assert (code, out) == (0, "")
    assert err.splitlines()[-1].startswith(f"{folder} is complete up to the step collect.")
    assert finished(folder) == ["start", "collect"]
    assert not (tmp_path / "scores.jsonl").exists()
    for _ in range(2):  # the run knows its fleet
        assert f"The rewards are in {folder / 'rewards.jsonl'}." in zooter("score", "--run", folder, fleet=None)[2]
    assert finished(folder) == ["start", "collect", "score"]
    assert zooter(*run, "--until", "tag")[0] == 0
    assert finished(folder) == ["start", "collect", "score", "tag"]
    assert len(read_lines(tmp_path / "scores.jsonl")) == 12
    assert zooter(*run, "--until", "label", "--holdout", 0.5)[0] == 0
    assert finished(folder)[-1] == "label"
    encoder = tiny_fleet / "encoder"
    assert zooter("distill", "--run", folder, "--router-set", "epochs=2", "--encoder", encoder, fleet=None)[0] == 0
    for name in ("labels.jsonl", "report.json", "router/model.safetensors"):
        assert (folder / name).read_bytes() == (finished_run / name).read_bytes()


def finished(folder: Path) -> list[str]:
    return list(json.loads((folder / "run.json").read_text())["seals"])


def test_the_fleets_seed_is_the_runs_and_samples_are_those_of_the_call(zooter, fleet_copy, queries, tmp_path):
    replace_text(fleet_copy / "fleet.toml", "temperature = 0.7", "temperature = 0.7\nseed = 5")
    call = ["run", "--queries", queries, "--out", tmp_path / "run", "--samples", 2, "--until", "collect"]
    assert zooter(*call, fleet=fleet_copy)[0] == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["steps"]["collect"]["seed"] == 5
    assert len(read_lines(tmp_path / "run" / "responses.jsonl")) == 12 * 3 * 2


def test_label_settings_at_the_step_distill_are_exit_2(refused, run_copy):
    assert "--beta" in refused(2, "distill", "--run", run_copy, "--beta", 0.5, fleet=None)


def test_wrong_queries_are_exit_2_and_no_run_begins(refused, tmp_path):
    wrong = write_lines(tmp_path / "queries.jsonl", [{"query": "first"}, {"query": 7}])
    assert f"{wrong}, line 2" in refused(2, "run", "--queries", wrong, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_reward_model_that_compares_says_what_that_takes(zooter, comparing, queries, tmp_path):
    call = ("run", "--queries", queries, "--out", tmp_path / "run", "--samples", 2, "--until", "score")
    code, _, err = zooter(*call, fleet=comparing)
    assert (code, "6 responses per query take 30 comparisons" in err) == (0, True)


# Responses in a file


def test_queries_without_a_reward_are_set_aside_and_named(zooter, tmp_path, monkeypatch):
    monkeypatch.setattr("zooter_core.fleet.ensemble.Ensemble.reward_model", NoReward("3 3"))
    lines = [{"id": f"r{n}", "query": SEA, "responses": {"x": f"{n} {n}", "y": "[bold]no"}} for n in range(5)]
    source = write_lines(tmp_path / "responses.jsonl", lines)
    code, out, err = zooter("score", "--responses", source, "--out", tmp_path / "scores.jsonl")
    assert (code, out) == (0, "")
    assert "4 lines in" in err
    assert "1 query is set aside, without rewards:" in err
    assert "r3: the reward is nan" in err
    assert [line["id"] for line in read_lines(tmp_path / "scores.jsonl")] == ["r0", "r1", "r2", "r4"]
