from __future__ import annotations

import json
from pathlib import Path

import pytest

from support import tiny_models
from support.command_files import read_lines, write_lines


@pytest.fixture(scope="module")
def untagged(tmp_path_factory) -> Path:
    """41 queries from two sources, one of them a repeat."""
    lines = [{"query": text, "source": f"s{n % 2}"} for n, text in enumerate([*tiny_models.QUERIES, "WHAT IS THE SEA"])]
    return write_lines(tmp_path_factory.mktemp("untagged") / "queries.jsonl", lines)


def test_json_and_table_with_the_fleets_tags(zooter, untagged, tmp_path, monkeypatch):
    monkeypatch.setattr("zooter_core.data.curate.MOST_TAGGED", 20)
    benchmark = write_lines(tmp_path / "bench.jsonl", [{"query": "Write about the sea"}])
    call = ["queries", "--from", untagged, "--limit", 8, "--out", tmp_path / "out.jsonl", "--exclude", benchmark]
    code, out, err = zooter(*call, "--json")
    shape = json.loads(out)
    assert (code, err) == (0, "")
    assert (shape["n"], shape["read"], shape["tags"]["queries"]) == (8, 41, 20)
    assert shape["excluded"] == {str(benchmark): {"count": 1, "examples": ["7"]}}
    assert {name: row["kept"] for name, row in shape["sources"].items()} == {"s0": 4, "s1": 4}
    lines = read_lines(tmp_path / "out.jsonl")
    assert all(set(line) == {"id", "query", "dataset", "tags"} for line in lines)
    assert {tag for line in lines for tag in line["tags"]} <= {
        entry["name"] for entry in tiny_models.VOCABULARY["tags"]
    }
    assert len({line["id"] for line in lines}) == 8
    first = (tmp_path / "out.jsonl").read_bytes()
    code, out, _ = zooter(*call)
    assert code == 0
    assert all(word in out for word in ("source", "s0", "s1", "left out:", "near repeats", "the fleet's tags"))
    assert (tmp_path / "out.jsonl").read_bytes() == first


def test_a_log_gives_its_users_queries_and_the_rest_by_reason(zooter, tmp_path):
    calls = {"acompletion": "How do I sort a list?", "completion": "redacted-by-litellm", "aembedding": "Chapter 4."}
    log = write_lines(tmp_path / "log.jsonl", [{"call_type": kind, "messages": text} for kind, text in calls.items()])
    call = ["queries", "--from", log, "--out", tmp_path / "out.jsonl"]
    shape = json.loads(zooter(*call, "--json")[1])
    assert (shape["n"], shape["left_out"]) == (1, {"redacted": 1, "embeddings": 1})
    assert [line["query"] for line in read_lines(tmp_path / "out.jsonl")] == ["How do I sort a list?"]
    assert "1 redacted, 1 embeddings" in " ".join(zooter(*call)[1].split())


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--limit", 0], "--limit"),
        (["--out", "out.txt"], "--out as a .jsonl"),
        (["--exclude", "none.jsonl"], "no file at none.jsonl"),
    ],
)
def test_wrong_calls_are_exit_2(refused, untagged, tmp_path, options, part):
    call = ["queries", "--from", untagged, "--limit", 4, "--out", tmp_path / "out.jsonl", *options]
    assert part in refused(2, *call, fleet=None)
    assert list(tmp_path.iterdir()) == []
