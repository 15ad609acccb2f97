from __future__ import annotations

import json

import numpy as np
import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Query
from zooter_core.data.scores import Scores, read_queries, read_responses, read_scores, read_texts, score_line

GOOD = {"id": "1", "query": "2 + 2?", "scores": {"a": 0.5, "b": 1}}


def test_good_score_files_over_one_pool(write):
    one = write(GOOD, {**GOOD, "id": "2", "dataset": "x", "scores": {"b": -2, "a": 3.25}})
    two = write({**GOOD, "dataset": "y", "scores": {"b": 7, "a": 6}}, name="two.jsonl.gz")
    scores = read_scores([one, str(two)])
    assert scores.datasets == ["other", "x", "y"]
    assert scores.candidates == ("a", "b")
    assert scores.scores.tolist() == [[0.5, 1.0], [3.25, -2.0], [6.0, 7.0]]
    assert [query.id for query in scores.queries] == ["1", "2", "1"]


def test_a_line_may_lack_a_candidate_and_name_a_new_one(write):
    scores = read_scores([write(GOOD, {**GOOD, "id": "2", "scores": {"c": 5, "a": 1}})])
    assert scores.candidates == ("a", "b", "c")
    first = GOOD["scores"]
    assert np.array_equal(scores.scores, [[first["a"], first["b"], np.nan], [1, np.nan, 5]], equal_nan=True)
    assert scores.missing == {"b": 1, "c": 1}


def test_a_candidate_with_next_to_no_scores_counts_as_one_without(write):
    most = {"a": 60, "b": 60, "few": 9, "enough": 10}
    scored = [[name for name in most if n < most[name]] for n in range(60)]
    lines = [{"id": str(n), "query": f"q{n}", "scores": dict.fromkeys(scored[n], 1.0)} for n in range(60)]
    scores = read_scores([write(*lines)])
    assert scores.barely_scored == ["few"]
    left = scores.without_barely_scored()
    assert left.missing == {"few": 60, "enough": 50}
    assert scores.subset(range(40)).barely_scored == []  # 9 are more than a fifth of 40


def test_where_all_candidates_have_few_scores_none_is_left_out():
    table = np.full((50, 20), np.nan)
    for n in range(50):
        table[n, [2 * n % 20, (2 * n + 1) % 20]] = 1.0  # five of each
    queries = tuple(Query(f"{n}", f"q{n}") for n in range(50))
    assert Scores(queries, tuple(f"m{n}" for n in range(20)), table).barely_scored == []


def test_a_query_with_one_score_is_left_out_and_counted(write):
    one = {**GOOD, "id": "2", "scores": {"a": 1}, "responses": {"a": "alone"}}
    none = [{**one, "id": f"n{n}", "scores": scores} for n, scores in enumerate([{}, {"a": 1, "b": None}])]
    path = write(one, *none, {**GOOD, "id": "3", "responses": {"a": "x"}})
    scores = read_scores([path])
    assert ([query.id for query in scores.queries], scores.left_out) == (["3"], 3)
    assert read_texts([path], scores) == [{"a": "x"}]


def test_fields_of_a_queries_file_and_what_stands_for_those_that_are_missing(write):
    lines = ({"query": "a", "source": "log"}, "\r", {"query": "b", "dataset": "gsm8k", "source": "log"})
    ids = {"id": 17, "query": "c", "tags": ["math", "code"]}, {"id": 0, "query": "d"}
    queries = read_queries(write(*lines, *ids, name="queries.jsonl"))
    assert queries == [
        Query("1", "a", "log"), Query("2", "b", "gsm8k"), Query("17", "c", tags=("math", "code")), Query("0", "d"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", json.dumps(["How?", "“Why?”"])),
        ("a.json", json.dumps([{"prompt": "How?"}, {"prompt": "“Why?”"}], indent=1)),
        ("a.json", json.dumps({"version": 1, "data": [{"prompt": "How?"}, {"prompt": "“Why?”"}]})),
        ("a.jsonl", '{"Question": "How?"}\n{"Question": "“Why?”", "tags": null}'),
        ("a.jsonl", '{"messages": [{"role": "user", "content": "How?"}]}\n{"input": "“Why?”"}'),
        ("a.csv", "\ufeffNr;Prompt\n1;How?\n2;“Why?”\n;\n"),
        ("A.TXT", "How?\n“Why?”\n"),
        ("a.jsonl", json.dumps({"prompt": "How?", "messages": [{"role": "user", "content": "x"}] * 2}) + '\n"“Why?”"'),
    ],
)
def test_queries_stand_in_a_file_of_any_form(write, name, content):
    assert [query.text for query in read_queries(write(content, name=name))] == ["How?", "“Why?”"]


def test_what_is_in_a_cell_of_a_table_and_in_other_peoples_fields(write):
    (query,) = read_queries(write('prompt,tags,dataset\nHow?,"maths, short",x\n', name="a.csv"))
    assert query == Query("1", "How?", "x", ("maths", "short"))
    (query,) = read_queries(write({"instruction": "Sum up.", "input": "A cat."}, name="a.jsonl"))
    assert query.text == "Sum up.\n\nA cat."
    (query,) = read_queries(write({"instruction": "Sum up.", "context": "A cat."}, name="a.jsonl"))
    assert query.text == "Sum up.\n\nA cat."
    (query,) = read_queries(write({"question": "Which?", "choices": ["x", "y"], "answer": 1}, name="b.jsonl"))
    assert query.key == {"answer": {"choice": "B", "choices": ["x", "y"]}}  # MMLU counts from 0
    turns = [{"role": "user", "content": text} for text in ("How?", "Shorter.")]
    with pytest.raises(ZooterError, match=r"one text of a user in .* found 2.*`zooter queries --from FILE`"):
        read_queries(write({"messages": turns}, name="c.jsonl"))
    with pytest.raises(ZooterError, match=r"found the fields ask, nr\. Rename the field with the query"):
        read_queries(write("Ask,Nr\nWie?,1\n", name="d.csv"))


def test_queries_that_repeat_others_cost_answers_so_a_note_counts_them(write):
    notes: list[str] = []
    path = write("query,model,score\nHow?,a,1\nHow?,b,0\nWhy?,a,1\n", name="a.csv")  # a table of scores
    assert len(read_queries(path, notes.append)) == 3
    assert notes == ["Repeats of other queries: 1 of 3. All are answered; `zooter queries` drops them."]


def test_any_text_comes_back_whole(write):
    texts = ["请把这句话翻译成英文。", "☕ or 🍵? 👩‍👩‍👧", "a\u2028b\x85c", "مرحبا"]
    lines = [json.dumps({"query": text}, ensure_ascii=False) for text in texts]
    assert [query.text for query in read_queries(write(*lines, name="queries.jsonl.gz"))] == texts


def test_text_file_has_a_query_a_line(write):
    queries = read_queries(write("  first one ", "", "第二 ☕\r", name="queries.txt"))
    assert queries == [Query("000001", "first one"), Query("000003", "第二 ☕")]


def test_score_line_is_read_back(write):
    query = Query("7", "2 + 2? ☕", "sums", ("math",))
    line = score_line(query, {"a": 0.5, "b": 2.0}, {"a": "4", "b": "5"})
    scores = read_scores([write(line)])
    assert scores.queries == (query,)
    assert np.array_equal(scores.scores, [[0.5, 2.0]])
    assert read_responses("here", line) == {"a": "4", "b": "5"}
    assert set(score_line(Query("7", "2 + 2?"), {"a": 1.0})) == {"id", "query", "scores"}


def test_responses_of_score_files_are_in_the_order_of_their_queries(write):
    lines = [{"query": "q", "scores": {"a": 1}, "responses": {"a": "x"}}, {"query": "r", "scores": {"a": 2}}]
    paths = [write(*lines, name="1.jsonl"), write(lines[0], name="2.jsonl")]
    assert read_texts(paths) == [{"a": "x"}, {}, {"a": "x"}]
    assert read_texts([write(lines[0] | {"responses": {"a": "x", "b": None}}, name="4.jsonl")]) == [{"a": "x"}]
    with pytest.raises(ZooterError, match='"responses" as an object of texts'):
        read_texts([write(lines[0] | {"responses": {"a": 5}}, name="3.jsonl")])


def test_columns_and_queries_can_be_left_out(write):
    path = write(*[{"id": str(n), "query": "q", "scores": {"a": n, "b": -n, "c": 0}} for n in range(20)])
    scores = read_scores([path])
    subset = scores.only(["c", "a"])
    assert (subset.candidates, subset.scores[3].tolist()) == (("c", "a"), [0.0, 3.0])
    with pytest.raises(ZooterError, match="none of d"):
        scores.only(["a", "d"])
    lacking = write({**GOOD, "scores": {"a": 1, "b": 2, "c": 3}}, {**GOOD, "id": "2", "scores": {"b": 1, "c": 2}})
    part = read_scores([lacking]).only(["a", "b"])
    assert (part.scores.tolist(), part.left_out) == ([[1.0, 2.0]], 1)
    few = scores.sample(5)
    numbers = [int(query.id) for query in few.queries]
    assert len(set(numbers)) == 5
    assert numbers == sorted(numbers)
    assert few.scores[:, 0].tolist() == numbers
    assert scores.sample(20) is scores
