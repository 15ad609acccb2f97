"""The exam: candidates answer the starter set, a router learns from it, and the fleet uses it from then on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.scripted_server import Scripted, serving
from zooter_core.base.errors import ZooterError
from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.base.records import Query
from zooter_core.config.edit import add_candidates
from zooter_core.config.fleet import load_fleet
from zooter_core.evaluation import verdicts
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.fleet.skills import starter_queries
from zooter_core.pipeline import exam

MATH = ("arithmetic", "word-problems", "algebra")


@pytest.fixture(scope="module")
def queries() -> list[Query]:
    return starter_queries()[:64]


@pytest.fixture
def servers(queries) -> Iterator[Scripted]:
    """`sums` knows the answers of mathematics and nothing else; `words` has a polite sentence for everything."""
    answers = {query.text: str((query.key or {}).get("answer", "")) for query in queries if query.dataset in MATH}

    def words(query: str) -> str:
        return (
            f"Here is what I think about {' '.join(query.split()[-6:])}: it depends, and I am glad that you asked me."
        )

    with serving() as server:
        server.models = ["sums", "words"]
        server.replies = {"sums": lambda query: answers.get(query) or "0", "words": words}
        yield server


@pytest.fixture
def folder(servers, tmp_path) -> Path:
    keys = {"backend": "openai", "base_url": servers.url}
    add_candidates(tmp_path, [keys | {"name": name, "model": name} for name in servers.models])
    return tmp_path


def test_an_exam_gives_the_fleet_a_router(folder, queries, servers):
    ensemble = Ensemble(exam.prepared(folder))
    assert "starting router" in ensemble.router.note
    report, missing = exam.sit(ensemble, exam.folder_of(folder, True), exam.answerable(queries))
    assert not missing
    assert report.verified is not None
    assert report.verified.right["sums"] > report.verified.right["words"]
    assert verdicts.of_report(report) is not None
    exam.install(folder, exam.folder_of(folder, True))
    trained = Ensemble(load_fleet(folder))
    assert trained.router.note == ""
    assert trained.route("What is 17 times 23?").candidate == "sums"
    assert trained.route("Write a poem about the sea").candidate == "words"
    assert trained.neighbours is not None  # with texts: they are the project's own
    before = len(servers.bodies)
    exam.sit(Ensemble(exam.prepared(folder)), exam.folder_of(folder, True), exam.answerable(queries))
    exam.install(folder, exam.folder_of(folder, True))
    assert len(servers.bodies) == before  # nothing is asked twice
    assert (folder / "router.old").is_dir()


def test_a_stop_loses_nothing(folder, queries, servers):
    ensemble, run = Ensemble(exam.prepared(folder)), exam.folder_of(folder, True)

    def stop(step: str, done: int, total: int) -> None:
        if step == "collect" and done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exam.sit(ensemble, run, queries[:24], stop)
    requests = len(servers.bodies)
    exam.sit(Ensemble(exam.prepared(folder)), run, queries[:24])
    assert len(servers.bodies) - requests <= 48 - 15
    with pytest.raises(ZooterError, match="--restart"):
        exam.sit(Ensemble(exam.prepared(folder)), run, queries[:30])


def test_a_model_that_fails_leaves_the_others_a_router(folder, queries, servers):
    keys = {"backend": "openai", "base_url": servers.url, "name": "broken", "model": "http-404", "retries": 0}
    add_candidates(folder, [keys])
    report, missing = exam.sit(Ensemble(exam.prepared(folder)), folder / "exam", exam.answerable(queries))
    assert list(missing) == ["broken"]
    assert report.candidates["all"].mean_reward["sums"] == report.candidates["all"].mean_reward["sums"]


def test_the_embedded_fleet_stays_as_it_is():
    with pytest.raises(ZooterError, match="zooter init"):
        exam.prepared(EMBEDDED_FLEET)


def test_one_model_is_no_exam(tmp_path):
    add_candidates(tmp_path, [{"name": "a", "backend": "openai", "model": "a", "base_url": "http://localhost:1/v1"}])
    with pytest.raises(ZooterError, match="two candidates"):
        exam.prepared(tmp_path)


def test_the_estimate_counts_answers_and_dollars(folder, queries):
    ensemble = Ensemble(exam.prepared(folder))
    cost = exam.estimate(ensemble, queries, ensemble.fleet.generation)
    assert (cost.answers, cost.dollars) == (128, 0)  # of servers on this machine
    assert cost.seconds > 0


def test_keys_that_nothing_can_check_are_left_out(queries, monkeypatch):
    def no_sandbox(keys: object) -> None:
        if any("tests" in key for key in keys):  # type: ignore[attr-defined]
            raise ZooterError("a sandbox", "none", "Install bubblewrap.")

    monkeypatch.setattr(exam, "check_verifiable", no_sandbox)
    notes: list[str] = []
    checked = exam.answerable(queries, notes.append)
    assert len(checked) == len(queries)
    assert not [query for query in checked if "tests" in (query.key or {})]
    assert [query for query in checked if query.key]
    assert len(notes) == 1
    assert "bubblewrap" in notes[0]


def test_two_exams_at_once_are_refused(folder, queries):
    ensemble, run = Ensemble(exam.prepared(folder)), folder / "exam"
    entered, leave = threading.Event(), threading.Event()

    def wait(step: str, done: int, total: int) -> None:
        entered.set()
        leave.wait(30)

    thread = threading.Thread(target=exam.sit, args=(ensemble, run, queries[:24], wait))
    thread.start()
    assert entered.wait(30)
    try:
        with pytest.raises(ZooterError, match="another process"):
            exam.sit(Ensemble(exam.prepared(folder)), run, queries[:24])
    finally:
        leave.set()
        thread.join()
