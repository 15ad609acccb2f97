"""What visitors see of a model that thinks: its thoughts come folded, stay open if opened, and are not the answer."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator

from playwright.sync_api import Page, expect

from support.demo_browser import NARROW, SLOW, WIDE, Demo, answered, ask, assert_fits, barriers
from support.patience import PATIENCE
from support.scripted_server import Scripted

Open = Callable[..., Page]


class Thinker:
    """Thinks when it may, and answers when it may."""

    def __init__(self) -> None:
        self.may_think, self.may_answer = threading.Event(), threading.Event()

    def __call__(self, query: str) -> Iterator[str]:
        self.may_think.wait(PATIENCE)
        yield from [
            "<think>",
            *f"Let me see.\n\n1. `{query}`\n2. ![x](http://elsewhere.example/x.png) Quite so.".split(" "),
        ]
        self.may_answer.wait(PATIENCE)
        yield from ("</think>", "A", "short", "answer.")


def test_thoughts_come_folded_and_stay_as_they_were_opened(open_tab: Open, directed: tuple[Demo, Scripted]) -> None:
    demo, endpoints = directed
    thinker = Thinker()
    endpoints.replies.update(base=thinker, one=thinker, two=thinker)
    page = open_tab(demo.address, NARROW, color_scheme="dark")
    ask(page, "Think well.")
    expect(page.get_by_text("waiting for the first word")).to_be_visible(timeout=SLOW)
    thinker.may_think.set()
    message = page.get_by_test_id("stChatMessage").last
    title, thoughts = message.locator("summary"), message.get_by_test_id("stExpanderDetails")
    end = message.locator("[class*=st-key-thinking-]")
    expect(title).to_have_text(re.compile(r"Thinking \.\.\. [1-9]\d* s"), timeout=SLOW)  # it goes on
    expect(end).to_contain_text("Quite so.")
    expect(message.locator("details")).not_to_have_attribute("open", "")
    assert barriers(page) == []
    assert_fits(page, NARROW, WIDE)
    title.click()
    expect(thoughts.get_by_role("listitem").first).to_have_text("Think well.")
    expect(end).to_be_hidden()  # it is in the thoughts
    assert barriers(page) == []
    thinker.may_answer.set()
    answered(page)
    expect(title).to_have_text(re.compile(r"Thought for [1-9]\d* s"))
    expect(message.locator("details")).to_have_attribute("open", "")  # nothing has folded it
    expect(message.get_by_text("A short answer.").filter(visible=True)).to_be_visible()
    expect(message.get_by_text(re.compile(r"tokens, \d+ of them thoughts, in"))).to_be_visible()
    page.emulate_media(color_scheme="light")
    assert barriers(page) == []
    assert_fits(page, WIDE, NARROW)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("[class*=st-key-copy-] button").click()
    assert page.evaluate("navigator.clipboard.readText()") == "A short answer."
    title.click()
    expect(message.locator("details")).not_to_have_attribute("open", "")
