from __future__ import annotations

import json
import math
from collections import Counter, deque
from decimal import Decimal
from fractions import Fraction
from http import HTTPStatus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zooter_core.evaluation.sandbox.process import pack, unpack, update

KINDS = ["tuple", "set", "dict", "int", "complex", "range", "Fraction", "Decimal", "iterator", "keys", "bytes", "x"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(KINDS), inner, max_size=2
    ),
)  # fmt: skip


VALUES = (
    *(None, True, 2**70, 0.5, 1j, "\ud800", b"\xff", Fraction(1, 3), Decimal("0.10"), range(3)),
    *((1, [2, {(3,): {4}}]), frozenset({(None, "a")}), deque([1, 2]), {1: 2}.keys()),
)


def travelled(value: object) -> object:
    return unpack(json.loads(json.dumps(pack(value, 100))))


@pytest.mark.parametrize("value", VALUES, ids=ascii)
def test_a_value_arrives_as_it_left(value):
    arrived = travelled(value)
    assert (arrived, type(arrived)) == (value, type(value))


@pytest.mark.parametrize(("value", "plain"), [(Counter("aab"), {"a": 2, "b": 1}), (HTTPStatus.OK, 200)], ids=ascii)
def test_a_subclass_arrives_as_its_base(value, plain):
    arrived = travelled(value)
    assert (arrived, type(arrived)) == (plain, type(plain))


def test_what_has_no_equal_arrives_too():
    assert list(travelled({1: 2}.values())) == [2]
    assert next(travelled(zip("ab", range(2), strict=True))) == ("a", 0)
    assert math.isnan(travelled(math.nan))


def test_what_can_be_changed_is_changed_in_place_and_the_rest_is_replaced():
    old = [[1], {"a": [1], "b": 2}, {1}, deque([1]), bytearray(b"a"), 1]
    parts, inner = list(old), old[1]["a"]
    new = [[2, 3], {"a": [4], "c": 5}, {2}, deque([6, 7]), bytearray(b"bc"), 2, "more"]
    assert update(old, new) is old
    assert old == new
    assert [one is other for one, other in zip(parts, old, strict=False)] == [True] * 5 + [False]
    assert old[1]["a"] is inner


@pytest.mark.parametrize("value", [object(), print, int, lambda: 1, Exception(), [object()], {1: print}, (type,)])
def test_what_is_no_plain_value_cannot_travel(value):
    with pytest.raises(TypeError, match="cannot leave the sandbox"):
        pack(value, 100)


@settings(max_examples=50)
@given(JSON)
def test_whatever_is_sent_becomes_a_plain_value_or_an_error(data):
    """`unpack` reads what untrusted code wrote: nothing in it is called, imported or looked up."""
    try:
        value = unpack(data)
    except Exception:
        return
    numbers = (bool, int, float, complex, Fraction, Decimal)
    items = (str, bytes, bytearray, list, tuple, set, dict, range, type(iter([])), type({}.keys()))
    assert value is None or isinstance(value, (*numbers, *items))
