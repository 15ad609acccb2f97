from __future__ import annotations

from urllib.parse import parse_qs, urlparse

import pytest

from zooter_core.ui import links


def test_a_link_opens_the_query_with_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links.resources, "fleets", lambda: {"tiny": "models/tiny"})
    monkeypatch.setattr(links.resources, "folder", lambda: "models/tiny")
    made = links.link("What is 2 + 2? & more", models=["a", "b c"], blind="true")
    assert parse_qs(urlparse(made).query) == {
        "q": ["What is 2 + 2? & more"],
        "fleet": ["tiny"],
        "models": ["a", "b c"],
        "blind": ["true"],
    }


def test_what_an_address_asks_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links.st, "query_params", {"q": "Hello", "fleet": "tiny"})
    assert links.asked() == "Hello"
    assert links.asked() is None
    assert links.st.query_params == {"fleet": "tiny"}
