"""Addresses of the web, and links that name their host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote

from zooter_core.ui.markdown.escape import code, escaped

BARE = re.compile(r"(?:https?://|www\.)[^\s<]*", re.IGNORECASE)
# No user before the host, no backslash, no brackets: browsers and this pattern agree where it leads.
WEB = re.compile(r"(https?)://([^\s/?#\\@:\[\]]{1,253})(:\d{1,5})?([/?#].*)?", re.IGNORECASE | re.DOTALL)
HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
UNQUOTED = "/?#%:;,=+!'@.-_~()*[]&"  # of an address, not percent-encoded
TRAILING = "?!.,:;*_~'\""
BRACKETS = {")": "(", "]": "[", "}": "{"}
LONGEST = 300  # characters of an address that are shown: an image's address may be the image itself


class Web(NamedTuple):
    """A web address in ASCII, as a browser reads it, and its host."""

    address: str
    host: str


def web(address: str) -> Web | None:
    """Where an address leads; None unless it is clearly a web page."""
    match = WEB.fullmatch(address.strip())
    if match is None:
        return None
    scheme, host, port, rest = match.groups(default="")
    try:
        host = host.encode("idna").decode("ascii").lower()
    except UnicodeError:  # an empty label, or one of more than 63 characters
        return None
    if not HOST.fullmatch(host):
        return None
    return Web(f"{scheme.lower()}://{host}{port}{quote(rest, safe=UNQUOTED)}", host)


def link(words: str, raw: str, address: str, to: Web) -> str:
    """Markdown of a link that names its host.

    Args:
        words: its text as Markdown; raw: the text before that.
        address: where it leads, as written; to: as a browser reads it.
    """
    if raw.strip() not in (address, address.split("://")[-1]) or to.host not in raw.lower():
        words = f"{words} ({escaped(to.host, at_start=False)})"
    return f"[{words}](<{to.address.replace('&', '&amp;')}>)"


def shown(address: str, in_table: bool = False) -> str:
    """An address as code, so that it cannot be followed."""
    address = address.strip() or "no address"
    return code(address if len(address) <= LONGEST else address[:LONGEST] + "…", in_table)


def linked(text: str, in_table: bool = False) -> Iterator[tuple[bool, str]]:
    """The parts of a text: False with plain text, or True with the Markdown of a bare address."""
    end = 0
    for match in BARE.finditer(text):
        address = trimmed(match[0])
        full = address if "://" in address else f"http://{address}"
        to = web(full) if "." in address else None
        if match.start() > end:
            yield False, text[end : match.start()]
        yield True, link(escaped(address), address, full, to) if to else code(address, in_table)
        end = match.start() + len(address)
    if end < len(text):
        yield False, text[end:]


def trimmed(address: str) -> str:
    """A bare address without the sentence's punctuation behind it."""
    counts = {mark: address.count(mark) for mark in "()[]{}"}
    end = len(address)
    while end > 0:
        last = address[end - 1]
        if last in BRACKETS and counts[last] > counts[BRACKETS[last]]:
            counts[last] -= 1
        elif last not in TRAILING:
            break
        end -= 1
    return address[:end]
