from __future__ import annotations

import json
from collections import deque
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zooter_core.evaluation.sandbox.process import pack, unpack, update

ATOMS = (
    *(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.complex_numbers(allow_nan=False)),
    *(st.text(), st.binary(), st.fractions(), st.decimals(allow_nan=False)),
)
HASHABLE = st.recursive(st.one_of(*ATOMS), lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3))
VALUES = st.recursive(
    HASHABLE,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner),
        st.dictionaries(HASHABLE, inner, max_size=4),
        st.sets(HASHABLE, max_size=4),
        st.lists(inner, max_size=3).map(deque),
    ),
)
KINDS = ["tuple", "set", "dict", "int", "complex", "range", "Fraction", "Decimal", "iterator", "keys", "bytes", "x"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(KINDS), inner, max_size=2
    ),
)  # fmt: skip


def travelled(value: object) -> object:
    return unpack(json.loads(json.dumps(pack(value, 100))))


@settings(max_examples=25)
@given(VALUES)
def test_a_value_arrives_as_it_left(value):
    arrived = travelled(value)
    assert arrived == value
    assert repr(type(arrived)) == repr(type(value))


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


@settings(max_examples=25)
@given(VALUES, VALUES)
def test_update_makes_equal_what_can_be_changed(old, new):
    updated = update(old, new)
    assert updated == new
    changeable = (list, dict, set, deque)
    assert (updated is old) == (old is new or any(isinstance(old, k) and isinstance(new, k) for k in changeable))
