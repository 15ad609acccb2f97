"""Turns of the learner: deciding, learning, and what may go wrong in between."""

from __future__ import annotations

import json
import shutil
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from support.process_limits import full_disk
from support.scripted_learner import GOOD, POOL, STOP, Scripted, classify_turn, contents, decisions, turn
from zooter_core.base.errors import WorkError
from zooter_core.cli.main import main
from zooter_core.config.fleet import load_fleet
from zooter_core.learn.cycle import Cycle
from zooter_core.learn.deciding import PROMOTE, ROLLBACK, SamplingPlan
from zooter_core.learn.judging import STORED, LearnSettings
from zooter_core.learn.learner import choose
from zooter_core.learn.refit import Material, embed_decisions, read_linear, refit, write_router
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import FEEDBACK, MODEL, NEWCOMER, LoggedReward
from zooter_core.learn.versions import FOLLOW, Versions, name_router
from zooter_core.method.promotion import Gate
from zooter_core.router.router import Router


def test_a_better_router_is_proved_and_serves(taught):
    before = contents(taught.fleet / "router")
    taught.traffic.add(decisions(200, 200))
    result, versions, _ = turn(taught)
    assert (result.event, versions.state.former) == (PROMOTE, "router")
    assert versions.state.champion == "routers/0001"  # which was compared, and not what has learned from the pairs too
    assert versions.state.challenger == "routers/0002"
    assert result.evidence.mean > 0.3
    router = Router.load(load_fleet(taught.fleet).router.path)  # the ordinary format
    assert router.candidates == POOL
    routed = router.route(["Add up 5 and 3 apples", "Tell me about the sea near town 7"])
    assert [one.candidate for one in routed] == ["one", "two"]
    assert contents(taught.fleet / "router") == before


def test_a_worse_one_is_rolled_back_to_the_bit(taught):
    fleet, _, traffic = taught
    before = (fleet / "fleet.toml").read_text(), contents(fleet / "router")
    versions = Versions(load_fleet(fleet))
    after = deepcopy(versions.state)
    after.promote()
    versions.switch(after, PROMOTE)
    assert (fleet / "fleet.toml").read_text() != before[0]
    traffic.add(decisions(200, 200))
    queries = [one.query for one in decisions(2)]
    former, champion = (
        [one.candidate for one in Router.load(router).route(queries)]
        for router in (fleet / "router", load_fleet(fleet).router.path)
    )
    assert champion != former
    good = dict(zip(("sum", "sea"), former, strict=True))  # what the router before chooses
    result, _, _ = turn(taught, ensemble=Scripted(load_fleet(fleet), good=good))
    assert result.event == ROLLBACK
    assert ((fleet / "fleet.toml").read_text(), contents(fleet / "router")) == before


def test_a_model_that_breaks_is_left_within_300_requests(taught):
    """With the shares and the gate of `zooter learn`, 50 requests a turn, each answered by who is chosen for it.

    A refit that has learned it is compared for a turn before it serves.
    """
    fleet, _, traffic = taught
    traffic.add(decisions(200, 200))
    events = [turn(taught)[0].event]
    for first in range(400, 700, 50):
        requests = decisions(50, first)
        routed = Router.load(load_fleet(fleet).router.path).route([one.query for one in requests])
        chosen = [route.candidate for route in routed]
        traffic.add(replace(one, candidate=c, answer=c) for one, c in zip(requests, chosen, strict=True))
        broken = Scripted(load_fleet(fleet), good={"sum": "base", "sea": "two"})
        result, versions, _ = turn(taught, ensemble=broken, sampling=SamplingPlan(), gate=Gate())
        events.append(result.event)
    routed = Router.load(load_fleet(fleet).router.path).route([one.query for one in decisions(40, 700)][::2])
    assert sum(route.candidate == "one" for route in routed) <= 1
    assert set(events) == {PROMOTE, "", FOLLOW}
    assert [switch.event for switch in versions.state.events] == [PROMOTE]


def test_where_its_owner_decides_nothing_is_promoted_or_followed(taught):
    for first, manual, event, champion in (
        (200, True, "", "router"), (320, False, PROMOTE, "routers/0002"), (440, True, "", "routers/0002"),
    ):  # fmt: skip
        taught.traffic.add(decisions(120, first))
        result, versions, _ = turn(taught, manual=manual)
        assert (result.event, versions.state.champion) == (event, champion)
        assert (result.follows, versions.state.follows) == (not manual, not manual)
    assert load_fleet(taught.fleet).router.path == str(taught.fleet / "routers" / "0002")
    assert (versions.state.challenger, versions.state.former) == ("routers/0004", "router")  # which still guards


def test_a_fine_tuned_encoder_stays_where_it_is(place):
    """The routers that are learned link to it, and the fleet's folder may be moved."""
    fleet, _, traffic = place
    config = json.loads((fleet / "router" / "config.json").read_text())
    shutil.copytree(config["encoder"], fleet / "router" / "encoder")
    (fleet / "router" / "config.json").write_text(json.dumps(config | {"encoder": "encoder"}))
    for first in (0, 120, 240):
        traffic.add(decisions(120, first))
        result, _, _ = turn(place)
    assert (result.challenger, result.follows) == ("routers/0003", True)
    moved = fleet.rename(fleet.with_name("moved"))
    router = Router.load(load_fleet(moved).router.path)
    assert Path(router.encoder.reference) == moved / "router" / "encoder"
    assert router.route(["Add up 5 and 3 apples"])[0].candidate == "one"


@pytest.mark.parametrize("broken", ["damaged", "deleted"])
def test_a_challenger_that_does_not_load_leaves_the_contest_and_another_is_trained(taught, broken):
    router = taught.fleet / "routers" / "0001"
    if broken == "damaged":
        (router / "model.safetensors").write_bytes(b"")
    else:
        shutil.rmtree(router)
    taught.traffic.add(decisions(20, 200))
    result, versions, _ = turn(taught)
    assert (result.judged, result.event) == (20, "")
    assert versions.state.challenger == ("routers/0002" if broken == "damaged" else "routers/0001")
    versions.check(versions.state.challenger)


def test_without_news_and_in_a_pause_nothing_changes(taught):
    before = (taught.fleet / "fleet.toml").read_text()
    result, versions, ensemble = turn(taught)
    assert (result.judged, result.challenger, result.event, ensemble.questions) == (0, "", "", [])
    assert sorted(path.name for path in (taught.fleet / "routers").iterdir()) == ["0001", "state.json"]
    versions.state.paused = True
    versions.save()
    taught.traffic.add(decisions(200, 200))
    result, _, ensemble = turn(taught)
    assert (result.judged, ensemble.questions) == (0, [])
    assert (taught.fleet / "fleet.toml").read_text() == before


def test_a_newcomer_answers_stored_queries(place):
    fleet, _, traffic = place
    traffic.add(decisions(240))
    traffic.add(replace(one, probability=None) for one in decisions(STORED, 240))  # a log that was imported
    parts = load_fleet(fleet)
    ensemble = Scripted(replace(parts, candidates=parts.candidates[:2]))
    settings = LearnSettings(SamplingPlan(0.1, 0.0), calls=1000)
    Cycle(Versions(ensemble.fleet), ensemble, traffic, settings).turn(STOP)
    _, versions, ensemble = turn(place, sampling=SamplingPlan(0.1, 0.0))
    late = traffic.rewards(why=NEWCOMER)
    assert {reward.candidate for reward in late} == {"two"}
    assert len(late) == 200
    assert versions.state.newcomers == {}
    linear, pool = read_linear(versions.place(versions.state.challenger))
    assert (tuple(pool), linear.weight.shape[1]) == (POOL, 3)


def test_a_newcomer_that_fails_does_not_take_the_budget(place):
    place.traffic.add(decisions(150))
    ensemble = Scripted(load_fleet(place.fleet))
    versions = Versions(ensemble.fleet)
    versions.state.pool = ["base", "one"]
    versions.save()
    ensemble.broken.add("two")
    result, versions, _ = turn(place, ensemble=ensemble, sampling=SamplingPlan(0.0, 0.0))
    assert (result.calls, result.failures, result.judged) == (3, {"two": 3}, 150)
    assert versions.state.newcomers == {"two": 147}
    ensemble.broken.clear()
    assert turn(place, ensemble=ensemble, sampling=SamplingPlan(0.0, 0.0))[1].state.newcomers == {}
    assert len(place.traffic.rewards(why=NEWCOMER)) == 150


@pytest.mark.parametrize("step", ["add_rewards", "save", "add", "name_router", "named", "add_vectors"])
def test_a_turn_that_dies_in_any_step_goes_on_later(taught, step, monkeypatch):
    taught.traffic.add(decisions(120, 200))

    def die(*arguments, **_more):
        if step == "named":
            name_router(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        naming = ("zooter_core.learn.versions.name_router",)
        target = {
            "add_rewards": (Traffic, "add_rewards"), "save": (Versions, "save"), "add": (Versions, "add"),
            "name_router": naming, "named": naming, "add_vectors": (Traffic, "add_vectors"),
        }[step]  # fmt: skip
        patch.setattr(*target, die)
        with pytest.raises(KeyboardInterrupt):
            turn(taught)
    result, versions, _ = turn(taught)
    assert versions.state.judged == 320
    assert load_fleet(taught.fleet).router.path.endswith("routers/0001")
    assert versions.state.challenger.startswith("routers/000")
    (switch,) = versions.state.events
    by_hand = step == "named"  # killed between fleet.toml and the state: as if somebody had named the router
    assert (switch.event, switch.passes, versions.state.follows) == (PROMOTE, not by_hand, not by_hand)
    assert Router.load(load_fleet(taught.fleet).router.path).candidates == POOL
    assert not [path for path in (taught.fleet / "routers").iterdir() if "partial" in path.name]
    assert result.judged <= 120


@pytest.mark.faults
def test_a_disk_that_is_full_loses_nothing(taught):
    before = (taught.fleet / "fleet.toml").read_text()
    taught.traffic.add(decisions(120, 200))
    with full_disk(4096), pytest.raises(WorkError, match="Free some space"):
        turn(taught)
    assert (taught.fleet / "fleet.toml").read_text() == before
    result, versions, _ = turn(taught)
    assert (result.event, versions.state.judged) == (PROMOTE, 320)


@pytest.mark.faults
@pytest.mark.parametrize("drift", [-5.0, 5.0])
def test_a_reward_model_that_drifts_by_a_constant_lets_no_worse_router_serve(taught, drift):
    """Whoever answered last would look best or worst to a learner that took the drift for the candidates'."""
    taught.traffic.add(decisions(120, 200))
    assert turn(taught)[0].event == PROMOTE
    before = right(load_fleet(taught.fleet).router.path)
    for first in (320, 440):
        requests = [(one, GOOD[classify_turn(one.query)]) for one in decisions(120, first)]
        taught.traffic.add(replace(one, candidate=name, answer=name) for one, name in requests)
        result, versions, _ = turn(taught, ensemble=Scripted(load_fleet(taught.fleet), drift=drift))
        for router in (load_fleet(taught.fleet).router.path, versions.place(result.challenger)):
            assert right(router) >= before > 24


def test_deletion_leaves_the_learner_too(place, tiny_encoder):
    _, data, traffic = place
    traffic.add([replace(one, user="ann" if n % 2 else "bob") for n, one in enumerate(decisions(100))])
    traffic.add_rewards(LoggedReward(f"r{n}", "base", float(n % 2)) for n in range(100))
    material = Material.read(traffic, POOL)
    embed_decisions(tiny_encoder, material.decisions, traffic)
    assert main(["learn", "forget", "--user", "ann", "--data", str(data)]) == 0
    material = Material.read(traffic, POOL)
    assert len(material.decisions) == 50
    stored = dict(traffic.vectors(tiny_encoder.identity))
    assert list(stored) == [one.number for one in material.decisions]
    expected = tiny_encoder.embed([one.routed_text for one in material.decisions])
    assert np.frombuffer(b"".join(stored.values()), np.float32) == pytest.approx(expected.ravel(), abs=1e-5)
    traffic.delete(user="bob", request_id="r0")  # as the endpoint does with what is too old
    traffic.add_vectors(tiny_encoder.identity, [(1, stored[1])])  # too late
    assert len(traffic.vectors(tiny_encoder.identity)) == 49


EVIDENT = decisions(40, 5000)


def right(router) -> int:
    """How many of 40 evident queries a router sends to whom they belong."""
    routed = Router.load(router).route([one.query for one in EVIDENT])
    return sum(one.candidate == GOOD[classify_turn(one.query)] for one in routed)


@pytest.mark.parametrize(
    ("key", "thumb", "judged"), [("mallory", 1.0, True), ("mallory", -1.0, False), (None, 1.0, False)]
)
def test_the_thumbs_of_one_key_move_no_evident_query(place, key, thumb, judged):
    """Of a promoted learner: 300 a turn for `base`, worth nothing, or against who is worth most, beside 100 requests.

    Args:
        judged: the reward model judges these answers too; otherwise the client named the model.
    """
    fleet, _, traffic = place
    traffic.add(replace(one, key="ann") for one in decisions(100))
    _, versions, _ = turn(place)
    after = deepcopy(versions.state)
    after.promote(follow=True)
    versions.switch(after, PROMOTE)
    before = right(load_fleet(fleet).router.path)
    assert before > 20
    for first in (1000, 2000):
        attack = decisions(300, first)
        if thumb < 0:
            attack = [replace(one, candidate=POOL[1 + n % 2], answer=POOL[1 + n % 2]) for n, one in enumerate(attack)]
        attack = [replace(one, key=key, probability=0.5 if judged else None) for one in attack]
        traffic.add(attack)
        traffic.add_rewards(LoggedReward(one.request_id, one.candidate, thumb, FEEDBACK) for one in attack)
        _, versions, _ = turn(place)
        assert right(load_fleet(fleet).router.path) >= before
        assert right(versions.place(versions.state.challenger or versions.state.champion)) >= before


def test_feedback_alone_still_teaches(place, tiny_encoder):
    """No answer is kept and none is requests for: what the owner of a fleet says is all that there is."""
    traffic = place.traffic
    traffic.add([replace(one, candidate=POOL[n // 2 % 3], answer=None) for n, one in enumerate(decisions(600))])
    traffic.add_rewards(
        LoggedReward(
            one.request_id, one.candidate, 1.0 if one.candidate == GOOD[classify_turn(one.query)] else -1.0, FEEDBACK
        )
        for one in traffic.decisions()
    )
    material = Material.read(traffic, POOL)
    router, _ = refit(material, embed_decisions(tiny_encoder, material.decisions, traffic))
    chosen = choose(router, tiny_encoder.embed([one.query for one in EVIDENT]))
    assert np.mean([POOL[one] for one in chosen] == np.array(["one", "two"] * 20)) > 0.8


def test_feedback_counts_before_the_reward_model(place):
    place.traffic.add(decisions(3))
    place.traffic.add_rewards([LoggedReward(f"r{n}", "base", reward) for n, reward in enumerate((1.0, 2.0, 3.0))])
    place.traffic.add_rewards([LoggedReward("r0", "base", 1.0, FEEDBACK), LoggedReward("r1", "one", -1.0, FEEDBACK)])
    rewards = Material.read(place.traffic, POOL).rewards
    level, spread = 2.0, np.std([1.0, 2.0, 3.0])
    assert rewards[0, 0] == pytest.approx(level + spread * (1 + 0.5 * np.tanh(-1 / spread)))
    assert rewards[1, 1] == pytest.approx(level - spread)
    assert rewards[2, 0] == 3.0


def test_a_refit_is_the_same_again_and_of_any_encoder(place, tiny_encoder, tmp_path):
    place.traffic.add(decisions(150))
    place.traffic.add_rewards(LoggedReward(f"r{n}", POOL[n % 3], float(n % 3 == 1), MODEL) for n in range(150))
    material = Material.read(place.traffic, POOL)
    vectors = embed_decisions(tiny_encoder, material.decisions, place.traffic)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_router(tmp_path / name, *refit(material, vectors), POOL, tiny_encoder.reference)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    linear, pool = read_linear(tmp_path / "one")
    router = Router.load(tmp_path / "one")
    assert router.candidates == tuple(pool) == POOL
    texts = [one.routed_text for one in material.decisions[:5]]
    logits = linear(tiny_encoder.embed(texts))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert router.probabilities(texts) == pytest.approx(shares, abs=1e-4)


def test_a_traffic_file_that_begins_anew_is_judged_from_its_first_decision(place, tmp_path):
    place.traffic.add(decisions(150))
    turn(place)
    with Traffic.open(tmp_path / "anew") as anew:
        anew.add(decisions(110, 150))
        place.traffic.delete(older_than=1e12)
        assert turn(place)[0].judged == 0  # the same file, whose numbers go on
        result, _, _ = turn((place.fleet, tmp_path / "anew", anew))
        assert (result.judged, result.challenger) == (110, "routers/0002")


def test_one_candidate_has_nothing_to_learn(place):
    parts = load_fleet(place.fleet)
    ensemble = Scripted(replace(parts, candidates=parts.candidates[:1]))
    place.traffic.add(decisions(150))
    result = Cycle(Versions(ensemble.fleet), ensemble, place.traffic, LearnSettings()).turn(STOP)
    assert (result.judged, result.challenger, result.event) == (150, "", "")
