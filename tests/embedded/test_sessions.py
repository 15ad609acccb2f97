"""Several visitors at once, each in a session, on the embedded fleet's real models."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from support.patience import PATIENCE
from zooter_core.ui.chat.conversations import Conversation
from zooter_core.ui.chat.turns import Turn

ROOT = Path(__file__).resolve().parents[2]
VISITORS = 3


def turn(page: AppTest) -> Turn:
    talk: Conversation = page.session_state["conversation"]
    return talk.turns[-1]


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[AppTest]:
    monkeypatch.setenv("ZOOTER_FLEET", str(ROOT / "models" / "embedded"))
    opened = [
        AppTest.from_file(str(ROOT / "pages" / "chat.py"), default_timeout=PATIENCE).run() for _ in range(VISITORS)
    ]
    for page in opened:
        id = page.session_state["conversation"].id
        page.slider(key=f"temperature-{id}").set_value(0.0)
        page.slider(key=f"length-{id}").set_value(16).run()
    return opened


def test_sessions_are_served_at_once_and_each_gets_its_own_answer(pages: list[AppTest]) -> None:
    queries = [f"What is {number} + {number + 10}?" for number in range(VISITORS)]
    for page, query in zip(pages, queries, strict=True):
        page.chat_input[0].set_value(query).run()
    jobs = [turn(page).job for page in pages]
    for job in jobs:
        job.wait(PATIENCE)
    for number, (page, query) in enumerate(zip(pages, queries, strict=True)):
        page.run()
        assert not page.exception
        assert turn(page).query == query
        assert turn(page).job.problem is None
        assert str(number) in turn(page).text or str(number + 10) in turn(page).text
