"""Who is chosen, with a router whose probabilities are given: gate, price, allowed models, conversations."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from support.event_loops import run_apart
from zooter_core.base.records import Decision
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.endpoint import EndpointConfig
from zooter_core.config.fleet import Fleet
from zooter_core.config.serve import ServeConfig
from zooter_core.data import prices
from zooter_core.serve.bodies import Sender, read_chat
from zooter_core.serve.choice import Choice, choose
from zooter_core.serve.errors import ApiError
from zooter_core.serve.sessions import Sessions, digests

TOOLS = [{"type": "function", "function": {"name": "f"}}]
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]}
RESULT = {"role": "tool", "tool_call_id": "1", "content": "42"}
BRIEF = {"role": "system", "content": "Be brief"}
A, B = "a math=0.6,code=0.4", "b math=0.42,code=0.58"  # turns, the second of which leans to another candidate


@pytest.fixture(autouse=True)
def margin(monkeypatch: pytest.MonkeyPatch) -> None:
    """By how much another candidate must lead to end a conversation with one."""
    monkeypatch.setattr("zooter_core.serve.choice.SWITCH_MARGIN", 0.2)


PARTS = [{"type": "text", "text": "math=0.1,code=0.9"}, {"type": "image_url", "image_url": {"url": "data:x"}}]
IMAGE = [{"role": "user", "content": PARTS}]


class Chooser:
    """A gateway whose router gives the probabilities behind the last word of a text, such as `code=0.6,math=0.4`."""

    def __init__(self, tmp_path, **candidates: dict[str, Any]) -> None:
        endpoint = EndpointConfig(base_url="http://127.0.0.1:9/v1")
        pool = tuple(
            CandidateConfig(name=name, backend="openai", model=name, endpoint=endpoint, **keys)
            for name, keys in candidates.items()
        )
        self.fleet = Fleet("test", tmp_path, pool, serve=ServeConfig(sticky_seconds=600))
        self.weights = prices.assumed(self.fleet), 0.0
        self.now = 0.0
        self.sessions = Sessions(lambda: self.now)

    def __call__(self, content: Any = "", pin: bool = True, **body: Any) -> Choice:
        """The choice for a conversation; its first candidate then answers."""
        messages = content if isinstance(content, list) else [{"role": "user", "content": content}]
        request = read_chat({"model": "auto", "messages": messages, **body})

        names = dict.fromkeys(("auto", *self.fleet.pool), "")
        router = SimpleNamespace(route=self._route)
        gateway: Any = SimpleNamespace(
            fleet=self.fleet, models=names, connections={}, sessions=self.sessions, router=router
        )
        choice = run_apart(choose(gateway, request))
        if pin:
            self.sessions.pin(request.session, choice.order[0])
        return choice

    async def _route(self, turns, asker):
        text = "\n".join(turns)
        entries = dict(pair.split("=") for pair in text.split()[-1].split(",")) if "=" in text else {}
        even = 1 / len(self.fleet.pool)
        probabilities = {name: float(entries.get(name, even)) for name in self.fleet.pool}
        return prices.weighed(Decision.of(text, probabilities), *self.weights)


@pytest.fixture
def chooser(tmp_path):
    return lambda **candidates: Chooser(tmp_path, **candidates)


@pytest.fixture
def pair(chooser):
    return chooser(math={}, code={})


def talk(*texts: str) -> list[dict[str, Any]]:
    """A conversation of those user turns, with answers in between."""
    messages: list[dict[str, Any]] = []
    for text in texts:
        messages += [{"role": "user", "content": text}, {"role": "assistant", "content": "ok"}]
    return messages[:-1]


@pytest.mark.parametrize(
    ("body", "keys", "reason"),
    [
        ({"tools": TOOLS}, {"tools": False}, "tools are not supported"),
        ({"response_format": {"type": "json_object"}}, {"json_mode": False}, "JSON mode is not supported"),
        ({"max_tokens": 500}, {"context_tokens": 400}, "exceed context limit: 5 + 500 > 400"),
        ({"models": ["math"]}, {}, "not among `models`"),
        ({"content": IMAGE}, {"images": False}, "images are not supported"),
    ],
)
def test_a_candidate_that_cannot_answer_is_passed_over(chooser, body, keys, reason):
    choice = chooser(math={}, code=keys)(**{"content": "math=0.1,code=0.9", **body})
    assert choice.order == ("math",)
    assert choice.passed_over["code"].endswith(reason)


@pytest.mark.parametrize(
    ("keys", "body", "status", "code", "words"),
    [
        ({"tools": False}, {"tools": TOOLS}, 400, "no_capable_model", "(math, code: tools are not supported)"),
        ({"context_tokens": 400}, {"max_tokens": 500}, 400, "context_length_exceeded", "0 + 500 > 400)"),
        ({}, {"model": "gpt-99"}, 404, "model_not_found", "gpt-99"),
        ({}, {"models": ["math", "gpt-99"]}, 400, None, "`models` names gpt-99"),
        ({}, {"content": "Hi", "willingness_to_pay": 1}, 400, None, "usd_per_million_tokens"),
    ],
)
def test_what_nobody_can_answer_is_an_error_that_says_why(chooser, keys, body, status, code, words):
    with pytest.raises(ApiError) as caught:
        chooser(math=keys, code=keys)(**body)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("body", "first"),
    [
        ({"willingness_to_pay": None}, "code"),
        ({"willingness_to_pay": 1.0}, "code"),
        ({"willingness_to_pay": 0.0}, "math"),
        ({"willingness_to_pay": 0.0151, "max_tokens": 300}, "code"),
        ({"willingness_to_pay": 0.0149, "max_tokens": 300}, "math"),
        ({"willingness_to_pay": 0.0151, "max_tokens": 310}, "math"),
    ],
)
def test_willingness_to_pay_is_the_worth_of_a_tenth(chooser, body, first):
    """code costs 300 tokens * 100 / 1e6 = 0.03 dollars and is 0.2 better, which is worth 2 * willingness."""
    choose = chooser(math={"usd_per_million_tokens": 0}, code={"usd_per_million_tokens": 100})
    assert choose("math=0.4,code=0.6", **body).order[0] == first


def test_willingness_to_pay_wins_over_what_the_fleet_says(chooser):
    """code is 0.2 better and costs 0.03 dollars: too dear for the fleet, not for this client."""
    choose = chooser(math={"usd_per_million_tokens": 0}, code={"usd_per_million_tokens": 100})
    choose.weights = prices.assumed(choose.fleet), 0.3
    assert choose("math=0.4,code=0.6", False).order == ("math", "code")
    assert choose("math=0.4,code=0.6", False, willingness_to_pay=1.0).order == ("code", "math")


def test_willingness_to_pay_counts_the_prompt(chooser):
    """Both write for nothing; code reads about 2,500 tokens at 10 dollars a million: 0.025 dollars."""
    free = {"usd_per_million_tokens": 0.0}
    choose = chooser(math=free, code=free | {"usd_per_million_prompt_tokens": 10.0})
    text = "x" * 10_000 + " math=0.4,code=0.6"
    assert choose(text, False, willingness_to_pay=0.0130).order[0] == "code"
    assert choose(text, False, willingness_to_pay=0.0120).order[0] == "math"


def test_a_conversation_keeps_its_candidate_unless_another_leads_by_more_than_the_margin(pair):
    assert pair(talk(A)).order[0] == "math"
    choice = pair(talk(A, B))
    assert (choice.order, choice.reason) == (("math", "code"), "sticky")
    choice = pair(talk(A, B, "c math=0.3,code=0.7"))
    assert (choice.order, choice.reason) == (("code", "math"), "switched")


@pytest.mark.parametrize(("most", "later"), [(600, 601), (0, 1)])
def test_a_conversation_loses_its_candidate_after_sticky_seconds(pair, most, later):
    pair.fleet = replace(pair.fleet, serve=ServeConfig(sticky_seconds=most))
    pair(talk(A))
    pair.now = later
    choice = pair(talk(A, B))
    assert (choice.order[0], choice.reason) == ("code", "router")


def test_a_candidate_that_can_no_longer_answer_does_not_stay(chooser):
    choose = chooser(math={"images": False}, code={})
    choose(A, session_id="x")
    choice = choose(IMAGE, session_id="x")
    assert (choice.order, choice.reason) == (("code",), "router")


@pytest.mark.parametrize(
    ("first", "more", "second", "later", "reason"),
    [
        pytest.param(A, {"session_id": "x"}, B, {"session_id": "x"}, "sticky", id="a session"),
        pytest.param(A, {"session_id": "x"}, B, {"session_id": "y"}, "router", id="another session"),
        pytest.param(A, {"prompt_cache_key": "x"}, talk(A, B), {"prompt_cache_key": "x"}, "sticky", id="a cache"),
        pytest.param(A, {"prompt_cache_key": "x"}, talk(A, B), {"prompt_cache_key": "y"}, "router", id="another cache"),
        pytest.param(A, {"prompt_cache_key": "x"}, B, {"prompt_cache_key": "x"}, "router", id="another beginning"),
        pytest.param(A, {"tools": TOOLS}, talk(A, B), {"tools": TOOLS}, "sticky", id="tools"),
        pytest.param(A, {"tools": TOOLS}, talk(A, B), {}, "router", id="no tools"),
        pytest.param([BRIEF, *talk(A)], {}, [BRIEF, *talk(A, B)], {}, "sticky", id="a system prompt"),
        pytest.param([BRIEF, *talk(A)], {}, talk(A, B), {}, "router", id="no system prompt"),
    ],
)
def test_what_tells_conversations_apart(pair, first, more, second, later, reason):
    assert pair(first, **more).order[0] == "math"
    assert pair(second, **later).reason == reason


def test_a_session_in_a_header_counts_before_the_bodys():
    body = {"model": "auto", "messages": talk("Hi"), "session_id": "x"}
    header = read_chat(body, Sender(session="a"))
    assert header.session != read_chat(body).session
    assert header.session == read_chat(body | {"session_id": None}, Sender(session="a")).session


def test_the_conversation_whose_last_turn_is_oldest_is_forgotten_first(monkeypatch):
    monkeypatch.setattr("zooter_core.serve.sessions.MOST_REMEMBERED", 2)
    sessions = Sessions()
    for id in ("a", "b", "a", "c"):
        sessions.pin(id, "math")
    assert [sessions.pinned(id)[0] for id in "abc"] == ["math", None, "math"]


def test_inside_a_tool_loop_the_candidate_stays_however_late(pair):
    start = talk("a math=0.9,code=0.1")
    pair(start, tools=TOOLS)
    pair.now = 10_000
    pair.sessions.pin(read_chat({"model": "auto", "messages": start, "tools": TOOLS}).session, "code")
    pair.now = 20_000
    choice = pair([*start, CALL, RESULT], tools=TOOLS)
    assert (choice.order, choice.reason) == (("code", "math"), "tool_loop")


def reasoning(data: str) -> dict[str, Any]:
    details = [{"type": "reasoning.encrypted", "data": data}, {"type": "reasoning.text", "text": "Hm"}]
    return {"role": "assistant", "content": "ok", "reasoning_details": details}


def test_a_tool_loop_stays_with_the_writer_of_its_reasoning(pair):
    start, answer = talk("a math=0.9,code=0.1"), reasoning("secret") | CALL
    (digest,) = digests(answer)
    pair.sessions.wrote(digest, "code")
    choice = pair([*start, answer, RESULT])
    assert (choice.order[0], choice.reason) == ("code", "tool_loop")


def test_whom_a_client_allowed_for_one_turn_does_not_stay_for_others(pair):
    """The turns with the same `models` are a conversation of their own."""
    assert pair(talk(A), models=["code"]).order == ("code",)
    later = talk(A, "b math=0.55,code=0.45")
    assert pair(later, pin=False).order[0] == "math"
    assert pair(later, models=["code", "math"], pin=False).order[0] == "math"
    pair(talk(A), models=["math", "code"])
    assert pair(talk(A, "c math=0.45,code=0.55"), models=["code", "math"]).reason == "sticky"
