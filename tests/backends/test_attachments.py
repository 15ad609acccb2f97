from __future__ import annotations

import pytest

from zooter_core.backends.attachments import LEAST, TEMPLATE, estimated_tokens, with_attachments
from zooter_core.base.records import Attachment, Message, Reading

FRAME = 11  # words around a file that is cut


def words(text: str) -> int:
    return len(text.split())


def conversation(*files: Attachment, query: str = "What is it about?") -> list[Message]:
    return [Message("system", "Be brief."), Message("user", query, files)]


def numbered(count: int) -> str:
    return " ".join(f"w{number}" for number in range(count))


def test_a_file_comes_before_its_query_between_marks_that_it_does_not_have() -> None:
    messages, readings = with_attachments(conversation(Attachment("a.md", "```\ncode\n```")), None, 100, words)
    assert messages == (
        Message("system", "Be brief."),
        Message("user", "File a.md:\n````\n```\ncode\n```\n````\n\nWhat is it about?"),
    )
    assert readings == (Reading("a.md", 3 + FRAME, 3 + FRAME),)
    plain = conversation()
    assert with_attachments(plain, 10, 100, words) == (tuple(plain), ())


def test_what_does_not_fit_is_cut_at_the_end_and_the_prompt_keeps_within_the_context() -> None:
    context, answer = 400, 100
    (*_, query), (reading,) = with_attachments(
        conversation(Attachment("long.txt", numbered(5_000))), context, answer, words
    )
    text = query.content
    assert text.startswith("File long.txt (its beginning; the rest does not fit):\n```\nw0 w1 w2 ")
    assert text.endswith("\n```\n\nWhat is it about?")
    assert reading.tokens == 5_000 + FRAME
    assert 150 < reading.read < reading.tokens
    sent = text.split("\n")[2].split()
    assert sent == numbered(len(sent)).split()  # no word is cut in its middle
    assert sum(map(words, ("Be brief.", text))) + 2 * TEMPLATE + answer <= context


def test_short_files_stay_complete_and_long_ones_share_the_rest() -> None:
    files = [Attachment("x", numbered(900)), Attachment("note", "one two"), Attachment("y", numbered(2_000))]
    _, (x, note, y) = with_attachments(conversation(*files), 700, 100, words)
    assert note.read == note.tokens
    assert abs(x.read - y.read) <= 5
    assert x.read > 150


def test_the_newest_files_have_room_first() -> None:
    earlier = Message("user", "And this?", (Attachment("old", numbered(300)),))
    messages = [earlier, Message("assistant", "Well."), *conversation(Attachment("new", numbered(300)))[1:]]
    (first, *_), (old, new) = with_attachments(messages, 470, 60, words)
    assert new.read == new.tokens
    assert old.read == 0  # less than what says something
    assert first.content == "And this?"


def test_a_long_answer_leaves_half_of_the_context_to_the_files_and_without_room_nothing_is_sent() -> None:
    _, (reading,) = with_attachments(conversation(Attachment("a", numbered(1_000))), 400, 4_000, words)
    assert 100 < reading.read < 200
    (*_, query), (reading,) = with_attachments(conversation(Attachment("a", numbered(100))), LEAST, 100, words)
    assert query.content == "What is it about?"
    assert (reading.tokens, reading.read) == (100 + FRAME, 0)


@pytest.mark.parametrize("text", ["日本語のテキスト。" * 100, "🙂🚀" * 100, "\x00" * 100, "a" * 10_000, "\n" * 1_000])
def test_texts_of_any_kind_are_cut(text: str) -> None:
    (*_, query), (reading,) = with_attachments(conversation(Attachment("a", text * 5)), 300, 50, estimated_tokens)
    assert 0 <= reading.read <= 300
    assert estimated_tokens(query.content) <= 300
