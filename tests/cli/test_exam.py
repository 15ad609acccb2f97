"""`zooter exam`: what it says before, while and after it works, and that a wrong call does nothing."""

from __future__ import annotations

import pytest

from support.endpoint_fleet import NOWHERE
from zooter_core.config.edit import add_candidates
from zooter_core.config.fleet import load_fleet
from zooter_core.evaluation.figures import load_report
from zooter_core.fleet import skills


@pytest.fixture
def server(scripted):
    """`one` knows the answers of mathematics and nothing else; `two` has a polite sentence for everything."""
    sums = [query for query in skills.starter_queries() if query.dataset in ("arithmetic", "word-problems", "algebra")]
    answers = {query.text: str((query.key or {}).get("answer", "")) for query in sums}
    polite = "Here is what I think about {}: it depends, and I am glad that you asked me."
    scripted.replies = {"one": lambda query: answers.get(query) or "0", "two": lambda query: polite.format(query[-30:])}
    return scripted


@pytest.fixture
def folder(server, tmp_path, monkeypatch):
    first = skills.starter_queries()[:64]
    monkeypatch.setattr(skills, "starter_queries", lambda quick=False: first)
    keys = {"backend": "openai", "base_url": server.url}
    add_candidates(tmp_path / "mine", [keys | {"name": name, "model": name} for name in server.replies])
    return tmp_path / "mine"


@pytest.mark.slow
def test_an_exam_from_start_to_router(zooter, folder, server):
    code, out, err = zooter("exam", "--quick", fleet=folder)
    assert code == 0
    assert "128 answers, about" in err
    assert "right responses, by the answer keys of" in out
    assert "now uses the new router" in out
    fleet = load_fleet(folder)
    assert fleet.router is not None
    assert (folder / "report.json").is_file()
    server.replies["three"] = lambda query: "Three."
    add_candidates(folder, [{"backend": "openai", "base_url": server.url, "name": "three", "model": "three"}])
    before = server.count("one")
    code, _, err = zooter("exam", "--quick", fleet=folder)
    assert code == 0
    assert "64 answers of three; the other answers are kept" in err
    assert (server.count("one"), load_fleet(folder).pool) == (before, ("one", "two", "three"))


@pytest.mark.slow
def test_what_thinking_earns_is_said_and_a_model_without_answers_has_no_share_of_right_ones(zooter, folder, server):
    keys = {"backend": "openai", "base_url": server.url}
    gone = {"name": "gone", "backend": "openai", "model": "a", "base_url": NOWHERE}
    add_candidates(folder, [keys | {"name": "deep", "model": "llama.cpp 30", "thinking": True}, gone])
    code, out, _ = zooter("exam", "--quick", fleet=folder)
    assert code == 0
    (line,) = [line for line in out.splitlines() if line.startswith("deep, which thinks, earned")]
    assert "more tokens" in line
    assert "64 queries" in line
    assert load_report(folder / "exam-quick" / "report.json").thinking[0].thinker == "deep"
    (line,) = [line for line in out.splitlines() if line.startswith("right responses")]
    assert "gone" not in line
    assert ": one " in line


@pytest.mark.slow
def test_a_router_that_is_not_better_is_not_used_unless_somebody_says_so(zooter, folder, server, monkeypatch):
    first = skills.starter_queries()[:16]
    monkeypatch.setattr(skills, "starter_queries", lambda quick=False: first)
    server.replies["one"] = server.replies["two"]  # there is nothing to learn
    code, out, _ = zooter("exam", "--quick", fleet=folder)
    assert code == 0
    assert "so the starting router stays." in out
    assert f"For a more precise comparison:  zooter exam --fleet {folder}" in out
    assert f"To use the new router anyway:  zooter exam --quick --use anyway --fleet {folder}" in out
    assert (load_fleet(folder).router, (folder / "router").exists()) == (None, False)
    code, out, err = zooter("exam", "--quick", "--use", "anyway", fleet=folder)
    assert (code, load_fleet(folder).router is not None) == (0, True)
    assert "now uses the new router" in out
    assert "answers, about" not in err  # they are all there
