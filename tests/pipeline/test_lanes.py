"""Collecting from several endpoints at once, and beside them from models in memory."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from pathlib import Path

import pytest

from support import endpoint_fleet
from support.command_files import read_lines
from support.patience import PATIENCE
from zooter_core import pipeline
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.records import Query
from zooter_core.config.fleet import GenerationConfig, load_fleet
from zooter_core.data.run_folder import RESPONSES
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline import batches
from zooter_core.pipeline.collect import Collecting

SHORT = GenerationConfig(max_new_tokens=4, temperature=0.0)
QUERIES = [Query(f"q{n:02}", f"What is {n} + {n}?") for n in range(20)]
NAMES = ("a", "b", "c", "d")
PLAIN = Collecting()


@pytest.fixture
def server(scripted):
    scripted.replies = {name: lambda query, name=name: f"{name}: {query}" for name in NAMES}
    return scripted


def collected(folder: Path, fleet: Path, how: Collecting = PLAIN) -> dict:
    ensemble = Ensemble(load_fleet(fleet))
    with Run(folder, create=True) as run:
        pipeline.start(run, ensemble, QUERIES)
        return pipeline.collect(run, ensemble, SHORT, how=how)


def records(folder: Path) -> list[dict]:
    return read_lines(folder / RESPONSES)


def counts(folder: Path) -> Counter:
    return Counter(record["candidate"] for record in records(folder))


def test_all_endpoints_work_at_the_same_time(fleet_copy, server, tmp_path):
    """No answer comes before every endpoint has a request."""
    together = threading.Barrier(len(NAMES))
    first: Counter[str] = Counter()

    def reply(name: str):
        def answered(query: str) -> str:
            first[name] += 1
            if first[name] == 1:
                together.wait(PATIENCE)
            return f"{name}: {query}"

        return answered

    server.replies = {name: reply(name) for name in NAMES}
    collected(tmp_path / "run", endpoint_fleet.save(fleet_copy, server.url, {name: name for name in NAMES}))
    assert not together.broken
    assert counts(tmp_path / "run") == {name: len(QUERIES) for name in NAMES}
    assert server.most_under_way < 8 * len(NAMES)  # 4 each, and the server counts an answer a moment longer than we do


def test_a_model_in_memory_works_beside_an_endpoint(fleet_copy, server, tmp_path):
    """The endpoint answers nothing until the model in memory has."""
    answered = threading.Event()
    server.replies["far"] = lambda query: "yes" if answered.wait(PATIENCE) else "too late"
    local = '\n[[candidate]]\nname = "near"\nbackend = "transformers"\nmodel = "base"\n'
    fleet = endpoint_fleet.save(fleet_copy, server.url, {"far": "far"})
    (fleet / "fleet.toml").write_text((fleet / "fleet.toml").read_text() + local)

    def watch(tallies) -> None:
        if any(tally.candidate == "near" and tally.done for tally in tallies):
            answered.set()

    collected(tmp_path / "run", fleet, Collecting(watch=watch))
    assert counts(tmp_path / "run") == {"far": len(QUERIES), "near": len(QUERIES)}
    assert {record["text"] for record in records(tmp_path / "run") if record["candidate"] == "far"} == {"yes"}


def test_a_candidate_that_fails_for_good_is_skipped_and_its_holes_are_filled_later(fleet_copy, server, tmp_path):
    recovery, requests, answered = threading.Event(), Counter(), {query.text for query in QUERIES[:8]}

    def weak(query: str) -> str:
        requests[query] += 1
        if query not in answered and not recovery.is_set():
            raise ConnectionResetError
        return "yes"

    server.replies["weak"] = weak
    fleet = endpoint_fleet.save(fleet_copy, server.url, {"weak": "weak", "b": "b"}, rest_seconds=0.05)
    notes: list[str] = []
    problems = collected(tmp_path / "run", fleet, Collecting(allow_missing=True, tell=notes.append))
    assert list(problems) == ["weak"]
    assert "the connection broke" in problems["weak"].reason
    assert notes[-1].endswith("The next attempt is in 0.1 s.")
    assert counts(tmp_path / "run") == {"weak": 8, "b": len(QUERIES)}
    recovery.set()
    assert collected(tmp_path / "run", fleet, Collecting(allow_missing=True)) == {}
    assert {requests[text] for text in answered} == {1}
    assert counts(tmp_path / "run") == {"weak": len(QUERIES), "b": len(QUERIES)}


def test_without_allow_missing_the_others_finish_before_the_message(fleet_copy, server, tmp_path):
    fleet = endpoint_fleet.save(fleet_copy, server.url, {"x": "http-503", "b": "b"})
    with pytest.raises(WorkError, match=r"x at 127.0.0.1:\d+ failed: status 503"):
        collected(tmp_path / "run", fleet)
    assert counts(tmp_path / "run") == {"b": len(QUERIES)}


def test_a_candidate_that_cannot_be_loaded_is_skipped_too(fleet_copy, server, tmp_path):
    fleet = endpoint_fleet.save(fleet_copy, server.url, {"gone": "refused", "b": "b"})
    problems = collected(tmp_path / "run", fleet, Collecting(allow_missing=True))
    assert list(problems) == ["gone"]
    assert counts(tmp_path / "run") == {"b": len(QUERIES)}
    with pytest.raises(WorkError, match="no connection"):
        collected(tmp_path / "run", fleet)


def test_one_request_that_always_fails_does_not_end_the_others(fleet_copy, server, tmp_path):
    poison, requests = QUERIES[3].text, Counter()

    def choosy(query: str) -> str:
        requests[query] += 1
        if query == poison:
            raise ConnectionResetError
        return "yes"

    server.replies["choosy"] = choosy
    fleet = endpoint_fleet.save(fleet_copy, server.url, {"choosy": "choosy"}, rest_seconds=0.02)
    problems = collected(tmp_path / "run", fleet, Collecting(allow_missing=True))
    assert "the connection broke" in problems["choosy"].reason
    assert counts(tmp_path / "run") == {"choosy": len(QUERIES) - 1}
    assert (requests[poison], max(requests[query.text] for query in QUERIES if query.text != poison)) == (3, 1)


def priced(fleet: Path, dollars: float) -> Path:
    file = fleet / "fleet.toml"
    price = f"retries = 0\nusd_per_million_tokens = {dollars * 1e6}\n"
    file.write_text(file.read_text().replace("retries = 0\n", price))
    return fleet


def test_a_budget_is_never_passed_and_a_larger_one_goes_on(fleet_copy, server, tmp_path):
    """Each answer has two tokens at a dollar each, and may have four: of ten dollars four answers are sure."""
    server.replies = {name: lambda query: "yes yes" for name in "ab"}
    fleet = priced(endpoint_fleet.save(fleet_copy, server.url, {"a": "a", "b": "b"}), 1.0)
    with pytest.raises(WorkError, match=r"the budget of \$10 is used up") as raised:
        collected(tmp_path / "run", fleet, Collecting(budget_usd=10))
    steps = "Raise --budget-usd. Responses of b are missing too. Then continue"
    assert steps in str(raised.value)
    spent = sum(record["tokens"] for record in records(tmp_path / "run"))
    assert 6 < spent <= 10
    with pytest.raises(WorkError, match=r"the budget of \$10"):
        collected(tmp_path / "run", fleet, Collecting(budget_usd=10))  # what was spent before counts
    assert sum(record["tokens"] for record in records(tmp_path / "run")) == spent
    assert collected(tmp_path / "run", fleet, Collecting(budget_usd=100)) == {}
    assert counts(tmp_path / "run") == {"a": len(QUERIES), "b": len(QUERIES)}


def test_a_candidate_that_is_given_up_leaves_its_budget_to_the_others(fleet_copy, server, tmp_path, monkeypatch):
    """Its requests under way are dropped. What they might have cost is free again: b needs all of the 44 dollars."""
    monkeypatch.setattr(batches, "BATCH", 4)  # refusals after which a is given up
    server.replies = {"b": lambda query: "yes yes"}
    fleet = priced(endpoint_fleet.save(fleet_copy, server.url, {"a": "http-400", "b": "b"}), 1.0)
    ended: queue.Queue[dict] = queue.Queue()
    how = Collecting(allow_missing=True, budget_usd=44)
    threading.Thread(target=lambda: ended.put(collected(tmp_path / "run", fleet, how)), daemon=True).start()
    problems = ended.get(timeout=PATIENCE)
    assert list(problems) == ["a"]
    assert "status 400" in problems["a"].found
    assert counts(tmp_path / "run") == {"b": len(QUERIES)}


def test_a_budget_needs_prices(fleet_copy, server, tmp_path):
    fleet = endpoint_fleet.save(fleet_copy, server.url, {"a": "a"})
    with pytest.raises(ZooterError, match="no valid price of a"):
        collected(tmp_path / "run", fleet, Collecting(budget_usd=1))
    assert server.bodies == []


def test_a_candidate_whose_answers_are_empty_is_ended_by_name_and_they_earn_nothing(fleet_copy, server, tmp_path):
    numbers = range(0, 20, 3)
    server.replies["a"] = lambda query: "" if int(query.split()[2]) in numbers else f"a: {query}"
    fleet = endpoint_fleet.save(fleet_copy, server.url, {"a": "a", "b": "b"}, parallel=1)
    with pytest.raises(WorkError, match=r"5 of \d+ answers are empty or unfinished, the latest: an empty answer"):
        collected(tmp_path / "run", fleet)
    blank = [record for record in records(tmp_path / "run") if record["candidate"] == "a" and not record["text"]]
    assert len(blank) == 5
    assert {record["finish"] for record in blank} == {"refused"}
