from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from zooter_core.data.scores import read_queries, read_responses, read_scores, read_texts, score_line
from zooter_core.errors import ZooterError
from zooter_core.records import Query

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
        ({"scores": {"a": float("nan"), "b": 1}}, '"scores.a"'),
        ({"scores": {"a": 0.5, "b": float("-inf")}}, '"scores.b"'),
        ({"scores": {"a": 0.5, "b": 1.1e30}}, 'a number from -1e+30 to 1e+30 as "scores" of b'),
        ({"scores": {"a": -(10**400), "b": 1}}, '"scores" of a'),
        ({"id": float("nan")}, '"id"'),
        ({"notes": {"deep": [1, float("inf")]}}, '"notes.deep.1"'),
        ({"scores": {"a": "0.5", "b": 1}}, '"scores" of a'),
        ({"scores": {"a": 0.5, "b": True}}, '"scores" of b'),
        ({"scores": {"a": 0.5, "b": None}}, '"scores" of b'),
        ({"scores": {"a": 0.5, "b": [1]}}, '"scores" of b'),
        ({"scores": {}}, '"scores"'),
        ({"scores": [0.5, 1]}, '"scores"'),
        ({"scores": None}, '"scores"'),
        ({"query": ""}, '"query"'),
        ({"query": "  \n"}, '"query"'),
        ({"query": None}, '"query"'),
        ({"query": ["2 + 2?"]}, '"query"'),
        ({"dataset": 5}, '"dataset"'),
        ({"source": ["x"]}, '"dataset"'),
        ({"tags": "math"}, '"tags"'),
        ({"tags": [1]}, '"tags"'),
    ],
)
def test_wrong_line_of_a_score_file_names_file_line_and_field(write, change, field):
    path = write(GOOD, {**GOOD, "id": "2", **change})
    message = scores_refusal(path)
    assert f"{path}, line 2" in message
    assert field in message


@pytest.mark.parametrize("missing", ["scores", "query"])
def test_missing_field_of_a_score_file(write, missing):
    path = write(GOOD, {key: value for key, value in {**GOOD, "id": "2"}.items() if key != missing})
    message = scores_refusal(path)
    assert f"{path}, line 2" in message
    assert f'"{missing}"' in message


@pytest.mark.parametrize(
    ("change", "field"),
    [({"query": ""}, '"query"'), ({"query": 7}, '"query"'), ({"tags": {}}, '"tags"'), ({"dataset": []}, '"dataset"')],
)
def test_wrong_line_of_a_queries_file_names_file_line_and_field(write, change, field):
    path = write({"query": "first"}, {"query": "second", **change}, name="queries.jsonl")
    message = refusal(read_queries, path)
    assert f"{path}, line 2" in message
    assert field in message


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{'query': 'single quotes'}", "JSON in"),
        ('{"query": "cut', "JSON in"),
        ("[1, 2]", "list"),
        ('"text"', "str"),
        ("5", "int"),
    ],
)
def test_line_that_is_no_json_object(write, line, problem):
    path = write({"query": "first"}, line, name="queries.jsonl")
    message = refusal(read_queries, path)
    assert f"{path}, line 2" in message
    assert problem in message


def test_empty_lines_count_in_the_line_number(write):
    path = write("", GOOD, "  ", {"query": ""})
    assert f"{path}, line 4" in scores_refusal(path)


@pytest.mark.parametrize("lines", [[], [""], ["", "   ", "\t"]])
def test_empty_file(write, lines):
    path = write(*lines)
    assert f"at least one query in {path}" in scores_refusal(path)
    assert f"at least one query in {path}" in refusal(read_queries, path)
    assert "at least one query" in refusal(read_queries, write(*lines, name="queries.txt"))


def test_same_id_twice(write):
    path = write(GOOD, {**GOOD, "query": "3 + 3?"})
    for read in (lambda file: read_scores([file]), read_queries):
        message = refusal(read, path)
        assert f"different ids in {path}" in message
        assert '"1" twice' in message


def test_same_candidate_twice_in_a_line(write):
    path = write('{"query": "q", "scores": {"a": 1, "b": 2, "a": 3}}')
    with pytest.raises(ZooterError, match=r'line 1.*"a" occurs twice'):
        read_scores([path])


def test_no_file(tmp_path):
    assert f"no file at {tmp_path / 'none.jsonl'}" in scores_refusal(tmp_path / "none.jsonl")
    assert f"no file at {tmp_path}" in refusal(read_queries, tmp_path)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_gzip_cut_short(write, share):
    path = write(*({**GOOD, "id": str(n), "query": f"{n * 7919} + {n}?"} for n in range(500)), name="scores.jsonl.gz")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    message = scores_refusal(path)
    assert f"a readable file {path}" in message
    assert "cut short or damaged" in message


def test_gzip_damaged_in_the_middle(write):
    path = write(*({**GOOD, "id": str(n), "query": f"{n * 7919} + {n}?"} for n in range(500)), name="scores.jsonl.gz")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 20] = bytes(20)
    path.write_bytes(content)
    assert str(path) in scores_refusal(path)


def test_plain_text_named_gz(write, tmp_path):
    path = write(GOOD).rename(tmp_path / "plain.jsonl.gz")
    assert f"a readable file {path}" in scores_refusal(path)


@pytest.mark.parametrize("name", ["queries.jsonl", "queries.txt"])
def test_file_that_is_not_utf8(write, name):
    path = write(b'{"query": "first"}\n', b'{"query": "caf\xe9"}\n', name=name)
    assert f"a readable file {path}" in refusal(read_queries, path)


def test_number_too_large_for_a_float(write):
    path = write('{"query": "2 + 2?", "scores": {"a": 1' + "0" * 400 + "}}")
    message = scores_refusal(path)
    assert f"{path}, line 1" in message


def test_line_nested_too_deeply(write):
    path = write("[" * 100_000)
    assert f"{path}, line 1" in scores_refusal(path)


@pytest.mark.parametrize("name", ["scores.jsonl", "scores.jsonl.gz"])
def test_good_score_file(write, name):
    scores = read_scores([write(GOOD, {**GOOD, "id": "2", "dataset": "x", "scores": {"b": -2, "a": 3.25}}, name=name)])
    assert scores.datasets == ["all", "x"]
    assert scores.candidates == ("a", "b")
    assert scores.scores.tolist() == [[0.5, 1.0], [3.25, -2.0]]
    assert [query.id for query in scores.queries] == ["1", "2"]


def test_several_score_files_over_one_pool(write):
    one = write({**GOOD, "dataset": "x"}, name="one.jsonl")
    two = write({**GOOD, "dataset": "y", "scores": {"b": 7, "a": 6}}, name="two.jsonl.gz")
    scores = read_scores([one, str(two)])
    assert scores.datasets == ["x", "y"]
    assert scores.scores.tolist() == [[0.5, 1.0], [6.0, 7.0]]


def test_strictly_all_lines_have_the_candidates_of_the_first(write):
    two = write({**GOOD, "scores": {"a": 1, "c": 2}}, name="two.jsonl")
    with pytest.raises(ZooterError) as caught:
        read_scores([write(GOOD), two], strict=True)
    assert f"{two}, line 1: b, c" in str(caught.value)
    assert "--strict" in str(caught.value)


def test_a_line_may_lack_a_candidate_and_name_a_new_one(write):
    scores = read_scores([write(GOOD, {**GOOD, "id": "2", "scores": {"c": 5, "a": 1}})])
    assert scores.candidates == ("a", "b", "c")
    first = GOOD["scores"]
    assert np.array_equal(scores.scores, [[first["a"], first["b"], np.nan], [1, np.nan, 5]], equal_nan=True)
    assert scores.missing == {"b": 1, "c": 1}
    assert scores.scores_of(1) == {"a": 1.0, "c": 5.0}


def test_a_query_with_one_score_is_left_out_and_counted(write):
    one = {**GOOD, "id": "2", "scores": {"a": 1}, "responses": {"a": "alone"}}
    path = write(one, {**GOOD, "id": "3", "responses": {"a": "x"}})
    scores = read_scores([path])
    assert ([query.id for query in scores.queries], scores.left_out) == (["3"], 1)
    assert read_texts([path], scores) == [{"a": "x"}]


def test_a_pool_of_one_has_one_score_a_query(write):
    assert read_scores([write({**GOOD, "scores": {"a": 1}})]).scores.tolist() == [[1.0]]


def test_no_query_with_two_scores_is_one_clear_error(write):
    path = write({**GOOD, "scores": {"a": 1}}, {**GOOD, "id": "2", "scores": {"b": 1}})
    with pytest.raises(ZooterError, match=r"scores of two candidates for some query in .*one of a, b a line"):
        read_scores([path])


def test_candidates_that_are_taken_alone_leave_out_the_queries_that_lack_them(write):
    path = write({**GOOD, "scores": {"a": 1, "b": 2, "c": 3}}, {**GOOD, "id": "2", "scores": {"b": 1, "c": 2}})
    some = read_scores([path]).only(["a", "b"])
    assert (some.scores.tolist(), some.left_out) == ([[1.0, 2.0]], 1)


def test_each_score_file_must_hold_a_query(write):
    empty = write(name="empty.jsonl")
    with pytest.raises(ZooterError, match="at least one query"):
        read_scores([write(GOOD), empty])


def test_an_id_is_text_and_by_default_the_number_of_the_query(write):
    queries = read_queries(write({"query": "a"}, "", {"query": "b"}, {"id": 17, "query": "c"}, name="queries.jsonl"))
    assert [query.id for query in queries] == ["1", "2", "17"]


def test_source_is_read_as_dataset(write):
    queries = read_queries(write({"query": "a", "source": "log"}, {"query": "b", "dataset": "gsm8k", "source": "log"}))
    assert [query.dataset for query in queries] == ["log", "gsm8k"]


def test_tags_of_the_file(write):
    queries = read_queries(write({"query": "a", "tags": ["math", "code"]}, {"query": "b"}))
    assert [query.tags for query in queries] == [("math", "code"), ()]


@pytest.mark.parametrize("name", ["queries.jsonl", "queries.jsonl.gz"])
@pytest.mark.parametrize("text", ["请把这句话翻译成英文。", "☕ or 🍵? 👩‍👩‍👧", "a\u2028b\x85c", "مرحبا"])
def test_any_text_comes_back_whole(write, name, text):
    assert read_queries(write(json.dumps({"query": text}, ensure_ascii=False), name=name))[0].text == text


def test_text_file_has_a_query_a_line(write):
    queries = read_queries(write("  first one ", "", "第二 ☕", name="queries.txt"))
    assert queries == [Query("000001", "first one"), Query("000003", "第二 ☕")]


def test_windows_line_ends(write):
    assert [q.text for q in read_queries(write(b"one\r\ntwo\r\n", name="queries.txt"))] == ["one", "two"]
    assert [q.text for q in read_queries(write(b'{"query": "one"}\r\n{"query": "two"}'))] == ["one", "two"]


def test_subset_keeps_the_pool(write):
    scores = read_scores([write(*({**GOOD, "id": str(n), "scores": {"a": n, "b": -n}} for n in range(4)))])
    part = scores.subset([3, 1])
    assert part.scores.tolist() == [[3, -3], [1, -1]]
    assert ([query.id for query in part.queries], part.candidates) == (["3", "1"], ("a", "b"))
    assert scores.subset([]).scores.shape == (0, 2)


def test_score_line_is_read_back(write):
    query = Query("7", "2 + 2? ☕", "sums", ("math",))
    line = score_line(query, {"a": 0.5, "b": 2.0}, {"a": "4", "b": "5"})
    scores = read_scores([write(line)])
    assert scores.queries == (query,)
    assert np.array_equal(scores.scores, [[0.5, 2.0]])
    assert read_responses("here", line) == {"a": "4", "b": "5"}


def test_score_line_leaves_out_what_there_is_not():
    assert set(score_line(Query("7", "2 + 2?"), {"a": 1.0})) == {"id", "query", "scores"}


@pytest.mark.parametrize("responses", [None, {}, [], "text", {"a": 1}, {"a": None}])
def test_responses_must_be_texts_by_candidate(responses):
    with pytest.raises(ZooterError, match=r'"responses" as an object of texts in file, line 3'):
        read_responses("file, line 3", {"responses": responses})


def test_responses_of_score_files_are_in_the_order_of_their_queries(write):
    lines = [{"query": "q", "scores": {"a": 1}, "responses": {"a": "x"}}, {"query": "r", "scores": {"a": 2}}]
    paths = [write(*lines, name="1.jsonl"), write(lines[0], name="2.jsonl")]
    assert read_texts(paths) == [{"a": "x"}, {}, {"a": "x"}]
    with pytest.raises(ZooterError, match='"responses" as an object of texts'):
        read_texts([write(lines[0] | {"responses": {"a": 5}}, name="3.jsonl")])


def test_progress_is_called_for_every_line_and_can_end_the_reading(write):
    class EnoughError(Exception):
        pass

    def progress(lines: int) -> None:
        counts.append(lines)
        if lines == 2:
            raise EnoughError

    counts: list[int] = []
    path = write(*[GOOD | {"id": str(n)} for n in range(5)])
    with pytest.raises(EnoughError):
        read_scores([path], progress)
    assert counts == [1, 2]


def test_a_line_longer_than_any_memory_is_named(write, monkeypatch):
    monkeypatch.setattr("zooter_core.data.lines.LONGEST", 100)
    long = GOOD | {"id": "2", "query": "x" * 200}
    assert "line 2" in scores_refusal(write(GOOD, long, name="scores.jsonl.gz"))


def test_columns_and_queries_can_be_left_out(write):
    path = write(*[{"id": str(n), "query": "q", "scores": {"a": n, "b": -n, "c": 0}} for n in range(20)])
    scores = read_scores([path])
    some = scores.only(["c", "a"])
    assert (some.candidates, some.scores[3].tolist()) == (("c", "a"), [0.0, 3.0])
    with pytest.raises(ZooterError, match="none of d"):
        scores.only(["a", "d"])
    few = scores.sample(5)
    numbers = [int(query.id) for query in few.queries]
    assert len(set(numbers)) == 5
    assert numbers == sorted(numbers)
    assert few.scores[:, 0].tolist() == numbers
    assert scores.sample(20) is scores
