"""Host names and origins: under which names a server answers, and from which pages it takes requests.

The list of names prevents DNS rebinding: a site whose name is made to point at this machine is refused by that name.
Origins keep out requests by pages of other sites, which browsers send without asking the server.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any

from zooter_core.base.errors import ZooterError

WILDCARDS = ("0.0.0.0", "::")  # binding one of them means all addresses of this machine
DEFAULT_PORTS = {"http": 80, "https": 443}
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]*:[0-9a-fA-F:.]*\]|[^\[\]:]+)(:(?P<port>[0-9]{1,5}))?")  # IPv6 in brackets
NO_HOST = "Zooter expects one Host header with a host name and, where needed, a port."
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
OWN_SITE = ("same-origin", "none")  # Sec-Fetch-Site of a request by a page of the server, or by a person
# Desktop programs and browser extensions have schemes of their own, such as app://obsidian.md.
ORIGIN = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>[^/?#@\\]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Host:
    """A host name or address as browsers compare it, and the port if one is given."""

    name: str
    port: int | None = None

    def __str__(self) -> str:
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.port is None else f"{name}:{self.port}"


def host_name(text: str) -> str | None:
    """The canonical spelling of a name or an IP address without a port; None if it is neither.

    Lower case, without a final dot, IDNs in Punycode. IPv6 may be in brackets; an IPv4 address inside IPv6 is IPv4.
    """
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ip_address(bare)
    except ValueError:
        pass
    else:
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return str(mapped or address)
    try:
        name = text.lower().removesuffix(".").encode("idna").decode("ascii")
    except UnicodeError:
        return None
    return name if len(name) <= 253 and all(LABEL.fullmatch(label) for label in name.split(".")) else None


def parse_host(header: str) -> Host | None:
    """The value of a Host header; None if it is malformed."""
    match = HOST.fullmatch(header)
    name = host_name(match["name"]) if match else None
    if match is None or name is None:
        return None
    port = int(match["port"]) if match["port"] else None
    return None if port is not None and port > 65535 else Host(name, port)


def parse_origin(header: str) -> tuple[str, Host] | None:
    """The scheme and host of an Origin header; None for `null` or a malformed one."""
    match = ORIGIN.fullmatch(header)
    host = parse_host(match["host"]) if match else None
    return (match["scheme"].lower(), host) if match and host else None


def same_origin(origin: str, host: str) -> bool:
    """Whether a request to `host` comes from a page of the same host and port.

    A Host header without a port means the default port of the page's scheme: behind a proxy that ends TLS, the
    server itself speaks plain HTTP.
    """
    page, target = parse_origin(origin), parse_host(host)
    if page is None or target is None or page[0] not in DEFAULT_PORTS:
        return False
    scheme, source = page
    default = DEFAULT_PORTS[scheme]
    return (source.name, source.port or default) == (target.name, target.port or default)


@dataclass(frozen=True)
class HostGate:
    """Which requests a server takes."""

    command: str  # the one that starts it, for messages
    # The names under which it answers, as `host_name` spells them, beside the address that was dialled.
    hosts: frozenset[str]
    # Those of other sites whose pages may send it requests, as `check_origin` spells them.
    origins: frozenset[str] = frozenset()
    has_pages: bool = False  # whether browsers open pages of it, to which other sites may link

    def refusal(self, scope: Mapping[str, Any]) -> tuple[int, str] | None:
        """The status and the reason for refusing a request or a websocket (a scope of ASGI); None if it is taken."""
        written = _values(scope, b"host")
        host = parse_host(written[0]) if len(written) == 1 else None
        if host is None:  # malformed (RFC 9112, 3.2)
            return 400, NO_HOST
        # DNS rebinding cannot fake a bare address: the one of this machine that received the request is right.
        if host.name not in self.hosts and not (scope.get("server") and host.name == host_name(scope["server"][0])):
            next_step = f"If that name is yours, start it with: {self.command} --allowed-host {host.name}"
            return 403, f"Zooter does not answer under the host name {host.name}.\n{next_step}"
        origins = _values(scope, b"origin")
        if self.has_pages:
            # Browsers send an origin with each websocket and each request that changes something.
            if scope["type"] != "websocket" and (scope["method"] in SAFE_METHODS or not origins):
                return None
            if len(origins) == 1 and same_origin(origins[0], str(host)):
                return None
            reason = "Zooter takes connections and uploads from its own pages only"
            return 403, f"{reason}: Origin and Host must name the same server."
        if not origins and all(site in OWN_SITE for site in _values(scope, b"sec-fetch-site")):
            return None
        page = parse_origin(origins[0]) if len(origins) == 1 else None
        origin = f"{page[0]}://{page[1]}" if page else "ORIGIN"
        if page and (origin in self.origins or same_origin(origin, str(host))):
            return None
        next_step = f"If that site is yours, start it with: {self.command} --allowed-origin {origin}"
        return 403, f"Zooter takes no requests from pages of other sites.\n{next_step}"


def _values(scope: Mapping[str, Any], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def names_of_this_machine(address: str | None) -> frozenset[str]:
    """The names of this machine, and the address that a server binds."""
    names = ("localhost", "127.0.0.1", "::1", host_name(socket.gethostname()), host_name(address or ""))
    return frozenset(name for name in names if name)


def is_loopback(address: str) -> bool:
    """Whether an address or a host's name is of this machine alone: no other reaches a server that binds it."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def check_host(text: str, option: str) -> str:
    """The canonical spelling of a host name that a user typed.

    Raises:
        ZooterError: it is not a host name; `option` says where it was typed.
    """
    example = f"Leave out http://, the port and the path, for instance {option} demo.example.org."
    name = host_name(text)
    if name is None:
        raise ZooterError(f"a host name or an IP address for {option}", repr(text), example)
    return name


def check_origin(text: str, option: str) -> str:
    """The canonical spelling of an origin that a user typed: scheme://host, with the port unless it is the default.

    Raises:
        ZooterError: it is not an origin; `option` says where it was typed.
    """
    example = f"Write it as in {option} https://www.example.org or {option} http://localhost:3000."
    page = parse_origin(text.removesuffix("/"))
    if page is None:
        raise ZooterError(f"an origin (scheme, host and port of a site) for {option}", repr(text), example)
    scheme, host = page
    return f"{scheme}://{host}"


def check_server(text: str, option: str) -> str:
    """The canonical spelling of a host name that a user typed, with the port if there is one: HOST or HOST:PORT.

    Raises:
        ZooterError: it is neither; `option` says where it was typed.
    """
    example = f"Write it as in {option} models.example.org or {option} models.example.org:8000."
    host = Host(name) if (name := host_name(text)) else parse_host(text)
    if host is None:
        raise ZooterError(f"a host, or a host and a port, for {option}", repr(text), example)
    return str(host)
