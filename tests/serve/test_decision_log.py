"""The decision log: what is in it, what is not, and that it neither grows without end nor stops a request."""

from __future__ import annotations

import hashlib
import json
import stat
from contextlib import suppress

import pytest

from support.running_endpoint import QUERY
from zooter_core.serve.bodies import Sender
from zooter_core.serve.exchange import Exchange
from zooter_core.serve.storage import DecisionLog


def lines(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "decisions.jsonl").read_text().splitlines()]


def test_a_line_has_the_decision_and_nothing_of_the_prompt(serve):
    endpoint = serve("http-503", "good")
    bad, good = endpoint.order
    answer = endpoint.chat(user="Ada")
    endpoint.next_exchange()
    folder = endpoint.server.settings.data
    (line,) = lines(folder)
    assert line["request_id"] == answer.headers["x-request-id"]
    assert line["text_sha256"] == hashlib.sha256(QUERY.encode()).hexdigest()
    assert set(line["probabilities"]) == {bad, good}
    assert (line["choice"], line["candidate"], line["reason"]) == (bad, good, "router")
    assert line["failed"] == [{"candidate": bad, "status": 502, "server_status": 503, "reason": "status 503"}]
    assert (line["fleet"], line["router"]) == ("far", endpoint.server.settings.fleet.hash_part("router")[:12])
    assert (line["status"], line["finish"], line["error"]) == (200, "stop", None)
    assert 0 < line["routing_seconds"] < line["first_token_seconds"] < line["seconds"]
    text = (folder / "decisions.jsonl").read_text()
    words = answer.json()["choices"][0]["message"]["content"]
    assert not any(secret in text for secret in (QUERY, "Ada", words))
    assert stat.S_IMODE((folder / "decisions.jsonl").stat().st_mode) == 0o600


PRICES = """usd_per_million_tokens = 10
usd_per_million_prompt_tokens = 2
usd_per_million_cached_tokens = 0.5
"""


@pytest.mark.parametrize("stream", [False, True])
def test_dollars_count_the_prompt_and_what_was_cached_of_it(serve, stream):
    endpoint = serve("caches", extra=PRICES)
    endpoint.chat(stream=stream, tools=[{"type": "function", "function": {"name": "f", "description": "x" * 9000}}])
    endpoint.next_exchange()
    (line,) = lines(endpoint.server.settings.data)
    assert [line[name] for name in ("prompt_tokens", "cached_tokens", "tokens")] == [35, 30, 7]
    assert line["tokens_reported"] is True
    assert line["dollars"] == pytest.approx((7 * 10 + 5 * 2 + 30 * 0.5) / 1e6)
    assert 'kind="cached",model=' in endpoint.client.get("/metrics").text


def test_a_full_disk_costs_lines_alone(tmp_path, caplog):
    log = DecisionLog(tmp_path)
    with suppress(OSError), open("/dev/full", "w") as full:
        file, log.stream = log.stream, full
        log(Exchange("/a", Sender(), "req-1"))
        log(Exchange("/b", Sender(), "req-2"))
        log.stream = file
        log(Exchange("/c", Sender(), "req-3"))
        log.close()
    assert [line["path"] for line in lines(tmp_path)] == ["/c"]
    assert len([record for record in caplog.records if "are lost" in record.message]) == 1
