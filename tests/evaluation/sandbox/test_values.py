from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zooter_core.evaluation.sandbox.process import pack, unpack

KINDS = ["tuple", "set", "dict", "int", "complex", "range", "Fraction", "Decimal", "iterator", "keys", "bytes", "x"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(KINDS), inner, max_size=2
    ),
)  # fmt: skip


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
