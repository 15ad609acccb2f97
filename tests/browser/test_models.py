"""From an empty folder to a chat that is routed between one's own models, with the keyboard alone."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from support.demo_browser import (
    NARROW,
    SLOW,
    WIDE,
    Demo,
    ShortExamDemo,
    ask,
    assert_fits,
    barriers,
    go_to,
    tab_to,
    wait_until_idle,
)
from support.scripted_server import Scripted, serving

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def server() -> Iterator[Scripted]:
    with serving() as scripted:
        scripted.models = ["sums-math", "words-writer"]
        scripted.replies = dict.fromkeys(scripted.models, lambda query: "an answer of one of mine")
        yield scripted


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """An empty folder, in which the demo starts."""
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


@pytest.fixture
def demo(tmp_path: Path, empty: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Demo]:
    monkeypatch.chdir(empty)
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


def test_own_models_are_connected_by_keyboard_and_chat_routes_between_them(
    demo: Demo, open_tab: Callable[..., Page], server: Scripted, tmp_path: Path
) -> None:  # the tabs close before the demo ends
    page = open_tab(f"{demo.address}/models")
    expect(page.get_by_text("Kind of query").first).to_be_visible(timeout=5 * SLOW)
    press(page, "On this machine", "ArrowRight")
    press(page, "Address", "End")
    page.keyboard.type(server.url.removesuffix("/v1"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("checkbox")).to_have_count(2, timeout=SLOW)
    assert barriers(page) == []
    assert_fits(page, NARROW, WIDE)
    for box in page.get_by_role("checkbox").all():
        press(page, box.get_attribute("aria-label") or "", "Space")
    press(page, "Connect 2 models")
    expect(page.get_by_role("button", name="Start the exam")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("Kind of query", exact=True)).to_have_count(2, timeout=SLOW)
    assert (tmp_path / "empty" / "my-fleet" / "fleet.toml").is_file()
    expect(page.get_by_text("ready", exact=True)).to_have_count(2, timeout=SLOW)
    expect(page.get_by_test_id("stToast")).to_have_count(0, timeout=SLOW)
    assert barriers(page) == []
    assert_fits(page, 2560, WIDE, NARROW, 360)
    page.emulate_media(color_scheme="dark")
    expect(page.get_by_test_id("stApp")).to_have_css("background-color", "rgb(19, 16, 25)", timeout=SLOW)
    assert barriers(page) == []
    page.set_viewport_size({"width": WIDE, "height": 900})
    go_to(page, "Chat")
    expect(page.get_by_text("a starting router chooses")).to_be_visible(timeout=SLOW)
    ask(page, "Solve 3x - 4 = 11")
    expect(page.get_by_role("img", name="Routing: sums-math")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("an answer of one of mine").first).to_be_visible(timeout=SLOW)
    chats = [body for body in server.bodies if "messages" in body]
    assert {body["model"] for body in chats if body["messages"][-1]["content"] == "Solve 3x - 4 = 11"} == {"sums-math"}


@pytest.mark.slow
def test_real_models_sit_an_exam_by_keyboard_and_its_router_chooses(
    demo: Demo, open_tab: Callable[..., Page], empty: Path, tmp_path: Path
) -> None:
    """The only exam in which a browser, llama.cpp's own servers and the shipped questions come together."""
    from support.llama_servers import llama_servers

    with llama_servers(["math", "code"], tmp_path / "servers") as addresses:
        page = open_tab(f"{demo.address}/models")
        expect(page.get_by_text("Kind of query").first).to_be_visible(timeout=5 * SLOW)
        press(page, "On this machine", "ArrowRight")
        for number, address in enumerate(addresses):
            press(page, "Address", "Control+a")
            page.keyboard.type(address)
            page.keyboard.press("Enter")
            expect(page.get_by_text(f"llama.cpp at {address.split('/')[2]}")).to_be_visible(timeout=SLOW)
            press(page, "Connect")  # the only model of a server is marked
            expect(page.get_by_role("button", name="Try")).to_have_count(number + 1, timeout=SLOW)
            expect(page.get_by_test_id("stToast")).to_have_count(0, timeout=SLOW)
        press(page, "Start the exam")
        expect(page.get_by_text("Right answers so far")).to_be_visible(timeout=5 * SLOW)
        assert_fits(page, NARROW, WIDE)
        expect(page.get_by_text("Who gave the best answer, by skill")).to_be_visible(timeout=5 * SLOW)
        expect(page.get_by_text("Kind of query", exact=True)).to_have_count(2, timeout=SLOW)
        assert barriers(page) == []
        assert_fits(page, NARROW, 360, WIDE)
        if page.get_by_role("button", name="Use its router anyway").is_visible():  # these models are hardly different
            press(page, "Use its router anyway")
            expect(page.get_by_role("button", name="Chat with the new router")).to_be_visible(timeout=5 * SLOW)
        assert tomllib.loads((empty / "my-fleet" / "fleet.toml").read_text())["router"]["path"] == "router"
        press(page, "Chat with the new router")
        ask(page, "What is 12 plus 30?")
        expect(page.get_by_role("img", name="Routing: smollm2-135m")).to_be_visible(timeout=SLOW)
        expect(page.get_by_text("a starting router chooses")).to_have_count(0)
