"""Parts of a run that workers elsewhere collect."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from zooter_core import pipeline
from zooter_core.base import files
from zooter_core.base.strict_json import dump_json
from zooter_core.config.fleet import GenerationConfig
from zooter_core.data.run_folder import PARTS, RESPONSES, Shard
from zooter_core.data.run_lines import response_check
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline import parts


def line(query: str) -> str:
    response = {"id": query, "candidate": "one", "sample": 0, "text": "Yes.", "tokens": 2, "finish": "stop"}
    return dump_json(response) + "\n"


def test_a_worker_that_ends_while_its_part_is_taken_over_loses_nothing(tmp_path, ensemble, queries, monkeypatch):
    """The worker of a driver that was killed renames its file when it ends, and a reader may have listed it before."""
    waiting = threading.Event()
    monkeypatch.setattr(parts, "time", _Clock(waiting))
    with Run(tmp_path / "run", create=True) as run:
        pipeline.start(run, ensemble, queries)
        ids = [query.id for query in queries][:2]
        place = run.folder / PARTS
        files.private_folder(place)
        begun = place / f"1-1-of-1{parts.OPEN}"
        begun.write_text(line(ids[0]))
        at_work = threading.Event()

        def worker() -> None:
            lock = files.locked(place / f"1-1-of-1{parts.LOCK}", "the part")
            at_work.set()
            waiting.wait(10)
            with begun.open("a") as out:
                out.write(line(ids[1]))
            begun.replace(place / f"1-1-of-1{parts.CLOSED}")
            lock.release()

        thread = threading.Thread(target=worker)
        thread.start()
        assert at_work.wait(10)
        parts.take_over_parts(run, set(ids), response_check(ensemble.fleet.pool, 1))
        thread.join()
        assert [record["id"] for record in run.records(RESPONSES)] == ids
        assert not place.exists()


def test_a_worker_that_is_killed_when_its_part_has_ended_repeats_nothing(tmp_path, ensemble, queries, monkeypatch):
    """Its driver has not heard of the end, so another worker is to collect the part."""
    part = parts.Part("one", 1, Shard(1, 1), (), works=False)
    generation = GenerationConfig(max_new_tokens=2)
    collect = partial(parts.collect_part, ensemble, part, tmp_path, queries[:3], generation, 1)
    assert collect() is None
    file = tmp_path / "parts" / f"{part.name}.jsonl"
    first = file.read_text()
    monkeypatch.setattr(Ensemble, "run_candidate", lambda *arguments: pytest.fail("an answer is asked for again"))
    assert collect() is None
    assert file.read_text() == first
    assert len(list(parts.take_lines(tmp_path, part))) == 3
    assert not file.exists()


class _Clock:
    """The time, which tells that somebody waits."""

    def __init__(self, waiting: threading.Event) -> None:
        self.waiting = waiting

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self.waiting.set()
        threading.Event().wait(0.01)
