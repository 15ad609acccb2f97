"""What may go wrong beside `zooter learn`: real servers answer and judge, and the command line runs whole turns."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from zlib import crc32

import pytest

from support.process_limits import full_disk
from support.reward_endpoint import Endpoint
from support.scripted_server import Scripted, serving
from zooter_core.config.edit import add_candidates, set_table
from zooter_core.config.fleet import load_fleet
from zooter_core.learn import judging
from zooter_core.learn.changes import fallen_rewards
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import LoggedDecision
from zooter_core.router.router import Router

TEXTS = {"one": "Add up {} and 3 apples", "two": "Tell me about the sea near town {}"}  # and who answers them well
TURN = 120  # decisions
HOUR = 3600.0


@dataclass
class Place:
    """A fleet whose router serves `base`, and its traffic.

    Attributes:
        turn: runs `zooter learn --once` with `options`; gives the exit code and the message, if there is one.
        drift: is added to every reward.
        refused: whether the reward model fails on a query.
    """

    fleet: Path
    data: Path
    turn: Callable[[], tuple[int, str]]
    options: tuple[str, ...] = ()
    drift: float = 0.0
    refused: Callable[[str], bool] = field(default=lambda query: False)
    decisions: int = 0

    @property
    def state(self) -> dict:
        return json.loads((self.fleet / "routers" / "state.json").read_text())

    @property
    def serving(self) -> str:
        """The router of fleet.toml."""
        router = load_fleet(self.fleet).router
        assert router is not None
        return router.path

    def serve(self, candidate: str | None = None, count: int = TURN) -> None:
        """Traffic, a request every quarter of an hour, that one candidate answers or whoever answers well."""
        first, self.decisions = self.decisions, self.decisions + count
        with Traffic.open(self.data) as traffic:
            for n in range(first, self.decisions):
                good = ("one", "two")[n % 2]
                who, query = candidate or good, TEXTS[good].format(n)
                traffic.add([
                    LoggedDecision(
                        f"r{n}", n * HOUR / 4, query, choice=who, candidate=who, probability=0.5,
                        answer=reply(who)(query),
                    )
                ])  # fmt: skip

    def reward(self, body: dict, number: int) -> tuple[int, object]:
        pairs = [(pair["query"], pair["response"]) for pair in body["pairs"]]
        if any(self.refused(query) for query, _ in pairs):
            return 400, {"error": "no reward for this"}
        noise = [crc32(f"{query} {text}".encode()) % 1000 / 1000 for query, text in pairs]
        return 200, {"rewards": [("good" in text) + n + self.drift for (_, text), n in zip(pairs, noise, strict=True)]}


def reply(name: str) -> Callable[[str], str]:
    return lambda query: f"A {'good' if query[:3] == TEXTS.get(name, '')[:3] else 'poor'} answer to {query}"


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Scripted, Endpoint]]:
    """The candidates' server and the reward model's."""
    endpoint = Endpoint()
    with serving() as server:
        server.replies = {name: reply(name) for name in ("base", "one", "two")}
        yield server, endpoint
    endpoint.close()


@pytest.fixture
def place(called, tmp_path, tiny_fleet, monkeypatch, servers) -> Place:
    monkeypatch.setattr("os.nice", lambda increment: 0)
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path / "cache"))  # rewards of other tests are none of this one
    (server, endpoint), fleet, data = servers, tmp_path / "fleet", tmp_path / "data"

    def turn() -> tuple[int, str]:
        return called("learn", "--once", "--fleet", fleet, "--data", data, "--share", 0.2, *place.options)

    keys = {"backend": "openai", "base_url": server.url}
    add_candidates(fleet, [keys | {"name": name, "model": name, "routed_as": name} for name in server.replies])
    set_table(fleet, "router", {"path": str(tiny_fleet / "router")})
    set_table(fleet, "reward", {"kind": "http", "url": endpoint.url})
    place = Place(fleet, data, turn)
    monkeypatch.setattr(judging, "time", SimpleNamespace(time=lambda: place.decisions * HOUR / 4))
    endpoint.answer = place.reward
    return place


@pytest.fixture(scope="module")
def copies(tmp_path_factory) -> Path:
    """Keeps the folders of a fleet after its promotion, once a test has made them."""
    return tmp_path_factory.mktemp("promoted")


@pytest.fixture
def followed(place: Place, copies: Path) -> Place:
    """The same after a promotion: the router that serves chooses well."""
    folders = {place.fleet: copies / "fleet", place.data: copies / "data"}
    if not (copies / "data").exists():
        for _ in range(2):
            place.serve("base")
            assert place.turn() == (0, "")
        for folder, copy in folders.items():
            shutil.copytree(folder, copy)
    else:
        for folder, copy in folders.items():
            shutil.copytree(copy, folder, dirs_exist_ok=True)
        place.decisions = 2 * TURN
    assert [event["event"] for event in place.state["events"]] == ["promote"]
    return place


def test_a_reward_model_that_fails_on_a_tenth_costs_these_queries_alone(place):
    place.refused = lambda query: sum(query.encode()) % 10 == 0
    before = (place.fleet / "fleet.toml").read_text()
    place.serve("base")
    assert place.turn() == (0, "")
    assert (place.state["judged"], place.state["challenger"]) == (TURN, "routers/0001")
    assert (place.fleet / "fleet.toml").read_text() == before
    with Traffic.open(place.data) as traffic:
        queries = {one.request_id: one.query for one in traffic.decisions()}
        without = queries.keys() - {one.request_id for one in traffic.rewards()}
    assert without == {name for name, query in queries.items() if place.refused(query)}
    assert 6 <= len(without) <= 20
    place.serve("base")
    assert place.turn() == (0, "")
    assert [event["event"] for event in place.state["events"]] == ["promote"]


def right(folder: str | Path) -> int:
    """For how many of a hundred queries a router chooses well."""
    good = [("one", "two")[n % 2] for n in range(100)]
    routed = Router.load(str(folder)).route([TEXTS[name].format(5000 + n) for n, name in enumerate(good)])
    return sum(one.candidate == name for one, name in zip(routed, good, strict=True))


@pytest.mark.parametrize("drift", [-5.0, 5.0])
def test_a_reward_model_that_drifts_by_a_constant_lets_no_worse_router_serve(followed, drift):
    """Whoever answered last would look best or worst to a learner that took the drift for the candidates'."""
    place, before = followed, right(followed.serving)
    place.drift = drift
    for _ in range(2):
        challenger = place.state["challenger"]
        place.serve()
        assert place.turn() == (0, "")
        assert place.state["challenger"] != challenger
        for router in (place.serving, place.fleet / place.state["challenger"]):
            assert right(router) >= before > 60
    with Traffic.open(place.data) as traffic:
        fallen = {change.name for change in fallen_rewards(traffic, 0.0, place.decisions * HOUR)}
    assert fallen == ({"base", "one", "two"} if drift < 0 else set())


def test_a_torn_challenger_is_made_anew_and_the_champion_serves(place):
    place.options = ("--manual",)
    place.serve("base")
    assert place.turn() == (0, "")
    champion, torn = place.serving, place.state["challenger"]
    weights = place.fleet / torn / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    place.serve("base", count=10)
    assert place.turn() == (0, "")
    assert (place.state["judged"], place.serving) == (place.decisions, champion)
    assert place.state["challenger"] > torn
    assert right(place.fleet / place.state["challenger"]) > 60


@pytest.mark.parametrize("size", [64, 4096])
def test_a_disk_that_is_full_loses_nothing(followed, size):
    before = (followed.fleet / "fleet.toml").read_text()
    followed.serve()
    with full_disk(size):
        code, message = followed.turn()
    assert (code, "Free some space" in message) == (1, True), message
    assert (followed.fleet / "fleet.toml").read_text() == before
    assert followed.turn() == (0, "")
    assert followed.state["judged"] == followed.decisions
