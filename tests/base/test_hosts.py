from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.base.errors import ZooterError
from zooter_core.base.hosts import (
    Host,
    check_host,
    check_origin,
    host_name,
    is_loopback,
    names_of_this_machine,
    parse_host,
    parse_origin,
    same_origin,
)

HOSTLIKE = st.text(alphabet="aZ0.:[]%@/\\-_ ßé\x00\n1fx", max_size=40) | st.text(max_size=40)


NAMES = {
    **{"localhost": "localhost", "LocalHost.": "localhost", "my_box": "my_box", "127.0.0.1": "127.0.0.1"},
    **{"[::1]": "::1", "0:0:0:0:0:0:0:1": "::1", "::ffff:127.0.0.1": "127.0.0.1"},
    **{"Bücher.Example": "xn--bcher-kva.example"},
    **dict.fromkeys(("", ".", "localhost..", "a..b", "-a", "a/b", "host:80", "*", "x" * 64, "a." * 130 + "a")),
}


def test_a_host_name_has_one_spelling() -> None:
    assert {text: host_name(text) for text in NAMES} == NAMES


HEADERS = {
    **{"localhost": Host("localhost"), "LOCALHOST:8501": Host("localhost", 8501)},
    **{"localhost.:8501": Host("localhost", 8501), "[::1]:8501": Host("::1", 8501), "[::1]": Host("::1")},
    **{"127.0.0.1:65535": Host("127.0.0.1", 65535)},
    **dict.fromkeys(("::1", "::1:8501", "[127.0.0.1]", "[localhost]", "localhost:", "localhost:port", " localhost")),
    **dict.fromkeys(("localhost:65536", "localhost:8501:8501", "localhost/evil.example", "")),
}


def test_a_host_header_is_a_name_and_perhaps_a_port() -> None:
    assert {header: parse_host(header) for header in HEADERS} == HEADERS


ORIGINS = [
    ("http://localhost:8501", "localhost:8501", True),
    ("HTTP://LocalHost.:8501", "localhost:8501", True),
    ("http://[::1]:8501", "[0:0:0:0:0:0:0:1]:8501", True),
    ("http://localhost", "localhost:80", True),
    ("http://localhost:80", "localhost", True),
    ("https://zooter.example", "zooter.example", True),
    ("https://zooter.example:443", "zooter.example", True),
    ("http://localhost:8502", "localhost:8501", False),
    ("http://localhost", "localhost:8501", False),
    ("http://127.0.0.1:8501", "localhost:8501", False),
    ("http://localhost.evil.example:8501", "localhost:8501", False),
    ("http://localhost:8501@evil.example", "localhost:8501", False),
    ("http://localhost:8501/", "localhost:8501", False),
    ("file://localhost:8501", "localhost:8501", False),
    ("null", "localhost:8501", False),
    ("", "localhost:8501", False),
    ("null", "null", False),
]


def test_an_origin_is_the_same_only_with_the_same_host_and_port() -> None:
    assert [(origin, host, same_origin(origin, host)) for origin, host, _ in ORIGINS] == ORIGINS


@given(HOSTLIKE)
def test_any_text_is_a_host_in_one_spelling_or_none(text: str) -> None:
    name = host_name(text)
    assert name is None or host_name(name) == name
    host = parse_host(text)
    assert host is None or parse_host(str(host)) == host


@given(HOSTLIKE)
def test_an_origin_that_is_taken_adds_nothing_to_a_header(text: str) -> None:
    try:
        origin = check_origin(f"https://{text}", "--allowed-origin")
    except ZooterError:
        return
    assert not set(origin) & set(" \t\r\n;,'\"*")
    assert parse_origin(origin) is not None


def test_this_machine_has_the_names_of_the_loopback_its_own_and_the_bound_one() -> None:
    names = {"localhost", "127.0.0.1", "::1", host_name(socket.gethostname())} - {None}
    assert names_of_this_machine("localhost") == names
    assert names_of_this_machine(None) == names
    assert names_of_this_machine("192.0.2.7") == names | {"192.0.2.7"}


def test_only_loopback_addresses_are_out_of_others_reach() -> None:
    assert all(is_loopback(address) for address in ("localhost", "127.0.0.2", "::1"))
    assert not any(is_loopback(address) for address in ("0.0.0.0", "::", "a.example"))


def test_an_option_has_a_host_or_an_origin_in_one_spelling() -> None:
    assert check_host("Demo.Example.org.", "--allowed-host") == "demo.example.org"
    assert check_origin("HTTPS://Www.Example.org:8443/", "--allowed-origin") == "https://www.example.org:8443"
    assert check_origin("http://[::1]:3000", "--allowed-origin") == "http://[::1]:3000"
    assert check_origin("app://obsidian.md", "--allowed-origin") == "app://obsidian.md"
    with pytest.raises(ZooterError, match=r"--allowed-host.*'http://a'.*Leave out http://"):
        check_host("http://a", "--allowed-host")
    for text in ("", "*", "www.example.org", "https://a/b", "https://*.a", "https://a;b", "data:x"):
        with pytest.raises(ZooterError, match=r"an origin .* for --allowed-origin"):
            check_origin(text, "--allowed-origin")
