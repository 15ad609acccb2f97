"""What fleet.toml says of a candidate behind an OpenAI-compatible server: where it is, and how long to wait for it."""

from __future__ import annotations

import ipaddress
import math
import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from zooter_core.errors import ZooterError, did_you_mean

WHERE = 'where backend = "openai" in fleet.toml'
TOKEN_LIMITS = ("max_tokens", "max_completion_tokens")
# Keys of how long and how often a server is asked, and under which names: they shape no response.
WAITING = (
    *("api_key_env", "connect_seconds", "first_token_seconds", "gap_seconds", "retries", "parallel"),
    *("rest_after", "rest_seconds", "token_limit"),
)


@dataclass(frozen=True)
class EndpointConfig:
    """The keys of a candidate, or a judge, whose backend is `openai`, besides `name`, `model`, `description`, price.

    Attributes:
        base_url: what comes before `/chat/completions`; ends in `/v1` with most servers.
        api_key_env: the environment variable that holds the key. The key itself never stands in fleet.toml.
        connect_seconds, first_token_seconds, gap_seconds: how long to wait for a connection, for the first token after
            the request was sent, and for each further token.
        retries: more attempts at an answer of which nothing has come.
        parallel: requests under way at a time; others wait for their turn.
        most_characters: an answer is cut there.
        rest_after, rest_seconds: so many failures in a row, and the candidate is left alone for so long.
        token_limit: the name under which the server takes the number of new tokens.
    """

    base_url: str
    api_key_env: str | None = None
    connect_seconds: float = 5.0
    first_token_seconds: float = 120.0
    gap_seconds: float = 30.0
    retries: int = 2
    parallel: int = 4
    most_characters: int = 200_000
    rest_after: int = 3
    rest_seconds: float = 30.0
    token_limit: str = "max_tokens"

    def __post_init__(self) -> None:
        _check_url(self.base_url)
        if self.api_key_env is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.api_key_env):
            raise ZooterError(  # what was found may be the key itself: it is not shown
                f"api_key_env as the name of an environment variable {WHERE}",
                "a text that is no such name",
                'Write api_key_env = "MY_KEY" and put the key into the variable MY_KEY.',
            )
        above = ("connect_seconds", "first_token_seconds", "gap_seconds", "parallel", "most_characters", "rest_after")
        for names, least in ((above, "above 0"), (("retries", "rest_seconds"), "of at least 0")):
            for name in names:
                value = getattr(self, name)
                if not (value > 0 or (value == 0 and least != "above 0")) or math.isinf(value):
                    raise ZooterError(f"{name} {least} {WHERE}", str(value), "Mend that line.")
        if self.token_limit not in TOKEN_LIMITS:
            raise ZooterError(
                f"token_limit {' or '.join(TOKEN_LIMITS)} {WHERE}",
                f'"{self.token_limit}"',
                did_you_mean(self.token_limit, TOKEN_LIMITS),
            )

    @property
    def host(self) -> str:
        """Where it is, for a message."""
        return urlsplit(self.base_url).netloc

    @property
    def local(self) -> bool:
        """Whether it is on this machine."""
        name = urlsplit(self.base_url).hostname or ""
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return name == "localhost"


def _check_url(url: str) -> None:
    """Refuse what is no web address, or carries a password, which is not shown."""
    shown = f'"{url}"' if "@" not in url else "an address with a name or password"
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ZooterError(
            f"base_url as a web address {WHERE}", shown, 'For instance base_url = "http://localhost:11434/v1".'
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ZooterError(
            f"base_url without a name, a password, ? or # {WHERE}",
            f'more than "{parts.scheme}://{parts.hostname}{parts.path}"',
            "Put a key into an environment variable and name that as api_key_env.",
        )


def key_from(variable: str | None, whose: str) -> str | None:
    """A server's key from the environment, None where no variable is named; it is never part of a message.

    Raises:
        ZooterError: the variable holds none, or one that a request cannot carry.
    """
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ZooterError(
            f"the key of {whose} in the environment variable {variable}",
            "none there",
            f"Set it first: export {variable}=...",
        )
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ZooterError(f"a key in {variable} that a request can carry", "other characters in it", "Set it again.")
    return key
