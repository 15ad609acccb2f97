"""A conversation as a file."""

from __future__ import annotations

from zooter_core.strict_json import dump_json
from zooter_core.ui import answers
from zooter_core.ui.chat.conversation import Conversation
from zooter_core.ui.text import plain, safe


def markdown(talk: Conversation) -> str:
    """Queries as quotations; answers with who gave them, how likely the best, and in brackets what failed.

    The texts are made harmless as on the page, for whatever opens the file; `as_json` has them as they were.
    """
    lines = [f"# {plain(talk.title)}", ""]
    for turn in talk.turns:
        shares = ", ".join(f"{plain(name)} {p:.0%}" for name, p in turn.decision.probabilities.items())
        who = "nobody" if turn.job.nobody else plain(turn.candidate)
        end = " (incomplete)" if turn.job.cut and not turn.job.nobody else ""
        lines += [f"> {line}" for line in safe(turn.query, None).split("\n")]
        lines += ["", f"**{who}**{end} (router: {shares})", ""]
        notes = (answers.note(turn.job), answers.problem(turn.job, turn.candidate))
        lines += [line for said in notes if said for line in (f"[{safe(said, None)}]", "")]
        lines += [safe(turn.text, None), ""] if turn.text else []
    return "\n".join(lines)


def as_json(talk: Conversation) -> str:
    """Everything that is known of it."""
    shape = {
        "id": talk.id,
        "title": talk.title,
        "fleet": talk.fleet,
        "turns": [turn.to_json() for turn in talk.turns],
    }
    return dump_json(shape, ensure_ascii=False, indent=2)
