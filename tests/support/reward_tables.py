"""Tables of rewards as Hypothesis draws them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

NUMBERS = st.floats(-50, 50, width=32)


@st.composite
def rewards(draw):
    shape = draw(st.integers(1, 8)), draw(st.integers(1, 5))
    return draw(arrays(np.float64, shape, elements=NUMBERS))


@st.composite
def tagged(draw):
    """Rewards and the tags of each query."""
    table = draw(rewards())
    names = st.lists(st.sampled_from(["math", "code", "chat"]), max_size=4)
    return table, draw(st.lists(names, min_size=len(table), max_size=len(table)))
