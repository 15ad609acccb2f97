"""`zooter run` and its steps: collect, score, tag, label, distill."""

from __future__ import annotations

import json

import pytest

from support.command_files import POOL, SEA, NoReward, read_lines, replace_text, write_lines
from support.run_folders import forget_steps
from zooter_core.method.labels import lot


def test_a_run_folder(finished_run):
    files = {path.name for path in finished_run.iterdir()}
    assert {"run.json", "queries.jsonl", "responses.jsonl", "rewards.jsonl", "tags.jsonl"} <= files
    assert {"labels.jsonl", "router", "report.json"} <= files
    assert len(read_lines(finished_run / "labels.jsonl")) == 12
    config = json.loads((finished_run / "router" / "config.json").read_text())
    assert config["labels"] == {"beta": 0.3, "tau": 1.0, "normalise": "none"}


def test_a_second_call_shows_the_same_report_and_exports_scores(zooter, run_copy, queries, tmp_path, finished_run):
    call = ["run", "--queries", queries, "--out", run_copy, "--epochs", 2, "--holdout", 0.5]
    code, out, _ = zooter(*call, "--scores", tmp_path / "scores.jsonl")
    assert code == 0
    assert "rewards of the candidates" in out
    assert "regret of router" in out
    assert "held-back queries" in out.splitlines()[-2]
    assert "tokens on average" in out.splitlines()[-1]
    for name in ("labels.jsonl", "report.json"):
        assert (run_copy / name).read_bytes() == (finished_run / name).read_bytes()
    assert list(read_lines(tmp_path / "scores.jsonl")[0]["scores"]) == list(POOL)


@pytest.mark.parametrize(
    ("option", "value", "part"),
    [("--beta", 0.5, "0.3"), ("--tau", 2, "1.0"), ("--temperature", 0, "0.7"), ("--seed", 3, "0")],
)
def test_a_changed_setting_is_exit_2(refused, run_copy, queries, option, value, part):
    call = ["run", "--queries", queries, "--out", run_copy, "--epochs", 2, "--holdout", 0.5]
    message = refused(2, *call, option, value)
    assert option.strip("-") in message
    assert part in message


def test_empty_queries_in_a_file_of_traffic_are_set_aside_and_counted(zooter, queries, finished_run, tmp_path):
    lines = [json.dumps(line) for line in read_lines(queries)]
    lines[1:1] = ['{"id": "e1", "query": ""}', '{"id": "e2", "query": " \\n\\t "}']
    traffic = tmp_path / "traffic.jsonl"
    traffic.write_text("\n".join(lines) + "\n")
    code, _, err = zooter("run", "--queries", traffic, "--out", tmp_path / "run", "--epochs", 2, "--holdout", 0.5)
    assert code == 0
    assert f"2 queries are empty and set aside, first in {traffic}, line 2." in err
    assert (tmp_path / "run" / "labels.jsonl").read_bytes() == (finished_run / "labels.jsonl").read_bytes()
    code, out, _ = zooter("queries", "--from", traffic, "--n", 5, "--out", tmp_path / "picked.jsonl")
    assert (code, "left out: 2 empty" in out) == (0, True)


def test_a_run_that_began_before_keeps_its_way_to_hold_queries_back(zooter, run_copy, queries):
    """Until its labels are made, nothing but run.json says which way that is."""
    forget_steps(run_copy, "label", "distill")
    state = json.loads((run_copy / "run.json").read_text())
    assert state.pop("split") == "datasets"
    (run_copy / "run.json").write_text(json.dumps(state))
    (run_copy / "labels.jsonl").unlink(missing_ok=True)
    assert zooter("label", "--run", run_copy, "--holdout", 0.5, fleet=None)[0] == 0
    lots = {line["id"]: lot(line["id"], 0) / 16**12 for line in read_lines(run_copy / "queries.jsonl")}
    folds = {line["id"]: line["fold"] for line in read_lines(run_copy / "labels.jsonl")}
    assert folds == {id: "held_back" if lots[id] < 0.5 else "train" for id in folds}


def test_steps_one_by_one_equal_a_run(zooter, finished_run, queries, tmp_path, tiny_fleet):
    folder = tmp_path / "run"
    assert zooter("collect", "--run", folder, "--queries", queries)[0] == 0
    for step in ("score", "tag"):
        assert zooter(step, "--run", folder, fleet=None)[0] == 0  # the run knows its fleet
    assert zooter("label", "--run", folder, "--holdout", 0.5, fleet=None)[0] == 0
    encoder = tiny_fleet / "encoder"
    assert zooter("distill", "--run", folder, "--epochs", 2, "--encoder", encoder, fleet=None)[0] == 0
    for name in ("labels.jsonl", "report.json", "router/model.safetensors"):
        assert (folder / name).read_bytes() == (finished_run / name).read_bytes()


def test_a_second_distill_takes_the_fleets_encoder(zooter, run_copy, finished_run):
    code, out, _ = zooter("distill", "--run", run_copy, "--epochs", 2, fleet=None)
    assert code == 0
    assert "regret of router" in out


def test_the_fleets_seed_is_the_runs(zooter, fleet_copy, queries, tmp_path):
    replace_text(fleet_copy / "fleet.toml", "temperature = 0.7", "temperature = 0.7\nseed = 5")
    call = ["run", "--queries", queries, "--out", tmp_path / "run", "--epochs", 1]
    assert zooter(*call, fleet=fleet_copy)[0] == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["steps"]["collect"]["seed"] == 5


@pytest.mark.parametrize("wrong", [["--beta", 2], ["--tau", 0], ["--normalise", "zscor"], ["--holdout", 1.5]])
def test_wrong_label_settings_do_not_bind_the_run(zooter, run_copy, wrong):
    forget_steps(run_copy, "label")
    assert zooter("label", "--run", run_copy, *wrong, fleet=None)[0] == 2
    assert zooter("label", "--run", run_copy, "--holdout", 0.5, fleet=None)[0] == 0


@pytest.mark.parametrize("step", ["collect", "score", "tag", "label", "distill"])
def test_a_step_without_a_run_is_exit_2(refused, tmp_path, step):
    assert "a run folder at" in refused(2, step, "--run", tmp_path / "none", fleet=None)


def test_a_step_too_early_is_exit_2(refused, run_copy):
    forget_steps(run_copy, "collect", "score")
    assert "zooter collect --run" in refused(2, "score", "--run", run_copy, fleet=None)


def test_label_settings_at_the_step_distill_are_exit_2(refused, run_copy):
    assert "--beta" in refused(2, "distill", "--run", run_copy, "--beta", 0.5, fleet=None)


def test_wrong_queries_are_exit_2_and_no_run_begins(refused, tmp_path):
    wrong = write_lines(tmp_path / "queries.jsonl", [{"query": "first"}, {"query": 7}])
    assert f"{wrong}, line 2" in refused(2, "run", "--queries", wrong, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_in_use_is_exit_2(refused, run_copy):
    from zooter_core.data.runs import Run

    with Run(run_copy):
        assert "another process" in refused(2, "label", "--run", run_copy, fleet=None)


def test_several_samples_per_candidate(zooter, queries, tmp_path):
    assert zooter("collect", "--queries", queries, "--run", tmp_path / "run", "--samples", 2)[0] == 0
    responses = read_lines(tmp_path / "run" / "responses.jsonl")
    assert {(r["id"], r["candidate"], r["sample"]) for r in responses} == {
        (f"q{n}", name, sample) for n in range(12) for name in POOL for sample in (0, 1)
    }
    assert zooter("score", "--run", tmp_path / "run")[0] == 0
    for line in read_lines(tmp_path / "run" / "rewards.jsonl"):
        for name in POOL:
            assert line["rewards"][name] == pytest.approx(sum(line["samples"][name]) / 2, abs=1e-5)


def test_no_sample_is_exit_2(refused, queries, tmp_path):
    assert "--samples 1" in refused(2, "collect", "--queries", queries, "--run", tmp_path / "run", "--samples", 0)


@pytest.mark.slow
def test_a_reward_model_that_compares(zooter, comparing, queries, tmp_path):
    code, _, err = zooter("run", "--queries", queries, "--out", tmp_path / "run", "--samples", 2, fleet=comparing)
    assert code == 0
    assert "6 responses per query take 30 comparisons" in err
    for record in read_lines(tmp_path / "run" / "rewards.jsonl"):
        assert sum(record["rewards"].values()) == pytest.approx(0, abs=1e-4)


# Responses in a file


def test_responses_in_a_file_are_scored(zooter, tmp_path):
    lines = [{"id": str(n), "query": SEA, "responses": {"x": "wide", "y": f"blue {n}"}} for n in range(3)]
    source = write_lines(tmp_path / "responses.jsonl", lines)
    code, out, err = zooter("score", "--responses", source, "--out", tmp_path / "scores.jsonl")
    assert (code, out) == (0, "")
    assert "3 lines in" in err
    assert [list(line["scores"]) for line in read_lines(tmp_path / "scores.jsonl")] == [["x", "y"]] * 3


def test_wrong_responses_are_exit_2(refused, tmp_path):
    wrong = write_lines(tmp_path / "responses.jsonl", [{"query": SEA, "responses": {"x": 5}}])
    message = refused(2, "score", "--responses", wrong, "--out", tmp_path / "out.jsonl")
    assert '"responses" as an object of texts' in message


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
