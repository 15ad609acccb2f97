"""What the endpoint keeps of its traffic, what it does not, and that no request waits or fails for it."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

import pytest

from support.patience import wait_until
from support.running_endpoint import QUERY, unanswered
from zooter_core.base.errors import WorkError
from zooter_core.config.fleet import LearnConfig
from zooter_core.learn.traffic import FILE, Traffic
from zooter_core.learn.traffic_rows import LoggedDecision
from zooter_core.serve import traffic_log
from zooter_core.serve.targets import text_in

TITLE = "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history."


def stored(endpoint, count=1):
    """The decisions that are there, once there are so many."""
    with Traffic.open(endpoint.server.settings.data) as traffic:
        wait_until(lambda: len(traffic.decisions()) >= count)
        return traffic.decisions()


def test_nothing_is_kept_unless_wanted(serve):
    endpoint = serve("good")
    endpoint.chat()
    endpoint.next_exchange()
    assert endpoint.server.traffic is None
    assert not (endpoint.server.settings.data / FILE).exists()


def test_a_decision_is_kept_without_its_answer(serve):
    endpoint = serve("http-503", "good", options={"learn": True})
    answer = endpoint.chat(user="Ada")
    endpoint.chat([*_turn("Write a poem about rain."), {"role": "assistant", "content": "x"}, *_turn("shorter please")])
    endpoint.chat([*_turn(QUERY), {"role": "assistant", "content": "x"}, *_turn("What is the capital of Peru?")])
    first, second, third = stored(endpoint, 3)
    bad, good = endpoint.order
    assert (first.request_id, first.query, first.user) == (answer.headers["x-request-id"], QUERY, "Ada")
    assert (first.choice, first.candidate, first.reason) == (bad, good, "router")
    assert first.probability == max(first.probabilities.values())
    assert (first.answer, first.context, first.chore, first.finish) == (None, None, False, "stop")
    assert first.router == endpoint.server.gateway.router_version
    assert first.seconds > 0
    routed = "Write a poem about rain.\nshorter please"  # as the router read it, for it is judged and learned as that
    assert (second.query, second.context) == ("shorter please", routed)
    assert (third.query, third.context) == ("What is the capital of Peru?", None)  # a new topic


def _turn(text):
    return [{"role": "user", "content": text}]


def test_a_reload_changes_what_is_kept(serve):
    endpoint = serve("good")
    file = endpoint.server.settings.fleet.folder / "fleet.toml"
    before = file.read_text()
    for query, table in (
        ("one", "traffic = true\nretention_days = 7"),
        ("two", "traffic = true\nanswers = true"),
        ("three", "traffic = false"),
        ("four", "traffic = true"),
    ):
        file.write_text(f"{before}\n[learn]\n{table}\n")
        endpoint.client.post("/admin/reload").raise_for_status()
        assert endpoint.chat(query).status_code == 200
        assert endpoint.server.traffic.config.retention_days == (7 if query == "one" else 90)
    entries = stored(endpoint, 3)
    assert [(entry.query, bool(entry.answer)) for entry in entries] == [("one", False), ("two", True), ("four", False)]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["llama.cpp-none 40", "llama.cpp 40"])
def test_thoughts_are_counted_and_not_kept(serve, model, stream):
    endpoint = serve(model, extra="[learn]\ntraffic = true\nanswers = true\n")
    endpoint.chat(stream=stream)
    (entry,) = stored(endpoint)
    assert entry.answer == "The answer is 42."
    assert 25 < entry.thought_tokens < entry.tokens  # in a whole answer by its bytes


def test_an_answer_that_the_client_broke_off_is_not_kept(serve):
    endpoint = serve("slow", extra="[learn]\ntraffic = true\nanswers = true\n")
    with unanswered(endpoint, stream=True) as client:
        while b"content" not in client.recv(10_000):
            pass
    (entry,) = stored(endpoint)
    assert (entry.candidate, entry.answer) == (endpoint.order[0], None)


def test_a_call_of_tools_is_no_answer_and_what_follows_no_decision(serve):
    endpoint = serve("tool-after-text", extra="[learn]\ntraffic = true\nanswers = true\n")
    endpoint.chat(stream=True)
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    steps = [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "1", "content": "5"}]
    endpoint.chat([*_turn(QUERY), *steps], stream=True)
    first, second = stored(endpoint, 2)
    assert (first.answer, first.reason, first.probability) == (None, "router", 1.0)
    assert (second.query, second.reason, second.probability) == (QUERY, "tool_loop", None)


def test_what_is_too_old_goes_as_soon_as_nobody_reads_it(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(traffic_log, "CLEAN_SECONDS", 0.2)
    monkeypatch.setattr("zooter_core.learn.traffic.WAIT_SECONDS", 0.2)
    with Traffic.open(tmp_path) as traffic, closing(sqlite3.connect(traffic.path)) as reader:
        traffic.add([LoggedDecision("old", 0.0, "a secret")])
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM decisions").fetchall()
        log = traffic_log.TrafficLog(tmp_path, LearnConfig(retention_days=1))
        try:
            wait_until(lambda: "old traffic was not deleted" in caplog.text)
            reader.close()
            wait_until(lambda: not any(b"a secret" in path.read_bytes() for path in tmp_path.iterdir()))
        finally:
            log.close()
    assert "entries of the traffic are lost" not in caplog.text


def test_each_id_of_a_user_is_kept(serve):
    endpoint = serve("good", options={"learn": True})
    for ids in (
        {"user": "Ada", "safety_identifier": "x" * 900},
        {"safety_identifier": "y"},
        {"user": "z", "safety_identifier": "z"},
    ):
        endpoint.chat(**ids)
    entries = stored(endpoint, 3)
    assert [(entry.user, bool(entry.other_user)) for entry in entries] == [("Ada", True), ("y", False), ("z", False)]
    with Traffic.open(endpoint.server.settings.data) as traffic:
        assert [traffic.delete(user=user) for user in ("x" * 900, "Ada", "y", "z")] == [1, 0, 1, 1]


def test_feedback_becomes_a_reward(serve):
    endpoint = serve("good", options={"learn": True})
    request_id = endpoint.chat().headers["x-request-id"]
    stored(endpoint)
    for body in ({"verdict": "good"}, {"comment": "a comment alone"}, {"verdict": "bad", "comment": "no"}):
        assert endpoint.client.post("/v1/feedback", json={"request_id": request_id, **body}).status_code == 200
    with Traffic.open(endpoint.server.settings.data) as traffic:
        wait_until(lambda: [reward.reward for reward in traffic.rewards()] == [-1])
        (reward,) = traffic.rewards()
    assert (reward.source, reward.candidate, reward.inclusion) == ("feedback", endpoint.order[0], None)


def test_feedback_may_come_before_its_decision_is_written(tmp_path):
    """As from a program that judges an answer at once: the client has it before the request has ended here."""
    with closing(traffic_log.TrafficLog(tmp_path, LearnConfig())) as log, Traffic.open(tmp_path) as traffic:
        log.add_feedback({"request_id": "mine", "verdict": "good", "time": time.time()})
        for name in ("another", "mine"):
            log._put(LoggedDecision(name, time.time(), QUERY, candidate="math"))
            wait_until(lambda name=name: traffic.decision(name))
        wait_until(lambda: [reward.candidate for reward in traffic.rewards()] == ["math"])


@pytest.mark.parametrize("path", ["chat/completions", "responses"])
def test_chores_go_to_their_candidate(serve, path):
    endpoint = serve("every-api", "every-api", extra='[serve]\nchores = "chat"\n')
    headers, body = {"x-session-id": "one"}, {"model": "auto", "messages": _turn(TITLE), "input": TITLE}
    answer = endpoint.client.post(f"/v1/{path}", json=body, headers=headers)
    assert answer.headers["x-model-router-selected-model"] == "chat"
    assert endpoint.next_exchange().outcome.choice.reason == "chore"
    assert endpoint.chat(QUERY, headers).headers["x-model-router-selected-model"] == endpoint.order[0]
    # The conversation has no candidate from its title.
    assert endpoint.next_exchange().outcome.choice.reason == "router"


def test_a_full_disk_loses_lines_and_no_request(serve, monkeypatch, caplog):
    lost = []

    def full(traffic, entries):
        lost.extend(entries)
        raise WorkError("room", "the disk is full")

    endpoint = serve("good", options={"learn": True})
    with monkeypatch.context() as patch:
        patch.setattr(Traffic, "add", full)
        assert endpoint.chat().status_code == 200
        assert endpoint.chat().status_code == 200
        wait_until(lambda: len(lost) == 2 and "disk is full" in caplog.text)
    assert caplog.text.count("entries of the traffic are lost") == 1
    assert endpoint.chat("later").status_code == 200
    assert [entry.query for entry in stored(endpoint)] == ["later"]


def test_answers_are_read_in_every_form():
    thoughts, text = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}
    for shape in (
        {"choices": [{"message": {"content": "a"}}]},
        {"choices": [{"delta": {"content": "a"}}]},
        {"choices": [{"message": {"content": [thoughts, text]}}]},
        {"output": [{"content": [{"type": "output_text", "text": "a"}]}]},
        {"type": "response.output_text.delta", "delta": "a"},
    ):
        assert text_in(shape) == "a"
    assert text_in({"type": "response.completed", "response": {"output": []}}) == ""
