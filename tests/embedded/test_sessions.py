"""Twenty visitors at once, each with a session of its own, on the embedded fleet's real models."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from zooter_core.ui.chat.conversations import Conversation, Turn

ROOT = Path(__file__).resolve().parents[2]
VISITORS = 20
MOST = 300  # seconds that all of them may take


def turn(page: AppTest) -> Turn:
    talk: Conversation = page.session_state["conversation"]
    return talk.turns[-1]


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[AppTest]:
    monkeypatch.setenv("ZOOTER_FLEET", str(ROOT / "models" / "embedded"))
    opened = [AppTest.from_file(str(ROOT / "pages" / "chat.py"), default_timeout=MOST).run() for _ in range(VISITORS)]
    for page in opened:
        page.slider(key="temperature").set_value(0.0)
        page.slider(key="length").set_value(16).run()
    return opened


def test_nobody_gets_anothers_answer_and_all_are_served_in_order(pages: list[AppTest]) -> None:
    for number, page in enumerate(pages):
        page.chat_input[0].set_value(f"What is {number} + {number + 10}?").run()
    jobs = [turn(page).job for page in pages]
    order: list[int] = []
    end = time.monotonic() + MOST
    last = pages[-1].run()
    waiting = [caption.value for caption in last.caption if "Waiting" in caption.value]
    assert jobs[-1].ahead == 0 or re.search(r"\d+ other queries are|another query is", waiting[0])
    while len(order) < VISITORS and time.monotonic() < end:
        order += [number for number, job in enumerate(jobs) if not job.running and number not in order]
        time.sleep(0.01)
    assert order == sorted(order)  # first come, first served
    assert len(order) == VISITORS
    said = {}
    for number, page in enumerate(pages):
        page.run()
        assert not page.exception
        found = turn(page)
        assert found.query == f"What is {number} + {number + 10}?"
        assert found.job.problem is None
        said[number] = found.text
    engine = turn(pages[0]).job._ensemble  # type: ignore[attr-defined]
    for number in (0, 7, 19):  # each says what it says to a visitor who is alone
        alone = Conversation()
        alone.ask(engine, f"What is {number} + {number + 10}?", turn(pages[number]).settings)
        alone.turns[0].job.wait(60)
        assert alone.turns[0].text == said[number]
