"""From a conversation to the tokens that a model reads, with its chat template or the `prompt_template` of fleet.toml.

Special tokens come from templates only, never from what a user types. A chat template writes the beginning of a
conversation itself. With a `prompt_template`, the tokenizer's BOS comes first if the tokenizer adds one to a text and
the template does not have it.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from zooter_core.backends import Request
from zooter_core.backends.conversation import begun_answer, from_template, no_chat_template, without_tokens


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
    special = special_tokens(tokenizer)
    messages = [without_tokens(message, special) for message in request.messages]
    template = request.candidate.prompt_template
    if template is not None:
        return from_template(template, messages)
    begun = bool(begun_answer(messages))
    try:
        text: str = tokenizer.apply_chat_template(
            list(map(asdict, messages)), add_generation_prompt=not begun, continue_final_message=begun, tokenize=False
        )
    except ValueError as problem:
        raise no_chat_template(f"the tokenizer of {request.candidate.model}") from problem
    return text


def special_tokens(tokenizer: Any) -> list[str]:
    """Texts that a tokenizer reads as special tokens."""
    added = (token.content for token in tokenizer.added_tokens_decoder.values() if token.special)
    return list(dict.fromkeys((*tokenizer.all_special_tokens, *added)))
