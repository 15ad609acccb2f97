"""A visitor's way through the Train page: a score file, a router, a fleet that Chat uses."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from support.demo_browser import (
    NARROW,
    SLOW,
    WIDE,
    ask,
    assert_fits,
    barriers,
    click_when_drawn,
    go_to,
    wait_until_idle,
)
from support.scripted_server import serving

ROOT = Path(__file__).resolve().parents[2]
NAME, OTHERS = "train-browser-test", "train-browser-others"
KINDS = {
    "chat": "Why does the {} change its colour in autumn?",
    "math": "What is {} times 7, minus 5?",
    "code": "Write a Python function that sorts the {} by length",
    "writer": "Write a short poem about the {}",
}
THINGS = ("leaf", "sea", "12", "list", "garden", "140", "road", "sky", "39", "lamp", "words", "river")


def score_file(wrong: bool = False) -> bytes:
    """Forty-eight queries on each of which the candidate of its kind has the highest score."""
    lines = [
        {
            "query": text.format(thing),
            "scores": {name: 1.0 if name == best else 0.1 * number for number, name in enumerate(KINDS)},
            "dataset": best,
            "tags": [best],
        }
        for thing in THINGS
        for best, text in KINDS.items()
    ]
    if wrong:
        lines[4] = {"query": "What is 1 + 1?", "scores": {**dict.fromkeys(KINDS, 0.0), "code": "high"}}
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


@pytest.fixture
def page(open_tab: Callable[..., Page], demo: str) -> Iterator[Page]:
    """The Train page; what it saves is removed."""
    page = open_tab(demo)
    go_to(page, "Train")
    expect(page.get_by_role("button", name="Next: labels")).to_be_visible(timeout=SLOW)
    yield page
    for name in (NAME, OTHERS):
        shutil.rmtree(ROOT / name, ignore_errors=True)


def upload(page: Page, name: str, content: bytes) -> None:
    page.locator('input[type="file"]').set_input_files(
        {"name": name, "mimeType": "application/jsonl", "buffer": content}
    )


def test_a_score_file_becomes_a_fleet_that_chat_uses(page: Page) -> None:
    assert_fits(page, NARROW, WIDE)
    page.get_by_text("A score file").click()
    expect(page.get_by_text("One query per line")).to_be_visible(timeout=SLOW)
    assert_fits(page, NARROW, WIDE)
    upload(page, "mine.jsonl", score_file(wrong=True))
    expect(page.get_by_text("code in mine.jsonl, line 5")).to_be_visible(timeout=SLOW)
    upload(page, "mine.jsonl", score_file())
    expect(page.get_by_text("48 queries, 4 data sets, 4 models")).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Next: labels").click()
    expect(page.get_by_role("figure", name="The query's label")).to_be_visible(timeout=SLOW)
    assert_fits(page, NARROW, WIDE)
    page.get_by_role("slider").first.press("End")
    expect(page.get_by_text("At beta 1 the label")).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Next: train").click()

    go_to(page, "Compare")  # what was chosen outlives another page
    expect(page.get_by_text("All models on one query")).to_be_visible(timeout=SLOW)
    go_to(page, "Train")
    expect(page.get_by_text("beta 1, tags in the file")).to_be_visible(timeout=SLOW)

    click_when_drawn(page, page.locator(".st-key-primary-train-train button"))
    expect(page.get_by_text(re.compile("Your router chooses the best model in"))).to_be_visible(timeout=SLOW)
    page.get_by_text("Regret and other figures").click()
    expect(page.locator(".st-key-table-train-methods table")).to_be_visible(timeout=SLOW)
    assert_fits(page, NARROW, WIDE)

    name_it(page, NAME)
    page.get_by_role("button", name="Use it in Chat").click()
    expect(page.get_by_text("A small router reads your query")).to_be_visible(timeout=SLOW)
    assert (ROOT / NAME / "fleet.toml").is_file()
    expect(page.get_by_role("combobox", name="Fleet")).to_have_value(NAME, timeout=SLOW)
    ask(page, "Write a short poem about the harbour")
    expect(page.get_by_role("img", name=re.compile("^Routing:"))).to_be_visible(timeout=SLOW)
    expect(page.get_by_text(re.compile(r"tokens in"))).to_be_visible(timeout=SLOW)


def name_it(page: Page, name: str) -> None:
    click_when_drawn(page, page.get_by_text("Advanced").last)
    page.get_by_role("textbox", name="Name").fill(name)
    page.get_by_role("textbox", name="Name").press("Enter")
    wait_until_idle(page)


def test_a_score_file_of_ones_own_models_becomes_a_fleet_of_them(page: Page) -> None:
    """Through Models, which has the router's names filled in."""
    lines = [json.loads(line) for line in score_file().decode().splitlines()]
    called = {"chat": "tales", "math": "sums"}
    for line in lines:
        line["scores"] = {called[name]: line["scores"][name] for name in called}
    page.get_by_text("A score file").click()
    upload(page, "mine.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
    page.get_by_role("button", name="Next: labels").click()
    page.get_by_role("button", name="Next: train").click()
    click_when_drawn(page, page.locator(".st-key-primary-train-train button"))
    expect(page.get_by_role("button", name="Build a fleet with these models")).to_be_visible(timeout=SLOW)
    name_it(page, OTHERS)
    page.get_by_role("button", name="Build a fleet with these models").click()
    expect(page.get_by_text(f"Build a fleet for the router {OTHERS}")).to_be_visible(timeout=SLOW)
    with serving() as server:
        server.models = ["tales", "sums"]
        server.replies = dict.fromkeys(server.models, lambda query: "an answer of one of mine")
        page.get_by_role("tab", name="At an address").click()
        page.get_by_role("textbox", name="Address").fill(server.url)
        page.get_by_role("textbox", name="Address").press("Enter")
        expect(page.get_by_role("combobox", name="Who answers as sums")).to_have_value(
            re.compile("^sums"), timeout=SLOW
        )
        wait_until_idle(page)
        assert barriers(page) == []
        assert_fits(page, NARROW, WIDE)
        page.get_by_role("button", name="Build the fleet").click()
        expect(page.get_by_role("combobox", name="Fleet")).to_have_value(OTHERS, timeout=SLOW)
        expect(page.get_by_text("ready", exact=True)).to_have_count(2, timeout=SLOW)
        go_to(page, "Chat")
        ask(page, "What is 12 times 7, minus 5?")
        expect(page.get_by_role("img", name="Routing: sums")).to_be_visible(timeout=SLOW)
        expect(page.get_by_text("an answer of one of mine").first).to_be_visible(timeout=SLOW)
