"""From an empty folder to a chat that is routed between one's own models, with the keyboard alone."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from support.demo_browser import NARROW, SLOW, WIDE, Demo, ask, assert_fits, barriers, go_to, tab_to, wait_until_idle
from support.scripted_server import Scripted, serving
from zooter_core.fleet.skills import starter_queries

ROOT = Path(__file__).resolve().parents[2]


class ShortExamDemo(Demo):
    """A demo whose exam has eight questions."""

    program = ("support.short_exam", *Demo.program[1:])


@pytest.fixture
def server() -> Iterator[Scripted]:
    """`sums-math` knows the answers of the exam, and `words-writer` has a few words."""
    answers = {query.text: str((query.key or {}).get("answer", "")) for query in starter_queries(True)}
    with serving() as scripted:
        scripted.models = ["sums-math", "words-writer"]
        scripted.replies = {
            "sums-math": lambda query: answers.get(query) or "an answer of one of mine",
            "words-writer": lambda query: "I cannot say",
        }
        yield scripted


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which the demo starts."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def demo(tmp_path: Path, empty: Path) -> Iterator[Demo]:
    path = f"{ROOT}{os.pathsep}{ROOT / 'tests'}"
    running = ShortExamDemo(tmp_path / "history.db", PYTHONPATH=path, XDG_CONFIG_HOME=str(tmp_path))
    yield running
    running.stop()


def press(page: Page, label: str, key: str = "Enter") -> None:
    """Go to what has the label with Tab, and press a key there."""
    wait_until_idle(page)
    tab_to(page, label)
    page.keyboard.press(key)
    page.wait_for_timeout(300)  # until the page's script has begun to run
    wait_until_idle(page)


def test_own_models_are_connected_and_sit_an_exam_by_keyboard_and_its_router_chooses(
    demo: Demo, open_tab: Callable[..., Page], server: Scripted, empty: Path
) -> None:  # the tabs close before the demo ends
    page = open_tab(f"{demo.address}/models")
    expect(page.get_by_text("Kind of query").first).to_be_visible(timeout=SLOW)
    press(page, "On this machine", "ArrowRight")
    press(page, "Address", "End")
    page.keyboard.type(server.url.removesuffix("/v1"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("checkbox")).to_have_count(2, timeout=SLOW)
    for box in page.get_by_role("checkbox").all():
        press(page, box.get_attribute("aria-label") or "", "Space")
    press(page, "Connect 2 models")
    expect(page.get_by_text("Kind of query", exact=True)).to_have_count(2, timeout=SLOW)
    expect(page.get_by_text("ready", exact=True)).to_have_count(2, timeout=SLOW)
    assert (empty / "my-fleet" / "fleet.toml").is_file()
    go_to(page, "Chat")
    expect(page.get_by_text("a starting router chooses")).to_be_visible(timeout=SLOW)
    ask(page, "Solve 3x - 4 = 11")
    expect(page.get_by_role("img", name="Routing: sums-math")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("an answer of one of mine").first).to_be_visible(timeout=SLOW)
    chats = [body for body in server.bodies if "messages" in body]
    assert {body["model"] for body in chats if body["messages"][-1]["content"] == "Solve 3x - 4 = 11"} == {"sums-math"}

    go_to(page, "Models")
    press(page, "Start the exam")
    expect(page.get_by_text("Who gave the best answer, by skill")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("Kind of query", exact=True)).to_have_count(2, timeout=SLOW)
    assert barriers(page) == []
    assert_fits(page, NARROW, 360, WIDE)
    if page.get_by_role("button", name="Use its router anyway").is_visible():  # eight questions prove little
        press(page, "Use its router anyway")
        expect(page.get_by_role("button", name="Chat with the new router")).to_be_visible(timeout=SLOW)
    assert tomllib.loads((empty / "my-fleet" / "fleet.toml").read_text())["router"]["path"] == "router"
    press(page, "Chat with the new router")
    ask(page, "What is 12 plus 30?")
    expect(page.get_by_role("img", name="Routing: sums-math")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("a starting router chooses")).to_have_count(0)
