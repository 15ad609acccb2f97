"""A disk that takes no more: one message, nothing lost, and the same command goes on when there is room again."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from support.process_limits import full_disk
from support.run_folders import FILES, content, same_end, unfinish
from support.stored_vectors import stored_vectors
from zooter_core.base.errors import WorkError
from zooter_core.base.files import writing
from zooter_core.labelling.rewards.scoring import ScoreCache
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import LoggedDecision
from zooter_core.router.encoder import Encoder
from zooter_core.ui.history import Entry, History


def refused(called, size: int, place: Path, *call: object) -> None:
    """A call that the disk ends, with one message that names what could not be written."""
    with full_disk(size):
        code, message = called(*call)
    assert code == 1
    assert f"room to write {place}" in message
    assert "Free some space and start again" in message


@pytest.mark.parametrize("step", FILES)
def test_a_step_goes_on_when_there_is_room_again(called, run_copy, finished_run, step_of, step):
    before = unfinish(run_copy, step, 0.3)
    file = run_copy / FILES[step]
    size = len((finished_run / FILES[step]).read_bytes()) * 9 // 10
    assert size > (run_copy / "run.json").stat().st_size, "it is not this file that is to be full"
    refused(called, size, file, *step_of(step, run_copy))
    assert file.read_bytes().startswith(before)
    kept_bytes = len(before) if step == "label" else size  # labels are written all or none
    assert len(file.read_bytes()) == kept_bytes, "nothing more was written"
    for later in [*FILES, "distill"][list(FILES).index(step) :]:
        assert called(*step_of(later, run_copy))[0] == 0
    assert same_end(run_copy, finished_run)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A disk of so many kilobytes, which grows when it is asked for again."""
    place = tmp_path / "disk"
    place.mkdir()

    def sized(kilobytes: int) -> Path:
        again = "remount," if place.is_mount() else ""
        mount = ["mount", "-t", "tmpfs", "-o", f"{again}size={kilobytes}k", "tmpfs", str(place)]
        try:
            ended = subprocess.run(mount, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("there is no mount here")
        if ended.returncode:
            pytest.skip(f"no disk can be mounted here: {ended.stderr.strip()}")
        return place

    yield sized
    if place.is_mount():
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("name", ["distill", "queries"])
def test_what_was_there_stays_until_the_new_is_whole(called, scores, tiny_fleet, tmp_path, name):
    """A folder, and a file."""
    place = tmp_path / ("out" if name == "distill" else "out.jsonl")
    encoder = tiny_fleet / "encoder"
    call = {
        "distill": ["--scores", scores, "--router-set", "epochs=2", "--encoder", encoder, "--out", place],
        "queries": ["--from", scores, "--limit", 30, "--out", place],
    }[name]
    assert called(name, *call)[0] == 0  # the old one
    before = content(tmp_path)
    largest = max(path.stat().st_size for path in [place, *place.rglob("*")] if path.is_file())
    with full_disk(largest - 1):
        code, message = called(name, *call)
    assert code == 1
    assert f"room to write {place}" in message
    assert content(tmp_path) == before
    assert called(name, *call)[0] == 0
    assert content(tmp_path) == before, "the same work gives the same bytes"


def test_the_libraries_written_in_rust_are_told_like_the_rest(tiny_encoder: Encoder, tmp_path):
    """Tokenizers and safetensors raise errors of their own, which no `except OSError` sees."""
    with full_disk(100), pytest.raises(WorkError, match="room to write"), writing(tmp_path):
        tiny_encoder.tokenizer.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ZeroDivisionError), writing(tmp_path):
        raise ZeroDivisionError


def test_the_caches_are_done_without(tiny_fleet, tmp_path, monkeypatch):
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path))
    encoder, cache, rewards = Encoder(str(tiny_fleet / "encoder")), ScoreCache("model"), {("q", "r"): 0.5}
    with full_disk(1000):
        cache.put(rewards)
        assert cache.get(list(rewards)) == {}
        vectors = encoder.embed_all([f"query {n}" for n in range(20)])
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]
    cache.put(rewards)
    assert cache.get(list(rewards)) == rewards
    assert np.array_equal(encoder.embed_all([f"query {n}" for n in range(20)]), vectors)
    assert stored_vectors() == 20
    assert np.array_equal(encoder.embed_all([f"query {n}" for n in range(20)]), vectors)


def test_a_deletion_without_room_says_so_and_is_complete_once_there_is_room(called, small_disk):
    place, forget = small_disk(1000), ("learn", "forget", "--user", "a", "--data")
    with Traffic.open(place) as traffic:
        traffic.add(
            LoggedDecision(f"r{n}", 1.0, f"secret of {'ab'[n % 2]}. " * 200, user="ab"[n % 2]) for n in range(30)
        )
    with suppress(OSError), open(place / "filler", "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    code, message = called(*forget, place)
    assert code == 1
    assert "Free some space" in message
    (place / "filler").unlink()
    assert called(*forget, place)[0] == 0
    assert [path.name for path in place.iterdir() if b"secret of a." in path.read_bytes()] == []
    with Traffic.open(place) as traffic:
        assert [one.user for one in traffic.decisions()] == ["b"] * 15


def test_the_demos_history_on_a_disk_that_is_really_full(small_disk):
    """The file has room for some turns; then the disk is full, also for its journal, and later there is room again."""
    place = small_disk(300)
    history, entry, stored = History(place / "history.db"), Entry("a", "about a", "models/embedded", 0.0), 0
    while history.problem is None and stored < 1000:
        history.keep(entry, stored, {"query": "x" * 5000})
        stored += history.problem is None
    assert 5 < stored < 60
    assert "cannot be used" in str(history.problem)
    assert len(History(place / "history.db").turns("a")) == stored  # of another demo, on the full disk
    small_disk(2000)
    history.keep(entry, stored, {"query": "later"})
    assert history.problem is None
    assert [len(turn["query"]) for turn in history.turns("a")] == [5000] * stored + [5]
