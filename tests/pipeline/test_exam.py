"""The exam: candidates answer the starter set, a router learns from it, and the fleet uses it from then on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.process_limits import full_disk
from support.run_folders import content
from support.scripted_server import Scripted
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.base.records import Query
from zooter_core.config.edit import add_candidates, change_candidate, remove_candidate, set_table
from zooter_core.config.fleet import load_fleet
from zooter_core.evaluation import verdicts
from zooter_core.evaluation.figures import load_report
from zooter_core.evaluation.verified import check_verifiable
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.fleet.skills import starter_queries
from zooter_core.pipeline import exam

MATH = ("arithmetic", "word-problems", "algebra")


@pytest.fixture(scope="module")
def queries() -> list[Query]:
    return starter_queries()[:64]


@pytest.fixture
def servers(queries, scripted) -> Scripted:
    """`sums` knows the answers of mathematics and nothing else; `words` has a polite sentence for everything."""
    answers = {query.text: str((query.key or {}).get("answer", "")) for query in queries if query.dataset in MATH}

    def words(query: str) -> str:
        subject = " ".join(query.split()[-6:])
        return f"Here is what I think about {subject}: it depends, and I am glad that you asked me."

    scripted.models = ["sums", "words"]
    scripted.replies = {"sums": lambda query: answers.get(query) or "0", "words": words}
    return scripted


@pytest.fixture
def folder(servers, tmp_path) -> Path:
    keys = {"backend": "openai", "base_url": servers.url}
    add_candidates(tmp_path, [keys | {"name": name, "model": name} for name in servers.models])
    return tmp_path


def test_a_cost_says_what_it_leaves_out(tmp_path):
    hosted = {"name": "a", "backend": "openai", "model": "a", "base_url": "https://models.example/v1"}
    add_candidates(tmp_path, [hosted | {"usd_per_million_tokens": 10.0}])
    assert exam.describe_cost(load_fleet(tmp_path), 100) == "$0.12 without the prompts"
    judge = {key: value for key, value in hosted.items() if key != "name"}
    set_table(tmp_path, "reward", {"kind": "judge", "judge": judge})
    assert exam.describe_cost(load_fleet(tmp_path), 100) == "$0.12 without the prompts and the judges"
    add_candidates(tmp_path, [hosted | {"name": "b", "model": "b"}])
    assert exam.describe_cost(load_fleet(tmp_path), 100) == "at a cost that fleet.toml does not say"


def test_a_link_in_the_place_of_what_an_exam_writes_is_refused_before_anything_is_asked(
    folder, queries, servers, tmp_path_factory
):
    photos, run = tmp_path_factory.mktemp("photos"), exam.exam_folder(folder, True)
    (photos / "beach.jpg").write_text("mine")
    for name in (run.name, "router", "router.old", "report.json"):
        (folder / name).symlink_to(photos)
        with pytest.raises(ZooterError, match="a link to"):
            exam.sit(Ensemble(exam.prepare_fleet(folder)), run, queries)
        with pytest.raises(ZooterError, match="a link to"):
            exam.discard(run) if name == run.name else exam.install(folder, run)
        (folder / name).unlink()
    assert not servers.bodies
    assert [path.read_text() for path in photos.iterdir()] == ["mine"]


SKILLED = {"sums": {"writing": 0.9, "math": 0.1}, "words": {"writing": 0.1, "math": 0.9}}  # the wrong way round


@pytest.mark.slow
def test_an_exam_gives_the_fleet_a_router_that_beats_the_starting_one(folder, queries, servers):
    for name, levels in SKILLED.items():
        change_candidate(folder, name, {"skills": levels})
    ensemble, run = Ensemble(exam.prepare_fleet(folder)), exam.exam_folder(folder, True)
    assert "starting router" in ensemble.router.note
    assert exam.estimate_seconds(ensemble, len(queries)) > 0
    assert exam.describe_cost(ensemble.fleet, len(queries)) == ""  # of servers on this machine
    report, missing = exam.sit(ensemble, run, exam.answerable(queries))
    assert not missing
    assert report.verified is not None
    assert report.verified.right["sums"] > report.verified.right["words"]
    assert verdicts.of_report(report) is not None
    before = content(folder)
    with full_disk(1000), pytest.raises(WorkError, match="room to write"):
        exam.install(folder, run)
    assert content(folder) == before
    for _ in range(2):  # a second call comes to the same end
        assert exam.settle(folder, run, Ensemble(load_fleet(folder)))
        assert exam.is_installed(load_fleet(folder), run)
    rival = exam.load_rival(run)
    assert rival is not None
    assert (rival.against, rival.n, rival.significant) == (verdicts.STARTING, 64, True)
    assert rival.difference > 0
    trained = Ensemble(load_fleet(folder))
    assert trained.router.note == ""
    assert trained.route("What is 17 times 23?").candidate == "sums"
    assert trained.route("Write a poem about the sea").candidate == "words"
    assert trained.neighbours is not None  # with texts: they are the project's own
    before = len(servers.bodies)
    exam.sit(Ensemble(exam.prepare_fleet(folder)), run, exam.answerable(queries))
    exam.install(folder, run)
    with pytest.raises(ZooterError, match="began with other questions"):
        exam.sit(Ensemble(exam.prepare_fleet(folder)), run, exam.answerable(queries[:30]))
    assert len(servers.bodies) == before  # nothing is asked twice
    assert not (folder / "router.old").exists()  # the same router again is no new one
    (folder / "router" / "mine.txt").write_text("another router")
    exam.install(folder, run)
    assert (folder / "router.old" / "mine.txt").is_file()
    assert not (folder / "router" / "mine.txt").exists()


def sat(folder: Path, queries: list[Query]) -> Path:
    """The folder of an exam that has ended."""
    run = exam.exam_folder(folder, True)
    exam.sit(Ensemble(exam.prepare_fleet(folder)), run, exam.answerable(queries))
    return run


@pytest.mark.slow
def test_what_a_trained_router_has_learned_from_does_not_count(folder, queries):
    """The router of fleet.toml learned from the training queries: held-back ones are left, on which both are equal."""
    run = sat(folder, queries[:32])
    exam.install(folder, run)
    (folder / "router" / "mine.txt").write_text("another router")
    assert not exam.settle(folder, run, Ensemble(load_fleet(folder)))
    rival, held_back = exam.load_rival(run), load_report(run / "report.json").held_back
    assert rival is not None
    assert held_back is not None
    assert (rival.against, rival.n, rival.differing) == (verdicts.PRESENT, held_back.n, 0)
    assert (folder / "router" / "mine.txt").is_file()
    (folder / "router" / "config.json").write_text("{")  # a router that does not work is no rival
    assert exam.settle(folder, run, Ensemble(load_fleet(folder)))
    assert exam.load_rival(run) is None
    assert Ensemble(load_fleet(folder)).router.note == ""


def test_a_model_that_fails_leaves_the_others_a_router(folder, queries, servers, monkeypatch):
    monkeypatch.setenv("MODEL_API_KEY", "sk-of-nobody")
    keys = {"backend": "openai", "base_url": servers.url, "retries": 0, "api_key_env": "MODEL_API_KEY"}
    broken = ["http-404", "wrong-key", "no-template"]
    add_candidates(folder, [keys | {"name": model, "model": model} for model in broken])
    report, missing = exam.sit(Ensemble(exam.prepare_fleet(folder)), folder / "exam", exam.answerable(queries[:16]))
    assert list(missing) == broken
    assert "sk-of-nobody" not in str(missing)
    assert set(report.candidates["all"].mean_reward) >= {"sums", "words"}
    exam.install(folder, folder / "exam")
    assert Ensemble(load_fleet(folder)).router.note == ""


def test_where_all_models_but_one_fail_the_cause_is_named(folder, queries, servers):
    add_candidates(folder, [{"backend": "openai", "base_url": servers.url, "name": "broken", "model": "http-404"}])
    remove_candidate(folder, "sums")
    with pytest.raises(WorkError, match=r"broken at .* failed: status 404"):
        exam.sit(Ensemble(exam.prepare_fleet(folder)), folder / "exam", exam.answerable(queries[:4]))


def test_changes_to_the_fleet_by_hand_during_an_exam_stay(folder, queries):
    def edit_once(step: str, done: int, total: int) -> None:
        text = (folder / "fleet.toml").read_text()
        if step == "score" and "by hand" not in text:
            text = text.replace('name = "words"', 'name = "talker"  # renamed by hand')
            text = text.replace("\n[[candidate]]", "\n[generation]\nseed = 4\n\n[[candidate]]", 1)
            (folder / "fleet.toml").write_text(text)
            late = {"name": "late", "backend": "openai", "model": "a", "base_url": "http://[::1]:1/v1"}
            add_candidates(folder, [late])

    exam.sit(Ensemble(exam.prepare_fleet(folder)), folder / "exam", exam.answerable(queries[:16]), edit_once)
    exam.install(folder, folder / "exam")
    ensemble = Ensemble(load_fleet(folder))
    assert ensemble.fleet.pool == ("sums", "talker", "late")
    assert ensemble.fleet.generation.seed == 4
    assert "# renamed by hand" in (folder / "fleet.toml").read_text()
    assert set(ensemble.route("What is 17 times 23?").probabilities) == {"sums", "talker", "late"}


def test_one_model_is_no_exam_and_the_embedded_fleet_stays_as_it_is(tmp_path):
    with pytest.raises(ZooterError, match="zooter init"):
        exam.prepare_fleet(EMBEDDED_FLEET)
    add_candidates(tmp_path, [{"name": "a", "backend": "openai", "model": "a", "base_url": "http://localhost:1/v1"}])
    with pytest.raises(ZooterError, match="two candidates"):
        exam.prepare_fleet(tmp_path)


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


def test_without_the_extra_verify_the_other_keys_are_checked(monkeypatch):
    for name in ("regex", "py3langid", "jsonschema_specifications"):
        monkeypatch.setitem(sys.modules, name, None)
    notes: list[str] = []
    checked = exam.answerable([query for query in starter_queries() if "tests" not in (query.key or {})], notes.append)
    check_verifiable(query.key for query in checked if query.key)
    forms = {form for query in checked if query.key for form in query.key.get("answer", ())}
    assert forms == {"number", "text", "choice", "choices"}
    assert len(notes) == 3
