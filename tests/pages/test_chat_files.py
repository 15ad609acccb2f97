"""Files beside a query and settings of a conversation on the page Chat, and what of them an export has."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from support.app_pages import Open, ask, labels, press, talk, words
from support.pdf_files import pdf
from zooter_core.base.records import Attachment
from zooter_core.ui.chat import conversations, export

QUERY = "What is 12 + 30?"
CODE = "def add(a, b):\n    return a + b  # <b>bold</b>"
CHIP = "add.py · about 25 tokens"


def attach(page: AppTest, name: str, content: bytes, query: str | None = None) -> AppTest:
    """Put a file into the composer, which the browser sends by itself, with what was typed before."""
    field = page.chat_input[0]
    if query:
        field.set_value(query)
    return field.upload(name, content).run()


def chips(page: AppTest) -> list[str]:
    return sorted(label for label in labels(page) if "tokens" in label)


def test_files_show_their_size_before_the_query_is_sent_with_them(open_page: Open) -> None:
    page = attach(open_page("chat"), "add.py", CODE.encode(), QUERY)
    assert chips(page) == [CHIP]
    assert page.chat_input[0].value == QUERY  # it goes on where it was
    assert talk(page).turns == []
    page = attach(page, "sales.pdf", pdf("412 loaves in May."), QUERY)
    assert chips(page) == [CHIP, "sales.pdf · about 8 tokens"]
    assert page.chat_input[0].value == QUERY + " "  # the browser overlooks a text that it has just been given
    page = ask(page, QUERY)
    (turn,) = talk(page).turns
    assert turn.query == turn.decision.query == QUERY
    assert turn.attachments == (Attachment("add.py", CODE), Attachment("sales.pdf", "412 loaves in May."))
    assert not chips(page)  # they no longer wait
    readings = turn.answer.readings
    assert [reading.read for reading in readings] == [reading.tokens for reading in readings]
    assert f"> {QUERY}\n\nAttached: add.py\n\n```\n{CODE}\n```" in export.markdown(talk(page))
    page = ask(page, "And 12 + 31?")
    assert talk(page).turns[1].attachments == ()


def test_a_file_can_be_taken_out_and_files_alone_ask_nothing(open_page: Open) -> None:
    page = attach(open_page("chat"), "add.py", CODE.encode())
    page.chat_input[0].set_value(" ").run()
    assert "Type what you want to know about the attached files" in page.error[0].value
    assert chips(page) == [CHIP]
    assert chips(press(page, CHIP)) == []
    assert talk(ask(page, QUERY)).turns[0].attachments == ()


def test_what_is_no_text_is_refused_and_the_others_stay(open_page: Open) -> None:
    page = attach(open_page("chat"), "add.py", CODE.encode())
    page = attach(page, "cat.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), QUERY)
    assert "cat.png is neither text nor PDF. Save it as text or PDF, and attach that." in page.error[0].value
    page = attach(page, "secret.pdf", pdf("Private.", password="secret"))
    assert "secret.pdf is encrypted" in page.error[0].value
    assert chips(page) == [CHIP]
    for number in range(10):
        page = attach(page, f"{number}.txt", b"one")
    assert "A query takes at most 10 files: 9.txt and those after it are left out." in page.error[0].value
    assert "0.txt · about 1 token" in labels(page)


def test_what_does_not_fit_is_named_under_the_query(open_page: Open) -> None:
    page = attach(open_page("chat"), "long.txt", b"The sea is salt. " * 2_000)
    page = ask(page, QUERY)
    assert "Of long.txt (about " in words(page)
    assert "More does not fit into" in words(page)
    assert talk(page).turns[0].text


def test_settings_belong_to_a_conversation_and_are_shown_where_they_apply(open_page: Open) -> None:
    page = open_page("chat")
    first = talk(page).id
    page.text_area(key=f"system-{first}").set_value("Be brief.")
    page.slider(key=f"temperature-{first}").set_value(0.2)
    page.slider(key=f"length-{first}").set_value(32).run()
    shown = "system prompt “Be brief.” · temperature 0.2 · at most 32 tokens"
    assert shown in words(page)
    page = ask(page, QUERY)
    press(page, "New conversation")
    assert "system prompt" not in words(page)
    assert page.text_area(key=f"system-{talk(page).id}").value == ""
    conversations._live.clear()
    page = open_page("chat", chat=first)  # from its file
    assert shown in words(page)
    assert page.text_area(key=f"system-{first}").value == "Be brief."
    page = ask(page, "And 12 + 31?")
    assert "System prompt:\n```\nBe brief.\n```" in export.markdown(talk(page))
    for turn in talk(page).turns:
        tuned = turn.settings.temperature, turn.settings.max_new_tokens, turn.settings.system
        assert tuned == (0.2, 32, "Be brief.")
        assert turn.answer.response.tokens <= 32
    press(page, "Reset")
    assert "system prompt" not in words(page)
    assert not page.warning
    assert page.text_area(key=f"system-{first}").value == ""
