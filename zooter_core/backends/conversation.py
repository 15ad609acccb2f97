"""Conversations as users give them: a text, or messages. Also what makes a query acceptable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zooter_core.base.errors import WorkError, ZooterError, check_text
from zooter_core.base.records import Message

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


def begun_answer(messages: Sequence[Message]) -> str:
    """The beginning of the answer, where the conversation ends with it; else ""."""
    return messages[-1].content if messages[-1].role == "assistant" else ""


def from_template(template: str, messages: Sequence[Message]) -> str:
    """A prompt by the `prompt_template` of fleet.toml, with the user's last message and the beginning of the answer."""
    return template.replace("{query}", last_query(messages)) + begun_answer(messages)


def without_tokens(message: Message, tokens: Iterable[str]) -> Message:
    """A message without special tokens, so that a user's text cannot begin or end a turn."""
    text = message.content
    for token in tokens:
        text = text.replace(token, f"{token[0]} {token[1:]}")
    return Message(message.role, text)


def no_chat_template(place: str) -> WorkError:
    """The error for a model that needs a `prompt_template`."""
    next_step = 'Give the candidate a prompt_template, for instance "Q: {query}\\nA:".'
    return WorkError(f"a chat template in {place}", "none", next_step)
