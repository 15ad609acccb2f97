"""Conversations as users give them: a text, or messages. Also what makes a query acceptable."""

from __future__ import annotations

from collections.abc import Sequence

from zooter_core.errors import ZooterError, check_text
from zooter_core.records import Message

Conversation = str | Sequence[Message]
MOST_CHARACTERS = 20_000  # of a query


def messages_of(conversation: Conversation) -> tuple[Message, ...]:
    """The messages of a conversation. A text is one message of the user's."""
    return (Message("user", conversation),) if isinstance(conversation, str) else tuple(conversation)


def last_query(messages: Sequence[Message]) -> str:
    """The user's last message; "" if there is none."""
    return next((message.content for message in reversed(messages) if message.role == "user"), "")


def check_query(text: str) -> None:
    """Refuse a query that cannot be routed.

    Raises:
        ZooterError: the query is empty, not Unicode text, or longer than MOST_CHARACTERS.
    """
    if not text.strip():
        raise ZooterError("a query", "an empty text", "Type a question or a task.")
    check_text(text, "a query")
    if len(text) > MOST_CHARACTERS:
        expected = f"a query of at most {MOST_CHARACTERS:,} characters"
        raise ZooterError(expected, f"{len(text):,}", "Shorten it, or split it.")
