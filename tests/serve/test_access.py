"""Pages of other sites: what a browser lets them send is refused, unless their site is named."""

from __future__ import annotations

import logging

import httpx2
import pytest

from support.patience import PATIENCE
from support.running_endpoint import QUERY, Endpoint, bearer

CHAT = {"model": "auto", "messages": [{"role": "user", "content": QUERY}]}
FRIEND, PROGRAM, EVIL = "https://friend.example", "app://obsidian.md", "http://evil.example"
FORM_TYPES = ("text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None)
ANSWERING = ("/v1/chat/completions", "/v1/route", "/v1/feedback", "/admin/reload")
ROUTES = (
    *(("POST", path) for path in ANSWERING),
    ("OPTIONS", "/v1/chat/completions"),
    *(("GET", path) for path in ("/v1/models", "/ready", "/metrics", "/openapi.json")),
)
FOREIGN = (
    {"host": "evil.example"},  # DNS rebinding
    {"host": "localhost.evil.example:8400"},
    *({"origin": origin} for origin in (EVIL, "null", "http://localhost:3000", FRIEND + ".evil.example")),
    {"origin": "chrome-extension://localhost:8400"},
    *({"sec_fetch_site": site} for site in ("cross-site", "same-site")),
)
OURS = (
    {},
    {"host": "localhost"},
    {"host": "Box.Example.:8400"},
    {"host": "localhost:8400", "origin": "http://localhost:8400", "sec_fetch_site": "same-origin"},
    {"sec_fetch_site": "none"},
    {"origin": PROGRAM, "sec_fetch_site": "cross-site"},
)


@pytest.fixture
def endpoint(serve) -> Endpoint:
    return serve("good", options={"allowed_hosts": ("box.example",), "allowed_origins": (FRIEND, PROGRAM)})


def send(endpoint: Endpoint, method: str, path: str, body: object = None, **headers: str | None) -> httpx2.Response:
    """A request with just these headers; `_` in a name stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
    with httpx2.Client(base_url=endpoint.url, trust_env=False, timeout=PATIENCE, verify=False) as client:
        request = client.build_request(method, path, json=body) if body else client.build_request(method, path)
        if body and "content_type" in headers:
            del request.headers["content-type"]
        request.headers.update(named)
        return client.send(request)


def test_a_foreign_page_reaches_no_route(endpoint, scripted):
    for number, headers in enumerate(FOREIGN):
        for method, path in ROUTES if number % 3 == 0 else ROUTES[:1]:
            response = send(endpoint, method, path, CHAT if method == "POST" else None, **headers)
            assert (response.status_code, response.json()["error"]["code"]) == (403, "foreign_page"), path
            assert not any(name.startswith("access-control") for name in response.headers)
        assert send(endpoint, "GET", "/health", **headers).status_code == 200
    assert scripted.bodies == []
    assert not (endpoint.server.settings.data / "feedback.jsonl").exists()


def test_programs_and_named_hosts_are_answered(endpoint):
    for headers in OURS:
        assert send(endpoint, "POST", "/v1/chat/completions", CHAT, **headers).status_code == 200, headers


def test_what_a_form_can_send_is_refused(endpoint, scripted):
    for kind in FORM_TYPES:
        for path in ANSWERING:
            response = send(endpoint, "POST", path, CHAT, content_type=kind)
            assert response.status_code == 415
            assert "`Content-Type: application/json`" in response.json()["error"]["message"]
    assert scripted.bodies == []
    assert send(endpoint, "POST", "/admin/reload").status_code == 200  # curl -X POST


def test_a_named_site_may_ask_and_read(serve, tmp_path):
    key = bearer(tmp_path / "keys.json")
    endpoint = serve("good", options={"allowed_origins": (FRIEND,), "keys": tmp_path / "keys.json"})
    wanted = "authorization,content-type,x-session-id,x-stainless-lang"
    preflight = {"access_control_request_method": "POST", "access_control_request_headers": wanted}
    answer = send(endpoint, "OPTIONS", "/v1/chat/completions", origin=FRIEND, **preflight)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == FRIEND
    assert set(wanted.split(",")) <= set(answer.headers["access-control-allow-headers"].replace(" ", "").split(","))
    for header, status in ((key, 200), ({"authorization": "Bearer wrong"}, 401)):
        headers = {"origin": FRIEND, "sec_fetch_site": "cross-site", **header}
        answer = send(endpoint, "POST", "/v1/chat/completions", CHAT, **headers)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, FRIEND)
        assert "x-request-id" in answer.headers["access-control-expose-headers"]


def test_what_a_client_sends_is_escaped_and_short_in_the_log(endpoint, caplog):
    caplog.set_level(logging.WARNING, "zooter.serve")
    send(endpoint, "GET", "/%1b%5b2J%0d%0aforged%e2%80%ae" + "x" * 20_000, origin=EVIL)
    (line,) = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert len(line) < 400
    assert line.isprintable()
    assert line.startswith(r"/\x1b[2J\r\nforged\u202e")
