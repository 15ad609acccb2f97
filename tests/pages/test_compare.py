from __future__ import annotations

import re
import shutil
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from support.app_pages import Open, charts, column, compare, comparison, labels, opened, press, tables, words
from support.patience import PATIENCE
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui.history import history


@pytest.fixture
def broken_fleet(slow_fleet: Path) -> Path:
    """A fleet of which the candidate two cannot be loaded; the others answer shortly."""
    adapters = slow_fleet / "adapters"
    original = adapters.resolve()
    adapters.unlink()
    shutil.copytree(original, adapters)
    (adapters / "two" / "adapter_model.safetensors").write_bytes(b"not safetensors")
    return short(slow_fleet)


def short(fleet: Path, name: str = 'name = "two"') -> Path:
    """The fleet with answers of eight tokens and another text where the candidate two begins."""
    file = fleet / "fleet.toml"
    text = file.read_text().replace("max_new_tokens = 470", "max_new_tokens = 8")
    file.write_text(text.replace('name = "two"', name))
    return fleet


def start(page: AppTest, query: str) -> None:
    page.chat_input[0].set_value(query).run()


def heads(page: AppTest) -> list[str]:
    return [element.value for element in page.markdown if element.value.startswith("## ")]


def test_every_candidate_is_ranked_by_reward_with_its_figures(open_page: Open) -> None:
    page = compare(open_page("compare"), "Tell me about 12 and 30.")  # nothing but the reward ranks such answers
    shown = comparison(page)
    assert shown.job.ranked is not None
    rewards = [item.reward for item in shown.job.ranked if item.reward is not None]
    assert rewards == sorted(rewards, reverse=True)
    assert len(heads(page)) == 3
    placed = [item for item in shown.job.ranked if item.rank]
    for head, item in zip(heads(page), placed, strict=False):
        assert head.startswith(f"## {item.rank}. :")
        assert f"[{item.response.candidate}]" in head
    assert "highest reward" in heads(page)[0]
    assert any("router's choice" in head for head in heads(page))
    text, table = words(page), tables(page)[0]
    assert "saved" in text
    assert "Reward of each response" in text
    chart = charts(page)["rewards"]
    assert chart["data"][0]["text"] == [f"{reward:z.2f}" for reward in rewards]
    assert chart["alt"].startswith("Rewards on one axis: ")
    counts = dict(zip(column(table, "Model"), column(table, "Tokens"), strict=True))
    assert counts == {response.candidate: str(response.tokens) for response in shown.job.responses}
    assert "No costs" in text
    assert [button.label for button in page.download_button] == ["Download as JSON"]


def test_a_right_answer_gives_ticks_and_crosses_and_the_right_ones_lead(open_page: Open) -> None:
    page = open_page("compare")
    page.text_input(key="answer").set_value("no model says this")
    page = compare(page, "What is 12 + 30?")
    assert all(item.right is False for item in comparison(page).job.ranked or [])
    assert all("wrong" in head for head in heads(page))
    assert "ranked first" in heads(page)[0]
    assert "0 of 3 responses are right." in words(page)
    assert ', not "no model says this".' in words(page)


def test_an_empty_query_gets_one_clear_message_and_stop_keeps_what_has_come(open_page: Open, slow_fleet: Path) -> None:
    page = open_page("compare", slow_fleet)
    assert "Try one of these:" in words(page)
    assert [tab.label for tab in page.tabs] == ["One query", "Arena"]
    start(page, "  ")
    assert "an empty text" in page.error[0].value
    assert page.session_state["comparison"] is None
    start(page, "Write about the sea.")
    job = comparison(page).job
    if job.running:
        page.button(key="stop").click().run()
    job.wait(PATIENCE)
    assert len(job.responses) == len(job.candidates)
    assert job.ranked is not None
    page.run()


def blind(page: AppTest, query: str) -> AppTest:
    page.toggle(key="blind").set_value(True)
    return compare(page, query)


def sent(page: AppTest) -> set[str]:
    """All that a page sends to a browser, keys of containers among it, as text."""
    return {str(node.proto) for node in page.main if getattr(node, "proto", None) is not None}


def test_the_routers_choice_is_never_a_model_that_it_would_not_choose(open_page: Open, tiny_fleet: Path) -> None:
    page = open_page("compare")
    choice = Ensemble(load_fleet(tiny_fleet)).route("What is 12 + 30?").candidate
    page.pills[0].set_value([name for name in load_fleet(tiny_fleet).pool if name != choice]).run()
    page = compare(page, "What is 12 + 30?")
    assert len(heads(page)) == 2
    assert choice not in comparison(page).job.candidates
    assert f"would have asked **{choice}** (" in words(page)
    assert not any("router's choice" in head for head in heads(page))
    others = [name for name in load_fleet(tiny_fleet).pool if name != choice]
    (link,) = [code.value for code in page.code if "?q=" in code.value]
    assert parse_qs(urlsplit(link).query) == {"q": ["What is 12 + 30?"], "fleet": [tiny_fleet.name], "models": others}


def test_a_comparison_of_another_fleet_waits_until_that_is_picked_again(
    open_page: Open, slow_fleet: Path, tiny_fleet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = compare(open_page("compare"), "What is 12 + 30?")
    first = comparison(page)
    monkeypatch.setenv("ZOOTER_FLEET", str(slow_fleet))
    assert not heads(page.run())
    assert "Try one of these:" in words(page)
    monkeypatch.setenv("ZOOTER_FLEET", str(tiny_fleet))
    assert len(heads(page.run())) == 3
    assert comparison(page) is first


def test_blind_hides_all_that_gives_a_name_away_until_the_vote(open_page: Open) -> None:
    page = open_page("compare")
    before = sent(page)
    page = blind(page, "What is 12 + 30?")
    shown = comparison(page)
    assert heads(page) == ["## Response A", "## Response B", "## Response C"]
    new = "\n".join(sent(page) - before)
    assert "Response B" in new
    for name in shown.fleet.pool:
        assert not re.search(rf"\b{name}\b", new)
    assert "tokens/s" not in new
    assert not page.get("plotly_chart")
    assert not tables(page)
    assert not page.download_button
    picked = shown.order[1]
    press(page, "Response B is best")
    assert shown.vote is not None
    assert (shown.vote.best, shown.vote.blind) == (picked, True)
    assert f"You voted without seeing the names: **{picked}**, Response B." in words(page)
    assert all(f"[{name}]" in head for name, head in zip(shown.order, heads(page), strict=True))  # in place
    assert sum(head.startswith("## 1. ") for head in heads(page)) == 1
    assert sum("your choice" in head for head in heads(page)) == 1
    assert page.get("plotly_chart")
    assert "Tie" not in labels(page)  # the vote is cast
    assert history().votes(str(shown.fleet.folder.resolve()))[-1]["best"] == picked
    press(page, "Next round")
    assert page.session_state["comparison"] is None
    assert page.toggle(key="blind").value


def test_a_failing_candidate_fails_alone_and_a_blind_failure_names_nobody(open_page: Open, broken_fleet: Path) -> None:
    page = blind(open_page("compare", broken_fleet), "What is 12 + 30?")
    assert [error.value for error in page.error] == ["This response failed."]
    failed = comparison(page).letter("two")
    assert f"{failed} is best" not in labels(page)  # nobody can vote for it
    press(page, "Show the names without voting")
    assert comparison(page).vote is None
    (error,) = page.error
    assert "two" in error.value
    placed = [item.response.candidate for item in comparison(page).job.ranked or [] if item.rank]
    assert set(placed) == {"base", "one"}


def test_an_open_vote_counts_in_the_tally_and_can_be_changed(open_page: Open, slow_fleet: Path) -> None:
    fleet = short(slow_fleet, 'name = "two"\nusd_per_million_tokens = 5.0')  # with no votes of other tests
    page = opened(compare(open_page("compare", fleet), "What is 12 + 30?"), "tally")
    costs = dict(zip(column(tables(page)[0], "Model"), column(tables(page)[0], "US dollars"), strict=True))
    tokens = comparison(page).job.answers["two"].response.tokens
    assert float(costs.pop("two")) == pytest.approx(tokens * 5e-6, abs=1e-6)
    assert list(costs.values()) == ["0", "0"]  # on this machine, without a price
    assert "No votes on this fleet yet" in words(page)
    router = comparison(page).decision.candidate
    page = press(press(page, "Tie"), f"{router} is best")
    assert "1 vote: 1 for one response." in words(page)
    assert "**1 of 1** (100%" in words(page)
    assert "| Wins against all others | 95% interval |" in words(page)
    assert "Voting again replaces your vote" in words(page)


def test_a_round_of_the_arena_is_followed_by_another_on_a_query_of_the_starter_set(
    open_page: Open, slow_fleet: Path
) -> None:
    page = open_page("compare", short(slow_fleet), view="Arena")
    page.text_input(key="arena-query-").set_value("What is 12 + 30?")
    press(page, "Begin")
    first = comparison(page)
    first.job.wait(PATIENCE)
    press(page.run(), "Response A is best")
    press(page, "Next round")
    second = comparison(page)
    assert second is not first
    assert second.query != first.query
    assert second.hidden
    second.job.wait(PATIENCE)
    press(page.run(), "Response B is best")
    page.pills[0].set_value(["base"]).run()
    press(page, "Next round")
    assert "at least two models" in page.error[0].value
    assert comparison(page) is second
    press(page, "All models on this query")
    assert set(comparison(page).order) == set(second.fleet.pool)
    assert not comparison(page).blind
    comparison(page).job.stop()


def test_a_model_that_is_down_is_in_no_more_rounds(open_page: Open, broken_fleet: Path) -> None:
    page = open_page("compare", broken_fleet, view="Arena")
    page.pills[0].set_value(["one", "two"]).run()
    page.text_input(key="arena-query-").set_value("What is 12 + 30?")
    press(page, "Begin")
    comparison(page).job.wait(PATIENCE)
    assert [response.candidate for response in comparison(page).job.failed] == ["two"]
    page.run().pills[0].set_value(["base", "one", "two"]).run()
    for _ in range(6):  # by chance in 5 of 100
        press(page, "New round")
        assert set(comparison(page).order) == {"base", "one"}
        comparison(page).job.stop()


def test_a_link_fills_in_its_query_and_share_gives_one(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    page = open_page("compare", compare="nobody")
    assert "no longer has" in words(page)
    assert "compare" not in page.query_params
    monkeypatch.setenv("ZOOTER_HISTORY", "off")
    page = open_page("compare", q="What is 12 + 30?")
    assert "comparison" not in page.session_state or page.session_state["comparison"] is None
    assert page.chat_input[0].value == "What is 12 + 30?"
    assert "Nothing has run yet" in page.info[0].value
    start(page, "What is 12 + 30?")
    assert comparison(page).query == "What is 12 + 30?"
    assert "q" not in page.query_params
    comparison(page).job.wait(PATIENCE)
    page.run()
    assert any("q=What+is+12+%2B+30%3F" in code.value for code in page.code)
    assert not any("Nothing has run yet" in info.value for info in page.info)
    assert "history is off" in words(opened(press(page, "Tie"), "tally"))
    assert comparison(page).vote is not None
