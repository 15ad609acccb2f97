from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.data.scores import read_scores, read_texts

ROOT = Path(__file__).parents[2]
EXAMPLE = re.findall(r"```\n(query,.*?)```", (ROOT / "docs" / "scores.md").read_text(encoding="utf-8"), re.DOTALL)[0]


def table(tmp_path: Path, text: str, name: str = "scores.csv", encoding: str = "utf-8") -> Path:
    path = tmp_path / name
    data = text.encode(encoding)
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("name", ["scores.csv", "scores.csv.gz", "scores.tsv"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_the_table_in_the_docs(tmp_path, name, encoding):
    text = EXAMPLE.replace(",", "\t") if ".tsv" in name else EXAMPLE
    path = table(tmp_path, text.replace("\n", "\r\n"), name, encoding)
    scores = read_scores([path])
    assert [query.text for query in scores.queries] == ["What is 7 * 8?"]  # the other has a score of one model alone
    assert scores.left_out == 1
    assert (scores.candidates, scores.datasets) == (("small", "large"), ["maths"])
    assert scores.scores.tolist() == [[0.4, 0.9]]
    assert read_texts([path], scores) == [{}]


def test_a_table_as_a_spreadsheet_writes_it(tmp_path):
    text = ';Question;Category; org/small-7b ;"GPT 5, large";id;note\n'
    text += '0;"2; 3";maths;0,5;1,25;7;1 remark\n1;"two\nlines";chat;NA;-;8;\n2;Grüße;chat;-,5;3;9;\n'
    scores = read_scores([table(tmp_path, text)])
    assert scores.candidates == ("org/small-7b", "GPT 5, large")
    assert [(query.id, query.text) for query in scores.queries] == [("7", "2; 3"), ("9", "Grüße")]
    assert np.array_equal(scores.scores, [[0.5, 1.25], [-0.5, 3.0]])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "at least one query"),
        ("query,a,b\n", "at least one query"),
        ("text,a,b\nHi,1,2\n", 'a column "query" in'),
        ("query,a,b\nHi,1,2\nHello,bad,2\n", "a number in the column a in"),
        ("query,a,b\nHi, you,1,2\n", "3 cells in"),
        ("query,a,b\nHello,1,2\nHi, you,1,2\n", "but found 4"),
        ("query,a,b\n,1,2\n", '"query" as a text that is not empty'),
        ("query,a,b\nHi,yes,no\n", "scores of two candidates for some query"),
        ("query,model,score\nHi,a,1\n", "those of score alone"),
        ("query,a,\x1b[2J\nHi,1,2\n", "for a candidate in"),
    ],
)
def test_what_is_wrong_in_a_table_is_named(tmp_path, text, problem):
    path = table(tmp_path, text)
    with pytest.raises(ZooterError) as caught:
        read_scores([path]).check_choice()
    assert problem in str(caught.value)
    assert str(path) in str(caught.value)
