from __future__ import annotations

import time

import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.learn.redaction import load_redaction, redacted, without_contacts


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("write to ann.lee+x@mail.example.org today", "write to [EMAIL] today"),
        ("call +49 30 1234 5678 now", "call [PHONE] now"),
        ("card 4111 1111 1111 1111, thanks", "card [CARD], thanks"),
        ("IBAN DE89 3704 0044 0532 0130 00.", "IBAN [IBAN]."),
        ("key sk-abcdefghijklmnop1234 leaked", "key [SECRET] leaked"),
        ("What is 12345 + 678 in 2024?", "What is 12345 + 678 in 2024?"),
        ("sort [3, 1, 2] with @dataclass", "sort [3, 1, 2] with @dataclass"),
    ],
)
def test_contacts_are_masked(text, masked):
    assert without_contacts(text) == masked


@pytest.mark.parametrize("letter", ["a", "1", "1 ", "+1 ", "a.", "a@", "DE89 ", "-"])
def test_a_hostile_text_takes_no_time(letter):
    begun = time.thread_time()
    without_contacts(letter * 20_000)
    assert time.thread_time() - begun < 2  # 0.02 s; a pattern that backtracks takes minutes


def test_a_text_is_redacted_before_it_is_cut():
    assert redacted("write to ann@example.org", 14, without_contacts) == "write to [EMAI"
    assert redacted("write to ann@example.org", 14, None) == "write to ann@e"


def test_an_unknown_kind_is_named():
    assert load_redaction(None) is None
    assert load_redaction("contacts") is without_contacts
    with pytest.raises(ZooterError, match="contacts"):
        load_redaction("contact")
