"""Recognises chores: requests that chat UIs and coding agents send on their own, such as for titles or tags.

Zooter does not learn from chores, since they are not queries of users. Chores are recognised by how the default prompts
of Open WebUI, LibreChat, Claude Code, OpenCode, Codex and aider begin, or by the request's `metadata`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

READ = 400  # characters at the beginning of a message
PROMPTS = re.compile(
    r"^(?:\#{2,3} task:\s*)?(?:"
    r"(?:please )?(?:generate|provide) a concise,? (?:and )?(?:\d+-\d+ word|\d+-word-or-less) title\b"
    r"|(?:please )?generate a concise title \(max \d+ characters\) for a conversation"
    r"|generate \d+-\d+ broad tags categorizing"
    r"|suggest \d+-\d+ relevant follow-?up questions"
    r"|analyze the chat history to determine the necessity of generating search queries"
    r"|you are an autocompletion system\b"
    r"|generate a detailed prompt for an?m? image generation task"
    r"|your task is to reflect the speaker's likely facial expression"
    r"|detect user language and write in the same language an extremely concise title"
    r"|analyze this conversation and provide:\s+1\. the detected language"
    r"|generate a concise, (?:sentence-case|single-line task) title\b"
    r"|analyze if this message indicates a new conversation topic\b"
    r"|please write a \d+-\d+ word title for the following conversation\b"
    r"|you are (?:a title generator\b|naming a coding session\b)"
    r"|you are an expert software engineer that generates concise, one-line git commit messages\b"
    r"|\[suggestion mode:"
    r")",
    re.IGNORECASE | re.MULTILINE,
)
TASKS = re.compile(r"(?:title|tags?|follow_?up|(?:image_)?prompt|emoji|(?:\w+_)?query|autocomplete)s?_generation")


def is_chore(texts: Sequence[str], metadata: object = None, system: Sequence[str] = ()) -> bool:
    """Whether a request is a chore.

    Args:
        texts: the texts of the user's turns.
        system: system prompts. The line that identifies a chore may follow one that introduces the agent.
        metadata: the request's field `metadata`. `{"chore": "true"}` and the `task` of Open WebUI mark chores.
    """
    marks = metadata if isinstance(metadata, Mapping) else {}
    named = marks.get("chore") in (True, "true") or TASKS.fullmatch(str(marks.get("task"))[:READ])
    latest = any(PROMPTS.match(text[:READ].lstrip()) for text in texts[-1:])
    return bool(named) or latest or any(PROMPTS.search(text[:READ]) for text in system)
