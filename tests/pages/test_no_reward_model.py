"""What a fleet without a reward model offers: it routes and answers, and ranks nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.app_pages import Open, words
from zooter_core.ui.history import history


@pytest.fixture
def unranked(fleet_copy: Path) -> Path:
    file = fleet_copy / "fleet.toml"
    file.write_text(re.sub(r"\[reward\].*?(?=\n\[)", "", file.read_text(), flags=re.DOTALL))
    return fleet_copy


def test_chat_offers_what_needs_no_ranking(open_page: Open, unranked: Path) -> None:
    page = open_page("chat", unranked, mode="All of them")  # an address cannot ask for it
    assert "no answers are compared here" in words(page)
    assert page.selectbox(key="mode").options == ["Router", "One model"]


def test_compare_shows_all_answers_and_takes_a_vote(open_page: Open, unranked: Path) -> None:
    page = open_page("compare", unranked)
    page.chat_input[0].set_value("What is 2 + 3?").run()
    comparison = page.session_state["comparison"]
    comparison.job.wait(60)
    page.run()
    assert not page.error
    assert "There is no reward model, so the responses are not ranked." in words(page)
    assert all(response.text for response in comparison.job.responses.values())
    comparison.cast("tie")
    assert len(history().votes(str(unranked.resolve()))) == 1
