from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from support.stepwise_backend import WAIT, StepwiseBackend, stepwise
from zooter_core.base.errors import Failure, ZooterError
from zooter_core.base.records import Decision, Message, Ranked, Response, Tag
from zooter_core.data.scores import read_scores
from zooter_core.evaluation.verified.ranking import verified_ranking
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui.compare import lists
from zooter_core.ui.compare.comparisons import Comparison
from zooter_core.ui.compare.lists import QueryList
from zooter_core.ui.jobs import Answers, Job, Plan


def test_a_pasted_list_is_a_query_a_line() -> None:
    assert lists.from_text("one\n\n  two \r\nthree") == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("text", "queries"),
    [
        ("id,query\n1,What is 2 + 2?\n2,Hello\n", ["What is 2 + 2?", "Hello"]),
        ("Query ;id\r\na; 1\r\nb;2\r\n", ["a", "b"]),
        ('\ufeffquery\n"two, with\na line"\n\nlast\n', ["two, with\na line", "last"]),
        ("first,1\nsecond,2\n", ["first", "second"]),
        ("alone\n", ["alone"]),
        ("id\tquery\n1\ttabbed, with a comma\n", ["tabbed, with a comma"]),
        ("query\rold\rbreaks\r", ["old", "breaks"]),
    ],
)
def test_a_csv_file_gives_its_query_column_or_the_first(text: str, queries: list[str]) -> None:
    assert lists.from_csv(text.encode()) == (queries, {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"query\nfine\nna\xefve\n", "line 3"),
        (b'query\n"never closed\n', "line 2"),
        (b'query\nfine\n"a" b\n', "line 3"),
        (b"query\nfine\none, two\n", "1 column in line 3"),
        (b"id,query\n1,fine\n2\n", "2 columns in line 3"),
        (b"id,query\n1,fine\n2,  \n", "a query in line 3"),
        (b"query\n" + b"x" * 20_001, "line 2"),
        (b"query\n" + b"x" * 200_000, "line 2"),
        (b"query\n", "list is empty"),
        (b"", "list is empty"),
        (b"query\n" + b"q\n" * (lists.MOST_QUERIES + 1), f"line {lists.MOST_QUERIES + 2}"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(content: bytes, message: str) -> None:
    with pytest.raises(ZooterError, match=message):
        lists.from_csv(content)


def test_a_list_as_long_as_allowed_is_taken() -> None:
    assert len(lists.from_text("q\n" * lists.MOST_QUERIES)) == lists.MOST_QUERIES


def row(query: str, *, failed: bool = False) -> Comparison:
    responses = {"a": Response("a", "=cmd()", 4, 1.0), "b": Response("b", "fine", 6, 2.0)}
    ranked = [Ranked(responses["b"], 2.0, 1), Ranked(responses["a"], -1.5, 2)]
    if failed:
        responses["a"] = Response("a", "", finish="error", error=Failure.of("broken"))
        ranked = [Ranked(responses["b"], 2.0, 1), Ranked(responses["a"])]
    decision = Decision.of(query, {"a": 0.75, "b": 0.25}, (Tag("sums", 0.5),))
    job = Answers(("a", "b"), {name: response.text for name, response in responses.items()}, responses, ranked)
    return Comparison(query, decision, job, order=("a", "b"))


def test_the_csv_has_a_line_a_query_and_nothing_that_runs() -> None:
    (line, other) = csv.DictReader(io.StringIO(lists.to_csv([row("-x"), row("y", failed=True)], ("a", "b"))))
    assert (line["query"], line["router"], line["highest_reward"]) == ("'-x", "a", "b")
    assert (line["probability_a"], line["reward_a"], line["tokens_a"]) == ("0.75", "-1.5", "4")  # a number stays one
    assert (line["response_a"], line["response_b"]) == ("'=cmd()", "fine")
    assert (other["reward_a"], other["error_a"]) == ("", "broken")


def test_right_answers_come_from_a_column_and_reach_every_file(tmp_path: Path) -> None:
    queries, answers = lists.from_csv(b"answer,query\n4,What is 2 + 2?\n,Hello\n")
    assert (queries, answers) == (["What is 2 + 2?", "Hello"], {"What is 2 + 2?": "4"})
    verified, plain = row("What is 2 + 2?"), row("Hello")
    verified.key = {"answer": {"text": "fine"}}
    verified.job.ranked = verified_ranking(verified.job.ranked, verified.key)
    assert "Right answers, of 1: the router's choice **0**; a 0, b 1." in lists.summary_lines([verified, plain])
    (line, other) = csv.DictReader(io.StringIO(lists.to_csv([verified, plain], ("a", "b"))))
    assert (line["right_a"], line["right_b"], other["right_a"]) == ("False", "True", "")
    (tmp_path / "list.jsonl").write_text(lists.to_json_lines([verified, plain]), encoding="utf-8")
    scores = read_scores([tmp_path / "list.jsonl"])
    assert scores.queries[0].key == verified.key
    assert scores.scores[1].tolist() == [-1.5, 2.0]
    assert scores.scores[0].tolist() != [-1.5, 2.0]


def test_the_json_lines_are_a_score_file(tmp_path: Path) -> None:
    file = tmp_path / "scores.jsonl"
    file.write_text(lists.to_json_lines([row("-x"), row("y\nz")]), encoding="utf-8")
    scores = read_scores([file])
    assert [query.text for query in scores.queries] == ["-x", "y\nz"]
    assert scores.candidates == ("a", "b")
    assert scores.scores.tolist() == [[-1.5, 2.0], [-1.5, 2.0]]
    line = json.loads(lists.to_json_lines([row("y", failed=True)]))
    assert line["scores"] == {"b": 2.0}
    assert line["errors"] == {"a": "broken"}
    assert line["route"]["candidate"] == "a"


QUERIES = ("What is 12 + 30?", "Write about the sea.", "Why do you like a list in Python")
Steered = tuple[Ensemble, StepwiseBackend]


@pytest.fixture
def steered(tiny_ensemble: Ensemble) -> Steered:
    return stepwise(tiny_ensemble)


def test_a_stop_keeps_the_finished_queries_and_a_start_continues(steered: Steered) -> None:
    ensemble, backend = steered
    query_list = QueryList(ensemble, QUERIES, ("base", "two"))
    backend.go.release()
    assert [backend.queries.get(timeout=WAIT) for _ in range(2)] == list(QUERIES[:2])
    query_list.stop()
    query_list.wait(WAIT)
    assert not query_list.running
    first = list(query_list.finished)
    assert [row.query for row in first] == [QUERIES[0]]  # the second one was stopped, and is dropped
    backend.go.release(2)
    query_list.start()
    query_list.wait(WAIT)
    assert query_list.finished[:1] == first  # the same object: nothing was asked again
    assert [row.query for row in query_list.finished] == list(QUERIES)
    assert all(row.job.candidates == ("base", "two") for row in query_list.finished)
    assert [backend.queries.get(timeout=WAIT) for _ in range(2)] == list(QUERIES[1:])


def test_another_visitor_is_served_before_the_next_query(steered: Steered) -> None:
    ensemble, backend = steered
    query_list = QueryList(ensemble, QUERIES)
    assert backend.queries.get(timeout=WAIT) == QUERIES[0]
    visitor = Job(ensemble, Plan(["one"]), (Message("user", "Hello"),))
    backend.go.release(2)
    assert [backend.queries.get(timeout=WAIT) for _ in range(2)] == ["Hello", QUERIES[1]]
    visitor.wait(WAIT)
    query_list.stop()
    query_list.wait(WAIT)
    assert [row.query for row in query_list.finished] == [QUERIES[0]]


def test_a_stop_in_the_queue_ends_it(steered: Steered) -> None:
    ensemble, backend = steered
    visitor = Job(ensemble, Plan(["base"]), (Message("user", "Hello"),))
    assert backend.queries.get(timeout=WAIT) == "Hello"
    query_list = QueryList(ensemble, QUERIES)
    query_list.stop()
    query_list.wait(WAIT)
    assert not query_list.running
    assert query_list.finished == []
    assert visitor.running
    visitor.stop()
    visitor.wait(WAIT)


def rewarded(chosen: float | None, other: float | None) -> Comparison:
    responses = [Response("a", "x", 10), Response("b", "y", 30)]
    rewards = {"a": chosen, "b": other}
    placed = sorted(
        (r for r in responses if rewards[r.candidate] is not None), key=lambda r: -(rewards[r.candidate] or 0)
    )
    ranked = [Ranked(response, rewards[response.candidate], place) for place, response in enumerate(placed, 1)]
    ranked += [Ranked(response) for response in responses if response not in placed]
    job = Answers(("a", "b"), {}, {response.candidate: response for response in responses}, ranked)
    return Comparison("q", Decision.of("q", {"a": 0.6, "b": 0.4}), job)


def test_the_summary_by_hand() -> None:
    assert lists.summary_lines([rewarded(2.0, 1.0), rewarded(-1.0, 3.0), rewarded(None, 5.0)]) == [
        "The router's choice had the highest reward in **1 of 2** queries (50%). Its mean reward is 0.50, that of the "
        "best responses 2.50: running its choice alone loses 2.00 per query.",
        "The router's choices took 20 tokens instead of 80: 75% saved.",
    ]
    unranked = rewarded(None, None)  # a fleet without a reward model, whose responses are verified all the same
    unranked.job.ranked = [replace(item, right=item.response.candidate == "a") for item in unranked.job.ranked or ()]
    unranked.key = {"answer": "x"}
    assert lists.summary_lines([unranked])[0] == "Right answers, of 1: the router's choice **1**; a 1, b 0."
    for rows in ([rewarded(None, 1.0)], []):
        assert lists.summary_lines(rows) == ["None of the responses has a reward, so there is nothing to rank."]
