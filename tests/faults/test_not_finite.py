"""NaN, infinity and numbers that overflow: in a model's weights and in scores.

None of them is worked with. Each ends a command with one message that names the file, nothing on stdout and no file.
"""

from __future__ import annotations

import json
import math

import pytest

from support import tiny_models
from support.command_files import write_lines
from support.damaged_models import change_config, put_number
from support.run_folders import content, unfinish
from zooter_core.cli.main import main

SEA = "What is the sea?"


@pytest.fixture
def failed(capsys, tmp_path):
    """A call that fails: its exit code and message; it printed no result and left no `out`."""

    def call(*arguments: object) -> tuple[int, str]:
        capsys.readouterr()
        code = main(list(map(str, arguments)))
        out, err = capsys.readouterr()
        assert (bool(code), out) == (True, "")
        (message,) = [line for line in err.splitlines() if line.startswith("zooter: ")]
        assert not (tmp_path / "out").exists()
        return code, message

    return call


@pytest.mark.parametrize(
    ("call", "number"),
    [(["route", SEA, "--json"], math.nan), (["demo", "--no-browser", "--port", 8599], math.inf)],
    ids=["route", "demo"],
)
def test_a_router_whose_weights_are_not_finite(failed, fleet_copy, monkeypatch, call, number):
    monkeypatch.setattr("runpy.run_module", None)  # the demo must not come so far
    put_number(fleet_copy / "router", number, "outer")
    code, message = failed(*call, "--fleet", fleet_copy)
    assert code == 1
    assert f"a whole router in {fleet_copy / 'router'}" in message
    assert "`zooter distill`" in message


def test_an_encoder_whose_weights_are_not_finite(failed, fleet_copy, scores, tmp_path):
    put_number(fleet_copy / "encoder", math.nan, "layer.1.output.dense.weight")
    change_config(fleet_copy / "router", encoder=str(fleet_copy / "encoder"))
    for call in (["route", SEA, "--json"], ["distill", "--scores", scores, "--out", tmp_path / "out"]):
        code, message = failed(*call, "--fleet", fleet_copy)
        assert code == 1
        assert f"an encoder that gives finite vectors at {fleet_copy / 'encoder'}" in message


def test_a_reward_model_whose_weights_are_not_finite(called, run_copy, finished_run, fleet_copy, tmp_path, responses):
    """It stops the step before any query is set aside; with the right one the step goes on to the same end."""
    reward = fleet_copy / "reward"
    weights = (reward / "model.safetensors").read_bytes()
    put_number(reward, math.nan, "classifier.weight")
    out = tmp_path / "scored.jsonl"
    code, message = called("score", "--responses", responses, "--out", out, "--fleet", fleet_copy)
    assert code == 1
    assert f"a reward model that gives finite rewards at {reward}" in message
    assert not out.exists()
    unfinish(run_copy, "score", 0.4)
    before = content(run_copy)
    assert called("score", "--run", run_copy, "--fleet", fleet_copy)[0] == 2  # another reward model than at the start
    assert content(run_copy) == before
    (reward / "model.safetensors").write_bytes(weights)
    assert called("score", "--run", run_copy)[0] == 0
    assert content(run_copy)["rewards.jsonl"] == content(finished_run)["rewards.jsonl"]


def strictly(text: str) -> dict:
    def refuse(literal: str) -> float:
        raise AssertionError(f"{literal} in {text}")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("size", [5e-324, 1e30])
def test_the_smallest_and_largest_scores_give_figures_in_json(capsys, tiny_fleet, tmp_path, size):
    rows = [dict.fromkeys(tiny_models.POOL, size), dict(zip(tiny_models.POOL, (size, -size, 0.0), strict=True))]
    lines = [
        {"query": query, "dataset": "xy"[n % 2], "scores": rows[n % 2]} for n, query in enumerate(tiny_models.QUERIES)
    ]
    file = write_lines(tmp_path / "scores.jsonl", lines)
    call = ["evaluate", "--router", tiny_fleet / "router", "--scores", file, "--plot", tmp_path / "plot.html", "--json"]
    assert main(list(map(str, call))) == 0
    out, err = capsys.readouterr()
    assert strictly(out)["n"] == len(lines)
    assert "Warning" not in err
