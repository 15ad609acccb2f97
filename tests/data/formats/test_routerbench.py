"""RouterBench's tables: small files in its form, with texts of our own."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from support.format_imports import imported, refusal

COLUMNS = ["", "sample_id", "prompt", "eval_name", "m/one", "two"]
COLUMNS += ["m/one|model_response", "two|model_response", "m/one|total_cost", "two|total_cost"]
COLUMNS += ["oracle_model_to_route_to"]


def table(path: Path, rows: list[list], columns=COLUMNS) -> Path:
    with path.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([columns, *rows])
    return path


def row(n: int, one="1.0", two="0.0", prompt="['A line,\\nand \"another\"', 'more']") -> list:
    return [n, f"set.test.{n}", prompt, "set", one, two, "['A']", "plain", "0.001", "0.002", "two"]


def test_routerbench_reads_lists_of_texts_costs_and_responses(tmp_path):
    lines, _ = imported("routerbench", table(tmp_path / "a.csv", [row(1), row(2, prompt="It's plain\nin two lines")]))
    assert lines[0] == {
        "id": "set.test.1",
        "query": 'A line,\nand "another"\nmore',
        "scores": {"m/one": 1.0, "two": 0.0},
        "dataset": "set",
        "responses": {"m/one": "A", "two": "plain"},
        "cost": {"m/one": 0.001, "two": 0.002},
    }
    assert lines[1]["query"] == "It's plain\nin two lines"


def test_routerbench_without_costs_takes_every_other_column_as_a_model(tmp_path):
    columns = ["sample_id", "prompt", "eval_name", "a", "b"]
    lines, _ = imported("routerbench", table(tmp_path / "a.csv", [["1", "Hi?", "x", "0.5", "True"]], columns))
    assert lines == [{"id": "1", "query": "Hi?", "scores": {"a": 0.5, "b": 1.0}, "dataset": "x"}]


def test_routerbench_leaves_out_rows_without_a_score(tmp_path):
    lines, options = imported("routerbench", table(tmp_path / "a.csv", [row(1), row(2, one=""), row(3, two="nan")]))
    assert len(lines) == 1
    assert options.left_out == {"no score of m/one": 1, "no score of two": 1}


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([row(1), row(2, one="good")], "the column m/one of {file}, line 4"),
        ([row(1), row(2, one="inf")], "the column m/one of {file}, line 4"),
        ([row(1), row(2)[:-1]], "11 cells in {file}, line 4"),
        ([row(1), row(2, prompt=" ")], "a prompt in {file}, line 4"),
    ],
)
def test_routerbench_names_a_wrong_row_by_file_and_line(tmp_path, rows, problem):
    """The first row takes two lines of the file."""
    rows[0][2] = "two\nlines"
    file = table(tmp_path / "a.csv", rows)
    assert problem.format(file=file) in refusal("routerbench", file)


def test_routerbench_merges_rows_that_complete_each_other(tmp_path):
    """As in the released tables: a row for each wording of a prompt, with the scores of the models that had it.

    Both rows have every response, and their costs differ with the prompt's length: each model's are those beside its
    score.
    """
    columns = [*COLUMNS[:6], "three", *COLUMNS[6:10], "three|model_response", "three|total_cost"]
    responses_and_costs = ["A", "B", "0.1", "0.2", "C", "0.3"]
    one = [0, "id", "['Say it.']", "set", "", "0.5", "", "X", *responses_and_costs[1:]]
    two = [1, "id", "['Say it!']", "set", "1.0", "", "0.0", "A", "B", "0.4", "0.5", "C", "0.6"]
    first = [2, "first", "Hello?", "set", "1", "1", "1", *responses_and_costs]
    lines, options = imported("routerbench", table(tmp_path / "a.csv", [first, one, two], columns))
    assert [line["id"] for line in lines] == ["first", "id"]
    assert lines[1] == {
        "id": "id",
        "query": "Say it!",
        "scores": {"m/one": 1.0, "two": 0.5, "three": 0.0},
        "dataset": "set",
        "responses": {"m/one": "A", "two": "B", "three": "C"},
        "cost": {"m/one": 0.4, "two": 0.2, "three": 0.6},
    }
    assert list(lines[1]["scores"]) == ["m/one", "two", "three"]
    assert options.notes == ["Queries with several rows, which were merged: 1."]


def test_routerbench_merges_rows_of_several_files_and_leaves_out_what_stays_incomplete(tmp_path):
    one = table(tmp_path / "a.csv", [row(1, one=""), row(2, one="")])
    two = table(tmp_path / "b.csv", [row(1, two="nan"), row(2, one="")])
    lines, options = imported("routerbench", one, two)
    assert [line["scores"] for line in lines] == [{"m/one": 1.0, "two": 0.0}]
    assert options.left_out == {"no score of m/one": 1}


@pytest.mark.parametrize(
    ("second", "problem"),
    [
        (row(1, one="0.0"), 'one score of m/one for the sample_id "set.test.1", but found 1 and 0 in {file}, line 4'),
        ([*row(1, one="")[:3], "other", *row(1)[4:]], 'one eval_name for the sample_id "set.test.1"'),
    ],
)
def test_routerbench_refuses_rows_that_contradict_each_other(tmp_path, second, problem):
    file = table(tmp_path / "a.csv", [row(1, prompt="two\nlines"), second])
    assert problem.format(file=file) in refusal("routerbench", file)


def test_routerbench_of_other_columns_is_refused(tmp_path):
    assert "columns sample_id, eval_name" in refusal("routerbench", table(tmp_path / "a.csv", [], ["prompt", "x"]))
    assert "a column per model" in refusal("routerbench", table(tmp_path / "b.csv", [], COLUMNS[1:4]))
    one = table(tmp_path / "c.csv", [row(1)])
    two = table(tmp_path / "d.csv", [["1", "q", "e", "1"]], ["sample_id", "prompt", "eval_name", "z"])
    assert "the models of the first file" in refusal("routerbench", one, two)


def test_routerdc_takes_routerbench_tables_too(tmp_path):
    table(tmp_path / "arc_test.csv", [row(1)])
    assert imported("routerdc", tmp_path / "arc_test.csv")[0][0]["id"] == "set.test.1"
