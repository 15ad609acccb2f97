"""Host names and origins: the names under which a server answers, and the web pages from which it accepts requests.

The check of names prevents DNS rebinding: if another site's name resolves to this machine, requests under that name are
refused. The check of origins refuses requests by pages of other sites, which browsers send without a preflight.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any

from zooter_core.base.errors import ZooterError

WILDCARDS = ("0.0.0.0", "::")  # a server that binds one of them listens at all addresses of this machine
DEFAULT_PORTS = {"http": 80, "https": 443}
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]*:[0-9a-fA-F:.]*\]|[^\[\]:]+)(:(?P<port>[0-9]{1,5}))?")  # IPv6 in brackets
NO_HOST = "Zooter expects one Host header with a host name and, where needed, a port."
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
OWN_SITE = ("same-origin", "none")  # Sec-Fetch-Site of a request by a page of the server, or by the user
# Desktop programs and browser extensions have their own schemes, such as app://obsidian.md.
ORIGIN = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>[^/?#@\\]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Host:
    """A host name or address in canonical form, as browsers compare them, and the port if there is one."""

    name: str
    port: int | None = None

    def __str__(self) -> str:
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.port is None else f"{name}:{self.port}"


def host_name(text: str) -> str | None:
    """The canonical form of a host name or IP address without a port; None if the text is neither.

    Names are in lower case, without a final dot, with IDNs in Punycode. IPv6 addresses may be in brackets; IPv4-mapped
    ones become IPv4 addresses.
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
    """Decides which requests a server accepts, by their hosts and origins."""

    command: str  # that starts the server, for messages
    # The names under which the server answers, as `host_name` returns them. It also answers under the address that
    # received the request.
    hosts: frozenset[str]
    # Origins of other sites whose pages may send requests, as `check_origin` returns them.
    origins: frozenset[str] = frozenset()
    has_pages: bool = False  # whether the server has web pages, to which other sites may link

    def refusal(self, scope: Mapping[str, Any]) -> tuple[int, str] | None:
        """The status and the reason for refusing a request or a websocket (an ASGI scope); None if it is accepted."""
        headers = _header_values(scope, b"host")
        host = parse_host(headers[0]) if len(headers) == 1 else None
        if host is None:  # malformed (RFC 9112, 3.2)
            return 400, NO_HOST
        # DNS rebinding needs a name, so the address of this machine that received the request is safe.
        if host.name not in self.hosts and not (scope.get("server") and host.name == host_name(scope["server"][0])):
            next_step = f"If that name is yours, start Zooter with: {self.command} --allowed-host {host.name}"
            return 403, f"Zooter does not answer under the host name {host.name}.\n{next_step}"
        origins = _header_values(scope, b"origin")
        if self.has_pages:
            # Browsers send an origin with each websocket and with each request of an unsafe method.
            if scope["type"] != "websocket" and (scope["method"] in SAFE_METHODS or not origins):
                return None
            if len(origins) == 1 and same_origin(origins[0], str(host)):
                return None
            reason = "Zooter accepts connections and uploads from its own pages only"
            return 403, f"{reason}: Origin and Host must name the same server."
        if not origins and all(site in OWN_SITE for site in _header_values(scope, b"sec-fetch-site")):
            return None
        page = parse_origin(origins[0]) if len(origins) == 1 else None
        origin = f"{page[0]}://{page[1]}" if page else "ORIGIN"
        if page and (origin in self.origins or same_origin(origin, str(host))):
            return None
        next_step = f"If that site is yours, start Zooter with: {self.command} --allowed-origin {origin}"
        return 403, f"Zooter does not accept requests from pages of other sites.\n{next_step}"


def _header_values(scope: Mapping[str, Any], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def names_of_this_machine(address: str | None) -> frozenset[str]:
    """The names and loopback addresses of this machine, and the address that a server binds."""
    names = ("localhost", "127.0.0.1", "::1", host_name(socket.gethostname()), host_name(address or ""))
    return frozenset(name for name in names if name)


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach a server that binds this address or name."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def check_host(text: str, option: str) -> str:
    """The canonical form of a host name that a user typed.

    Raises:
        ZooterError: the text is not a host name. The message names `option`, where it was typed.
    """
    example = f"Leave out http://, the port and the path, for instance {option} demo.example.org."
    name = host_name(text)
    if name is None:
        raise ZooterError(f"a host name or an IP address for {option}", repr(text), example)
    return name


def check_origin(text: str, option: str) -> str:
    """The canonical form of an origin that a user typed: scheme://host, with the port unless it is the default.

    Raises:
        ZooterError: the text is not an origin. The message names `option`, where it was typed.
    """
    example = f"For example: {option} https://www.example.org or {option} http://localhost:3000."
    page = parse_origin(text.removesuffix("/"))
    if page is None:
        raise ZooterError(f"an origin (scheme, host and port of a site) for {option}", repr(text), example)
    scheme, host = page
    return f"{scheme}://{host}"


def check_server(text: str, option: str) -> str:
    """The canonical form of a server that a user typed: HOST or HOST:PORT.

    Raises:
        ZooterError: the text is neither. The message names `option`, where it was typed.
    """
    example = f"For example: {option} models.example.org or {option} models.example.org:8000."
    host = Host(name) if (name := host_name(text)) else parse_host(text)
    if host is None:
        raise ZooterError(f"a host, or a host and a port, for {option}", repr(text), example)
    return str(host)
