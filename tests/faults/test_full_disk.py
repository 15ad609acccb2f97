"""A disk that takes no more: one message, nothing lost, and the same command goes on when there is room again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from support.process_limits import full_disk
from support.run_folders import FILES, content, same_end, unfinish
from zooter_core.base.errors import WorkError
from zooter_core.base.files import writing
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import LoggedDecision
from zooter_core.router.encoder import Encoder


@pytest.mark.parametrize("step", FILES)
def test_a_step_goes_on_when_there_is_room_again(called, run_copy, finished_run, step_of, step):
    before = unfinish(run_copy, step, 0.3)
    file = run_copy / FILES[step]
    size = len((finished_run / FILES[step]).read_bytes()) * 9 // 10
    assert size > (run_copy / "run.json").stat().st_size, "it is not this file that is to be full"
    with full_disk(size):
        code, message = called(*step_of(step, run_copy))
    assert code == 1
    assert f"room to write {file}" in message
    assert "Free some space and start again" in message
    assert file.read_bytes().startswith(before)
    kept_bytes = len(before) if step == "label" else size  # labels are written all or none
    assert len(file.read_bytes()) == kept_bytes, "nothing more was written"
    for later in [*FILES, "distill"][list(FILES).index(step) :]:
        assert called(*step_of(later, run_copy))[0] == 0
    assert same_end(run_copy, finished_run)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a thousand kilobytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1000k", "tmpfs", str(place)]
    try:
        ended = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if ended.returncode:
        pytest.skip(f"no disk can be mounted here: {ended.stderr.strip()}")
    yield place
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


def test_a_deletion_without_room_says_so_and_is_complete_once_there_is_room(called, small_disk):
    place, forget = small_disk, ("learn", "forget", "--user", "a", "--data")
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
