"""Scores for the Train page, and what its tests do there."""

from __future__ import annotations

import json

from streamlit.testing.v1 import AppTest

from support.patience import PATIENCE
from zooter_core.ui.train.steps import Session

POOL = ("base", "one", "two")
LINES = [
    {
        "id": f"q{n}",
        "query": f"Add up {n} apples" if n < 18 else f"Write about the sea {n}",
        "scores": {"base": 1.0, "one": 0.2, "two": 0.1} if n < 18 else {"base": 0.1, "one": 0.3, "two": 1.0},
        "dataset": "sums" if n < 18 else "verse",
        "tags": ["math"] if n < 18 else ["writing"],
    }
    for n in range(30)
]


def packed(lines: list[dict]) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def state(page: AppTest) -> Session:
    session = page.session_state["train"]
    assert isinstance(session, Session)
    return session


def settled(page: AppTest) -> AppTest:
    """Wait until all scores are read and all queries tagged, and draw the page again."""
    for task in (*state(page).loaded.values(), *state(page).tagging.values()):
        task.wait(60)
    return page.run()


def upload(page: AppTest, content: bytes, name: str = "scores.jsonl") -> AppTest:
    """Upload a file and wait until it is read, or refused."""
    page.button_group(key="train-source").set_value("file").run()
    page.file_uploader[0].upload(name, content, "application/jsonl").run()
    return settled(page)


def open_step(page: AppTest, number: int) -> AppTest:
    """Press *Next* until the step is open, and wait for the tags, which step 2 may compute."""
    for step in range(state(page).step + 1, number + 1):
        page.button(key=f"train-next-{step}").click().run()
        settled(page)
    return page


def train(page: AppTest) -> AppTest:
    """Press *Train* in step 3, and wait for the router."""
    page.button(key="train-train").click().run()
    task = state(page).distillation
    assert task is not None
    task.wait(PATIENCE)
    return page.run()
