"""Every fault that an endpoint brings, injected on loopback: the others are unharmed, one message, nothing lost."""

from __future__ import annotations

import asyncio
import select
import shutil
import socket
import subprocess
import time
from types import SimpleNamespace
from typing import Any

import pytest

from support.event_loops import run_apart
from support.patience import NEVER, PATIENCE, wait_until
from support.read_stream import stream
from support.scripted_answers import TEXT
from support.scripted_server import at, serving
from zooter_core.backends.endpoint import connection, health
from zooter_core.backends.endpoint.connection import Connection
from zooter_core.backends.endpoint.events import Event
from zooter_core.backends.endpoint.faults import EndpointError, find_subject
from zooter_core.base.errors import WorkError
from zooter_core.config.candidates import CandidateConfig

FULL_TEXT = "".join(TEXT)
HALF = "Half of"
LOG = "See the server's log."


def together(backend, failing, good):
    """A failing candidate between two good ones: its response, after a look at theirs."""
    texts, responses = stream(backend, (good, failing, good))
    for number in (0, 2):
        assert (responses[number].text, responses[number].error, responses[number].finish) == (FULL_TEXT, None, "stop")
    assert responses[1].text == texts[1], "something that was shown is lost"
    return responses[1]


FAULTS = [
    ("hang-first", "", "no first token within 0.3 s", "first_token_seconds"),
    ("hang-headers", "", "no first token within 0.3 s", "first_token_seconds"),
    ("hang-in-the-middle", HALF, "no further token for 0.3 s, after 7 characters", "Try again"),
    ("reset-first", "", "the connection broke", LOG),
    ("reset-in-the-middle", HALF, "the connection broke, after 7 characters", LOG),
    ("http-400", "", 'status 400, "scripted http-400"', "See the server's message"),
    ("http-401", "", "status 401", "api_key_env"),
    ("http-402", "", "the server requires payment", "balance"),
    ("html-404", "", "status 404", 'Fix model = "html-404" in fleet.toml. Known: good, llama3.1:8b'),
    ("http-429", "", "status 429", "lower parallel"),
    ("long-429", "", "a pause of 3600 s", "Try again later"),
    ("http-500", "", "status 500", LOG.lower()),
    ("html", "", "a web page instead of an answer", "/v1"),
    ("plain-json", "", "a JSON document", "streams"),
    ("broken-line", HALF, "is not JSON, after 7 characters", LOG.lower()),
    ("no-choices", "", "is not JSON", LOG.lower()),
    ("error-event", HALF, '"the model [31m ran out of memory", after 7 characters', LOG.lower()),
    ("nothing", "", "ended without any text", LOG),
    ("filtered", HALF, "content filter", "Rephrase"),
    ("redirect", "", "a redirect to http://example.test/v1/chat/completions", "base_url"),
    ("goods", "", 'status 404, "model "goods" not found"', 'Did you mean "good"?'),
]  # the model, what comes of its text, why not more, and what to do


@pytest.mark.parametrize(("model", "text", "reason", "next_step"), FAULTS)
def test_a_fault_is_told_once_and_what_came_is_kept(server, backend, model, text, reason, next_step):
    server.elsewhere = "http://example.test/v1/chat/completions"
    response = together(backend, at(server.url, model), at(server.url))
    assert (response.finish, response.text) == ("refused" if model in ("http-400", "filtered") else "error", text)
    assert reason in str(response.error)
    assert next_step.lower() in str(response.error).lower()
    assert str(response.error).startswith(f"{model} at 127.0.0.1:")
    assert "\n" not in str(response.error)


@pytest.mark.parametrize(("model", "text", "reason", "next_step"), FAULTS)
def test_the_same_fault_ends_a_request_that_goes_on_as_it_came(server, model, text, reason, next_step):
    """As `zooter serve` sends it. It has no retries, no model to suggest, and leaves a filter's work to its client."""
    server.elsewhere = "http://example.test/v1/chat/completions"
    shown, error = passed_on(at(server.url, model))
    assert shown == text
    if model == "filtered":
        assert error is None
        return
    assert reason.partition(", after")[0].lower() in error.message.lower()
    assert error.temporary == (model in RETRIED)
    assert error.counts == (model not in ("http-400", "html-404", "goods"))
    assert error.overload == (model.startswith("hang-") or model.endswith("429"))


RETRIED = (  # before the first token; after it, nobody is asked again
    *("reset-first", "reset-in-the-middle", "http-429", "long-429", "http-500", "broken-line"),
    *("no-choices", "error-event", "nothing"),
)


def passed_on(candidate: CandidateConfig) -> tuple[str, EndpointError | None]:
    """The text of a stream that goes through as it comes, and why it has no end."""
    pytest.importorskip("fastapi", reason="the extra zooter[serve] is not installed")
    from zooter_core.serve.bodies import ChatRequest
    from zooter_core.serve.targets import AnswerProgress, Upstream

    request = ChatRequest({"messages": [{"role": "user", "content": "What is the sea?"}], "stream": True})
    events = list[Event]()

    async def read_all() -> EndpointError | None:
        upstream = Upstream(candidate)
        try:
            async for part in upstream.stream(request, False, AnswerProgress()):
                events.extend(part)
        except EndpointError as error:
            return error
        finally:
            await upstream.close()
        return None

    error = run_apart(read_all())
    deltas = [choice["delta"].get("content") for event in events for choice in (event.chunk or {}).get("choices", ())]
    return "".join(text for text in deltas if isinstance(text, str)), error


@pytest.mark.parametrize(
    ("model", "more", "finish", "text"),
    [
        ("unfinished", {}, "length", FULL_TEXT),
        ("half-line", {}, "length", HALF),
        ("length", {}, "length", FULL_TEXT),
        ("empty", {}, "stop", ""),
        ("ten-megabytes", {"most_characters": 50_000}, "length", "x" * 50_000),
        # What comes after the end of an answer spoils nothing.
        *((model, {"gap_seconds": 0.5}, "stop", FULL_TEXT) for model in ("reset-at-the-end", "hang-at-the-end")),
    ],
)
def test_an_answer_without_an_end_is_marked_as_cut_off(server, backend, model, more, finish, text):
    response = together(backend, at(server.url, model, **more), at(server.url))
    assert (response.finish, response.text, response.error) == (finish, text, None)


def test_a_redirect_is_not_followed(server, scripted, backend):
    server.elsewhere = f"{scripted.url}/chat/completions"
    response = together(backend, at(server.url, "redirect"), at(server.url))
    assert "which Zooter does not follow" in str(response.error)
    assert not scripted.bodies


def test_a_server_that_is_not_there(server, backend):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"  # bound, but nobody listens
        response = together(backend, at(url), at(server.url))
        assert "no connection (refused)" in str(response.error)
        assert "Start the server" in str(response.error)
        with pytest.raises(WorkError, match="no connection"):
            backend.load(at(url))


@pytest.mark.parametrize("host", ["no-such-host.invalid", "my..host"])
def test_a_host_without_an_address(server, backend, host):
    response = together(backend, at(f"http://{host}/v1"), at(server.url))
    assert "no connection (no such host)" in str(response.error)


def test_a_server_that_takes_no_connection(server, backend):
    """Its queue of connections is full, so that a further one waits."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        assert select.select([], waiting, [], 20)[1]  # one is connected: the queue is full
        url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
        response = together(backend, at(url, connect_seconds=0.5), at(server.url))
        for one in waiting:
            one.close()
    assert "no connection within 0.5 s" in str(response.error)


def test_a_certificate_that_nobody_vouches_for(server, backend, tmp_path):
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    call = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    subprocess.run([*call, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    bundle = tmp_path / "both.pem"
    bundle.write_text(key.read_text() + certificate.read_text())
    with serving(str(bundle)) as secret:
        response = together(backend, at(secret.url), at(server.url))
        assert "no TLS connection" in str(response.error)
        assert "certificate" in str(response.error)
        assert not secret.bodies


# What both do


def test_signs_of_life_are_no_tokens_and_a_gap_is_not_waited_for_as_long_as_the_first(server, backend):
    silent = at(server.url, "hang-in-comments", first_token_seconds=NEVER)
    assert "no further token for 0.3 s, after 7" in str(together(backend, silent, at(server.url)).error)
    shown, error = passed_on(silent)
    assert (shown, error.reason, error.status) == (HALF, "no further token for 0.3 s", 504)


def test_an_answer_that_is_complete_waits_for_nobody(server, backend):
    lingering = at(server.url, "lingers", gap_seconds=NEVER)
    began = time.monotonic()
    assert together(backend, lingering, at(server.url)).text == FULL_TEXT
    assert passed_on(lingering) == (FULL_TEXT, None)
    assert time.monotonic() - began < PATIENCE


def test_a_server_that_asks_for_a_pause_gets_it(scripted):
    async def ask_twice(connection: Connection) -> tuple[EndpointError, EndpointError]:
        errors = []
        for _ in range(2):
            with pytest.raises(EndpointError) as caught:
                await connection.post("/chat/completions", {"model": "waits 30"}, patience=5)
            errors.append(caught.value)
        await connection.close()
        return errors[0], errors[1]

    first, second = run_apart(ask_twice(Connection(at(scripted.url, "waits 30"))))
    assert scripted.count("waits 30") == 1
    assert (first.server_status, first.retry_after, first.not_sent) == (503, 30, False)
    assert (second.status, second.not_sent, second.counts) == (429, True, False)
    assert 25 < second.retry_after <= 30


def test_an_echoed_key_is_in_no_stream_and_no_whole_answer_that_passes_through(server, monkeypatch):
    monkeypatch.setenv("SCRIPTED_KEY", "sk-test-4f9a0c77b1d2")

    async def answer(connection: Connection) -> dict[str, Any]:
        shape = await connection.post("/chat/completions", {"model": "echo-key-escaped"})
        await connection.close()
        return shape

    shape = run_apart(answer(Connection(at(server.url, "echo-key-escaped", api_key_env="SCRIPTED_KEY"))))
    assert shape["choices"][0]["message"]["content"] == "It is ***."
    shown, error = passed_on(at(server.url, "echo-key", api_key_env="SCRIPTED_KEY"))
    assert (shown, error) == ("Your key is ***, so x***x.", None)


def test_whole_answers_that_take_long_bring_the_places_back(scripted):
    async def limit_after_one(connection: Connection) -> float:
        connection.pace.limit = 1.0  # as after several refusals
        await connection.post("/chat/completions", {"model": "good"})
        await connection.close()
        return connection.pace.limit

    quick = at(scripted.url, "good", first_token_seconds=0.001, parallel=4)  # which says nothing of a whole answer
    assert run_apart(limit_after_one(Connection(quick))) > 1


# Attempts


@pytest.mark.parametrize(
    ("model", "retries", "count", "words"),
    [
        ("twice-503", 2, 3, ""),
        ("http-503", 1, 2, "in the last of 2 attempts"),
        ("http-400", 3, 1, "status 400"),  # it would fail again
        ("long-429", 3, 1, "a pause of 3600 s"),
        ("reset-in-the-middle", 3, 1, "after 7 characters"),  # nobody is asked again after the first token
    ],
)
def test_attempts_are_counted_and_told(scripted, backend, model, retries, count, words):
    response = together(backend, at(scripted.url, model, retries=retries), at(scripted.url))
    assert scripted.count(model) == count
    assert words in str(response.error)
    assert bool(response.error) == bool(words)


# Rest after repeated failure


def asked_alone(backend, candidate):
    return stream(backend, [candidate])[1][0]


def test_a_candidate_that_fails_again_and_again_rests_until_a_request_of_ours_is_answered(
    scripted, backend, monkeypatch
):
    now, sleep = [1000.0], asyncio.sleep
    weak = at(scripted.url, "well-again", rest_after=2, rest_seconds=30)
    monkeypatch.setattr(health, "monotonic", lambda: now[0])
    ticks = {"sleep": lambda seconds: sleep(min(seconds, 0.01))}
    monkeypatch.setattr(connection, "asyncio", SimpleNamespace(**vars(asyncio) | ticks))
    for _ in range(2):
        assert "status 503" in str(asked_alone(backend, weak).error)
    resting = asked_alone(backend, weak)
    assert "2 failures in a row, the last: status 503" in str(resting.error)
    assert "The next attempt is in 30 s." in str(resting.error)
    assert scripted.count("well-again") == 2
    assert asked_alone(backend, at(scripted.url, rest_after=2)).error is None  # others are not
    now[0] += 30
    wait_until(lambda: "3 failures in a row" in str(asked_alone(backend, weak).error))
    assert [body["messages"] for body in scripted.bodies][-1] == [{"role": "user", "content": "Hi"}]
    now[0] += 30
    wait_until(lambda: backend.connection(weak).breaker.state == "closed")
    assert asked_alone(backend, weak).error is None
    assert scripted.count("well-again") == 5  # two requests, two trials, and the one that is answered


def test_trials_end_with_their_candidate(scripted, backend):
    gone, stays = (at(scripted.url, "http-503", rest_after=1, rest_seconds=0.1, parallel=n) for n in (1, 2))
    before = [backend.connection(candidate) for candidate in (gone, stays)]
    for candidate in (gone, stays):
        assert asked_alone(backend, candidate).error
    backend.retain([stays])
    scripted.wait_for("http-503", 5)  # trials of the other go on
    assert [connection._trial.done() for connection in before] == [True, False]
    assert backend.connection(stays) is before[1]
    backend.retain([])


@pytest.mark.parametrize(
    "refusal", ['"auto" tool choice requires --enable-auto', 'tool_choice="required" requires --tool-call-parser']
)
def test_vllm_without_a_parser_refuses_tools(refusal):
    assert find_subject(400, refusal) == "tools"


@pytest.mark.parametrize("model", ["http-400", "http-501", "no-template"])
def test_a_request_that_is_wrong_itself_does_not_count(scripted, backend, model):
    picky = at(scripted.url, model, rest_after=1)
    for _ in range(2):
        assert "status" in str(asked_alone(backend, picky).error)
    assert scripted.count(model) == 2


def test_many_requests_to_a_server_that_is_down_do_not_hammer_it(scripted, backend):
    down = at(scripted.url, "http-503", rest_after=3, parallel=2)
    _, responses = stream(backend, [down] * 30)
    assert [response.finish for response in responses] == ["error"] * 30
    assert scripted.count("http-503") <= 4
