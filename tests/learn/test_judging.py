"""What a turn of the learner judges, within its budget, and what it stores of it."""

from __future__ import annotations

import threading
from dataclasses import replace

from support.scripted_learner import POOL, Scripted, decisions, turn
from zooter_core.base.errors import WorkError
from zooter_core.config.edit import change_candidate, set_table
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.learn.deciding import SamplingPlan


def test_a_budget_ends_a_turn_and_the_next_one_goes_on(place):
    place.traffic.add(replace(one, time=5000.0 - one.time) for one in decisions(60))  # on a clock that jumps
    first, versions, ensemble = turn(place, calls=20)
    assert first.waiting
    assert first.calls <= 20
    before = list(ensemble.questions)
    second, versions, ensemble = turn(place)
    assert first.judged + second.judged == 60
    assert not set(before) & set(ensemble.questions)  # nothing twice
    assert versions.state.judged == 60


def test_a_stop_before_a_reward_is_no_error_and_its_query_waits(place):
    place.traffic.add(decisions(60))
    stop = threading.Event()

    class Stopped(Scripted):
        def score_responses(self, queries, progress=lambda done: None, stop=None, cached=True):
            if len(self.questions) > 20:
                stop.set()
                raise WorkError("rewards", "a stop before the last one", "Ask again.")
            return super().score_responses(queries, progress, stop, cached)

    first, versions, _ = turn(place, stop=stop, ensemble=Stopped(load_fleet(place.fleet)))
    assert first.waiting
    assert versions.state.judged == first.judged < 60
    assert first.judged + turn(place)[0].judged == 60


def test_dollars_are_a_budget_too(place):
    for name in POOL:
        change_candidate(place.fleet, name, {"usd_per_million_tokens": 100_000})  # a dollar for an answer of ten tokens
    place.traffic.add(decisions(60))
    result, _, _ = turn(place, dollars=5.0)
    assert result.waiting
    assert 5.0 <= result.dollars <= 7.0


def test_without_answers_only_the_sample_is_judged(place):
    place.traffic.add(decisions(100, answer=None))
    turn(place, sampling=SamplingPlan(0.3, 0.0))
    rewards = place.traffic.rewards()
    assert {reward.why for reward in rewards} == {"sample"}
    assert {reward.inclusion for reward in rewards} == {0.3}
    assert 3 * 15 <= len(rewards) <= 3 * 45


def test_where_answers_are_kept_those_of_the_sample_are_too(place):
    set_table(place.fleet, "learn", {"answers": True})
    place.traffic.add(decisions(2))
    turn(place, sampling=SamplingPlan(1.0, 0.0))
    others = {(one.candidate, one.answer) for one in place.traffic.rewards()}
    assert others == {("base", None), ("one", "one"), ("two", "two")}  # the served one is with its decision


def test_the_cache_of_rewards_keeps_nothing_of_what_is_judged(place):
    place.traffic.add(decisions(2))

    class Rewarding(Scripted):
        reward_model, score_responses = Ensemble.reward_model, Ensemble.score_responses

    ensemble = Rewarding(load_fleet(place.fleet))
    turn(place, ensemble=ensemble, sampling=SamplingPlan(1.0, 0.0))
    assert len(place.traffic.rewards()) == 6
    items = [(one.query, name) for one in decisions(2) for name in POOL]
    assert ensemble._cache().get(items) == {}
    ensemble.score_responses([(items[0][0], POOL)])
    assert len(ensemble._cache().get(items)) == 3


def test_an_answer_that_was_cut_is_not_judged_as_a_whole_one(place, monkeypatch):
    monkeypatch.setattr("zooter_core.learn.judging.LONGEST_ANSWER", 4)
    place.traffic.add(decisions(2))  # their answers are "base", as long as those that are kept
    _, _, ensemble = turn(place, sampling=SamplingPlan(0.0, 0.0))
    assert (place.traffic.rewards(), ensemble.questions) == ([], [])


def test_answers_are_asked_for_as_the_served_one_was(place):
    served = {"cut": (24, "length"), "short": (7, "stop"), "long": (900, "stop"), "thought": (50, "length")}
    place.traffic.add(
        replace(one, request_id=name, tokens=tokens, finish=finish, thought_tokens=50 if name == "thought" else None)
        for one, (name, (tokens, finish)) in zip(decisions(4), served.items(), strict=True)
    )
    groups: list[tuple[list[str], int]] = []

    class Grouped(Scripted):
        def run_requests(self, requests, stop, generation=None):
            if requests:
                groups.append(([request.candidate.name for request in requests], generation.max_new_tokens))
            return super().run_requests(requests, stop, generation)

    ensemble = Grouped(load_fleet(place.fleet))
    turn(place, ensemble=ensemble, sampling=SamplingPlan(1.0, 0.0))
    usual = ensemble.fleet.generation.max_new_tokens
    assert groups == [([name], most) for most in (24, usual, 900, usual) for name in ("one", "two")]  # not at once


def test_what_is_stored_says_why_and_with_which_probability(place):
    place.traffic.add(decisions(100))
    turn(place, sampling=SamplingPlan(0.2, 0.0))
    rewards = place.traffic.rewards()
    sample = [reward for reward in rewards if reward.why == "sample"]
    assert {name: [one.request_id for one in sample if one.candidate == name] for name in POOL} == dict.fromkeys(
        POOL, sorted({one.request_id for one in sample})
    )  # also of the candidate that was served
    assert {reward.inclusion for reward in sample} == {0.2}
    served = [reward for reward in rewards if reward.why == "served"]
    assert ({one.candidate for one in served}, {one.inclusion for one in served}) == ({"base"}, {1.0})
    assert len(served) + len(sample) / 3 == 100


def test_chores_and_named_candidates_are_left_out(place):
    chore, named, nobody = decisions(3)
    place.traffic.add([replace(chore, chore=True), replace(named, probability=None), replace(nobody, candidate=None)])
    result, versions, ensemble = turn(place)
    assert (result.judged, ensemble.questions, versions.state.judged) == (0, [], 3)


def test_a_query_that_the_reward_model_fails_on_has_no_reward_and_the_others_are_learned_from(place):
    place.traffic.add(decisions(120))
    ensemble = Scripted(load_fleet(place.fleet), refused=lambda query: sum(query.encode()) % 10 == 0)
    result, _, _ = turn(place, ensemble=ensemble)
    assert (result.judged, result.challenger) == (120, "routers/0001")
    rewarded = {one.request_id for one in place.traffic.rewards()}
    without = {one.request_id for one in place.traffic.decisions() if ensemble.refused(one.query)}
    assert len(without) == result.unscored > 5
    assert result.reason == "refused"
    assert {one.request_id for one in place.traffic.decisions()} - rewarded == without


def test_a_candidate_that_fails_is_counted_and_the_others_are_judged(place):
    place.traffic.add(decisions(40))
    ensemble = Scripted(load_fleet(place.fleet))
    ensemble.broken.add("two")
    result, _, _ = turn(place, ensemble=ensemble)
    assert result.judged == 40
    assert result.failures["two"] > 5
    assert {reward.candidate for reward in place.traffic.rewards()} == {"base", "one"}
