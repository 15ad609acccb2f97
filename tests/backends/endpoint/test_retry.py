from __future__ import annotations

import random
from email.utils import formatdate

import pytest

from zooter_core.backends.endpoint.retry import LONGEST_WAIT, is_temporary, retry_after, retry_pause


def test_pauses_double_and_jitter_shortens_them(monkeypatch):
    assert len({retry_pause(3, 6) for _ in range(20)}) > 1
    monkeypatch.setattr(random, "random", lambda: 0.0)
    assert [retry_pause(attempt, 6) for attempt in range(7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, None]
    monkeypatch.setattr(random, "random", lambda: 1.0)
    assert retry_pause(0, 6) == 0.25


def test_a_server_that_asks_for_a_pause_gets_it_and_a_little_more(monkeypatch):
    monkeypatch.setattr(random, "random", lambda: 1.0)
    assert retry_pause(0, 1, 3.0) == 3.25
    assert retry_pause(0, 1, LONGEST_WAIT) == LONGEST_WAIT + 0.25
    assert retry_pause(0, 1, LONGEST_WAIT + 1) is None
    assert retry_pause(0, 0, 3.0) is None


def test_temporary_statuses():
    temporary = {status for status in range(200, 600) if is_temporary(status)}
    assert temporary == {408, 409, 425, 429, *range(500, 600)} - {501}


@pytest.mark.parametrize("value", [None, "", "soon", "nan", "inf", "-3", "1e999", formatdate(4e9)])
def test_a_pause_that_makes_no_sense_is_ignored(value):
    assert retry_after({"retry-after": "1.5"}) == 1.5
    assert retry_after({} if value is None else {"retry-after": value}) is None
