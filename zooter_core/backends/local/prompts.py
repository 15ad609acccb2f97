"""From a conversation to the tokens that a model reads: its chat template, or the `prompt_template` of fleet.toml.

What a person types never holds a special token; what a template holds does. A chat template says itself how a
conversation begins. With a `prompt_template` the tokenizer's BOS comes first, where it puts one in front of a text by
itself and the template has not written it.
"""

from __future__ import annotations

from typing import Any

from zooter_core.backends import Request
from zooter_core.errors import WorkError


def prompt_ids(request: Request, tokenizer: Any) -> list[int]:
    """The tokens of a request's prompt.

    Raises:
        WorkError: the tokenizer has no chat template, and the candidate no prompt_template.
    """
    ids: list[int] = tokenizer(prompt(request, tokenizer), add_special_tokens=False)["input_ids"]
    first = None if request.candidate.prompt_template is None else beginning(tokenizer)
    return ids if first is None or ids[:1] == [first] else [first, *ids]


def beginning(tokenizer: Any) -> int | None:
    """The BOS that a tokenizer puts in front of a text by itself; None where it puts none."""
    bos = tokenizer.bos_token_id
    found: int | None = bos if bos is not None and tokenizer("a")["input_ids"][:1] == [bos] else None
    return found


def prompt(request: Request, tokenizer: Any) -> str:
    """A request's prompt as a text, in which special tokens stand as their names."""
    messages = [{"role": message.role, "content": plain(message.content, tokenizer)} for message in request.messages]
    begun = messages[-1]["content"] if messages[-1]["role"] == "assistant" else ""
    template = request.candidate.prompt_template
    if template is not None:
        query = next(m["content"] for m in reversed(messages) if m["role"] == "user")
        return template.replace("{query}", query) + begun
    try:
        made: str = tokenizer.apply_chat_template(
            messages, add_generation_prompt=not begun, continue_final_message=bool(begun), tokenize=False
        )
    except ValueError as problem:
        raise WorkError(
            f"a chat template in the tokenizer of {request.candidate.model}",
            "none",
            'Give the candidate a prompt_template, for instance "Q: {query}\\nA:".',
        ) from problem
    return made


def plain(text: str, tokenizer: Any) -> str:
    """A text in which nothing is a special token: what a person types must not end or begin a turn."""
    added = (token.content for token in tokenizer.added_tokens_decoder.values() if token.special)
    for token in dict.fromkeys((*tokenizer.all_special_tokens, *added)):
        text = text.replace(token, f"{token[0]} {token[1:]}")
    return text
