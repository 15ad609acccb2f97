"""Conversations that are found again: in the list, by a link, and where a part of one is damaged."""

from __future__ import annotations

import pytest

from support.app_pages import Open, ask, press, talk, words
from zooter_core.ui.chat import conversations
from zooter_core.ui.history import history


def test_a_conversation_with_a_damaged_turn_cannot_be_read_and_others_can(open_page: Open) -> None:
    broken = talk(ask(ask(open_page("chat"), "Write about the sea."), "And about lakes?"))
    readable = talk(ask(open_page("chat"), "Write about the hills."))
    history().keep(broken.id, "Sea [and] lakes", "", 0, {"query": "Write about the sea.", "decision": [1]})
    stored = history().turns(broken.id)
    conversations._live.clear()
    page = open_page("chat", chat=broken.id)
    assert "“Sea \\[and\\] lakes” in " in page.error[0].value
    assert "cannot be read" in page.error[0].value
    assert talk(page).turns == []
    page.button(key=f"open-{readable.id}").click().run()
    assert not page.error
    ask(page, "And about rivers?")
    assert [turn.query for turn in talk(page).turns] == ["Write about the hills.", "And about rivers?"]
    page.button(key=f"open-{broken.id}").click().run()
    assert page.error
    assert history().turns(broken.id) == stored


def test_a_link_fills_in_its_query_says_what_else_it_sets_and_waits(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOOTER_HISTORY", "off")
    assert "Who answers" not in open_page("chat", q="Hello", mode="[x](http://a.example)").info[0].value
    page = open_page("chat", q="What is 12 + 30?", mode="All of them")
    assert talk(page).turns == []
    assert page.chat_input[0].value == "What is 12 + 30?"
    assert "Nothing has run yet" in page.info[0].value
    assert "**All of them**" in page.info[0].value
    page.run()
    assert talk(page).turns == []
    assert not page.chat_input[0].proto.set_value  # filled in once: a later run leaves what the visitor made of it
    page = ask(page, "What is 12 + 31?")
    assert [turn.query for turn in talk(page).turns] == ["What is 12 + 31?"]
    assert "q" not in page.query_params
    assert "history is off" in words(page)
    assert "Nothing has run yet" not in words(page)
    assert talk(press(page, "New conversation")).turns == []


def test_conversations_are_listed_opened_pinned_deleted_and_brought_back(open_page: Open) -> None:
    first = talk(ask(open_page("chat"), "Say something about otters"))
    second = talk(ask(open_page("chat"), "Say something about owls"))
    page = open_page("chat")
    page.button(key=f"open-{first.id}").click().run()
    assert talk(page).id == first.id
    assert "otters" in words(page)
    page.button(key=f"pin-{first.id}").click().run()
    order = [button.key for button in page.button if str(button.key).startswith("open-")]
    assert order[:2] == [f"open-{first.id}", f"open-{second.id}"]
    assert "Pinned" in words(page)
    assert "Today" in words(page)
    page.text_input(key="search").set_value("nothing like it").run()
    assert "No conversation has these words." in words(page)
    page.text_input(key="search").set_value("OTTERS").run()
    assert order[0] in {button.key for button in page.button}
    page = open_page("chat")
    delete = page.button(key=f"delete-{first.id}")
    delete.click().run()
    first._save(0)  # as an answer that runs does every second
    assert history().entry(first.id) is None
    assert conversations.find(first.id) is None
    delete.click().run()  # the second click of a double click
    page.button(key=f"delete-{second.id}").click().run()
    for conversation in (second, first):
        press(page, "Undo")
        assert talk(page).id == conversation.id
        assert conversation.turns[0].query in words(page)
    assert {first.id, second.id} <= {entry.id for entry in history().entries()}
    page.button(key=f"pin-{first.id}").click().run()  # it is pinned again, so this unpins it
    assert "Pinned" not in words(page)
    page.button(key=f"delete-{first.id}").click().run()
    assert "is deleted" in words(page)
    assert "is deleted" not in words(ask(page, "Say something about bees"))  # the visitor has gone on
