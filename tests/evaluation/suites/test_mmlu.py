from __future__ import annotations

import gzip
import json

import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.evaluation.suites.mmlu import Mmlu


def test_the_csv_of_the_release(tmp_path):
    path = tmp_path / "high_school_physics_test.csv"
    path.write_text('"What, then,\nis ""it""?",1,2,3,4,C\nAnd this?,a,b,c,d,A\n')
    first, second = Mmlu().read([path])
    assert first.turns[0].startswith('What, then,\nis "it"?\nA. 1\nB. 2\nC. 3\nD. 4\n')
    assert (first.id, first.tags) == ("high_school_physics_test/00001", ("high school physics",))
    assert Mmlu().first_form(first.key) == {"letter": "C", "choices": ["1", "2", "3", "4"]}
    assert Mmlu().score([(first, ("C",)), (first, ("4",)), (second, ("The answer is A",))]) == [1, 0, 1]
    zipped = tmp_path / "virology_val.csv.gz"
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    assert Mmlu().read([path, zipped])[3].tags == ("virology",)


@pytest.mark.parametrize(
    ("answer", "right"), [(2, "C"), ("C", "C"), ("c", "C"), (0, "A"), (4, None), ("E", None), (True, None), (-1, None)]
)
def test_json_lines_with_the_answer_as_number_or_letter(tmp_path, answer, right):
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"question": "q", "subject": "s", "choices": ["1", "2", "3", "4"], "answer": answer}))
    if right is None:
        with pytest.raises(ZooterError, match=r'"answer" as a letter from A to D, or a number from 0 to 3 in .*line 1'):
            Mmlu().read([path])
    else:
        assert Mmlu().read([path])[0].key == {"answer": {"choice": right, "choices": ["1", "2", "3", "4"]}}
