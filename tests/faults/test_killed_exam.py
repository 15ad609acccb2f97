"""kill -9 and Ctrl-C in an exam: the same command goes on, and what was answered is not asked again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.scripted_server import Scripted, serving
from zooter_core.config.edit import add_candidates
from zooter_core.config.fleet import load_fleet
from zooter_core.data.run_folder import RESPONSES

INTERRUPTED, KILLED, DONE = "ended 130", "killed 9", "ended 0"
DEATHS = [  # one after the other, each where the one before had left off; test_killed.py kills a run in every step
    ("collect:9:2", INTERRUPTED),  # 2 is SIGINT, as Ctrl-C sends it
    ("install:1", KILLED),  # before the router is in the fleet's folder
]
OVER_ANOTHER = [  # with another router in its place
    ("install:1", KILLED),  # before the old one is copied
    ("install:2", KILLED),  # before the old one leaves
    ("install:4", KILLED),  # when it has left; the copy was made anew
    ("install:2", KILLED),  # before the report is there
]
QUERIES, PARALLEL = 16, 2  # of an exam in support.killed_commands; of requests to a model at a time


@pytest.fixture
def server() -> Iterator[Scripted]:
    with serving() as scripted:
        scripted.models = ["one", "two"]
        scripted.replies = {"one": lambda query: "It depends.", "two": lambda query: f"About {query[:20]}: 42."}
        yield scripted


@pytest.fixture
def folder(server: Scripted, tmp_path: Path) -> Path:
    keys = {"backend": "openai", "base_url": server.url, "parallel": PARALLEL}
    add_candidates(tmp_path / "mine", [keys | {"name": name, "model": name} for name in server.models])
    return tmp_path / "mine"


def ended(programs: Path, *calls: list[str]) -> list[str]:
    """How each call ended, one after the other. A call begins with its death, if it has one."""
    command = [programs / "killed_commands", *("\t".join(call) for call in calls)]
    child = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line for line in child.stdout.splitlines() if line.startswith(("killed ", "ended "))]
    assert len(lines) == len(calls), child.stderr
    return lines


def test_an_exam_goes_on_after_every_death(folder: Path, server: Scripted, programs: Path) -> None:
    exam = ["exam", "--quick", "--use", "anyway", "--fleet", str(folder)]
    route = ["route", "What is 2 + 2?", "--json", "--fleet", str(folder)]
    calls = [[death, *exam] for death, _ in DEATHS]
    assert ended(programs, *calls, route, exam) == [*(end for _, end in DEATHS), DONE, DONE]
    lines = (folder / "exam-quick" / RESPONSES).read_text().splitlines()
    assert len({(record["candidate"], record["id"]) for record in map(json.loads, lines)}) == len(lines) == 2 * QUERIES
    under_way = 2 * PARALLEL  # at the death of the step collect
    assert len(server.bodies) <= 2 * QUERIES + under_way + 2  # and one answer each for the estimate
    old = load_fleet(folder)
    assert old.router is not None

    (folder / "router" / "mine").write_text("another router")
    before = len(server.bodies)
    calls = [[death, *exam] for death, _ in OVER_ANOTHER]
    assert ended(programs, *calls, exam) == [*(end for _, end in OVER_ANOTHER), DONE]
    assert load_fleet(folder) == old
    assert (folder / "router.old" / "mine").is_file()
    assert not (folder / "router" / "mine").exists()
    assert [path.name for path in folder.iterdir() if ".partial-" in path.name] == []
    assert len(server.bodies) == before
