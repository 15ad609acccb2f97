from __future__ import annotations

import gzip

import pytest

from zooter_core.disk import written_whole
from zooter_core.errors import ZooterError


@pytest.mark.parametrize("name", ["out.jsonl", "new/folder/out.jsonl.gz"])
def test_a_file_is_there_at_the_end(tmp_path, name):
    path = tmp_path / name
    with written_whole(path) as file:
        file.write("☕\n")
        assert not path.exists()
    assert (gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()) == "☕\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_the_same_lines_are_the_same_bytes(tmp_path):
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        with written_whole(tmp_path / name) as file:
            file.write("line\n" * 100)
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()


@pytest.mark.parametrize("ended", [KeyboardInterrupt, ValueError, ZooterError("a", "b", "c")])
@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_what_ends_midway_leaves_what_was_there(tmp_path, ended, name):
    path = tmp_path / name
    path.write_text("before")

    def work():
        with written_whole(path) as file:
            file.write("half")
            raise ended

    with pytest.raises((KeyboardInterrupt, ValueError, ZooterError)):
        work()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["folder.jsonl", "file/out.jsonl"])
def test_a_place_that_cannot_be_written(tmp_path, name):
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ZooterError, match="a place to write"), written_whole(tmp_path / name):
        pytest.fail("it began")
    assert len(list(tmp_path.iterdir())) == 2
