from __future__ import annotations

import json
import shutil

import pytest

from support.command_files import POOL, SEA, check_decision, read_lines, write_lines
from support.run_folders import forget_steps
from zooter_core.config.edit import set_table
from zooter_core.config.fleet import load_fleet
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline import distill_run
from zooter_core.router.kinds import DistillConfig


def test_json_and_table(zooter):
    code, out, err = zooter("route", SEA, "--json")
    assert (code, err) == (0, "")
    shape = json.loads(out)
    check_decision(shape, SEA)
    code, out, _ = zooter("route", SEA)
    assert code == 0
    assert all(f"{name} " in out and f"{p:.1%}" in out for name, p in shape["probabilities"].items())
    assert out.splitlines()[0] == SEA
    assert f"chosen: {shape['candidate']}, {shape['margin']:.1%} ahead of the next" in out


def test_why(zooter):
    code, out, _ = zooter("route", SEA, "--why")
    assert code == 0
    assert "words for" in out
    assert "words against" in out
    why = json.loads(zooter("route", SEA, "--why", "--json")[1])["why"]
    assert [piece["text"] for piece in why["pieces"]] == SEA.split()
    assert why["neighbours"] == []  # this router's folder keeps none


def test_similar_queries_without_texts_are_named_by_their_ids(zooter, scores, tiny_fleet, fleet_copy, tmp_path):
    """A score that is missing is a dash."""
    shutil.rmtree(fleet_copy / "router")
    line, *others = read_lines(scores)
    blank = write_lines(tmp_path / "blank.jsonl", [line | {"scores": line["scores"] | {"one": None}}, *others])
    call = ("--scores", blank, "--encoder", tiny_fleet / "encoder", "--router-kind", "kmeans")
    assert zooter("distill", "--out", fleet_copy / "router", *call)[0] == 0
    out = zooter("route", line["query"], "--why", fleet=fleet_copy)[1]
    (row,) = [row for row in out.splitlines() if f"│ {', '.join([line['id'], *line['tags']])}" in row]
    assert "% –" in row


def test_a_router_with_texts_shows_similar_queries(zooter, run_copy, fleet_copy):
    """As a user's own: its router folder, made in Python with the texts, is put into the fleet."""
    forget_steps(run_copy, "distill")
    ensemble = Ensemble(load_fleet(fleet_copy))
    with Run(run_copy) as run:
        distill_run(run, ensemble, ensemble.fleet.encoder, DistillConfig(epochs=2, keep_texts=True))
    shutil.copytree(run_copy / "router", fleet_copy / "router", dirs_exist_ok=True)
    query = read_lines(run_copy / "queries.jsonl")[0]["text"]
    code, out, _ = zooter("route", query, "--why", "--json", fleet=fleet_copy)
    assert code == 0
    neighbours = json.loads(out)["why"]["neighbours"]
    assert neighbours
    assert all(row["text"] and set(row["label"]) == set(POOL) for row in neighbours)
    rewards = {record["id"]: record["rewards"] for record in read_lines(run_copy / "rewards.jsonl")}
    for row in neighbours:
        assert row["rewards"] == pytest.approx(rewards[row["id"]], abs=0.02)  # stored in half precision
    shown = zooter("route", query, "--why", fleet=fleet_copy)[1]
    assert "label of similar queries and their rewards" in shown
    assert neighbours[0]["text"] in shown


def test_lines_and_json_lines_from_stdin(zooter, stdin):
    stdin(f'\ufeff{SEA}\n\n  \n{{"id": 7, "prompt": "杯子 ☕"}}\n[1, 2] is a list\n')
    code, out, _ = zooter("route", "-", "--json")
    assert code == 0
    lines = out.splitlines()
    for line, query in zip(lines, [SEA, "杯子 ☕", "[1, 2] is a list"], strict=True):
        check_decision(json.loads(line), query)
    assert "杯子 ☕" in lines[1]


@pytest.mark.parametrize(
    "line", ['{"query": ', '{"text": "x"}', '{"messages": []}', '{"messages": [{"role": "user", "content": " "}]}']
)
def test_a_wrong_line_of_stdin_is_named(zooter, stdin, line):
    stdin(f"{SEA}\n{line}\n")
    code, out, err = zooter("route", "-", "--json")
    assert code == 2
    assert len(out.splitlines()) == 1
    assert "line 2 of stdin" in err


def test_the_willingness_of_the_fleet_is_the_default_and_is_said(zooter, priced):
    traded = zooter("route", SEA, "--json", "--willingness", 5, fleet=priced)[1]
    plain = json.loads(zooter("route", SEA, "--json", fleet=priced)[1])
    set_table(priced, "router", {"willingness": 5.0})
    assert zooter("route", SEA, "--json", fleet=priced)[1] == traded
    assert json.loads(zooter("route", SEA, "--json", "--willingness", 0, fleet=priced)[1]) == plain
    reason = "one is chosen for its price: "
    assert reason in zooter("route", SEA, fleet=priced)[1].replace("\n", " ")
    assert reason in zooter("ask", SEA, "--max-new-tokens", 4, fleet=priced)[2].replace("\n", " ")
    assert "weighs the prices" in zooter("check", "--json", fleet=priced)[1]
