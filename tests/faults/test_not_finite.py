"""NaN, infinity and numbers that overflow: in a model's weights and in scores.

None of them is worked with. Each ends a command with one message that names the file, nothing on stdout and no file.
"""

from __future__ import annotations

import json
import math
import shutil
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import tiny_models
from support.damaged_models import change_config, put_number
from support.run_folders import content, unfinish
from zooter_core.cli.main import main

NAN, INFINITY = math.nan, math.inf
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
    [
        (["route", SEA, "--json"], NAN),
        (["compare", SEA, "--json"], INFINITY),
        (["evaluate", "--json", "--scores"], NAN),
        (["demo", "--no-browser", "--port", 8599], INFINITY),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else value,
)
def test_a_router_whose_weights_are_not_finite(failed, fleet_copy, scores, monkeypatch, call, number):
    monkeypatch.setattr("runpy.run_module", None)  # the demo must not come so far
    put_number(fleet_copy / "router", number, "outer")
    code, message = failed(*call, *([scores] if call[-1] == "--scores" else []), "--fleet", fleet_copy)
    assert code == 1
    assert f"a whole router in {fleet_copy / 'router'}" in message
    assert "`zooter distill`" in message


def test_an_encoder_whose_weights_are_not_finite(failed, fleet_copy, scores, tmp_path):
    put_number(fleet_copy / "encoder", NAN, "layer.1.output.dense.weight")
    change_config(fleet_copy / "router", encoder=str(fleet_copy / "encoder"))
    for call in (["route", SEA, "--json"], ["distill", "--scores", scores, "--out", tmp_path / "out"]):
        code, message = failed(*call, "--fleet", fleet_copy)
        assert code == 1
        assert f"an encoder that gives finite vectors at {fleet_copy / 'encoder'}" in message


def test_a_reward_model_whose_weights_are_not_finite(called, run_copy, finished_run, fleet_copy, tmp_path, responses):
    """It stops the step before any query is set aside; with the right one the step goes on to the same end."""
    reward = fleet_copy / "reward"
    weights = (reward / "model.safetensors").read_bytes()
    put_number(reward, NAN, "classifier.weight")
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


SIZES = st.sampled_from([0.0, 5e-324, 1e-300, 1.0, 3.0, 1e15, 1e29, 1e30, 1.1e30, 1e100, 1e300, 1.7e308])
NUMBERS = st.builds(lambda size, sign: size * sign, SIZES, st.sampled_from([1, -1, 0.999])) | st.floats(
    allow_nan=False, allow_infinity=False
)
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, st.sampled_from("xy")), min_size=1, max_size=6)


def strictly(text: str) -> dict:
    def refuse(literal: str) -> float:
        raise AssertionError(f"{literal} in {text}")

    return json.loads(text, parse_constant=refuse)


@settings(max_examples=25, deadline=None)
@given(rows=ROWS, select=st.booleans())
def test_any_finite_scores_give_figures_in_json_or_one_message(tiny_fleet, tmp_path_factory, rows, select):
    """From the largest float64 to the smallest, all alike, a single query: never Infinity, never NaN, no traceback."""
    file = tmp_path_factory.mktemp("wild") / "scores.jsonl"
    lines = [
        {
            "query": f"{tiny_models.QUERIES[n]}",
            "dataset": name,
            "scores": dict(zip(tiny_models.POOL, numbers, strict=True)),
        }
        for n, (*numbers, name) in enumerate(rows)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    call = ["evaluate", "--router", tiny_fleet / "router", "--scores", file, "--json"]
    call += ["--plot", file.with_name("plot.html")] if select else []
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = main(list(map(str, call)))
    shutil.rmtree(file.parent)
    if any(abs(number) > 1e30 for *numbers, _ in rows for number in numbers):
        assert (code, out.getvalue()) == (2, "")
        assert err.getvalue().count("zooter: Expected a number from -1e+30 to 1e+30") == 1
        assert f"in {file}, line " in err.getvalue()
    else:
        assert (code, err.getvalue()) == (0, "")
        assert strictly(out.getvalue())["n"] == len(rows)
