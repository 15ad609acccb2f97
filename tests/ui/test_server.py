"""The demo's server: what the guard in front of it refuses, and what a page that fails sends to a real terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from textwrap import indent

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit.file_util import get_static_dir

from support.demo_browser import wait_for_server
from support.patience import PATIENCE, wait_until
from support.ports import free_port
from support.terminal_screen import ACTS, CLEAR, HOSTILE, terminal
from zooter_core.base.hosts import HostGate
from zooter_core.base.terminal import visible
from zooter_core.ui.server import (
    CHARTS,
    IMPORTED,
    INLINE,
    PARTS,
    Guard,
    Scripts,
    content_security_policy,
    internal_error,
    security_headers,
    with_script,
)

HEADERS = security_headers(content_security_policy("<script>start()</script>"))
NAMES = frozenset({"localhost", "127.0.0.1", "::1", "friend.example"})


def answer(method: str, *headers: tuple[str, str], path: str = "/") -> Response:
    """What a small app behind the guard answers."""

    def fine(request: Request) -> PlainTextResponse:
        return PlainTextResponse("fine")

    def broken(request: Request) -> PlainTextResponse:
        raise ZeroDivisionError

    app = Starlette(
        routes=[Route("/", fine, methods=["GET", "POST", "PUT"]), Route("/broken", broken)],
        middleware=[Middleware(Guard, gate=HostGate("zooter demo", NAMES, has_pages=True), headers=HEADERS)],
        exception_handlers={Exception: partial(internal_error, headers=HEADERS)},
    )
    visitor = TestClient(app, base_url="http://192.0.2.7:8501", raise_server_exceptions=False)
    return visitor.request(method, path, headers=list(headers))


DEMO, EVIL = "localhost:8501", "http://evil.example"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/nothing", {"host": "localhost"}, 404),
        ("GET", "/broken", {"host": "localhost"}, 500),
        # A name that is listed, and the address that was dialled.
        ("GET", "/", {"host": "friend.example:9000"}, 200),
        ("GET", "/", {"host": "[::ffff:192.0.2.7]:8501"}, 200),
        # Other hosts.
        ("GET", "/", {"host": "localhost", "Host": "evil.example"}, 400),
        ("GET", "/", {"host": "evil.example", "x-forwarded-host": "localhost"}, 403),
        # What is asked by other pages.
        ("GET", "/", {"host": DEMO, "origin": EVIL}, 200),  # a link, or a form of another site that opens a page
        ("POST", "/", {"host": DEMO, "origin": EVIL}, 403),
        ("PUT", "/", {"host": DEMO, "origin": "http://localhost:8501"}, 200),
        ("PUT", "/", {"host": DEMO}, 200),  # a program, not a page; Streamlit asks it for its token
    ],
)
def test_only_own_hosts_and_pages_are_answered_and_always_with_the_headers(
    method: str, path: str, headers: dict[str, str], status: int
) -> None:
    response = answer(method, *headers.items(), path=path)
    assert response.status_code == status
    assert {name.lower(): value for name, value in HEADERS.items()}.items() <= dict(response.headers).items()


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


def test_the_page_names_all_its_scripts_at_once_in_the_way_that_keeps_their_compiled_code() -> None:
    scripts = Path(get_static_dir()) / "static" / "js"
    page = with_script(Path(get_static_dir()), (*PARTS, CHARTS))
    for part in (*PARTS, CHARTS):
        (file,) = scripts.glob(f"{part}.*.js")
        for name in (file.name, *IMPORTED.findall(file.read_text(encoding="utf-8"))):
            assert f"/static/js/{name}" in page
    links = re.findall(r'<link rel="preload" as="script" crossorigin href="./static/js/(.*?)">', page)
    assert len(links) == len(set(links))
    assert all((scripts / name).is_file() for name in links)
    entry = page.index('<script type="module"')
    assert all(page.index(name) < entry for name in links)
    assert "modulepreload" not in page


def test_scripts_are_served_as_streamlit_serves_them_and_all_else_goes_on() -> None:
    async def beyond(request: Request) -> Response:
        return PlainTextResponse(f"beyond {request.method}")

    app = Starlette(routes=[Route("/{path:path}", beyond, methods=["GET", "POST"])], middleware=[Middleware(Scripts)])
    client = TestClient(app)
    file = next((Path(get_static_dir()) / "static" / "js").glob("ChatInput.*.js"))
    script = client.get(f"/static/js/{file.name}")
    assert script.content == file.read_bytes()
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["cache-control"] == "public, immutable, max-age=31536000"
    for path in ("/", "/static/js/none.js", "/static/js/../../index.html", "/static/js/..%2f..%2findex.html"):
        assert client.get(path).text == "beyond GET"
    assert client.post(f"/static/js/{file.name}").text == "beyond POST"


ROOT = Path(__file__).resolve().parents[2]
START = """
import streamlit as st
if __name__ != "__main__":
    from zooter_core.ui import server

    app = st.App(__file__, **server.guarded())
else:
"""
PAGE = f"""
import gc, sys, threading

def fails():
    raise ValueError("thread " + {HOSTILE!r})

print("printed " + {HOSTILE!r}, flush=True)
thread = threading.Thread(target=fails)
thread.start()
thread.join()
print("searched for components", "streamlit.components.v2.manifest_scanner" in sys.modules, flush=True)
print("arguments", sys.argv[1:], flush=True)
print("collects garbage", gc.isenabled(), gc.get_freeze_count() > 10_000, flush=True)
raise RuntimeError("page " + {HOSTILE!r})
"""
SERVE = """
import sys
from pathlib import Path
from zooter_core.base.terminal import guard
guard()
from zooter_core.ui import server
server.APP = Path(sys.argv.pop(1))
server.serve()
"""


def visit(port: int, printed: Callable[[], bool]) -> None:
    """Open a session, as a browser does, until the page has run."""
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from websockets.sync.client import connect

    message = BackMsg()
    message.rerun_script.query_string = ""
    with connect(f"ws://localhost:{port}/_stcore/stream", origin=f"http://localhost:{port}", proxy=None) as session:
        session.send(message.SerializeToString())
        wait_until(printed)


def text_of(received: bytearray) -> str:
    return received.decode(errors="replace").replace("\r\n", "\n")


@pytest.mark.slow
@pytest.mark.parametrize("command", [("-c", SERVE), ("-m", "streamlit", "run")], ids=["zooter demo", "streamlit run"])
def test_a_page_that_fails_does_nothing_to_the_terminal(tmp_path, command):
    pytest.importorskip("websockets")
    (tmp_path / "page.py").write_text(START + indent(PAGE, "    "), encoding="utf-8")
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "config.toml").write_text("[server]\nmaxUploadSize = 7\n")
    port = free_port()
    options = [str(tmp_path / "page.py"), "--server.port", str(port), "--server.headless", "true"]
    options += ["--logger.hideWelcomeMessage", "true"]  # Streamlit's command prints it in colours before
    received = bytearray()
    with terminal(received) as file:
        process = subprocess.Popen(
            [sys.executable, *command, *options, "--", "--manage", "a.example", "b.example"],
            stdout=file,
            stderr=file,
            cwd=ROOT,
            env={**os.environ, "TERM": "xterm", "PYTHONPATH": str(ROOT)},
        )
        try:
            wait_for_server(f"http://localhost:{port}", process)
            visit(port, lambda: f"page {visible(HOSTILE)}" in text_of(received))
        finally:
            process.terminate()
            process.wait(PATIENCE)
    text = text_of(received)
    assert not ACTS.search(text), repr(text)
    assert CLEAR not in text
    for source in ("printed", "thread", "page"):
        assert f"{source} {visible(HOSTILE)}" in text
    assert "searched for components False" in text
    assert "arguments ['--manage', 'a.example', 'b.example']" in text
    assert "collects garbage True True" in text
    assert "please restart" not in text  # neither the port nor the folder's settings came later
