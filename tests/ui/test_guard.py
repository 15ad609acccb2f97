from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from streamlit.file_util import get_static_dir

from zooter_core.base.hosts import Gate
from zooter_core.ui.server import INLINE, Guard, content_security_policy, internal_error, security_headers

HEADERS = security_headers(content_security_policy("<script>start()</script>"))
NAMES = frozenset({"localhost", "127.0.0.1", "::1", "friend.example"})


def request(method: str = "GET", *headers: tuple[str, str], path: str = "/", kind: str = "http") -> dict[str, Any]:
    return {
        "type": kind,
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers],
        "server": ("192.0.2.7", 8501),
    }


def answer(scope: dict[str, Any]) -> tuple[int, dict[str, str]]:
    """Status and headers of a small app behind the guard."""

    def fine(request: Request) -> PlainTextResponse:
        return PlainTextResponse("fine")

    def broken(request: Request) -> PlainTextResponse:
        raise ZeroDivisionError

    app = Starlette(
        routes=[Route("/", fine, methods=["GET", "POST", "PUT"]), Route("/broken", broken)],
        middleware=[Middleware(Guard, gate=Gate("zooter demo", NAMES, has_pages=True), headers=HEADERS)],
        exception_handlers={Exception: partial(internal_error, headers=HEADERS)},
    )
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    # A thread of its own: Playwright, once started, leaves its event loop running in the main one.
    with ThreadPoolExecutor(1) as pool, suppress(ZeroDivisionError):  # Starlette raises it again, for the log
        pool.submit(asyncio.run, app(scope, receive, send)).result()
    start = sent[0]
    return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [("/", "localhost:8501", 200), ("/nothing", "localhost", 404), ("/broken", "localhost", 500), ("/", "evil", 403)],
)
def test_every_answer_carries_the_headers(path: str, host: str, status: int) -> None:
    code, headers = answer(request("GET", ("host", host), path=path))
    assert code == status
    assert {name.lower(): value for name, value in HEADERS.items()}.items() <= headers.items()


@pytest.mark.parametrize(
    "host", ["Friend.Example.", "friend.example:9000", "192.0.2.7:8501", "[::ffff:192.0.2.7]:8501"]
)
def test_a_name_that_is_listed_and_the_address_that_was_dialled_are_answered(host: str) -> None:
    assert answer(request("GET", ("host", host)))[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((), 400),
        ((("host", "localhost"), ("host", "evil.example")), 400),
        ((("host", ""),), 400),
        ((("host", "localhost@evil.example"),), 400),
        ((("host", "192.0.2.8:8501"),), 403),
        ((("host", "localhost.evil.example"),), 403),
        ((("host", "evil.example"), ("x-forwarded-host", "localhost")), 403),
    ],
)
def test_other_hosts_are_refused(headers: tuple[tuple[str, str], ...], status: int) -> None:
    assert answer(request("GET", *headers))[0] == status


@pytest.mark.parametrize(
    ("method", "origin", "status"),
    [
        ("GET", "http://evil.example", 200),  # a link, or a form of another site that opens a page
        ("POST", "http://evil.example", 403),
        ("PUT", "http://localhost:8502", 403),
        ("PUT", "null", 403),
        ("PUT", "http://localhost:8501", 200),
        ("PUT", None, 200),  # a program, not a page; Streamlit asks it for its token
    ],
)
def test_only_own_pages_change_something(method: str, origin: str | None, status: int) -> None:
    more = [("origin", origin)] if origin else []
    assert answer(request(method, ("host", "localhost:8501"), *more))[0] == status


def test_the_policy_of_streamlits_page_allows_its_inline_script_alone() -> None:
    page = (Path(get_static_dir()) / "index.html").read_text(encoding="utf-8")
    assert len(INLINE.findall(page)) == page.count("<script>") >= 1
    policy = dict(part.split(" ", 1) for part in content_security_policy(page, ["https://a.example"]).split("; "))
    assert policy["frame-ancestors"] == "'self' https://a.example"
    assert policy["script-src"].startswith("'self' 'sha256-")
    assert "unsafe" not in policy["script-src"]
    assert policy["connect-src"] == "'self'"
    loading = " ".join(policy[name] for name in policy if name.endswith("-src"))
    assert {source for source in loading.split() if not source.startswith("'")} == {"data:", "blob:"}
