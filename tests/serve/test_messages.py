"""/v1/messages: Anthropic's shape before the same mechanisms, whole and streamed."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from support import endpoint_fleet
from support.anthropic_shape import (
    CACHED,
    IMAGE,
    MODES,
    SCHEMA,
    TOOL,
    TURN,
    answer_of,
    events_of,
    message_of,
    post,
    script,
)
from support.patience import wait_until
from support.running_endpoint import METADATA, QUERY, running, stream_of
from zooter_core.config.fleet import load_fleet
from zooter_core.learn.traffic import Traffic
from zooter_core.serve.server import ServeSettings

IMAGE_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def call(index: int | None, arguments: str, id: str | None = None, name: str | None = None) -> dict[str, Any]:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    places = {} if index is None else {"index": index}
    return {"tool_calls": [places | ({"id": id, "type": "function"} if id else {}) | {"function": function}]}


def use(id: str, **input: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": "weather", "input": input}


@MODES
def test_a_message_has_anthropics_shape_and_falls_back_before_its_first_token(serve, stream):
    endpoint = serve("http-500", "good")
    response = post(endpoint, METADATA, stream=stream)
    message = answer_of(response, stream)
    assert message.pop("id").startswith("msg_")
    decision = events_of(response.text)[-2]["zooter"] if stream else message.pop("zooter")
    assert ([entry["candidate"] for entry in decision["failed"]], decision["reason"]) == ([endpoint.order[0]], "router")
    cached = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    text = {"type": "text", "text": "Hello, I am a scripted model."}
    assert message == {
        "type": "message", "role": "assistant", "model": endpoint.order[1], "content": [text],
        "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 9, "output_tokens": 7, **cached},
    }  # fmt: skip
    assert response.headers["x-zooter-attempts"] == "2"
    assert response.headers["request-id"] == response.headers["x-request-id"]
    feedback = {"request_id": response.headers["request-id"], "verdict": "good"}
    assert endpoint.client.post("/v1/feedback", json=feedback).status_code == 200


def test_a_request_becomes_a_chat_completion(serve, scripted):
    endpoint = serve("good")
    system = [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2; cch=eb6c6;"},
        {"type": "text", "text": "Be brief."} | CACHED,
    ]
    thoughts = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "secret"},
    ]
    result, saying = [{"type": "text", "text": "sunny"}, IMAGE], {"type": "text", "text": "I ask."}
    turns = [
        {"role": "user", "content": [{"type": "text", "text": "Look:"}, IMAGE]},
        {"role": "assistant", "content": [*thoughts, saying, use("a", city="Köln"), use("b")]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": result},
                {"type": "tool_result", "tool_use_id": "b", "content": "no city", "is_error": True},
                {"type": "text", "text": "Well?"},
            ],
        },
        {"role": "assistant", "content": thoughts},
        TURN,
    ]
    post(
        endpoint, model="chat", system=system, messages=turns, tools=[TOOL], stop_sequences=["END"], temperature=0.5,
        tool_choice={"type": "tool", "name": "weather", "disable_parallel_tool_use": True}, top_p=0.9, top_k=5,
        metadata={"user_id": "Ada"}, service_tier="auto", thinking={"type": "adaptive"},
    )  # fmt: skip
    calls = [
        {"id": id, "type": "function", "function": {"name": "weather", "arguments": arguments}}
        for id, arguments in (("a", '{"city": "Köln"}'), ("b", "{}"))
    ]
    function = {"name": "weather", "description": "The weather.", "parameters": SCHEMA}
    assert scripted.bodies[-1] == {
        "model": "good",
        "max_tokens": 50,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Look:"}, IMAGE_PART]},
            {"role": "assistant", "content": "I ask.", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "a", "content": "sunny"},
            {"role": "tool", "tool_call_id": "b", "content": "Error: no city"},
            {"role": "user", "content": [IMAGE_PART, {"type": "text", "text": "Well?"}]},
            {"role": "assistant", "content": ""},
            TURN,
        ],
        "stop": ["END"],
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": False,
        "user": "Ada",
    }
    for choice, expected in (("auto", "auto"), ("any", "required"), ("none", "none")):
        post(endpoint, tools=[TOOL], tool_choice={"type": choice})
        assert scripted.bodies[-1]["tool_choice"] == expected


def test_thoughts_that_the_prompt_opens_are_known_from_the_second_answer_on(serve, scripted):
    endpoint, thought = serve("good"), {**THOUGHT, "thinking": "hm, 2 + 3\n"}
    answers = []
    for text in ("hm, 2 + 3\n</think>\n\n5", "hm, 2 + 3\n</think>\n\n5", "5", "5"):
        script(scripted, True, *({"content": letter} for letter in text))
        answers.append(answer_of(post(endpoint, stream=True), True)["content"])
    assert answers[1] == [thought, FIVE]
    assert answers[2][-1] == answers[3][-1] == FIVE  # it did not think
    assert len(answers[3]) == 1


@MODES
def test_an_answer_that_is_cut_in_thoughts_that_the_prompt_opens_has_no_text(serve, scripted, stream):
    endpoint = serve("good", extra="[learn]\ntraffic = true\nanswers = true\n")
    for text, finish in (("hm\n</think>\n\n5", "stop"), ("hm, 2 + 3", "length")):
        script(scripted, stream, {"content": text}, finish=finish)
        message = answer_of(post(endpoint, stream=stream), stream)
        endpoint.next_exchange()
    assert (message["content"], message["stop_reason"]) == ([THOUGHT], "max_tokens")
    with Traffic.open(endpoint.server.settings.data) as traffic:
        wait_until(lambda: len(traffic.decisions()) == 2)
        assert [entry.answer for entry in traffic.decisions()] == ["5", None]


WROTE = '{"city": '
HARD = "<think>hm, 2 + 3</think>\n\n5"
THOUGHT = {"type": "thinking", "thinking": "hm, 2 + 3", "signature": ""}
FIVE = {"type": "text", "text": "5"}
HM = [{"type": "text", "text": "hm, 2 + 3"}]
BERLIN, KÖLN = use("a", city="Berlin"), use("b", city="Köln")


@MODES
@pytest.mark.parametrize(
    ("parts", "finish", "more", "content", "stop_reason"),
    [
        pytest.param([{"content": "5"}], "length", {}, [FIVE], "max_tokens", id="cut"),
        pytest.param([{"content": "5"}], "content_filter", {}, [FIVE], "refusal", id="filtered"),
        pytest.param([{"refusal": "5"}], "stop", {}, [FIVE], "end_turn", id="refuses"),
        pytest.param([{"content": "5"}], "stop", {"stop_reason": "END"}, [FIVE], "stop_sequence", id="stop sequence"),
        pytest.param([{"content": "5"}], "stop", {"matched_stop": 7}, [FIVE], "end_turn", id="stop token"),
        pytest.param([{"content": HARD}], "stop", {}, [THOUGHT, FIVE], "end_turn", id="thoughts in tags"),
        pytest.param([{"content": letter} for letter in HARD], "stop", {}, [THOUGHT, FIVE], "end_turn", id="letters"),
        pytest.param(
            [{"reasoning_content": "hm, "}, {"reasoning_content": "2 + 3"}, {"content": "\n\n"}, {"content": "5"}],
            "stop", {}, [THOUGHT, FIVE], "end_turn", id="thoughts apart",
        ),
        pytest.param(
            [{"content": "5"}, call(0, WROTE, "a", "weather"), call(0, '"Berlin"}')],
            "tool_calls", {}, [FIVE, BERLIN], "tool_use", id="tool after text",
        ),
        pytest.param(
            [{"reasoning": "hm, 2 + 3"}, call(0, "", "a", "weather")],
            "stop", {}, [THOUGHT, use("a")], "tool_use", id="thoughts, then a tool without arguments",
        ),
        pytest.param(
            [{"content": [{"type": "thinking", "thinking": HM}]}, {"content": [FIVE]}],
            "stop", {}, [THOUGHT, FIVE], "end_turn", id="lists of parts",
        ),
        pytest.param([], "stop", {}, [], "end_turn", id="nothing"),
    ],
)  # fmt: skip
def test_the_parts_of_an_answer(module_endpoint, module_server, stream, parts, finish, more, content, stop_reason):
    script(module_server, stream, *copy.deepcopy(parts), finish=finish, **more)
    message = answer_of(post(module_endpoint, stream=stream, tools=[TOOL], stop_sequences=["END"]), stream)
    assert (message["content"], message["stop_reason"]) == (content, stop_reason)
    assert message["stop_sequence"] == ("END" if stop_reason == "stop_sequence" else None)


@pytest.mark.parametrize(
    ("deltas", "content"),
    [
        pytest.param(
            [{"content": "hm, 2 + 3\n"}, {"content": "</think>\n\n5"}], [THOUGHT, FIVE], id="prompt opens them"
        ),
        pytest.param([{"content": "5"}], [FIVE], id="none"),
        pytest.param([{"reasoning": "hm, 2 + 3"}, {"content": "5"}], [THOUGHT, FIVE], id="in a field"),
        pytest.param(
            [{"content": "hm, 2 + 3\n</think>"}, call(0, "", "a", "weather")], [THOUGHT, use("a")], id="before a tool"
        ),
    ],
)
def test_no_thoughts_of_a_model_that_thinks_are_sent_as_text(serve, scripted, deltas, content):
    endpoint = serve("good", extra='thinking = "auto"\n')
    script(scripted, True, *deltas)
    message = answer_of(post(endpoint, stream=True), True)["content"]
    assert [
        block | ({"thinking": block["thinking"].strip()} if "thinking" in block else {}) for block in message
    ] == content


A, B = call(0, WROTE, "a", "weather"), call(1, WROTE, "b", "weather")
A_ENDS, B_ENDS = call(0, '"Berlin"}'), call(1, '"Köln"}')


def complete(place: int | None) -> list[dict[str, Any]]:
    """Both calls, each in one piece, with the same number."""
    return [call(place, '{"city": "Berlin"}', "a", "weather"), call(place, '{"city": "Köln"}', "b", "weather")]


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([A, B, A_ENDS, B_ENDS], id="side by side"),
        pytest.param([A, B, B_ENDS, A_ENDS], id="the second ends first"),
        pytest.param([{"tool_calls": [*A["tool_calls"], *B["tool_calls"]]}, A_ENDS, B_ENDS], id="in one event"),
        pytest.param(complete(0), id="one number"),
        pytest.param(complete(None), id="no number"),
    ],
)
def test_parallel_calls_of_tools_become_blocks_one_after_the_other(module_endpoint, module_server, parts):
    script(module_server, True, *parts, finish="tool_calls")
    message = message_of(post(module_endpoint, stream=True, tools=[TOOL]).text)
    assert (message["content"], message["stop_reason"]) == ([BERLIN, KÖLN], "tool_use")


@MODES
def test_arguments_that_are_no_object_are_an_error_unless_the_answer_is_cut(serve, scripted, stream):
    endpoint = serve("good")
    for arguments, finish in (('{"city": "Berlin"', "length"), ('{"city": "Berlin"', "tool_calls"), ("[1]", "stop")):
        script(scripted, stream, call(0, arguments, "a", "weather"), finish=finish)
        response = post(endpoint, stream=stream, tools=[TOOL])
        if finish == "length":
            last = events_of(response.text)[-2]["delta"] if stream else response.json()
            assert last["stop_reason"] == "max_tokens"
            continue
        last = events_of(response.text)[-1] if stream else response.json()
        assert (last["type"], last["error"]["type"]) == ("error", "api_error")
        assert "called the tool 'weather' with what is no JSON object" in last["error"]["message"]


@MODES
def test_cached_tokens_are_counted_apart(serve, stream):
    usage = answer_of(post(serve("caches"), stream=stream), stream)["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]) == (5, 30, 7)


@MODES
def test_thoughts_of_a_model_on_this_machine(fleet_copy, tmp_path, stream):
    """Here, and in a chat in the field that most servers have them in."""
    lines = {"id": "1", "query": QUERY, "scores": {"thinks": 1}, "responses": {"thinks": HARD}}
    (fleet_copy / "scores.jsonl").write_text(json.dumps(lines) + "\n")
    endpoint_fleet.save(fleet_copy, "", {"thinks": "good"}, router=True)
    file = fleet_copy / "fleet.toml"
    candidate = '[[candidate]]\nname = "thinks"\nbackend = "recorded"\nmodel = "scores.jsonl"\n'
    file.write_text(file.read_text().partition("[[candidate]]")[0] + candidate)
    with running(ServeSettings(load_fleet(fleet_copy), port=0, data=tmp_path)) as endpoint:
        content = answer_of(post(endpoint, stream=stream), stream)["content"]
        chat = endpoint.chat(stream=stream)
    assert content == [THOUGHT, FIVE]
    if stream:
        parts = [choice["delta"] for chunk in stream_of(chat) for choice in chunk["choices"]]
    else:
        parts = [chat.json()["choices"][0]["message"]]
    assert "".join(part.get("reasoning_content", "") for part in parts) == "hm, 2 + 3"
    assert "".join(part.get("content", "") for part in parts) == "5"
