"""Host names and origins: under which names a server answers, and which page a request comes from."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from zooter_core.errors import ZooterError

WILDCARDS = ("0.0.0.0", "::")  # binding one of them means all addresses of this machine
DEFAULT_PORTS = {"http": 80, "https": 443}
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]*:[0-9a-fA-F:.]*\]|[^\[\]:]+)(:(?P<port>[0-9]{1,5}))?")  # IPv6 in brackets
ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>[^/?#@\\]+)", re.IGNORECASE)


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
    """The scheme and host of an Origin header; None for `null`, another scheme or a malformed one."""
    match = ORIGIN.fullmatch(header)
    host = parse_host(match["host"]) if match else None
    return (match["scheme"].lower(), host) if match and host else None


def same_origin(origin: str, host: str) -> bool:
    """Whether a request to `host` comes from a page of the same host and port.

    A Host header without a port means the default port of the page's scheme: behind a proxy that ends TLS, the
    server itself speaks plain HTTP.
    """
    page, target = parse_origin(origin), parse_host(host)
    if page is None or target is None:
        return False
    scheme, source = page
    default = DEFAULT_PORTS[scheme]
    return (source.name, source.port or default) == (target.name, target.port or default)


def names_of_this_machine(address: str | None) -> frozenset[str]:
    """The names of this machine, and the address that a server binds."""
    names = ("localhost", "127.0.0.1", "::1", host_name(socket.gethostname()), host_name(address or ""))
    return frozenset(name for name in names if name)


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach a server that binds the address."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def check_host(text: str, option: str) -> str:
    """The canonical spelling of a host name that a user typed.

    Raises:
        ZooterError: it is not a host name; `option` says where it was typed.
    """
    name = host_name(text)
    if name is None:
        raise ZooterError(
            f"a host name or an IP address for {option}",
            repr(text),
            f"Leave out http://, the port and the path, for instance {option} demo.example.org.",
        )
    return name


def check_origin(text: str, option: str) -> str:
    """The canonical spelling of an origin that a user typed: scheme://host, with the port unless it is the default.

    Raises:
        ZooterError: it is not an origin of a web page; `option` says where it was typed.
    """
    page = parse_origin(text.removesuffix("/"))
    if page is None:
        raise ZooterError(
            f"an origin (scheme, host and port of a site) for {option}",
            repr(text),
            f"Write it as in {option} https://www.example.org or {option} http://localhost:3000.",
        )
    scheme, host = page
    return f"{scheme}://{host}"
