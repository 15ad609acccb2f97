"""kill -9 while endpoints answer: what the server has logged is in the file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from support import endpoint_fleet
from support.patience import PATIENCE
from support.scripted_server import serving
from zooter_core.cli.main import main
from zooter_core.data.run_folder import RESPONSES

QUERIES = [f"What is {n} + {n}?" for n in range(60)]
ENOUGH = 45  # answers
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_answers_that_the_server_has_logged_survive_a_kill(fleet_copy, tmp_path):
    """Three models at different speeds, at work when the kill comes. Ended answers are there but for those of the last
    second; none comes twice."""
    log: list[tuple[str, str]] = []
    enough, killed = threading.Condition(), threading.Event()

    def reply(model: str, seconds: float):
        def answered(query: str) -> str:
            time.sleep(seconds)
            with enough:
                late = len(log) >= ENOUGH
            assert not late or killed.wait(PATIENCE)
            with enough:
                log.append((model, query))
                enough.notify_all()
            return f"{model}: {query}"

        return answered

    (tmp_path / "queries.txt").write_text("".join(query + "\n" for query in QUERIES))
    with serving() as server:
        server.replies = {name: reply(name, n * 0.01) for n, name in enumerate("abc", 1)}
        fleet = endpoint_fleet.save(fleet_copy, server.url, {name: name for name in "abc"})
        call = ["run", "--fleet", fleet, "--queries", tmp_path / "queries.txt", "--out", tmp_path / "run"]
        call = [*map(str, call), "--until", "collect"]
        paths = os.environ | {"PYTHONPATH": str(ROOT)}
        with subprocess.Popen(
            [sys.executable, "-m", "zooter_core.cli", *call], env=paths, stderr=subprocess.PIPE
        ) as child:
            with enough:
                assert enough.wait_for(lambda: len(log) >= ENOUGH, PATIENCE)
                logged = set(log)
            time.sleep(1)
            child.send_signal(signal.SIGKILL)
        killed.set()
        lines = (tmp_path / "run" / RESPONSES).read_text().splitlines()
        saved = {(record["candidate"], record["text"].partition(": ")[2]) for record in map(json.loads, lines)}
        assert logged <= saved
        assert len(saved) == len(lines)
        assert main(call) == 0
    lines = (tmp_path / "run" / RESPONSES).read_text().splitlines()
    assert Counter((r["candidate"], r["id"]) for r in map(json.loads, lines)).most_common(1)[0][1] == 1
    assert len(lines) == 3 * len(QUERIES)
    again = Counter(log)
    assert all(again[answer] == 1 for answer in saved), "nothing that was saved is paid for twice"
