"""A conversation as a file: Markdown to read, JSON with everything."""

from __future__ import annotations

from dataclasses import asdict

from zooter_core.base.strict_json import dump_json
from zooter_core.ui import answer_view
from zooter_core.ui.charts import in_words
from zooter_core.ui.chat.conversations import Conversation
from zooter_core.ui.markdown import message, safe
from zooter_core.ui.text import fence, plain, typed, visible


def markdown(talk: Conversation) -> str:
    """A conversation under its title: queries as quotations, with their files as code; answers with the candidate and
    the router's probabilities.

    Failures are in brackets. The texts are made harmless as on the page, for programs that open the file; `as_json`
    has the originals.
    """
    lines = [f"# {plain(talk.title)}", ""]
    if talk.tuning.system:
        lines += ["System prompt:", *fence(visible(talk.tuning.system)), ""]
    for turn in talk.turns:
        who = "nobody" if turn.job.all_failed else plain(turn.candidate)
        end = " (incomplete)" if turn.job.incomplete and not turn.job.all_failed else ""
        lines += [f"> {line}" for line in typed(turn.query)]
        for file in turn.attachments:
            lines += ["", f"Attached: {plain(file.name)}", "", *fence(visible(file.text))]
        lines += ["", f"**{who}**{end} (router: {plain(in_words(turn.decision.probabilities))})", ""]
        notes = (answer_view.fallback_note(turn.job), answer_view.explain_failure(turn.job, turn.candidate))
        lines += [line for note in notes if note for line in (f"[{message(note)}]", "")]
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
