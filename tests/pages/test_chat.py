from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from zooter_core.ui.conversation import Conversation
from zooter_core.ui.examples import EXAMPLES

Open = Callable[..., AppTest]


def talk(page: AppTest) -> Conversation:
    found = page.session_state["conversation"]
    assert isinstance(found, Conversation)
    return found


def ask(page: AppTest, query: str) -> AppTest:
    """Ask, wait for the answer, draw the page again (AppTest runs no fragment timers)."""
    page.chat_input[0].set_value(query).run()
    if talk(page).turns:
        talk(page).turns[-1].job.wait(60)
    return page.run()


def words(page: AppTest) -> str:
    return "\n".join(element.value for element in [*page.markdown, *page.caption])


def test_the_empty_page_explains_itself_and_offers_examples(open_page: Open) -> None:
    page = open_page("chat")
    assert not page.exception
    assert {button.label for button in page.button} == {example.replace("$", r"\$") for example in EXAMPLES}
    assert len(EXAMPLES) == 6
    assert "router" in page.markdown[0].value


def test_a_query_shows_probabilities_tags_choice_and_answer(open_page: Open) -> None:
    page = ask(open_page("chat"), "What is 12 + 30?")
    assert not page.exception
    turn = talk(page).turns[0]
    shown = words(page)
    assert all(f"{name} {p:.0%}" for name, p in turn.decision.probabilities.items())
    for name, p in turn.decision.probabilities.items():
        assert f"{name} {p:.0%}" in shown
    assert f"**{turn.decision.candidate}** answers" in shown
    assert turn.decision.tags
    assert turn.decision.tags[0].name in shown
    assert turn.job.responses[turn.candidate].finish in ("stop", "length")
    assert "tokens in" in shown


def test_an_example_is_asked_when_pressed(open_page: Open) -> None:
    page = open_page("chat")
    page.button(key="chat1").click().run()
    assert talk(page).turns[0].query == EXAMPLES[1]


def test_the_router_can_be_overridden_and_the_answer_made_again(open_page: Open) -> None:
    page = open_page("chat")
    page.sidebar.selectbox[0].select("two").run()
    page = ask(page, "Write about the sea.")
    assert talk(page).turns[0].candidate == "two"
    page.button(key="again-one").click().run()
    talk(page).turns[0].job.wait(60)
    page.run()
    assert [turn.candidate for turn in talk(page).turns] == ["one"]
    assert not page.exception


def test_a_follow_up_is_routed_and_answered_on_the_conversation(open_page: Open) -> None:
    page = ask(ask(open_page("chat"), "Write a list in Python"), "and another")
    first, second = talk(page).turns
    assert second.decision.query == "Write a list in Python\nand another"
    said = [message.role for message in talk(page).messages()]
    assert said[:2] == (["user", "assistant"] if first.job.texts[first.candidate].strip() else said[:2])


def test_stop_ends_the_answer_and_keeps_what_came(open_page: Open, slow_fleet: Path) -> None:
    page = open_page("chat", slow_fleet)
    page.chat_input[0].set_value("Write about the sea.").run()
    job = talk(page).turns[0].job
    if job.running:
        page.button(key="stop").click().run()
    job.wait(5)
    assert not job.running
    assert job.responses[job.candidates[0]].finish in ("stopped", "stop")
    assert not page.run().exception


def test_a_new_conversation_is_empty(open_page: Open) -> None:
    page = ask(open_page("chat"), "Add up 7 apples?")
    next(button for button in page.button if button.label == "New conversation").click().run()
    assert talk(page).turns == []


@pytest.mark.parametrize(("query", "message"), [("   ", "an empty text"), ("x" * 100_000, "100,000")])
def test_a_query_that_cannot_be_routed_gets_one_clear_message(open_page: Open, query: str, message: str) -> None:
    page = open_page("chat")
    page.chat_input[0].set_value(query).run()
    assert message in page.error[0].value
    assert not page.exception
    assert talk(page).turns == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "scalar"', 'kid = "scalar"', 'Did you mean "kind"?'),
        ("adapters/two", "adapters/three", "adapters/three"),
        ('path = "router"', 'path = "nowhere"', "no config.json there"),
        ('path = "router"', 'path = "broken"', "a whole router in"),
    ],
)
def test_a_broken_fleet_is_told_on_the_page(
    open_page: Open, slow_fleet: Path, old: str, new: str, message: str
) -> None:
    shutil.copytree(slow_fleet / "router", slow_fleet / "broken")
    (slow_fleet / "broken" / "model.safetensors").write_bytes(b"not safetensors")
    file = slow_fleet / "fleet.toml"
    file.write_text(file.read_text().replace(old, new))
    page = open_page("chat", slow_fleet)
    assert message in page.error[0].value
    assert not page.exception
