"""A conversation as a Markdown or JSON file."""

from __future__ import annotations

from collections.abc import Sequence

from zooter_core.strict_json import dump_json
from zooter_core.ui import answer_view
from zooter_core.ui.chat.conversations import Conversation
from zooter_core.ui.chat.turns import Turn
from zooter_core.ui.text import plain, safe


def markdown(talk: Conversation) -> str:
    """A conversation under its title, as `markdown_of` writes its turns."""
    return f"# {plain(talk.title)}\n\n{markdown_of(talk.turns)}"


def markdown_of(turns: Sequence[Turn]) -> str:
    """Queries as quotations; answers with the candidate, the router's probabilities, and failures in brackets.

    The texts are made harmless as on the page, for whatever opens the file; `as_json` has the originals.
    """
    lines: list[str] = []
    for turn in turns:
        shares = ", ".join(f"{plain(name)} {p:.0%}" for name, p in turn.decision.probabilities.items())
        who = "nobody" if turn.job.all_failed else plain(turn.candidate)
        end = " (incomplete)" if turn.job.incomplete and not turn.job.all_failed else ""
        lines += [f"> {line}" for line in safe(turn.query, None).split("\n")]
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
        "turns": [turn.to_json() for turn in talk.turns],
    }
    return dump_json(shape, ensure_ascii=False, indent=2)
