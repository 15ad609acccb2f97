"""A conversation as a Markdown file, and an answer in a link.

The link holds the text, compressed. Opening it shows the answer and runs nothing.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import streamlit as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zooter_core.base.strict_json import dump_json
from zooter_core.ui import answer_view, links
from zooter_core.ui.chat.conversations import Conversation
from zooter_core.ui.chat.turns import Turn
from zooter_core.ui.markdown import safe
from zooter_core.ui.text import fence, plain, visible


def markdown(talk: Conversation) -> str:
    """A conversation under its title, as `markdown_of` writes its turns."""
    system = "\n".join(["System prompt:", *fence(visible(talk.tuning.system)), "", ""]) if talk.tuning.system else ""
    return f"# {plain(talk.title)}\n\n{system}{markdown_of(talk.turns)}"


def markdown_of(turns: Sequence[Turn]) -> str:
    """Queries as quotations, with their files as code; answers with the candidate and the router's probabilities.

    Failures are in brackets. The texts are made harmless as on the page, for whatever opens the file; `as_json` has
    the originals.
    """
    lines: list[str] = []
    for turn in turns:
        shares = ", ".join(f"{plain(name)} {p:.0%}" for name, p in turn.decision.probabilities.items())
        who = "nobody" if turn.job.all_failed else plain(turn.candidate)
        end = " (incomplete)" if turn.job.incomplete and not turn.job.all_failed else ""
        lines += [f"> {line}" for line in safe(turn.query, None).split("\n")]
        for file in turn.attachments:
            lines += ["", f"Attached: {plain(file.name)}", "", *fence(visible(file.text))]
        lines += ["", f"**{who}**{end} (router: {shares})", ""]
        notes = (answer_view.fallback_note(turn.job), answer_view.problem_of(turn.job, turn.candidate))
        lines += [line for note in notes if note for line in (f"[{safe(note, None)}]", "")]
        lines += [safe(turn.text, None), ""] if turn.text else []
    return "\n".join(lines)


def as_json(talk: Conversation) -> str:
    shape = {
        "id": talk.id,
        "title": talk.title,
        "fleet": talk.fleet,
        "settings": asdict(talk.tuning),
        "turns": [turn.to_json() for turn in talk.turns],
    }
    return dump_json(shape, ensure_ascii=False, indent=2)


PARAMETER = "shared"
LONGEST = 6_000  # characters of a link's text; browsers and servers refuse much longer addresses
MOST = 200_000  # bytes once unpacked
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class SharedAnswer(BaseModel):
    """A query and an answer as a link carries them. Anybody can write a link: all of it is untrusted."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    query: str = Field(max_length=MOST)
    text: str = Field(max_length=MOST)
    model: str = Field(max_length=100)
    probabilities: dict[str, Probability] = Field(max_length=50)
    tag: str = Field("", max_length=100)

    @classmethod
    def of(cls, turn: Turn) -> SharedAnswer:
        probabilities = {name: round(p, 3) for name, p in turn.decision.probabilities.items()}
        tags = answer_view.shown_tags(turn.decision.tags)
        tag = tags[0] if tags else ""
        return cls(query=turn.query, text=turn.text, model=turn.candidate, probabilities=probabilities, tag=tag)

    def packed(self) -> str:
        """The text of a link's parameter."""
        data = zlib.compress(self.model_dump_json().encode("utf-8", "replace"), 9)
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    @classmethod
    def unpacked(cls, text: str) -> SharedAnswer | None:
        """The answer of a link's parameter; None if it holds none."""
        try:
            unpacker = zlib.decompressobj()
            data = unpacker.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), MOST)
            return cls.model_validate_json(data)
        except (binascii.Error, zlib.error, ValidationError, ValueError):
            return None


def opened() -> SharedAnswer | None:
    """The answer that the address carries; if it cannot be read, a warning says so once."""
    text = st.query_params.get(PARAMETER)
    if not text:
        return None
    answer = SharedAnswer.unpacked(text)
    if answer is None:
        close()
        st.warning("This link should carry an answer, but it is damaged. Ask for the link again.")
    return answer


def close() -> None:
    st.query_params.pop(PARAMETER, None)


def ask_again(query: str) -> None:
    """Put the query of a shared answer into the composer."""
    close()
    st.query_params["q"] = query


def address(turn: Turn) -> str | None:
    """A link that carries the answer; None if the answer is too long for a link."""
    packed = SharedAnswer.of(turn).packed()
    if len(packed) > LONGEST:
        return None
    base = (st.context.url or links.HOME).split("?")[0]
    return f"{base}?{PARAMETER}={packed}"
