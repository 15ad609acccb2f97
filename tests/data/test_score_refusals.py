"""Score and queries files that are refused: each message names the file, the line and the field."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Query
from zooter_core.data import json_records
from zooter_core.data.scores import Scores, read_queries, read_responses, read_scores

GOOD = {"id": "1", "query": "2 + 2?", "scores": {"a": 0.5, "b": 1}}


def refusal(read, path) -> str:
    with pytest.raises(ZooterError) as caught:
        read(path)
    return str(caught.value)


def scores_refusal(path: Path) -> str:
    return refusal(lambda file: read_scores([file]), path)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"scores": {"a": 0.5, "b": float("-inf")}}, "a number as the score of b"),
        ({"scores": {"a": 0.5, "b": 1.1e30}}, "a number from -1e+30 to 1e+30 as the score of b"),
        ({"scores": {"a": -(10**400), "b": 1}}, "the score of a"),
        ({"scores": {"a": 0.5, "b": "fine"}}, "a number as the score of b"),
        ({"scores": {"a": 0.5, "b": [1]}}, "a number as the score of b"),
        ({"scores": None}, '"scores"'),  # as where it is missing
        ({"query": "  \n"}, '"query"'),
        ({"query": ["2 + 2?", "3 + 3?"]}, "one text of a user"),
        ({"dataset": 5}, '"dataset"'),
        ({"source": ["x"]}, '"dataset"'),
        ({"tags": [1]}, '"tags"'),
    ],
)
def test_wrong_line_of_a_score_file_names_file_line_and_field(write, change, field):
    path = write("", GOOD, "  ", {**GOOD, "id": "2", **change})  # empty lines count
    message = scores_refusal(path)
    assert f"{path}, line 4" in message
    assert field in message


NOT_NAMES = ["", "\u00a0", "\u200b", "a\nb", "a\u2028b", "a\x1b[2J", "x" * 5000]


@pytest.mark.parametrize("name", NOT_NAMES, ids=ascii)
def test_what_can_be_no_name_of_a_candidate_is_refused_with_its_line(write, name):
    """A router for it would not load, or its name could stand in no header and no log."""
    path = write(GOOD, {**GOOD, "id": "2", "scores": {"a": 0.5, name: 1}})
    message = scores_refusal(path)
    assert f'for a candidate in "scores" in {path}, line 2' in message
    assert len(message) < 1000
    with pytest.raises(ZooterError, match=r'for a candidate in "responses" in file, line 3'):
        read_responses("file, line 3", {"responses": {name: "text"}})
    with pytest.raises(ZooterError, match="for a candidate, but"):
        Scores((Query("1", "2 + 2?"),), ("a", name), np.ones((1, 2)))


@pytest.mark.parametrize("lines", [[], ["", "   ", "\t"]])
def test_empty_file(write, lines):
    path = write(*lines)
    assert f"at least one query in {path}" in scores_refusal(path)
    assert f"at least one query in {path}" in refusal(
        lambda file: read_scores([write(GOOD, name="2.jsonl"), file]), path
    )
    assert f"at least one query in {path}" in refusal(read_queries, path)
    assert "at least one query" in refusal(read_queries, write(*lines, name="queries.txt"))


def test_same_id_twice(write):
    path = write(GOOD, {**GOOD, "query": "3 + 3?"})
    for read in (lambda file: read_scores([file]), read_queries):
        message = refusal(read, path)
        assert f"different ids in {path}" in message
        assert '"1" twice' in message


def test_no_file(tmp_path):
    assert f"no file at {tmp_path / 'none.jsonl'}" in scores_refusal(tmp_path / "none.jsonl")
    assert f"a folder at {tmp_path}. Name its files, such as {tmp_path}/*.jsonl" in refusal(read_queries, tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) * 3 // 10],
        lambda content: content[: len(content) // 2] + bytes(20) + content[len(content) // 2 + 20 :],
        gzip.decompress,
    ],
    ids=["cut short", "zeros in the middle", "not packed"],
)
def test_a_damaged_file_is_named(write, damage):
    path = write(*({**GOOD, "id": str(n), "query": f"{n * 7919} + {n}?"} for n in range(500)), name="scores.jsonl.gz")
    path.write_bytes(damage(path.read_bytes()))
    message = refusal(read_queries, path)
    assert f"a readable file {path}" in message
    assert "cut short or damaged" in message


@pytest.mark.parametrize(
    ("text", "byte"),
    [("Привет".encode("cp1251"), "0xcf"), ("東京の天気".encode("shift-jis"), "0x93"), ("Grün".encode("cp850"), "0x81")],
)
def test_a_file_in_another_encoding_is_to_be_saved_as_utf_8(tmp_path, text, byte):
    path = tmp_path / "queries.txt"
    path.write_bytes(b"Translate: " + text)
    assert f"the byte {byte}, not UTF-8. Save it as text in UTF-8 (in Excel," in refusal(read_queries, path)


def test_no_query_with_two_scores_is_one_clear_error(write):
    path = write({**GOOD, "scores": {"a": 1}}, {**GOOD, "id": "2", "scores": {"b": 1}})
    with pytest.raises(ZooterError, match=r"scores of two candidates for some query in .*one of a, b a line"):
        read_scores([path])
    with pytest.raises(ZooterError, match=r"scores of two candidates for some query in .* found none"):
        read_scores([write({**GOOD, "scores": {"a": None}})])


@pytest.mark.parametrize("line", ["query;a;b", "7"])
def test_a_file_of_another_form_is_told_from_a_broken_line(write, line):
    for read in (scores_refusal, lambda path: refusal(read_queries, path)):
        assert "docs/scores.md shows a score file" in read(write(line, GOOD))
        message = read(path := write(GOOD, line))
        assert f"{path}, line 2" in message
        assert "Fix or remove the line." in message


@pytest.mark.parametrize("responses", [None, {}, "text", {"a": 1}])
def test_responses_must_be_texts_by_candidate(responses):
    with pytest.raises(ZooterError, match=r'"responses" as an object of texts in file, line 3'):
        read_responses("file, line 3", {"responses": responses})


def test_scores_where_responses_belong_are_named():
    with pytest.raises(ZooterError, match=r"found scores of a, b alone\. With these, go on with `zooter distill`"):
        read_responses("file, line 3", {"scores": {"a": 1, "b": 2}})


@pytest.mark.parametrize("name", ["records.json.gz", "records.jsonl.gz"])
def test_a_text_that_unpacks_to_more_than_memory_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(json_records, "LARGEST_TEXT", 1000)
    path = tmp_path / name
    with gzip.open(path, "wt") as file:
        file.write("[" + " " * 2000 + "]")
    assert "at most 1,000 characters" in refusal(lambda place: list(json_records.each_record(place)), path)
