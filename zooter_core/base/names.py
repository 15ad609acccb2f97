"""What a candidate or a fleet may be called. The name goes into headers, logs, tables and the files of routers."""

from __future__ import annotations

from zooter_core.base.errors import MOST_NAMED, shortened
from zooter_core.base.terminal import NOT_IN_NAMES

LONGEST_NAME = 200  # characters


def wrong_name(name: object) -> tuple[str, str, str] | None:
    """What is wrong with a name: what was expected, what it is and what to do; None where nothing is."""
    if not isinstance(name, str):
        return "a name as a text", f"{name!r:.60}", "Write it in quotes."
    if not any(letter.isprintable() and not letter.isspace() for letter in name):
        return "a name that is not blank", repr(shortened(name, MOST_NAMED)), "Give a name."
    if NOT_IN_NAMES.search(name):
        step = "Remove line breaks and control characters."
        return "a name in one line without control characters", repr(shortened(name, MOST_NAMED)), step
    if len(name) > LONGEST_NAME:
        return f"a name of at most {LONGEST_NAME} characters", f"{len(name):,}", "Shorten it."
    return None
