"""Whatever a client sends, the answer is a 4xx in the API's shape, and never a 5xx.

By default thirty bodies; ZOOTER_MALFORMED=10000 tries as many as the documentation claims.
"""

from __future__ import annotations

import json
import os

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

MOST = int(os.environ.get("ZOOTER_MALFORMED", "30"))
SETTINGS = settings(max_examples=MOST, suppress_health_check=[HealthCheck.function_scoped_fixture])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    (
        *("model", "messages", "stream", "tools", "models", "session_id", "willingness_to_pay", "stream_options"),
        *("input", "query", "documents", "top_n"),
    )
)
BAD_MESSAGES = st.lists(VALUES | st.fixed_dictionaries({"role": VALUES, "content": VALUES}), max_size=3)
BODIES = (
    st.binary(max_size=60)
    | VALUES.map(json.dumps).map(str.encode)
    | st.builds(
        lambda fields, messages: json.dumps({**fields, "model": "no-such-model", "messages": messages}).encode(),
        st.dictionaries(FIELDS, VALUES),
        BAD_MESSAGES,
    )
)
PATHS = st.sampled_from(["chat/completions", "responses", "embeddings", "rerank", "route", "feedback"])


@pytest.mark.slow
@SETTINGS
@given(path=PATHS, body=BODIES)
def test_a_malformed_body_is_refused(local, path, body):
    """It alone tries bodies that nobody has thought of; tests/serve/test_routes.py has those that somebody has."""
    response = local.client.post(f"/v1/{path}", content=body)
    assert 400 <= response.status_code < 500, (response.status_code, response.text)
    error = response.json()["error"]
    assert isinstance(error["message"], str)
    assert {"type", "param", "code"} <= set(error)
