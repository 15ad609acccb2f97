"""Converts conversations to messages, checks queries, and builds the prompts of models.

A prompt comes from the model's chat template or from the `prompt_template` of fleet.toml. Only templates may contain
special tokens; in messages they are disabled. Chat templates include the BOS token themselves. Before a prompt from a
`prompt_template`, BOS is added if the tokenizer adds it to texts and the template does not contain it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zooter_core.backends import Request
from zooter_core.base.errors import WorkError, ZooterError, check_text
from zooter_core.base.records import Message

Conversation = str | Sequence[Message | Mapping[str, Any]]
MOST_CHARACTERS = 20_000  # in a query
FITTING = "a prompt that fits into"  # the beginning of `expected` in the error for a prompt that is too long


def to_messages(conversation: Conversation) -> tuple[Message, ...]:
    """Convert a conversation to messages. It may be a text (one message of the user) or in the format of OpenAI's API.

    Raises:
        ZooterError: the value is not a conversation.
    """
    if isinstance(conversation, str):
        return (Message("user", conversation),)
    try:
        return tuple(one if isinstance(one, Message) else Message(**one) for one in conversation)
    except TypeError:
        expected = "a query as a text, or a list of messages with a role and a content"
        step = 'Pass the text of the query, for example query["query"].'
        raise ZooterError(expected, f"{conversation!r:.60}", step) from None


def last_query(messages: Sequence[Message]) -> str:
    """The user's last message; "" if there is none."""
    return next((message.content for message in reversed(messages) if message.role == "user"), "")


def alternating(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages with consecutive user messages joined, since chat templates such as Mistral's refuse them."""
    turns: list[Message] = []
    for message in messages:
        if turns and turns[-1].role == message.role == "user":
            first = turns.pop()
            text = f"{first.content}\n\n{message.content}"
            message = Message("user", text, first.attachments + message.attachments)
        turns.append(message)
    return tuple(turns)


def check_query(text: str) -> None:
    """Check that a query can be routed.

    Raises:
        ZooterError: the query is empty, is not Unicode text, or is longer than MOST_CHARACTERS.
    """
    if not text.strip():
        raise ZooterError("a query", "an empty text", "Type a question or a task.")
    check_text(text, "a query")
    if len(text) > MOST_CHARACTERS:
        sentence = f"The query has {len(text):,} characters; the limit is {MOST_CHARACTERS:,}."
        raise ZooterError.saying(sentence, "Shorten it, or split it.")


def begun_answer(messages: Sequence[Message]) -> str:
    """The beginning of the answer if the conversation ends with it; otherwise ""."""
    return messages[-1].content if messages[-1].role == "assistant" else ""


def from_template(template: str, messages: Sequence[Message]) -> str:
    """The prompt for a `prompt_template` of fleet.toml, with the last user message and the beginning of the answer."""
    return template.replace("{query}", last_query(messages)) + begun_answer(messages)


def without_tokens(message: Message, tokens: Iterable[str]) -> Message:
    """The message with special tokens disabled, so that its text cannot begin or end a turn."""
    text = message.content
    for token in tokens:
        text = text.replace(token, f"{token[0]} {token[1:]}")
    return Message(message.role, text)


def too_long(candidate: str, tokens: int, most: int, hint: str = "") -> WorkError:
    """The error for a prompt of more than `most` tokens."""
    length = f"{tokens:,} tokens, more than the {most:,} that fit"
    next_step = f"Shorten the query or start a new conversation.{hint}"
    return WorkError(f"{FITTING} {candidate}", length, next_step)


def no_chat_template(place: str) -> WorkError:
    """The error for a model that needs a `prompt_template`."""
    next_step = 'Give the candidate a prompt_template, for instance "Q: {query}\\nA:".'
    return WorkError(f"a chat template in {place}", "none", next_step)


def prompt_ids(request: Request, tokenizer: Any) -> list[int]:
    """The token ids of a request's prompt.

    Raises:
        WorkError: neither the tokenizer has a chat template nor the candidate a prompt_template.
    """
    ids: list[int] = tokenizer(prompt(request, tokenizer), add_special_tokens=False)["input_ids"]
    first = None if request.candidate.prompt_template is None else added_bos(tokenizer)
    return ids if first is None or ids[:1] == [first] else [first, *ids]


def added_bos(tokenizer: Any) -> int | None:
    """The BOS token that a tokenizer adds to every text; None if it adds none."""
    bos = tokenizer.bos_token_id
    adds_bos = bos is not None and tokenizer("a")["input_ids"][:1] == [bos]
    return int(bos) if adds_bos else None


def prompt(request: Request, tokenizer: Any) -> str:
    """A request's prompt as text, including special tokens."""
    special = special_tokens(tokenizer)
    messages = [without_tokens(message, special) for message in request.messages]
    template = request.candidate.prompt_template
    if template is not None:
        return from_template(template, messages)
    begun = bool(begun_answer(messages))
    try:
        text: str = tokenizer.apply_chat_template(
            [message.to_json() for message in messages],
            add_generation_prompt=not begun,
            continue_final_message=begun,
            tokenize=False,
            **({"enable_thinking": bool(thinking)} if (thinking := request.candidate.thinking) is not None else {}),
        )
    except ValueError as problem:
        raise no_chat_template(f"the tokenizer of {request.candidate.model}") from problem
    return text


def special_tokens(tokenizer: Any) -> list[str]:
    """The texts that a tokenizer encodes as special tokens."""
    added = (token.content for token in tokenizer.added_tokens_decoder.values() if token.special)
    return list(dict.fromkeys((*tokenizer.all_special_tokens, *added)))
