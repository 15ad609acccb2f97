from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.base.errors import ZooterError
from zooter_core.evaluation.suites.mmlu import Mmlu, letter

CHOICES = ["red", "green", "blue", "light blue"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("B", "B"),
        (" b.", "B"),
        ("(B)", "B"),
        ("**B**", "B"),
        ("B. green", "B"),
        ("(C) blue, I think", "C"),
        ("Answer: B", "B"),
        ("answer is (c)", "C"),
        ("The answer is B because A is wrong.", "B"),
        ("The correct answer is option D.", "D"),
        ("The answer is **C**, not option B.", "C"),
        ("I first thought the answer is A. But the answer is B.", "B"),
        ("The answer is:\n\nD", "D"),
        ("A is wrong, and so the answer must be C!", "C"),
        ("Option B fits best.", "B"),
        ("I think it is C.", "C"),
        ("A good question. It is (D)", "D"),
        ("The answer is a little odd: green.", "B"),
        ("The answer is not clear.", None),
        ("It is green.", "B"),
        ("Either red or green.", None),
        ("B or C", None),
        ("Answer: E", None),
        ("Because.", None),
        ("", None),
    ],
)
def test_the_letter(text, expected):
    assert letter(text, CHOICES) == expected


WAYS = ("{}", "({})", "{}.", "**{}**", "Answer: {}", "The answer is {} because it is.", "answer is ({})", "Answer:\n{}")


@given(st.integers(2, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))), st.sampled_from(WAYS))
def test_a_letter_is_read_however_it_is_said(places, way):
    """Of up to eight: an I within a sentence may be the writer."""
    count, right = places
    assert letter(way.format("ABCDEFGHIJ"[right]), [f"choice{n}" for n in range(count)]) == "ABCDEFGHIJ"[right]


@given(st.text(max_size=200), st.integers(1, 10))
def test_any_text_has_a_known_letter_or_none(text, count):
    answer = letter(text, [str(n) for n in range(count)])
    assert answer is None or answer in "ABCDEFGHIJ"[:count]


def test_the_csv_of_the_release(tmp_path):
    path = tmp_path / "high_school_physics_test.csv"
    path.write_text('"What, then,\nis ""it""?",1,2,3,4,C\nAnd this?,a,b,c,d,A\n')
    first, second = Mmlu().read([path])
    assert first.turns[0].startswith('What, then,\nis "it"?\nA. 1\nB. 2\nC. 3\nD. 4\n')
    assert (first.id, first.tags) == ("high_school_physics_test/00001", ("high school physics",))
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
        assert Mmlu().read([path])[0].key["letter"] == right
