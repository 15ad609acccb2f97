"""What tests of pages look at and click, in Streamlit's AppTest. It runs no fragment timers: draw the page again."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from support.patience import PATIENCE
from zooter_core.ui.chat.conversations import Conversation
from zooter_core.ui.compare.comparisons import Comparison
from zooter_core.ui.models import manage

Open = Callable[..., AppTest]  # the fixture `open_page`
Over = Callable[..., tuple[AppTest, tuple[str, ...]]]  # the fixture `over`
QUERY = "What is the sea?"


def let_manage(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> None:
    """Let visitors connect models from these hosts; from none, they must not change the fleet."""
    monkeypatch.setattr(sys, "argv", ["app.py", *((manage.OPTION, *hosts) if hosts else ())])


def link_fleet(fleet: Path, folder: Path) -> Path:
    """A fleet with a fleet.toml of its own in another folder: a fleet is where its fleet.toml is."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in fleet.iterdir():
        if entry.name != "fleet.toml":
            (folder / entry.name).symlink_to(entry)
    return Path(shutil.copy(fleet / "fleet.toml", folder)).parent


def words(page: AppTest) -> str:
    """All texts and notices on the page."""
    shown = [*page.markdown, *page.caption, *page.info, *page.success, *page.warning, *page.text]
    return "\n".join(str(element.value) for element in shown)


def tables(page: AppTest) -> list[list[list[str]]]:
    """The cells of each table on the page, the head first, without marks."""
    shown = []
    for element in page.markdown:
        if element.value.startswith("|"):
            text = element.value.replace(":green-background[", "").replace("]", "").replace("*", "").replace("\\", "")
            head, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
            shown.append([head, *rows])
    return shown


def column(table: list[list[str]], name: str) -> list[str]:
    """The cells of a column."""
    place = table[0].index(name)
    return [row[place] for row in table[1:]]


def labels(page: AppTest) -> set[str]:
    """The labels of the buttons."""
    return {button.label for button in page.button}


def press(page: AppTest, label: str) -> AppTest:
    """Click the first button with the label."""
    return next(button for button in page.button if button.label == label).click().run()


def talk(page: AppTest) -> Conversation:
    """The conversation on the Chat page."""
    conversation = page.session_state["conversation"]
    assert isinstance(conversation, Conversation)
    return conversation


def draw_ended(page: AppTest) -> AppTest:
    """The Chat page once the last answer has ended."""
    if talk(page).turns:
        talk(page).turns[-1].job.wait(PATIENCE)
        assert not talk(page).running
    page.run()
    assert not page.exception
    return page


def ask(page: AppTest, query: str) -> AppTest:
    """The Chat page once a query is answered."""
    page.chat_input[0].set_value(query).run()
    return draw_ended(page)


def comparison(page: AppTest) -> Comparison:
    """The comparison on the Compare page."""
    shown = page.session_state["comparison"]
    assert isinstance(shown, Comparison)
    return shown


def compare(page: AppTest, query: str) -> AppTest:
    """The Compare page once all have answered a query."""
    page.chat_input[0].set_value(query).run()
    comparison(page).job.wait(PATIENCE)
    return page.run()


KEY = re.compile("-[0-9a-f]{32}-(.+)$")  # behind a digest


def charts(page: AppTest) -> dict[str, dict[str, Any]]:
    """Key -> the figure of each chart, with its `alt`; of two that take turns (charts.redraw), the newer one."""
    drawn: dict[str, dict[str, Any]] = {}
    for element in page.get("plotly_chart"):
        key = KEY.search(element.proto.id)[1]
        name, _, place = key.rpartition("-")
        turns = place in ("0", "1") and f"turn-{name}" in page.session_state
        if turns and int(place) != page.session_state[f"turn-{name}"][0]:
            continue
        drawn[name if turns else key] = json.loads(element.proto.spec) | {"alt": element.proto.alt}
    return drawn


def opened(page: AppTest, *keys: str) -> AppTest:
    """With expanders open (AppTest has no click for them)."""
    for key in keys:
        page.session_state[key] = True
    return page.run()
