"""Scores for the Lab page, and what its tests do there."""

from __future__ import annotations

import json

from streamlit.testing.v1 import AppTest

from zooter_core.ui.lab.state import Lab

POOL = ("base", "one", "two")
SWEEP, DISTILL = ":material/stacked_line_chart: Sweep beta", ":material/science: Distill"
LINES = [
    {
        "id": f"q{n}",
        "query": f"Add up {n} apples" if n < 18 else f"Write about the sea {n}",
        "scores": {"base": 1.0, "one": 0.2, "two": 0.1} if n < 18 else {"base": 0.1, "one": 0.3, "two": 1.0},
        "dataset": "sums" if n < 18 else "texts",
        "tags": ["math"] if n < 18 else ["writing"],
    }
    for n in range(30)
]


def packed(lines: list[dict]) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def state(page: AppTest) -> Lab:
    lab = page.session_state["lab"]
    assert isinstance(lab, Lab)
    return lab


def upload(page: AppTest, content: bytes, name: str = "scores.jsonl") -> AppTest:
    """Upload a file and wait until it is read, or refused."""
    page.button_group(key="lab-source").set_value("file").run()
    page.file_uploader[0].upload(name, content, "application/jsonl").run()
    lab = state(page)
    assert lab.uploaded is not None
    lab.loaded[lab.uploaded].wait(60)
    return page.run()


def part(page: AppTest, name: str) -> AppTest:
    page.session_state["lab-part"] = name
    return page.run()
