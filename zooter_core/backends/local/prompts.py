"""From a conversation to the tokens that a model reads, with its chat template or the `prompt_template` of fleet.toml.

Special tokens come from templates only, never from what a user types. A chat template writes the beginning of a
conversation itself. With a `prompt_template`, the tokenizer's BOS comes first if the tokenizer adds one to a text and
the template does not have it.
"""

from __future__ import annotations

from typing import Any

from zooter_core.backends import Request
from zooter_core.errors import WorkError


def prompt_ids(request: Request, tokenizer: Any) -> list[int]:
    """The tokens of a request's prompt.

    Raises:
        WorkError: neither the tokenizer has a chat template nor the candidate a prompt_template.
    """
    ids: list[int] = tokenizer(prompt(request, tokenizer), add_special_tokens=False)["input_ids"]
    first = None if request.candidate.prompt_template is None else beginning(tokenizer)
    return ids if first is None or ids[:1] == [first] else [first, *ids]


def beginning(tokenizer: Any) -> int | None:
    """The BOS that a tokenizer adds to every text; None if it adds none."""
    bos = tokenizer.bos_token_id
    adds_bos = bos is not None and tokenizer("a")["input_ids"][:1] == [bos]
    return int(bos) if adds_bos else None


def prompt(request: Request, tokenizer: Any) -> str:
    """A request's prompt as text, with special tokens written out."""
    messages = [{"role": message.role, "content": plain(message.content, tokenizer)} for message in request.messages]
    begun = messages[-1]["content"] if messages[-1]["role"] == "assistant" else ""
    template = request.candidate.prompt_template
    if template is not None:
        query = next(m["content"] for m in reversed(messages) if m["role"] == "user")
        return template.replace("{query}", query) + begun
    try:
        text: str = tokenizer.apply_chat_template(
            messages, add_generation_prompt=not begun, continue_final_message=bool(begun), tokenize=False
        )
    except ValueError as problem:
        raise WorkError(
            f"a chat template in the tokenizer of {request.candidate.model}",
            "none",
            'Give the candidate a prompt_template, for instance "Q: {query}\\nA:".',
        ) from problem
    return text


def plain(text: str, tokenizer: Any) -> str:
    """A text without special tokens, so that a user's text cannot begin or end a turn."""
    added = (token.content for token in tokenizer.added_tokens_decoder.values() if token.special)
    for token in dict.fromkeys((*tokenizer.all_special_tokens, *added)):
        text = text.replace(token, f"{token[0]} {token[1:]}")
    return text
