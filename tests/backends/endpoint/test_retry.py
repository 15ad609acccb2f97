from __future__ import annotations

from email.utils import formatdate

import pytest

from zooter_core.backends.endpoint.retry import LONGEST_WAIT, RetryPolicy, is_temporary, retry_after


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


@pytest.mark.parametrize("value", [None, "", "soon", "nan", "inf", "-3", "1e999", "9" * 11, formatdate(4e9)])
def test_a_pause_that_makes_no_sense_is_ignored(value):
    assert retry_after({"retry-after": "1.5"}) == 1.5
    assert retry_after({} if value is None else {"retry-after": value}) is None
