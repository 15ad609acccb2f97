"""A conversation as a file."""

from __future__ import annotations

import json

from zooter_core.ui.chat.conversation import Conversation


def markdown(talk: Conversation) -> str:
    """Queries as quotations, answers with who gave them and how likely the router held them to be the best."""
    lines = [f"# {talk.title}", ""]
    for turn in talk.turns:
        shares = ", ".join(f"{name} {p:.0%}" for name, p in turn.decision.probabilities.items())
        end = " (incomplete)" if turn.job.cut else ""
        lines += [f"> {line}" for line in turn.query.splitlines()]
        lines += ["", f"**{turn.candidate}**{end} (router: {shares})", "", turn.text, ""]
    return "\n".join(lines)


def as_json(talk: Conversation) -> str:
    """Everything that is known of it."""
    shape = {
        "id": talk.id,
        "title": talk.title,
        "fleet": talk.fleet,
        "turns": [turn.to_json() for turn in talk.turns],
    }
    return json.dumps(shape, ensure_ascii=False, indent=2)
