"""What we wrote and read again, damaged at random: cut, with other bytes, with a part gone or of another type.

That is one message, or it is left out. Never a Python error.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import tiny_models
from support.sample_report import SWEEP, report
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Decision, Query, Response, Tag
from zooter_core.config.fleet import Fleet, load_fleet
from zooter_core.data.scores import Scores
from zooter_core.evaluation import report_tables, verdicts
from zooter_core.evaluation.figures import load_report, load_sweep
from zooter_core.labelling.taggers import nearest
from zooter_core.learn.imports import import_traffic
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.versions import STATE, Versions, summary
from zooter_core.router.head import CONFIG, RouterHead
from zooter_core.router.neighbours import RECORDS, Neighbours
from zooter_core.serve.keys import Key, add_key, read_keys
from zooter_core.ui.chat import conversations, export
from zooter_core.ui.chat.turns import Turn
from zooter_core.ui.compare import votes
from zooter_core.ui.history import History
from zooter_core.ui.jobs import Answers, CandidateAnswer
from zooter_core.ui.traffic import champions

WILD: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 3, 99, 0.5, 1e308, float("nan"), float("inf"), "", "x", "base", "q01"),
    *([], {}, ["x"], {"x": 1}, [[1]], [0.1, 0.2, 0.7], {"base": 1.0}, "a" * 5000),
)


def damaged(chance: random.Random, text: str) -> bytes:
    """The text of a JSON object, damaged once."""
    change = chance.choice((_bytes, _bytes, _part, _part, _part, _part, _other))
    return change(chance, text)


def _bytes(chance: random.Random, text: str) -> bytes:
    """Bytes without their end, or with others among them."""
    content = text.encode()
    if chance.random() < 0.5:
        return content[: chance.randrange(len(content))]
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 20))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


def _part(chance: random.Random, text: str) -> bytes:
    record = json.loads(text)
    wild(chance, record)
    return json.dumps(record).encode()


def _other(chance: random.Random, text: str) -> bytes:
    values: tuple[Any, ...] = (*WILD, ["[" * 5000], "\ud800")
    return chance.choice((b"", b"\x00", b"[" * 5000, *(json.dumps(value).encode() for value in values)))


def wild(chance: random.Random, record: Any) -> None:
    """Change, add or remove one thing anywhere in a record."""
    while True:
        name: Any = chance.choice(list(record)) if isinstance(record, dict) else chance.randrange(len(record))
        if not isinstance(record[name], dict | list) or not record[name] or chance.random() < 0.3:
            break
        record = record[name]
    if chance.random() < 0.2:
        record.pop(name)
    elif chance.random() < 0.1 and isinstance(record, dict):
        record["strange"] = record.pop(name)
    else:
        record[name] = chance.choice(WILD)


EXAMPLES, OF_HISTORY = 60, 25
Kind = tuple[Path, Callable[[], object]]  # a file, and what reads it and uses what it read
EVENT = {"time": 1.0, "event": "promote", "router": "routers/0001", "before": "router", "pairs": 3, "mean": 0.5}
LEARNED = {
    "champion": "router", "challenger": "routers/0002", "former": "routers/0001", "pairs": [0.1, 0.2], "guard": [0.2],
    "judged": 3, "newcomers": {"base": 3}, "pool": ["base", "one"], "events": [EVENT],
}  # fmt: skip


@pytest.fixture
def kinds(fleet_copy: Path, tmp_path: Path) -> dict[str, Kind]:
    """Each kind of file, whole, and its use."""
    fleet = load_fleet(fleet_copy)
    queries = tuple(Query(str(n), text, "all", ("ab"[n % 2],)) for n, text in enumerate(tiny_models.QUERIES[:6]))
    table = np.full((len(queries), 3), 1 / 3)
    learned = Scores(queries, tiny_models.POOL, table)
    Neighbours.of(learned, np.eye(len(queries), 8, dtype=np.float32), table, table, texts=True).save(fleet_copy)
    (fleet_copy / "routers").mkdir()
    (fleet_copy / "routers" / STATE).write_text(json.dumps(LEARNED))
    for name, content in (("report.json", report()), ("sweep.json", SWEEP)):
        (tmp_path / name).write_text(json.dumps(content))
    add_key(tmp_path / "keys.json", Key("a", "", 0.0))
    add_key(tmp_path / "keys.json", Key("b", "", 0.0, models=("m",), concurrent=2))

    def use_state() -> None:
        versions = Versions(fleet)
        state = versions.state
        versions.rollback_target(), versions.tidy()
        for pairs in (state.pairs, state.guard):
            champions.describe_pairs(summary(pairs), "it")
        for switch in state.events:
            champions.describe_switch(switch), champions.day(switch.time)
        champions.describe_router(state.champion), state.judged + state.learned + sum(state.newcomers.values())

    def use_neighbours() -> None:
        if neighbours := Neighbours.load(fleet_copy):
            neighbours.tag_shares(), neighbours.scores(), neighbours.for_pool(("x",), neighbours.candidates[:1])
            for one in neighbours.nearest(np.eye(8)[0], 5):
                (one.text or "").split(), sorted(one.tags)

    def use_report() -> None:
        figures = load_report(tmp_path / "report.json")
        if verdict := verdicts.of_report(figures):
            verdicts.sentences(verdict)
        if figures.held_back:
            report_tables.table_one(figures.held_back), verdicts.of_held_back(figures.held_back)
            [point.described(True) for point in report_tables.named(figures.held_back)]

    def use_keys() -> None:
        for key in read_keys(tmp_path / "keys.json").values():
            key.digest.encode(), round(key.created, 3), key.models and sorted(key.models)

    tags = next(path for path in fleet_copy.rglob("*.json") if '"phrasings"' in path.read_text())
    return {
        STATE: (fleet_copy / "routers" / STATE, use_state),
        RECORDS: (fleet_copy / RECORDS, use_neighbours),
        CONFIG: (fleet_copy / "router" / CONFIG, lambda: RouterHead.load(fleet_copy / "router")),
        "report.json": (tmp_path / "report.json", use_report),
        "sweep.json": (tmp_path / "sweep.json", lambda: verdicts.of_sweep(load_sweep(tmp_path / "sweep.json"))),
        "keys.json": (tmp_path / "keys.json", use_keys),
        "tags.json": (tags, lambda: ["".join(one.phrasings) for one in nearest._read_vocabulary(tags)]),
    }


KINDS = (STATE, RECORDS, CONFIG, "report.json", "sweep.json", "keys.json", "tags.json")
AT_RANDOM = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_one_message(kinds: dict[str, Kind], kind: str) -> None:
    path, use = kinds[kind]
    use()  # whole
    text = path.read_text(encoding="utf-8")

    @AT_RANDOM
    @given(st.integers(0, 1 << 32))
    def try_damage(seed: int) -> None:
        path.write_bytes(damaged(random.Random(seed), text))
        with suppress(ZooterError):
            use()

    try_damage()


def a_turn() -> Turn:
    response = Response("a", "It is 4.", 3, 0.5, 0.1)
    answers = Answers({"a": CandidateAnswer.of(response), "b": CandidateAnswer()}, vote=1)
    return Turn("What is 2 + 2?", Decision.of("2 + 2", {"a": 0.7, "b": 0.3}, (Tag("sums", 0.9),)), answers)


VOTE = votes.Vote("q", ("a", "b"), "best", "a", "b", "a", True, "sums", "b")


@settings(AT_RANDOM, max_examples=OF_HISTORY)
@given(st.integers(0, 1 << 32))
def test_a_damaged_history_is_left_out(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    chance, history = random.Random(seed), History(tmp_path_factory.mktemp("history") / "history.db")
    turn, vote = (json.dumps(record) for record in (a_turn().to_json(), asdict(VOTE) | {"kind": "comparison"}))
    for number in range(2):
        history.keep("c", "title", "fleet", number, json.loads(turn))
    history.vote("v", "fleet", json.loads(vote))
    torn = [(damaged(chance, text)).decode("utf-8", "replace") for text in (turn, vote)]
    history._run(("UPDATE turns SET record = ? WHERE number = 1", (torn[0],)))
    history._run(("UPDATE votes SET record = ?", (torn[1],)))
    history.entries("It is"), history.entries()
    first, *others = history.turns("c")
    talk = conversations.Conversation("fleet", turns=[Turn.from_json(first)])
    with suppress(ValueError):
        talk.turns += map(Turn.from_json, others)
    export.markdown(talk), export.as_json(talk), talk.title, [turn.decision.certainty for turn in talk.turns]
    cast = votes.read_votes(history.votes("fleet"))
    votes.describe_votes(cast), votes.leaderboard(cast)
    assert history.path is not None
    with Traffic.open(history.path.parent / "traffic") as traffic, suppress(ZooterError):
        import_traffic([history.path], traffic, Fleet("f", history.path.parent, ()))
        traffic.newest(5)
