from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.backends.endpoint.retry import (
    LONGEST_RETRY_AFTER,
    LONGEST_WAIT,
    RetryPolicy,
    is_temporary,
    retry_after,
)


def test_pauses_double_and_jitter_shortens_them():
    policy = RetryPolicy(retries=6)
    assert [policy.pause(attempt, jitter=0.0) for attempt in range(7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, None]
    assert policy.pause(0, jitter=1.0) == 0.25
    assert len({policy.pause(3) for _ in range(20)}) > 1


def test_a_server_that_asks_for_a_pause_gets_it_and_a_little_more():
    policy = RetryPolicy(retries=1)
    assert policy.pause(0, 3.0, jitter=0.0) == 3.0
    assert policy.pause(0, 3.0, jitter=1.0) == 3.25
    assert policy.pause(0, LONGEST_WAIT, jitter=0.0) == LONGEST_WAIT
    assert policy.pause(0, LONGEST_WAIT + 1) is None
    assert RetryPolicy(retries=0).pause(0, 3.0) is None


def test_temporary_statuses():
    temporary = {status for status in range(200, 600) if is_temporary(status)}
    assert temporary == {408, 409, 425, 429, *range(500, 600)} - {501}


SENSELESS = [
    *("", "soon", "nan", "inf", "-inf", "-3", "1e3", "1e999", "0x10", "1_000", "\u0661", "1, 2", "9" * 5000, "9" * 11),
    *("Fri, 31 Feb 2098 10:00:00 GMT", "Fri, 01 Jan 2098 25:00:00 GMT", "Fri, 01 Jan 9999 00:00:00 GMT"),
    *("Fri, 01 Jan 99999999999 00:00:00 GMT", "Fri, 01 Jan 0000 00:00:00 GMT", "Fri, 01 Jan 2098 00:00:00 +9999"),
]


def test_retry_after_may_be_a_number_or_a_date_and_what_makes_no_sense_is_ignored():
    assert retry_after({}) is None
    assert retry_after({"retry-after": "1.5"}) == 1.5
    assert retry_after({"retry-after": formatdate(time.time() + 30)}) == pytest.approx(30, abs=2)
    assert retry_after({"retry-after": formatdate(time.time() - 30)}) == 0
    assert [value for value in SENSELESS if retry_after({"retry-after": value}) is not None] == []


@given(
    st.one_of(st.text(), st.from_regex(r"[A-Z][a-z]{2}, \d{1,6} (Jan|Feb) -?\d{1,6} \d{1,3}:\d{1,3}(:\d{1,3})? \S*"))
)
def test_no_header_gives_a_negative_or_absurd_pause(value):
    assert 0 <= (retry_after({"retry-after": value}) or 0) <= LONGEST_RETRY_AFTER
