"""Parts of a run that workers collect."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import pytest
from filelock import AcquireReturnProxy

from zooter_core import pipeline
from zooter_core.base import files
from zooter_core.base.errors import ZooterError
from zooter_core.base.strict_json import dump_json
from zooter_core.config.fleet import GenerationConfig
from zooter_core.data.run_folder import PARTS, RESPONSES
from zooter_core.data.run_lines import response_check
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline import parts


def line(query: str) -> str:
    response = {"id": query, "candidate": "one", "sample": 0, "text": "Yes.", "tokens": 2, "finish": "stop"}
    return dump_json(response) + "\n"


def test_a_worker_that_ends_while_its_part_is_taken_over_loses_nothing(tmp_path, ensemble, queries, monkeypatch):
    """The worker of a driver that was killed renames its file when it ends, and a reader may have listed it before."""
    waiting, lock_of = threading.Event(), parts._lock

    def waited(path: Path) -> AcquireReturnProxy:
        threading.Timer(0.2, waiting.set).start()  # the worker ends while this waits for its lock
        return lock_of(path)

    monkeypatch.setattr(parts, "_lock", waited)
    with Run(tmp_path / "run", create=True) as run:
        pipeline.start(run, ensemble, queries)
        ids = [query.id for query in queries][:2]
        place = run.folder / PARTS
        files.private_folder(place)
        begun = place / f"1-1-of-1{parts.OPEN}"
        begun.write_text(line(ids[0]))
        at_work = threading.Event()

        def worker() -> None:
            lock = files.locked(place / f"1-1-of-1{parts.LOCK}", "the part").lock
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
    part = parts.Part("one", 1, 0, 1, (), works=False)
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


def test_a_shard_of_version_0_2_is_refused_and_the_message_says_how_runs_are_divided_now(tmp_path, ensemble, queries):
    with Run(tmp_path / "run", create=True) as run:
        pipeline.start(run, ensemble, queries)
        run.begin("collect", {"samples": 1, "shard": "3/16"})
    with pytest.raises(ZooterError, match=r"only the shard 3/16 of a run\. .* is gone: .* `zooter run --engine ray`"):
        Run(tmp_path / "run")
