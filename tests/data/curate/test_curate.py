"""Queries to train on, from several files."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Query
from zooter_core.data import curate as module
from zooter_core.data.curate import CurateConfig, curate, reading
from zooter_core.data.curate.reading import Line
from zooter_core.data.curate.texts import Benchmarks, key, normalise
from zooter_core.data.scores import read_queries

DISTINCT = [" ".join(f"{'dklmprst'[(7 * n + k) % 8]}{n * k * 7919 % 9973}" for k in range(1, 5)) for n in range(1, 31)]
EIGHT = "one two three four five six seven eight"


def lines(path: Path, *records: object) -> Path:
    text = "".join((r if isinstance(r, str) else json.dumps(r, ensure_ascii=False)) + "\n" for r in records)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def untaggable(texts):
    pytest.fail("the tagger was called")


def first_letter(texts):
    return [(text[0].lower(),) for text in texts]


def curated(folder: Path, paths, n=10, exclude=(), tagging=first_letter, **settings):
    """The figures and the lines written."""
    out = folder / "out.jsonl"
    figures = curate(list(paths), list(exclude), out, CurateConfig(n, **settings), tagging, lambda message: None)
    return figures, [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def refusal(folder: Path, paths, **settings) -> str:
    with pytest.raises(ZooterError) as caught:
        curated(folder, paths, **settings)
    assert not (folder / "out.jsonl").exists()
    assert not list(folder.glob("*.partial*"))
    return str(caught.value)


def test_each_reason_to_leave_a_query_out(tmp_path):
    story = "Ana has a basket of apples and gives half of them to her brother before they walk home along the river"
    source = lines(
        tmp_path / "mine.jsonl",
        {"id": "keep", "query": story},
        {"id": "repeat", "query": story.upper() + "?!"},
        {"id": "near", "query": story + " today"},
        {"id": "empty", "query": "?!"},
        {"id": "other", "query": "Why do ships float?"},
        {"id": "in one", "query": f"please, {EIGHT.upper()}"},
        {"id": "in two", "query": "short one"},
        {"id": "in two as well", "query": "Short one!"},
    )
    one = lines(tmp_path / "one.jsonl", {"query": f"{EIGHT} nine"})
    two = lines(tmp_path / "two.txt", "Short, one.")
    figures, written = curated(tmp_path, [source], exclude=[one, two])
    assert [line["id"] for line in sorted(written, key=lambda line: line["id"])] == ["keep", "other"]
    assert figures == {
        "n": 2,
        "out": str(tmp_path / "out.jsonl"),
        "seed": 0,
        "read": 8,
        "empty": 1,
        "excluded": {
            str(one): {"count": 1, "examples": ["in one"]},
            str(two): {"count": 2, "examples": ["in two", "in two as well"]},
        },
        "repeats": 1,
        "near_repeats": 1,
        "left": 2,
        "sources": {"mine": {"read": 8, "left": 2, "kept": 2}},
        "tags": {"from": "fleet", "queries": 2, "of": 2, "covered": 2, "untagged": 0},
    }


def test_what_is_written_is_a_queries_file(tmp_path):
    source = lines(tmp_path / "mine.jsonl", {"id": 7, "query": "杯子 ☕?", "source": "log", "tags": ["x", "y", "x"]})
    _, written = curated(tmp_path, [source], tagging=untaggable)
    assert written == [{"id": "7", "query": "杯子 ☕?", "dataset": "log", "tags": ["x", "y"]}]
    (query,) = read_queries(tmp_path / "out.jsonl")
    assert (query.dataset, query.tags) == ("log", ("x", "y"))


def test_a_contaminated_query_does_not_hide_a_clean_near_repeat(tmp_path):
    long = "and then they walked along the river until the sun went down behind the old mill"
    source = lines(tmp_path / "mine.txt", f"{EIGHT} {long}", f"one {long}")
    bench = lines(tmp_path / "bench.txt", EIGHT)
    assert [line["query"] for line in curated(tmp_path, [source], exclude=[bench])[1]] == [f"one {long}"]


def test_sources_are_mixed_evenly_as_far_as_they_last(tmp_path):
    one = lines(tmp_path / "one.txt", *DISTINCT[:20])
    two = lines(tmp_path / "two.jsonl.gz", *({"query": q, "dataset": "few"} for q in DISTINCT[20:22]))
    three = lines(tmp_path / "three.jsonl.gz", *({"query": q} for q in DISTINCT[22:]))
    figures, written = curated(tmp_path, [one, two, three], n=10)
    assert {name: row["kept"] for name, row in figures["sources"].items()} == {"one": 4, "few": 2, "three": 4}
    assert sorted(line["dataset"] for line in written) == ["few"] * 2 + ["one"] * 4 + ["three"] * 4


def test_ids_are_unique_over_files_and_within_a_source(tmp_path):
    files = [lines(tmp_path / f"{name}.txt", DISTINCT[at]) for at, name in enumerate(("one", "two"))]
    first, second = curated(tmp_path, files)[1]
    assert (first["id"], second["id"]) == ("000001", f"{second['dataset']}/000001")
    files = [
        lines(
            tmp_path / f"{at}.jsonl", *({"id": "a", "query": q, "dataset": "x"} for q in DISTINCT[4 * at : 4 * at + 2])
        )
        for at in range(2)
    ]
    assert [line["id"] for line in curated(tmp_path, files)[1]] == ["a", "x/a", "x/a/2", "x/a/3"]


def test_given_tags_are_taken_where_every_line_has_them(tmp_path):
    tags = [["a"]] * 5 + [["b"], []]
    source = lines(tmp_path / "s.jsonl", *({"query": q, "tags": t} for q, t in zip(DISTINCT, tags, strict=False)))
    figures, written = curated(tmp_path, [source], n=3, tagging=untaggable)
    assert sorted(line["tags"] for line in written) == [[], ["a"], ["b"]]
    assert figures["tags"] == {"from": "given", "queries": 7, "of": 2, "covered": 2, "untagged": 1}
    figures, written = curated(tmp_path, [source], n=3, tags="fleet")
    assert all(line["tags"] == [line["query"][0]] for line in written)


def test_tagger_where_a_line_has_no_tags(tmp_path):
    source = lines(tmp_path / "s.jsonl", {"query": DISTINCT[0], "tags": ["a"]}, {"query": DISTINCT[1]})
    figures, written = curated(tmp_path, [source])
    assert figures["tags"]["from"] == "fleet"
    assert sorted(line["tags"] for line in written) == [[DISTINCT[0][0]], [DISTINCT[1][0]]]
    (tmp_path / "out.jsonl").unlink()
    assert f'"tags" in {source}, line 2' in refusal(tmp_path, [source], tags="given")


def test_the_tagger_sees_a_sample_at_most(tmp_path):
    source = lines(tmp_path / "s.txt", *DISTINCT)
    tagged_texts: list[str] = []

    def tagging(texts):
        tagged_texts.extend(texts)
        return first_letter(texts)

    figures, _ = curated(tmp_path, [source], n=3, tagging=tagging, tag_at_most=7)
    assert (len(tagged_texts), figures["tags"]["queries"], figures["left"], figures["n"]) == (7, 7, 30, 3)
    assert curated(tmp_path, [source], n=9, tag_at_most=7)[0]["tags"]["queries"] == 9


def test_the_rarest_tags_come_first(tmp_path):
    tags = [["common"]] * 25 + [["rare", "rarer"]] * 5
    source = lines(tmp_path / "s.jsonl", *({"query": q, "tags": t} for q, t in zip(DISTINCT, tags, strict=True)))
    _, written = curated(tmp_path, [source], n=4)
    # rare and rarer gain 2, then common 1 as they do together: the order of the two is the seed's. Then 1/2 and 2/3.
    assert written[0]["tags"] == ["rare", "rarer"]
    assert sorted(line["tags"] for line in written[1:3]) == [["common"], ["rare", "rarer"]]
    assert written[3]["tags"] == ["rare", "rarer"]


def test_the_same_seed_gives_the_same_bytes_and_a_file_named_twice_is_read_once(tmp_path):
    source = lines(tmp_path / "s.txt", *DISTINCT)
    outputs = []
    for seed in (1, 1, 2):
        assert curated(tmp_path, [source, source], seed=seed)[0]["read"] == len(DISTINCT)
        outputs.append((tmp_path / "out.jsonl").read_bytes())
    assert outputs[0] == outputs[1] != outputs[2]


def test_batches_change_nothing(tmp_path, monkeypatch):
    source = lines(tmp_path / "s.txt", *DISTINCT, *DISTINCT)
    expected = curated(tmp_path, [source])
    monkeypatch.setattr(reading, "BATCH", 7)
    monkeypatch.setattr(module, "TAGGED", 2)
    assert curated(tmp_path, [source]) == expected


def test_wrong_line_is_named(tmp_path):
    good, wrong = lines(tmp_path / "good.txt", "fine"), lines(tmp_path / "wrong.jsonl", {"query": "fine"}, {"query": 7})
    assert f"{wrong}, line 2" in refusal(tmp_path, [good, wrong])
    assert f"{wrong}, line 2" in refusal(tmp_path, [good], exclude=[wrong])


def test_nothing_left(tmp_path):
    source = lines(tmp_path / "s.txt", "One.", "???")
    assert "none of 2 read" in refusal(tmp_path, [source], exclude=[lines(tmp_path / "b.txt", "one")])


def test_out_is_not_one_of_the_files(tmp_path):
    out = lines(tmp_path / "out.jsonl", {"query": "fine"})
    with pytest.raises(ZooterError, match="beside those that are read"):
        curated(tmp_path, [out])
    assert json.loads(out.read_text()) == {"query": "fine"}


@pytest.mark.parametrize("later", [DISTINCT[3:6], DISTINCT[:2]])
def test_a_file_that_changes_meanwhile(tmp_path, monkeypatch, later):
    source = lines(tmp_path / "s.txt", *DISTINCT[:3])
    close = reading.Survey.close

    def closed(self, near):
        lines(source, *later)
        return close(self, near)

    monkeypatch.setattr(reading.Survey, "close", closed)
    assert "unchanged since the first pass" in refusal(tmp_path, [source])


def test_interrupted_while_tagging(tmp_path):
    def interrupted(texts):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        curated(tmp_path, [lines(tmp_path / "s.txt", "fine")], tagging=interrupted)
    assert [path.name for path in tmp_path.iterdir()] == ["s.txt"]


@pytest.mark.parametrize(
    "wrong",
    [{"n": 0}, {"seed": -1}, {"ngram": 0}, {"near": 0.0}, {"near": 1.5}, {"near": float("nan")}, {"tag_at_most": 0}],
)
def test_settings_out_of_range(wrong):
    (name,) = wrong
    with pytest.raises(ZooterError, match=f"--{name.replace('_', '-')} "):
        replace(CurateConfig(5), **wrong)


def test_near_of_one_keeps_near_repeats(tmp_path):
    source = lines(tmp_path / "s.txt", DISTINCT[1], DISTINCT[1] + " x", DISTINCT[1].upper())
    figures, _ = curated(tmp_path, [source], near=1.0)
    assert (figures["repeats"], figures["near_repeats"], figures["n"]) == (1, 0, 2)


words = st.lists(st.sampled_from(["a", "A", "b", "c!", "12", "+", "?", "我", "sea"]), min_size=1, max_size=6).map(
    " ".join
)


@settings(max_examples=50)
@given(
    st.lists(st.lists(words, min_size=1, max_size=12), min_size=1, max_size=3),
    st.lists(words, max_size=3),
    st.integers(1, 12),
    st.sampled_from([1, 2, 3, 8]),
)
def test_what_always_holds(tmp_path_factory, sources, excluded, n, ngram):
    folder = tmp_path_factory.mktemp("curated")
    paths = [lines(folder / f"{at}.txt", *texts) for at, texts in enumerate(sources)]
    exclude = [lines(folder / "bench.txt", *excluded)] if excluded else []
    clean = [
        text
        for text in map(normalise, chain(*sources))
        if text and not Benchmarks({"b": excluded}, ngram).overlap(text)
    ]
    if not clean:
        assert "at least one query that is left" in refusal(folder, paths, n=n, exclude=exclude, ngram=ngram)
        return
    figures, written = curated(folder, paths, n=n, exclude=exclude, ngram=ngram, near=0.9)
    texts = [normalise(line["query"]) for line in written]
    benchmarks = Benchmarks({"b": excluded}, ngram)
    assert len({key(text) for text in texts}) == len(texts) == figures["n"] == min(n, figures["left"])
    assert len({line["id"] for line in written}) == len(written)
    assert all(text and benchmarks.overlap(text) is None for text in texts)
    gone = figures["empty"] + figures["repeats"] + figures["near_repeats"]
    gone += sum(row["count"] for row in figures["excluded"].values())
    assert figures["read"] == sum(map(len, sources)) == gone + figures["left"]
    assert sum(row["kept"] for row in figures["sources"].values()) == figures["n"]


def test_one_id_in_thousands_of_lines_takes_linear_time():
    """Each line is looked up a few times at most: a set that counts the look-ups, in place of a clock."""
    n = 3000
    queries = [Line(row, "", "x", True, Query("a", "")) for row in range(n)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "set", CountingSet, raising=False)
        CountingSet.lookups = 0
        ids = [record["id"] for record in module.records(module.Picked(queries, [()] * n, [], []))]
    assert ids == ["a", "x/a", *(f"x/a/{number}" for number in range(2, n))]
    assert CountingSet.lookups <= 3 * n


class CountingSet(set):
    lookups = 0

    def __contains__(self, item):
        CountingSet.lookups += 1
        return super().__contains__(item)
