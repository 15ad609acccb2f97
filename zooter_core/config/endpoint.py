"""The keys of a candidate on an OpenAI-compatible server: its address, timeouts and limits."""

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
    """Refuse values that are not web addresses. The message does not show a password in the address."""
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
    """Refuse an address that contains a user name, a password, a query or a fragment."""
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise refusal(
            "an address without a name, a password, ? or #",
            f'more than "{parts.scheme}://{parts.hostname}{parts.path}"',
            "Put a key into an environment variable and name that as api_key_env.",
        )
    return url


def _variable(name: str) -> str:
    """Refuse an invalid name of an environment variable. The value may be the key itself, so no message shows it."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise refusal(
            "the name of an environment variable",
            "another text",
            'Write api_key_env = "MY_KEY" and put the key into the variable MY_KEY.',
        )
    return name


OURS = ("model", "messages", "stream", "stream_options", "temperature", "seed", "max_tokens", "max_completion_tokens")


def _fields(body: dict[str, Any]) -> dict[str, Any]:
    """Refuse request fields that other settings control."""
    if ours := [name for name in OURS if name in body]:
        step = "Leave it out: max_new_tokens, and temperature and seed in [generation], set such fields."
        raise refusal("fields that Zooter does not set itself", f'"{ours[0]}"', step)
    return body


Address = Annotated[StrictStr, AfterValidator(_address)]
Variable = Annotated[StrictStr, AfterValidator(_variable)]


@table("[[candidate]]")
class EndpointConfig(Table):
    """The additional keys of a candidate or a judge with the backend `openai`."""

    base_url: Annotated[Address, AfterValidator(_without_secret)]  # without /chat/completions; usually ends in /v1
    api_key_env: Variable | None = None  # the variable that holds the key; the key itself is never in fleet.toml
    connect_seconds: Positive = 5.0  # timeout for a connection; not a key of the file
    first_token_seconds: Positive = 120.0  # timeout for the first token after the request was sent
    gap_seconds: Positive = 30.0  # timeout for each further token
    answer_seconds: Positive = 3600.0  # timeout for the whole answer
    retries: Limit = 2  # how often to ask again if no part of the answer has arrived
    parallel: Count = 32  # maximum of concurrent requests; others wait for their turn
    most_characters: Count = 200_000  # longer answers are cut off; not a key of the file
    # Circuit breaker: after `rest_after` consecutive failures, skip the model for `rest_seconds`.
    rest_after: Count = 3
    rest_seconds: NotNegative = 30.0
    # Additional fields of each request, for features beyond the API; a client's own fields override them.
    extra_body: Annotated[dict[str, Any], AfterValidator(_fields)] = field(default_factory=dict, hash=False)
    insecure: StrictBool = False  # whether the key may be sent to another machine over plain HTTP, readable by others

    hidden: ClassVar[Sequence[str]] = ("connect_seconds", "most_characters")

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).netloc

    @property
    def most_bytes(self) -> int:
        """The limit for an answer in bytes. The event of a three-letter token has about 250 bytes, or twice that."""
        return (1 << 20) + 400 * self.most_characters

    @property
    def local(self) -> bool:
        """Whether the server is on this machine."""
        return on_this_machine(self.base_url)

    def key(self, whose: str) -> str | None:
        """The server's key. Arguments and errors: see `key_from`."""
        return key_from(self.api_key_env, whose, self.base_url, self.insecure)


def key_from(variable: str | None, whose: str, url: str, insecure: bool) -> str | None:
    """The API key for a server, from a variable that fleet.toml names; None without a variable. No message shows it.

    Args:
        url: the address to which the key will be sent.
        insecure: whether it may be sent to another machine over plain HTTP.

    Raises:
        ZooterError: the key may not be sent there (config/trust.py), is missing, or has characters that requests
            cannot contain.
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
        raise ZooterError(f"a key in {variable} of ASCII without spaces", "other characters in it", "Set it again.")
    return key
