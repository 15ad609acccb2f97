from __future__ import annotations

from urllib.parse import parse_qs, urlparse

import pytest

from zooter_core.ui import links


def test_a_link_opens_the_query_with_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links.resources, "fleets", lambda: {"tiny": "models/tiny"})
    monkeypatch.setattr(links.resources, "folder", lambda: "models/tiny")
    address = links.link("What is 2 + 2? & more", models=["a", "b c"], blind="true")
    assert parse_qs(urlparse(address).query) == {
        "q": ["What is 2 + 2? & more"],
        "fleet": ["tiny"],
        "models": ["a", "b c"],
        "blind": ["true"],
    }


def test_an_address_fills_a_widget_once_and_keeps_its_query_until_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    state: dict[str, str] = {}
    monkeypatch.setattr(links.st, "query_params", {"q": "Hello", "fleet": "tiny"})
    monkeypatch.setattr(links.st, "session_state", state)
    links.prefill("box")
    assert state["box"] == "Hello"
    state["box"] = "Hello you"
    links.prefill("box")
    assert state["box"] == "Hello you"
    assert links.pending()
    links.clear()
    assert not links.pending()
    assert links.st.query_params == {"fleet": "tiny"}
