from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from zooter_core.backends import iter_responses
from zooter_core.backends.conversation import MOST_CHARACTERS
from zooter_core.base.errors import Failure, ZooterError
from zooter_core.base.records import Attachment, Message, Query, Response
from zooter_core.config.fleet import GenerationConfig, RouterConfig, load_fleet
from zooter_core.config.labelling import ScalarConfig
from zooter_core.data.scores import Scores
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.router.neighbours import Neighbours
from zooter_core.router.router import Router

POOL = ("base", "one", "two")
SEA = "What is the sea?"
ASK = [Message("user", SEA)]
GREEDY = GenerationConfig(max_new_tokens=6, temperature=0.0)


def run(ensemble, candidates, generation=None, query=SEA):
    """The response of every candidate, by name."""
    pieces = ensemble.run_candidates(candidates, query, threading.Event(), generation)
    return {response.candidate: response for _, response in iter_responses(pieces)}


def test_route_goes_by_what_the_user_said(tiny_ensemble):
    talk = [Message("system", "You are a poet."), *ASK, Message("assistant", "Wide."), Message("user", "And blue?")]
    assert tiny_ensemble.route(talk).query == "What is the sea?\nAnd blue?"
    assert tiny_ensemble.route([message.to_json() for message in talk]).query == "What is the sea?\nAnd blue?"


@pytest.mark.parametrize("query", [None, {"query": SEA}, [SEA], [{"text": SEA}]])
def test_what_is_neither_a_text_nor_messages_is_refused(tiny_ensemble, query):
    with pytest.raises(ZooterError, match="a query as a text, or a list of messages"):
        tiny_ensemble.route(query)


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_empty_query_is_refused(tiny_ensemble, text):
    for query in (text, [Message("user", text)], []):
        for method in (tiny_ensemble.route, tiny_ensemble.select, tiny_ensemble.stream, tiny_ensemble.rank):
            with pytest.raises(ZooterError, match="an empty text"):
                method(query)


def test_a_message_up_to_the_limit_is_routed_and_one_more_character_is_refused(tiny_ensemble):
    assert tiny_ensemble.route("a" * MOST_CHARACTERS).candidate in POOL
    with pytest.raises(ZooterError, match="has 20,001 characters; the limit is 20,000"):
        tiny_ensemble.route("a" * (MOST_CHARACTERS + 1))
    talk = [Message("user", "a" * (MOST_CHARACTERS - 1)), Message("assistant", "b"), Message("user", "And now?")]
    assert tiny_ensemble.route(talk).candidate in POOL


def test_what_a_fleet_lacks_is_named(tiny_fleet, tiny_ensemble):
    fleet = load_fleet(tiny_fleet)
    first = fleet.candidates[0]
    assert Ensemble(replace(fleet, tagger=None)).route(ASK).tags == ()
    ensemble = Ensemble(replace(fleet, reward=None))
    assert not ensemble.can_rank
    with pytest.raises(ZooterError, match=r"a \[reward\] table in fleet\.toml of tiny"):
        ensemble.rank(SEA)
    with pytest.raises(ZooterError, match="one for base, one, two"):
        Ensemble(replace(fleet, candidates=(replace(first, name="three"),))).route(ASK)
    with pytest.raises(ZooterError, match=r'"transformer".*Did you mean "transformers"'):
        Ensemble(replace(fleet, candidates=(replace(first, backend="transformer"),)))
    for call in (lambda: tiny_ensemble.rank(SEA, ["tow"]), lambda: tiny_ensemble.stream(SEA, "tow")):
        with pytest.raises(ZooterError, match=r'"tow".*Did you mean "two"'):
            call()


def test_select_runs_one_where_the_router_is_sure_and_k_where_not(tiny_ensemble):
    decision = tiny_ensemble.route(ASK)
    order = tuple(sorted(POOL, key=lambda name: -decision.probabilities[name]))
    sure, unsure = tiny_ensemble.select(ASK, threshold=1.0), tiny_ensemble.select(ASK, threshold=-1.0)
    assert (sure.unsure, sure.candidates) == (False, order[:1])
    assert (unsure.unsure, unsure.candidates) == (True, order[:2])
    assert sure.unsureness == unsure.unsureness == pytest.approx(1 - decision.margin)
    assert unsure.decision == decision
    assert tiny_ensemble.select(ASK, k=9, threshold=-1.0).candidates == order
    assert not tiny_ensemble.select(ASK, threshold=sure.unsureness).unsure  # above it, not at it


@pytest.mark.parametrize(("lead", "unsure"), [(5.0, True), (0.0, False)])
def test_a_query_is_unsure_where_a_second_response_was_better_on_similar_ones(fleet_copy, lead, unsure):
    """The second candidate leads on half of the training queries: those that are like the query, or the others."""
    ensemble = Ensemble(load_fleet(fleet_copy))
    decision, encoder = ensemble.route(SEA), ensemble.router.encoder
    vectors = np.repeat(encoder.embed([SEA, "Roses are red"]), 100, axis=0)
    rewards = np.zeros((200, len(POOL)))
    rewards[:, POOL.index(decision.order[1])] = np.repeat([lead, 5.0 - lead], 100)
    learned = Scores(tuple(Query(str(n), f"text {n}") for n in range(200)), POOL, rewards)
    shares = np.tile([decision.probabilities[name] for name in POOL], (200, 1))
    sentences = encoder.sentence(vectors)
    middle = vectors[:, : sentences.shape[1]]
    Neighbours.of(learned, sentences, shares, shares, middle=middle).save(fleet_copy / "router")
    fleet = load_fleet(fleet_copy)
    fleet = replace(fleet, router=replace(fleet.router, unsure_above=0.4))
    selected = Ensemble(fleet).select(SEA)
    assert (selected.unsureness, selected.unsure) == (0.5 if unsure else 0.0, unsure)
    assert len(selected.candidates) == 1 + unsure


def test_what_a_candidate_that_joined_after_the_training_gains_is_not_known(fleet_copy):
    encoder = Ensemble(load_fleet(fleet_copy)).router.encoder
    learned = Scores(tuple(Query(str(n), f"text {n}") for n in range(30)), POOL[:2], np.zeros((30, 2)))
    vectors, shares = np.repeat(encoder.sentence(encoder.embed([SEA])), 30, axis=0), np.full((30, 2), 0.5)
    Neighbours.of(learned, vectors, shares, shares).save(fleet_copy / "router")
    ensemble = Ensemble(load_fleet(fleet_copy))
    assert ensemble.select(SEA, k=3).unsureness == pytest.approx(1 - ensemble.route(SEA).margin)


def test_select_goes_by_the_fleets_settings_and_refuses_what_cannot_be(tiny_fleet, tiny_ensemble):
    fleet = load_fleet(tiny_fleet)
    assert not tiny_ensemble.select(ASK).unsure  # by default no query is
    selected = Ensemble(replace(fleet, router=replace(fleet.router, unsure_above=-1.0))).select(ASK)
    assert (selected.unsure, len(selected.candidates)) == (True, 2)
    with pytest.raises(ZooterError, match="at least one candidate"):
        tiny_ensemble.select(ASK, k=0)


def test_willingness_goes_to_the_cheaper_candidate_if_enough_is_at_stake(tiny_fleet):
    fleet = load_fleet(tiny_fleet)
    first = Ensemble(fleet).route(SEA)
    priced = tuple(replace(c, usd_per_million_tokens=float(c.name == first.candidate)) for c in fleet.candidates)
    ensemble = Ensemble(replace(fleet, candidates=priced))
    assert ensemble.route(SEA, 0) == first
    traded = ensemble.route(SEA, first.margin + 0.01)
    assert traded.probabilities == first.probabilities
    assert traded.candidate == max(set(POOL) - {first.candidate}, key=lambda name: first.probabilities[name])
    assert traded.margin == pytest.approx(0.01)
    assert traded.to_json()["utilities"][first.candidate] == pytest.approx(
        first.probabilities[first.candidate] - first.margin - 0.01, abs=1e-6
    )
    with pytest.raises(ZooterError, match="a price of every candidate"):
        Ensemble(fleet).route(SEA, 0.1)
    with pytest.raises(ZooterError, match="a willingness of 0 or above"):
        ensemble.route(SEA, -0.1)


def test_stream_takes_the_settings_of_the_call(tiny_ensemble):
    short, long = ("".join(tiny_ensemble.stream(SEA, "base", replace(GREEDY, max_new_tokens=n))) for n in (2, 6))
    assert long.startswith(short) != (long == short)


def test_rank_runs_all_candidates_or_those_named(tiny_ensemble):
    ranked = tiny_ensemble.rank(SEA, generation=GREEDY)
    assert [item.rank for item in ranked] == [1, 2, 3]
    rewards = [item.reward for item in ranked]
    assert rewards == sorted(rewards, reverse=True)
    assert all(item.response.tokens == GREEDY.max_new_tokens for item in ranked)
    assert {item.response.candidate for item in ranked} == set(POOL)
    named = tiny_ensemble.rank(ASK, ["two", "base"], GREEDY)
    assert {item.response.candidate for item in named} == {"two", "base"}


def test_an_answer_that_broke_off_has_no_reward(tiny_ensemble):
    half = Response("one", "Half of", error=Failure("an answer", "no connection"))
    first, last = tiny_ensemble.rank_responses(SEA, [half, Response("base", "Salt water.")])
    assert (first.response.candidate, first.rank) == ("base", 1)
    assert (last.response, last.reward, last.rank) == (half, None, None)


def test_load_tells_what_is_being_loaded(tiny_fleet):
    messages: list[str] = []
    Ensemble(load_fleet(tiny_fleet)).load(messages.append)
    parts = ("router", "candidate base", "candidate one", "candidate two", "reward model")
    assert messages == [f"Loading the {part} ..." for part in parts]


@pytest.mark.slow
def test_load_passes_over_a_candidate_and_a_reward_model_that_fail(tiny_fleet, tmp_path):
    fleet = load_fleet(tiny_fleet)
    base, one, two = fleet.candidates
    gone = replace(one, adapter=str(tmp_path / "gone"))
    broken = replace(fleet, candidates=(base, gone, two), reward=ScalarConfig(str(tmp_path / "gone")))
    ensemble = Ensemble(broken)
    ensemble.load()
    responses = run(ensemble, POOL, GREEDY)
    assert [responses[name].finish for name in POOL] == ["length", "error", "length"]
    with pytest.raises(ZooterError, match="a reward model at"):
        ensemble.rank(SEA)


def test_load_raises_when_nothing_can_be_routed(tiny_fleet, tmp_path):
    with pytest.raises(ZooterError, match="a router folder at"):
        Ensemble(replace(load_fleet(tiny_fleet), router=RouterConfig(str(tmp_path)))).load()


def test_threads_that_come_first_at_once_load_the_router_once(tiny_fleet, monkeypatch):
    loads: list[object] = []
    load, together = Router.load, threading.Barrier(4)

    def counted(folder, encoders):
        loads.append(folder)
        return load(folder, encoders)

    monkeypatch.setattr(Router, "load", counted)
    ensemble = Ensemble(load_fleet(tiny_fleet))
    with ThreadPoolExecutor(4) as threads:
        choices = list(threads.map(lambda _: together.wait() * 0 or ensemble.route(SEA).candidate, range(4)))
    assert (len(set(choices)), len(loads)) == (1, 1)


def test_attachments_reach_the_candidates_and_not_the_router(tiny_ensemble):
    file = Attachment("sum.py", "print(7 + 7)\n" * 3)
    messages = [Message("user", SEA, (file,))]
    assert tiny_ensemble.route(messages) == tiny_ensemble.route(SEA)
    pieces = list(tiny_ensemble.run_candidates(["one", "two"], messages, threading.Event(), GREEDY))
    for name in ("one", "two"):
        request = next(piece.request for piece in pieces if piece.candidate == name)
        content = f"File sum.py:\n```\n{file.text}\n```\n\n{SEA}"
        assert request.messages == (Message("user", content),)
        count = tiny_ensemble.open_backend("transformers").count_tokens(request.candidate, file.text)
        assert [reading.read for reading in request.readings] == [request.readings[0].tokens]
        assert request.readings[0].tokens > count > 9
    assert [piece.response.error for piece in pieces if piece.response] == [None, None]
