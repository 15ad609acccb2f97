"""The keys of a candidate behind an OpenAI-compatible server: where it is, and how long to wait for it."""

import os
import re
from collections.abc import Sequence
from dataclasses import field
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, StrictBool, StrictStr, ValidationInfo

from zooter_core.base.errors import ZooterError
from zooter_core.config.tables import Count, Limit, NotNegative, Positive, Table, refusal, table
from zooter_core.config.trust import check_uses, on_this_machine, server_address


def _address(url: str, info: ValidationInfo) -> str:
    """Refuse what is not a web address. The message does not show a password in it."""
    shown = f'"{url}"' if "@" not in url else "an address with a name or password"
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an IPv6 address, or an invalid port
        good = False
    if not good:
        raise refusal("a web address", shown, f'For instance {info.field_name} = "http://localhost:11434/v1".')
    return url


def _without_secret(url: str) -> str:
    """Refuse an address with a password or a query in it."""
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise refusal(
            "an address without a name, a password, ? or #",
            f'more than "{parts.scheme}://{parts.hostname}{parts.path}"',
            "Put a key into an environment variable and name that as api_key_env.",
        )
    return url


def _variable(name: str) -> str:
    """Refuse an invalid name of an environment variable. It may be the key itself, so the message does not show it."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise refusal(
            "the name of an environment variable",
            "another text",
            'Write api_key_env = "MY_KEY" and put the key into the variable MY_KEY.',
        )
    return name


OURS = ("model", "messages", "stream", "stream_options", "temperature", "seed", "max_tokens", "max_completion_tokens")


def _fields(body: dict[str, Any]) -> dict[str, Any]:
    """Refuse fields of a request that other settings control."""
    if ours := [name for name in OURS if name in body]:
        step = "Leave it out: max_new_tokens, and temperature and seed in [generation], set such fields."
        raise refusal("fields that Zooter does not set itself", f'"{ours[0]}"', step)
    return body


Address = Annotated[StrictStr, AfterValidator(_address)]
Variable = Annotated[StrictStr, AfterValidator(_variable)]


@table("[[candidate]]")
class EndpointConfig(Table):
    """The keys of a candidate or a judge with the backend `openai`, besides those that every candidate has."""

    base_url: Annotated[Address, AfterValidator(_without_secret)]  # without /chat/completions; mostly ends in /v1
    api_key_env: Variable | None = None  # the variable that holds the key; the key itself is never in fleet.toml
    connect_seconds: Positive = 5.0  # how long to wait for a connection; not a key of the file
    first_token_seconds: Positive = 120.0  # for the first token after the request was sent
    gap_seconds: Positive = 30.0  # for each further token
    answer_seconds: Positive = 3600.0  # for an answer altogether
    retries: Limit = 2  # how often to ask again if no part of the answer has come
    parallel: Count = 32  # requests at the same time; others wait for their turn
    most_characters: Count = 200_000  # longer answers are cut; not a key of the file
    # Circuit breaker: after `rest_after` consecutive failures, skip the model for `rest_seconds`.
    rest_after: Count = 3
    rest_seconds: NotNegative = 30.0
    # Further fields of each request, for what a server can do beyond the API; a client's own fields override them.
    extra_body: Annotated[dict[str, Any], AfterValidator(_fields)] = field(default_factory=dict, hash=False)
    insecure: StrictBool = False  # whether the key may go to another machine over plain HTTP, where anybody can read it

    hidden: ClassVar[Sequence[str]] = ("connect_seconds", "most_characters")

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).netloc

    @property
    def most_bytes(self) -> int:
        """The limit for an answer. An event of a three-letter token has about 250 bytes, or twice that."""
        return (1 << 20) + 400 * self.most_characters

    @property
    def local(self) -> bool:
        """Whether it is on this machine."""
        return on_this_machine(self.base_url)

    def key(self, whose: str) -> str | None:
        """The server's key. Arguments and errors: see `key_from`."""
        return key_from(self.api_key_env, whose, self.base_url, self.insecure)


def key_from(variable: str | None, whose: str, url: str, insecure: bool) -> str | None:
    """The key that a fleet.toml names for a server; None if it names no variable. No message shows the key.

    Args:
        url: where the key will go.
        insecure: whether it may go over plain HTTP to another machine.

    Raises:
        ZooterError: the key may not be sent there (config/trust.py), is missing, or cannot be part of a request.
    """
    if variable is None:
        return None
    if urlsplit(url).scheme != "https" and not insecure and not on_this_machine(url):
        raise ZooterError(
            f"an address with https:// for the key of {whose} in {variable}",
            f"plain HTTP ({server_address(url)}), which anybody on the way can read",
            "Use https, or a tunnel to localhost. In a network that you trust, set insecure = true beside api_key_env.",
        )
    check_uses([(variable, url)])
    key = os.environ.get(variable, "").strip()
    if not key:
        step = f"Set it first: export {variable}=..."
        raise ZooterError(f"the key of {whose} in the environment", f"no key in {variable}", step)
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ZooterError(f"a key in {variable} that a request can carry", "other characters in it", "Set it again.")
    return key
