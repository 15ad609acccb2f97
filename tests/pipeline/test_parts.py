"""Parts of a run that workers elsewhere collect, and shards of it that other machines collect and `merge` joins."""

from __future__ import annotations

import json
import re
import shutil
import threading
from functools import partial
from pathlib import Path

import pytest
from filelock import AcquireReturnProxy

from support.run_folders import content, texts
from zooter_core import pipeline
from zooter_core.base import files
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Query
from zooter_core.base.strict_json import dump_json
from zooter_core.cli.main import main
from zooter_core.config.fleet import GenerationConfig, load_fleet
from zooter_core.data.run_folder import LABELS, PARTS, RESPONSES, Shard
from zooter_core.data.run_lines import response_check
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method.labels import LabelConfig
from zooter_core.pipeline import batches, parts
from zooter_core.pipeline.collect import Collecting
from zooter_core.pipeline.parts import merge


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


SHORT = GenerationConfig(max_new_tokens=4, temperature=0.7)  # sampled: a batch that were divided would show
QUERIES = [Query(f"q{n:02}", f"What is {n} + {n}?") for n in range(30)]
COUNT = 3


def shard(folder: Path, fleet: Path, number: int, queries=QUERIES, count: int = COUNT, generation=SHORT) -> Path:
    ensemble = Ensemble(load_fleet(fleet))
    with Run(folder, create=True) as run:
        pipeline.start(run, ensemble, queries)
        how = Collecting(shard=Shard(number, count)) if count else Collecting()
        pipeline.collect(run, ensemble, generation, how=how)
    return folder


@pytest.fixture(scope="module")
def mixed_fleet(tiny_fleet, tmp_path_factory) -> Path:
    """Two models in memory and a recorded one, whose queries are divided in another way."""
    fleet = Path(shutil.copytree(tiny_fleet, tmp_path_factory.mktemp("mixed") / "fleet"))
    lines = [{"id": q.id, "query": q.text, "scores": {"old": 1}, "responses": {"old": f"{q.id}!"}} for q in QUERIES]
    (fleet / "old.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = (fleet / "fleet.toml").read_text()
    (fleet / "fleet.toml").write_text(
        text + '\n[[candidate]]\nname = "old"\nbackend = "recorded"\nmodel = "old.jsonl"\n'
    )
    return fleet


@pytest.fixture(scope="module")
def shards(mixed_fleet, tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("shards")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "BATCH", 4)
        return [shard(folder / str(n), mixed_fleet, n) for n in range(1, COUNT + 1)]


def merged(shards: list[Path], out: Path) -> None:
    with Run(out, create=True) as run:
        merge(run, shards)


def refusal(shards: list[Path], out: Path) -> str:
    with pytest.raises(ZooterError) as raised:
        merged(shards, out)
    assert not out.exists()
    return str(raised.value)


def test_every_query_is_in_one_shard():
    for count in (1, 2, 16):
        shards = [Shard.of(query.id, count) for query in QUERIES]
        assert all(1 <= shard.number <= shard.count == count for shard in shards)
    assert {Shard.of(query.id, 2).number for query in QUERIES} == {1, 2}


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/3/5", "-1/3", "", "01/3"])
def test_no_shard(text):
    with pytest.raises(ZooterError, match="--shard as I/N"):
        Shard.parse(text)


def test_shards_together_are_the_run_that_one_process_makes(shards, mixed_fleet, tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "BATCH", 4)
    sizes = [(folder / RESPONSES).read_bytes().count(b"\n") for folder in shards]
    assert max(sizes) < sum(sizes) == 4 * len(QUERIES)
    merged(list(reversed(shards)), tmp_path / "merged")
    shard(tmp_path / "alone", mixed_fleet, 0, count=0)
    ensemble = Ensemble(load_fleet(mixed_fleet))
    for name in ("merged", "alone"):
        with Run(tmp_path / name) as run:
            pipeline.score(run, ensemble)
            pipeline.tag(run, ensemble)
            pipeline.label(run, LabelConfig())
    one, other = (content(tmp_path / name) for name in ("merged", "alone"))
    assert set(one) == set(other)
    assert all(one[name] == other[name] for name in set(one) - {RESPONSES, "run.json"})
    assert LABELS in one
    assert json.loads(one["run.json"])["steps"] == json.loads(other["run.json"])["steps"]
    assert texts(tmp_path / "merged") == texts(tmp_path / "alone")


def test_a_merge_that_was_killed_goes_on(shards, tmp_path):
    merged(shards, tmp_path / "whole")
    merged(shards, tmp_path / "out")
    file, state = tmp_path / "out" / RESPONSES, tmp_path / "out" / "run.json"
    file.write_bytes(file.read_bytes()[:-700])
    run_state = json.loads(state.read_text())
    del run_state["seals"]["collect"]
    state.write_text(json.dumps(run_state))
    merged(shards, tmp_path / "out")
    assert file.read_bytes() == (tmp_path / "whole" / RESPONSES).read_bytes()


def test_a_shard_is_missing_or_there_twice(shards, tmp_path):
    assert "no folder of 2/3" in refusal([shards[0], shards[2]], tmp_path / "out")
    assert "no folder of 3/3" in refusal(shards[:2], tmp_path / "out")
    assert "twice or more" in refusal([*shards, shards[1]], tmp_path / "out")
    copy = Path(shutil.copytree(shards[1], tmp_path / "copy"))
    assert f"both {shards[1]} and {copy} are 2/3" in refusal([*shards, copy], tmp_path / "out")


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(batches, "BATCH", 4)


@pytest.mark.usefixtures("small")
def test_a_shard_of_another_run_is_named(shards, mixed_fleet, tmp_path):
    other = shard(tmp_path / "other", mixed_fleet, 3, queries=QUERIES[:20])
    message = refusal([*shards[:2], other], tmp_path / "out")
    assert re.search(rf"found queries = 20 in {other}", message)
    colder = shard(tmp_path / "colder", mixed_fleet, 3, generation=GenerationConfig(max_new_tokens=4, temperature=0.1))
    assert f"temperature = 0.1 in {colder}" in refusal([*shards[:2], colder], tmp_path / "out")
    of_four = shard(tmp_path / "of_four", mixed_fleet, 3, count=4)
    assert f"shard = I/4 in {of_four}" in refusal([*shards[:2], of_four], tmp_path / "out")
    unsharded = shard(tmp_path / "whole", mixed_fleet, 0, count=0)
    assert "was not collected in shards" in refusal([*shards[:2], unsharded], tmp_path / "out")


def test_a_shard_that_is_not_finished_is_named(shards, tmp_path):
    copy = Path(shutil.copytree(shards[2], tmp_path / "copy"))
    state = json.loads((copy / "run.json").read_text())
    del state["seals"]["collect"]
    (copy / "run.json").write_text(json.dumps(state))
    message = refusal([*shards[:2], copy], tmp_path / "out")
    assert "3/3 lacks responses" in message
    assert "zooter collect --shard 3/3" in message


@pytest.mark.usefixtures("small")
def test_a_shard_is_not_scored_alone_and_keeps_its_number(shards, mixed_fleet):
    ensemble = Ensemble(load_fleet(mixed_fleet))
    with Run(shards[0]) as run:
        with pytest.raises(ZooterError, match="only the shard 1/3"):
            pipeline.score(run, ensemble)
        with pytest.raises(ZooterError, match=r"shard = \"1/3\", but now shard = \"2/3\""):
            pipeline.collect(run, ensemble, SHORT, how=Collecting(shard=Shard(2, 3)))


def test_the_commands(mixed_fleet, tmp_path, capsys):
    (tmp_path / "queries.txt").write_text("".join(query.text + "\n" for query in QUERIES))
    call = ["collect", "--fleet", str(mixed_fleet), "--queries", str(tmp_path / "queries.txt"), "--max-new-tokens", "2"]
    for number in (1, 2):
        assert main([*call, "--shard", f"{number}/2", "--run", str(tmp_path / str(number))]) == 0
    assert main(["merge", str(tmp_path / "1"), str(tmp_path / "2"), "--out", str(tmp_path / "out")]) == 0
    assert "merge: 120 of 120" in capsys.readouterr().err
    assert main([*call, "--run", str(tmp_path / "out")]) == 0  # it has everything
    assert main([*call, "--shard", "3/2", "--run", str(tmp_path / "3")]) == 2
