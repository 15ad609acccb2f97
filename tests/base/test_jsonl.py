"""Append-only files of JSON lines: what is read back, and records that come one by one from several threads."""

from __future__ import annotations

import threading

import pytest

from support.patience import PATIENCE
from support.process_limits import full_disk
from zooter_core.base.errors import WorkError
from zooter_core.base.jsonl import Appender, read_records


def test_lines_of_several_threads_stay_whole(tmp_path):
    path, start = tmp_path / "lines.jsonl", threading.Barrier(4)
    with Appender(path) as out:

        def write(name: str) -> None:
            start.wait(PATIENCE)
            for number in range(50):
                out.append([{"name": name, "n": number, "text": name * 500}])

        threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    records = list(read_records(path))
    assert [[r["n"] for r in records if r["name"] == name] for name in "abcd"] == [list(range(50))] * 4


def test_an_incomplete_last_line_is_removed_first(tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b'{"n": 1}\n{"n": 2')
    with Appender(path) as out:
        out.append([{"half of a pair": "\ud83d"}])
    assert list(read_records(path)) == [{"n": 1}, {"half of a pair": "\ufffd"}]


def test_nothing_follows_a_line_for_which_there_was_no_room(tmp_path):
    path = tmp_path / "lines.jsonl"
    out = Appender(path)
    out.append([{"n": 1}])
    with full_disk(20):
        for _ in range(2):
            with pytest.raises(WorkError, match="room to write"):
                out.append([{"text": "x" * 40}])
        with pytest.raises(WorkError, match="room to write"):
            out.close()
    assert path.stat().st_size == 20
    assert [record["n"] for record in read_records(path)] == [1]


@pytest.mark.parametrize("line", ["[" * 100_000, '{"a": ' + "9" * 5000 + "}", "[1]"])
def test_a_line_that_python_does_not_read_is_one_clear_error(tmp_path, line):
    (tmp_path / "lines.jsonl").write_text(f'{{"a": 1}}\n{line}\n', encoding="utf-8")
    with pytest.raises(WorkError, match="a JSON object in line 2"):
        list(read_records(tmp_path / "lines.jsonl"))
