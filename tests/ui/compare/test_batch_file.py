from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from zooter_core.base.errors import Failure, ZooterError
from zooter_core.base.records import Decision, Ranked, Response, Tag
from zooter_core.data.scores import read_scores
from zooter_core.ui.compare import lists
from zooter_core.ui.compare.comparisons import Comparison
from zooter_core.ui.jobs import Answers


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
    assert lists.from_csv(text.encode()) == queries


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
