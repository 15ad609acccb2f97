from __future__ import annotations

import gzip
import json

from zooter_core.evaluation.suites.gsm8k import Gsm8k


def test_the_release_is_read_and_scored(tmp_path):
    lines = [
        {"question": "What is 2 + 3?", "answer": "2 + 3 = <<2+3=5>>5\n#### 5"},
        {"id": "own", "query": "And 500 + 700?", "answer": "#### 1,200"},
    ]
    path = tmp_path / "test.jsonl.gz"
    with gzip.open(path, "wt") as out:
        out.write("".join(json.dumps(line) + "\n" for line in lines))
    suite = Gsm8k()
    first, second = suite.read([path])
    assert (first.id, first.turns, first.key) == ("test/00001", ("What is 2 + 3?",), {"answer": {"number": "5"}})
    assert (second.id, suite.first_form(second.key)) == ("own", "1200")
    answered = [(first, ("It is 5.",)), (first, ("6",)), (first, ("",)), (second, ("$1200.00",))]
    assert suite.score(answered) == [1, 0, 0, 1]
