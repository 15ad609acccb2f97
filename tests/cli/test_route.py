from __future__ import annotations

import json

import numpy as np
import pytest

from support.command_files import POOL, SEA, check_decision
from zooter_core.base.records import Query
from zooter_core.config.edit import set_table
from zooter_core.config.fleet import load_fleet
from zooter_core.data.scores import Scores
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.router.neighbours import Neighbours


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


@pytest.mark.parametrize(("texts", "name"), [(True, "What is the sea made of?"), (False, "q1, t")])
def test_similar_queries_are_shown_with_their_rewards_and_without_texts_by_their_ids(zooter, fleet_copy, texts, name):
    encoder = Ensemble(load_fleet(fleet_copy)).router.encoder
    queries = (Query("q0", "Write a poem"), Query("q1", "What is the sea made of?", tags=("t",)))
    shares, rewards = np.full((2, 3), 1 / 3), np.array([[np.nan, 0.0, 1.0], [3.0, 1.0, 2.0]])
    vectors = encoder.sentence(encoder.embed([query.text for query in queries]))
    neighbours = Neighbours.of(Scores(queries, POOL, rewards), vectors, shares, shares, texts)
    neighbours.save(fleet_copy / "router")
    (first, _) = json.loads(zooter("route", SEA, "--why", "--json", fleet=fleet_copy)[1])["why"]["neighbours"]
    assert (first["id"], set(first["label"])) == ("q1", set(POOL))
    assert first["rewards"] == dict(zip(POOL, rewards[1], strict=True))
    shown = zooter("route", SEA, "--why", fleet=fleet_copy)[1]
    assert "label of similar queries and their rewards" in shown
    assert f"│ {name}" in shown
    assert "33% –" in shown  # the score that is missing


def test_lines_and_json_lines_from_stdin(zooter, stdin):
    stdin(f'\ufeff{SEA}\n\n  \n{{"id": 7, "prompt": "杯子 ☕"}}\n[1, 2] is a list\n')
    code, out, _ = zooter("route", "-", "--json")
    assert code == 0
    lines = out.splitlines()
    for line, query in zip(lines, [SEA, "杯子 ☕", "[1, 2] is a list"], strict=True):
        check_decision(json.loads(line), query)
    assert "杯子 ☕" in lines[1]


def test_a_table_on_stdin_gives_its_column_of_queries(zooter, stdin):
    stdin(f'id;"Prompt";small\n1;{SEA};0.5\n2;"Why;\nso";\n')
    lines = zooter("route", "-", "--json")[1].splitlines()
    assert [json.loads(line)["query"] for line in lines] == [SEA, "Why;\nso"]


@pytest.mark.parametrize(
    "line", ['{"query": ', '{"ask": "x"}', '{"messages": []}', '{"messages": [{"role": "user", "content": " "}]}']
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
