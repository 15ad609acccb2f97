"""/v1/messages: thinking, counted tokens, models on this machine, and what coding agents send."""

from __future__ import annotations

from typing import Any

import pytest

from support.anthropic_shape import TOOL, post
from support.patience import wait_until
from support.running_endpoint import QUERY
from zooter_core.learn.traffic import Traffic
from zooter_core.serve.bodies import read_chat


def test_tokens_are_counted_as_for_the_limits(serve, scripted):
    endpoint = serve("good")
    body = {"system": "Be brief.", "messages": [{"role": "user", "content": "x" * 391}], "max_tokens": None}
    assert post(endpoint, path="messages/count_tokens", **body).json() == {"input_tokens": 100}
    assert post(endpoint, path="messages/count_tokens", tools=[TOOL], **body).json()["input_tokens"] > 120
    assert scripted.bodies == []


@pytest.mark.parametrize(
    ("thinking", "extra", "level"),
    [
        ({"type": "enabled", "budget_tokens": 2000}, "", "low"),
        ({"type": "enabled", "budget_tokens": 31_999}, "", "high"),
        ({"type": "disabled"}, "", False),
        ({"type": "adaptive"}, "", None),
        (None, "", None),
        ({"type": "enabled", "budget_tokens": 2000}, "thinking = false\n", False),
        ({"type": "enabled", "budget_tokens": 2000}, 'thinking = "auto"\n', "low"),
    ],
)
def test_a_client_asks_for_thinking_where_the_fleet_leaves_it_open(serve, scripted, thinking, extra, level):
    post(serve("good", extra=extra), thinking=thinking)
    body = scripted.bodies[-1]
    assert body.get("think") == level
    if level is not None:
        assert body["chat_template_kwargs"]["enable_thinking"] == bool(level)


def test_the_user_and_the_answer_are_kept_to_learn_from(serve, scripted):
    endpoint = serve("good", options={"learn": True}, extra="\n[learn]\nanswers = true\n")
    user = "user_" + "a" * 150
    post(endpoint, stream=True, metadata={"user_id": user})
    assert len(scripted.bodies[-1]["user"]) == 64  # more is refused by OpenAI
    with Traffic.open(endpoint.server.settings.data) as traffic:
        wait_until(lambda: traffic.decisions())
        (decision,) = traffic.decisions()
    assert (decision.user, decision.query) == (user, QUERY)
    assert decision.answer == "Hello, I am a scripted model."


def test_what_the_system_says_between_turns_is_a_part_of_the_users(serve, scripted):
    """As Claude Code sends it. Templates of many models refuse a system message there, or two of the user in a row."""
    endpoint, call = serve("good"), {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    result, more = {"type": "tool_result", "tool_use_id": "a", "content": "5"}, {"role": "user", "content": "And?"}
    agents = {"role": "system", "content": [{"type": "text", "text": "Agents: one."}]}
    turns = [{"role": "user", "content": QUERY}, agents, {"role": "assistant", "content": [call]}]
    post(endpoint, messages=[*turns, {"role": "user", "content": [result]}, agents, more])
    reminder = "<system-reminder>\nAgents: one.\n</system-reminder>"
    sent = [(message["role"], message["content"]) for message in scripted.bodies[-1]["messages"]]
    users = [("user", f"{QUERY}\n{reminder}"), ("user", f"{reminder}\nAnd?")]
    assert sent == [users[0], ("assistant", None), ("tool", "5"), users[1]]
    assert endpoint.next_exchange().outcome.request.user_texts == [QUERY, "And?"]


def test_a_title_that_an_agent_asks_for_is_a_chore(serve):
    endpoint = serve("good", "good", extra='[serve]\nchores = "chat"\n')
    texts = ("You are Claude Code, Anthropic's official CLI for Claude.", "Generate a concise, sentence-case title")
    answer = post(endpoint, system=[{"type": "text", "text": text} for text in texts]).json()
    assert (answer["model"], endpoint.next_exchange().outcome.choice.reason) == ("chat", "chore")
    assert post(endpoint, system=texts[0]).json()["model"] == endpoint.order[0] != "chat"


def roles(*names: str) -> list[dict[str, Any]]:
    return [{"role": name, "content": "x"} for name in names]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (roles("user"), False),
        (roles("user", "assistant"), True),
        (roles("user", "assistant", "tool"), True),
        (roles("user", "assistant", "tool", "user"), True),  # an image, or a reminder, beside the result
        (roles("user", "assistant", "tool", "assistant", "user"), False),
    ],
)
def test_a_tool_loop_lasts_until_the_candidate_has_answered(messages, expected):
    assert read_chat({"model": "auto", "messages": messages}).in_tool_loop is expected


REMINDER = "<system-reminder>\nToday is Friday.\n</system-reminder>"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([f"{REMINDER}\n{QUERY}"], [QUERY]),
        ([f"{QUERY}\n{REMINDER}\n{REMINDER}"], [QUERY]),
        ([QUERY, REMINDER], [QUERY]),
        ([REMINDER], [REMINDER]),
        ([f"{QUERY} <system-reminder>"], [f"{QUERY} <system-reminder>"]),
        ([f" {QUERY} ", ""], [f" {QUERY} ", ""]),
    ],
)
def test_what_a_coding_agent_adds_to_a_turn_is_not_routed(texts, expected):
    messages = [{"role": "user", "content": text} for text in texts]
    assert read_chat({"model": "auto", "messages": messages}).user_texts == expected
