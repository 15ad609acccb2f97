"""Names that the version before had, each with the way to do its job without it. The next version forgets them.

Whoever refuses an unknown command, option, key or kind looks here first.
"""

from __future__ import annotations

from zooter_core.base.errors import ZooterError

GONE: dict[str, str] = {  # name -> what to do instead: the end of a sentence, and further ones
}


def check_gone(name: str) -> None:
    """Refuse a name that is gone.

    Args:
        name: as in GONE: `zooter extend`, `zooter demo --endpoint`, `[learn] redact`, `router kind knn`.

    Raises:
        ZooterError: it is gone; the message says what to do instead.
    """
    if name in GONE:
        raise ZooterError("a name of this version", name, "", f"`{name}` is gone: {GONE[name]}")
