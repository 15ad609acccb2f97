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

ROOT = Path(__file__).resolve().parents[2]
NAME = "train-browser-test"
KINDS = {
    "chat": "Why does the {} change its colour in autumn?",
    "math": "What is {} times 7, minus 5?",
    "code": "Write a Python function that sorts the {} by length",
    "writer": "Write a short poem about the {}",
}
THINGS = ("leaf", "sea", "12", "list", "garden", "140", "road", "sky", "39", "lamp", "words", "river")


def score_file() -> bytes:
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
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


@pytest.fixture
def saved() -> Iterator[Path]:
    """The folder of the fleet that the page saves, which is removed."""
    yield ROOT / NAME
    shutil.rmtree(ROOT / NAME, ignore_errors=True)


def test_a_score_file_becomes_a_fleet_that_chat_uses(open_tab: Callable[..., Page], demo: str, saved: Path) -> None:
    page = open_tab(demo)
    go_to(page, "Train")
    page.get_by_text("A score file").click(timeout=SLOW)
    expect(page.get_by_text("One query per line")).to_be_visible(timeout=SLOW)
    file = {"name": "mine.jsonl", "mimeType": "application/jsonl", "buffer": score_file()}
    page.locator('input[type="file"]').set_input_files(file)
    expect(page.get_by_text("48 queries, 4 data sets, 4 models")).to_be_visible(timeout=SLOW)
    expect(page.get_by_role("figure", name="The query's label: code 100%")).to_be_visible(timeout=SLOW)
    assert_fits(page, NARROW, WIDE)
    page.get_by_role("slider").first.press("End")
    expect(page.get_by_text("At beta 1 the label")).to_be_visible(timeout=SLOW)
    go_to(page, "Compare")  # what was chosen outlives another page
    expect(page.get_by_text("All models on one query")).to_be_visible(timeout=SLOW)
    go_to(page, "Train")
    expect(page.get_by_text("At beta 1 the label")).to_be_visible(timeout=SLOW)

    click_when_drawn(page, page.locator(".st-key-primary-train button"))
    result = page.get_by_text(re.compile("Your router chooses the best model in"))
    expect(result).to_be_in_viewport(timeout=SLOW)  # without scrolling
    page.get_by_text("By data set").click()
    expect(page.locator(".st-key-table-methods table")).to_be_visible(timeout=SLOW)
    assert_fits(page, NARROW, WIDE)
    assert barriers(page) == []

    wait_until_idle(page)
    page.get_by_role("textbox", name="Name").fill(NAME)
    page.get_by_role("textbox", name="Name").press("Enter")
    wait_until_idle(page)
    page.get_by_role("button", name="Use it in Chat").click()
    expect(page.get_by_text("A small router reads your query")).to_be_visible(timeout=SLOW)
    assert (saved / "fleet.toml").is_file()
    expect(page.get_by_role("combobox", name="Fleet")).to_have_value(NAME, timeout=SLOW)
    ask(page, "Write a short poem about the harbour")
    expect(page.get_by_role("img", name=re.compile("^Routing:"))).to_be_visible(timeout=SLOW)
    expect(page.get_by_text(re.compile(r"tokens in"))).to_be_visible(timeout=SLOW)
