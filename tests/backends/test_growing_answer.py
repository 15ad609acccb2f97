from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zooter_core.backends import Request
from zooter_core.backends.growing_answer import EVERY, LEAST, LONGEST, TIMES, GrowingAnswer, ends_in_repetition
from zooter_core.config.candidates import CandidateConfig

LINES = "The sea is blue and the sky is wide today.\n"


REPEATED = [
    *(":" * 300, "A good start. " + "Hello " * 60, "Hi. " + LINES * 8, "so on" + "ab\n" * 100),
    "".join(f"{n}. {LINES}" for n in range(5, 30)),
]
OTHERS = [  # lists, tables, rulers, and what goes on
    *("", "-" * 120, "x = 1\n" * 10, LINES * 3, LINES * 8 + "Then it rained.", ", ".join(map(str, range(400)))),
    "\n".join(f"| {n} | {n * n} |" for n in range(200)),
    "\n".join(f"{n} x 7 = {7 * n}" for n in range(100)),
]


def test_the_same_again_and_again_is_a_repetition_and_nothing_else():
    assert [text for text in REPEATED if not ends_in_repetition(text)] == []
    assert [text for text in OTHERS if ends_in_repetition(text)] == []


@given(st.text(min_size=1, max_size=LONGEST), st.text(max_size=50))
def test_whatever_is_written_often_enough_at_the_end_is_seen(unit, before):
    assert ends_in_repetition(before + unit * (TIMES + LEAST // len(unit)))


def test_an_answer_is_looked_at_now_and_then_and_it_is_seen_all_the_same():
    answer, looks = GrowingAnswer(Request(CandidateConfig("a", "gguf", "a"), ())), 0
    while not answer.repeats:
        answer.add(":")
        looks += 1
        assert looks < LEAST + EVERY + 1
