"""Queries to train on, from several files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.data import curate as module
from zooter_core.data.curate import Benchmarks, cover, curate, in_turn, normalise
from zooter_core.data.scores import read_queries
from zooter_core.router.turns import current_topic

DISTINCT = [" ".join(f"{'dklmprst'[(7 * n + k) % 8]}{n * k * 7919 % 9973}" for k in range(1, 5)) for n in range(1, 31)]
EIGHT = "one two three four five six seven eight"


def untaggable(texts):
    pytest.fail("the tagger was called")


def first_letter(texts):
    return [(text[0].lower(),) for text in texts]


def curated(folder: Path, paths, limit=10, exclude=(), tagging=first_letter, seed=0):
    """The figures and the lines written."""
    out = folder / "out.jsonl"
    figures = curate(list(paths), list(exclude), out, limit, seed, tagging, lambda message: None, current_topic)
    return figures, [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def refusal(folder: Path, paths, **settings) -> str:
    with pytest.raises(ZooterError) as caught:
        curated(folder, paths, **settings)
    assert not (folder / "out.jsonl").exists()
    assert not list(folder.glob("*.partial*"))
    return str(caught.value)


def test_each_reason_to_leave_a_query_out(tmp_path, write):
    story = "Ana has a basket of apples and gives half of them to her brother before they walk home along the river"
    source = write(
        {"id": "keep", "query": story},
        {"id": "repeat", "query": story.upper() + "?!"},
        {"id": "near", "query": story + " today"},
        {"id": "empty", "query": "?!"},
        {"id": "other", "query": "Why do ships float?"},
        {"id": "in one", "query": f"please, {EIGHT.upper()}"},
        {"id": "in two", "query": "short one"},
        {"id": "in two as well", "query": "Short one!"},
        name="mine.jsonl",
    )
    one = write({"question": f"{EIGHT} nine", "answer": "10 - 1 = 9\n#### 9"}, name="one.jsonl")
    two = write("Short, one.", name="two.txt")
    figures, written = curated(tmp_path, [source], exclude=[one, two])
    assert [line["id"] for line in sorted(written, key=lambda line: line["id"])] == ["keep", "other"]
    assert figures == {
        "n": 2,
        "out": str(tmp_path / "out.jsonl"),
        "seed": 0,
        "read": 8,
        "left_out": {},
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


def test_what_is_written_is_a_queries_file(tmp_path, write):
    source = write({"id": 7, "query": "杯子 ☕?", "source": "log", "tags": ["x", "y", "x"]}, name="mine.jsonl")
    _, written = curated(tmp_path, [source], tagging=untaggable)
    assert written == [{"id": "7", "query": "杯子 ☕?", "dataset": "log", "tags": ["x", "y"]}]
    (query,) = read_queries(tmp_path / "out.jsonl")
    assert (query.dataset, query.tags) == ("log", ("x", "y"))


def test_ids_are_unique_over_files_and_within_a_source(tmp_path, write):
    files = [write(DISTINCT[at], name=f"{name}.txt") for at, name in enumerate(("one", "two"))]
    first, second = curated(tmp_path, files)[1]
    assert (first["id"], second["id"]) == ("000001", f"{second['dataset']}/000001")
    files = [
        write(*({"id": "a", "query": q, "dataset": "x"} for q in DISTINCT[4 * at : 4 * at + 2]), name=f"{at}.jsonl")
        for at in range(2)
    ]
    assert [line["id"] for line in curated(tmp_path, files)[1]] == ["a", "x/a", "x/a/2", "x/a/3"]


def test_the_same_seed_gives_the_same_bytes_and_a_file_named_twice_is_read_once(tmp_path, write):
    source = write(*DISTINCT, name="s.txt")
    outputs = []
    for seed in (1, 1, 2):
        assert curated(tmp_path, [source, source], seed=seed)[0]["read"] == len(DISTINCT)
        outputs.append((tmp_path / "out.jsonl").read_bytes())
    assert outputs[0] == outputs[1] != outputs[2]


def test_wrong_line_is_counted_and_one_of_a_benchmark_is_named(tmp_path, write):
    records = [{"query": "fine"}, {"query": 7}, "nonsense", {"query": "odd", "check": 7}, {"query": "odd", "source": 7}]
    wrong = write(*records, name="wrong.jsonl")
    assert f"{wrong}, line 2" in refusal(tmp_path, [write("fine", name="good.txt")], exclude=[wrong])
    figures, (line,) = curated(tmp_path, [wrong])
    assert (line["query"], figures["read"]) == ("fine", 1)
    assert figures["left_out"].pop("without text") == figures["left_out"].pop("broken") == 1
    assert [reason.partition(" as ")[0] for reason in figures["left_out"]] == ['without "check"', 'without "dataset"']


@pytest.mark.parametrize("logged", [{"model": "gpt-x"}, {"timestamp": "2026-11-30 12:00"}, {"completion_tokens": 2}])
def test_the_answer_in_a_log_is_no_key(tmp_path, write, logged):
    line = {"question": "Is rain wet?", "answer": "Yes."}
    for record, key in ((line, {"text": "Yes."}), (line | logged, None)):
        source = write(record)
        assert curated(tmp_path, [source])[1][0].get("answer") == key
        assert dict(read_queries(source)[0].key or {}).get("answer") == key


def test_logs_are_sources_and_a_follow_up_is_asked_with_its_topic(tmp_path, write):
    turns = ["Write a poem about ships.", "Shorter, please"]
    log = write({"messages": [{"role": "user", "content": text} for text in turns]}, name="log.jsonl")
    table = tmp_path / "table.csv"
    table.write_text('Query,tags,model,answer\nWhy do ships float?,"sea, ships",gpt-x,Because.\n')
    sums = tmp_path / "sums.csv"
    sums.write_text("question;answer\nWhat is 2 + 2?;4\nSay hello.;\n")
    out = tmp_path / "out" / "picked.jsonl"
    out.parent.mkdir()
    curate([log, table], [], out, 10, 0, first_letter, lambda message: None, current_topic)
    picked = {line["dataset"]: line for line in map(json.loads, out.read_text().splitlines())}
    assert picked["log"]["query"] == "\n".join(turns)
    assert (picked["table"]["query"], "answer" in picked["table"]) == ("Why do ships float?", False)
    assert [line.get("answer") for line in curated(tmp_path, [sums])[1]] == [{"text": "4"}, None]  # an empty cell
    figures, (line,) = curated(tmp_path, [table], tagging=untaggable)
    assert (line["tags"], figures["tags"]["from"]) == (["sea", "ships"], "given")


def test_nothing_left(tmp_path, write):
    source = write("One.", "???", name="s.txt")
    assert "none of 2 read" in refusal(tmp_path, [source], exclude=[write("one", name="b.txt")])


def test_out_is_not_one_of_the_files(tmp_path, write):
    out = write({"query": "fine"}, name="out.jsonl")
    with pytest.raises(ZooterError, match="other than the input files"):
        curated(tmp_path, [out])
    assert json.loads(out.read_text()) == {"query": "fine"}


def test_the_tagger_is_asked_where_a_line_has_no_tags(tmp_path, write, monkeypatch):
    monkeypatch.setattr(module, "TOGETHER", 1)
    source = write({"query": DISTINCT[0], "tags": ["a"]}, {"query": DISTINCT[1]}, name="s.jsonl")
    figures, written = curated(tmp_path, [source])
    assert figures["tags"]["from"] == "fleet"
    assert sorted(line["tags"] for line in written) == [[DISTINCT[0][0]], [DISTINCT[1][0]]]


def test_the_tagger_sees_a_sample_at_most(tmp_path, write, monkeypatch):
    monkeypatch.setattr(module, "MOST_TAGGED", 7)
    source = write(*DISTINCT, name="s.txt")
    tagged_texts: list[str] = []

    def tagging(texts):
        tagged_texts.extend(texts)
        return first_letter(texts)

    figures, _ = curated(tmp_path, [source], limit=3, tagging=tagging)
    assert (len(tagged_texts), figures["tags"]["queries"], figures["left"], figures["n"]) == (7, 7, 30, 3)
    assert curated(tmp_path, [source], limit=9)[0]["tags"]["queries"] == 9


def test_without_datasketch_one_message_names_the_extra(tmp_path, write, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasketch", None)
    assert "zooter[queries]" in refusal(tmp_path, [write("fine", name="s.txt")])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is the sea?", "what is THE sea"), ("E-mail me!", "e mail me"), ("Straße", "STRASSE"),
        ("12 * 3", "12 × 3"), ("我们去海边吧。", "我们 去海边吧"), ("caf\u00e9", "cafe\u0301"),
    ],
)  # fmt: skip
def test_case_punctuation_and_spaces_do_not_count(one, other):
    assert normalise(one) == normalise(other)


def test_overlap_of_eight_words_in_a_row_and_of_shorter_texts_as_a_whole():
    benchmarks = Benchmarks({"b": [f"Zero, {EIGHT.title()}!", "Short one?", "???"]})
    assert benchmarks.overlap(normalise(f"and {EIGHT} and")) == "b"
    assert benchmarks.overlap(normalise(EIGHT)) == "b"
    assert benchmarks.overlap(normalise(EIGHT.replace("four", "4"))) is None  # seven in a row, at most
    assert benchmarks.overlap(normalise("two three four")) is None  # a short text only as a whole
    assert benchmarks.overlap(normalise("SHORT ONE")) == "b"
    assert benchmarks.overlap(normalise("a short one")) is None
    assert Benchmarks({}).overlap(EIGHT) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is 12 + 30?", "What is 12 - 30?"), ("What is 12 / 30?", "What is 12 30?"),
        ("1.5 apples", "15 apples"), ("1 23", "12 3"), ("x + y", "x = y"), ("की", "का"), ("☕", "🍵"),
    ],
)  # fmt: skip
def test_what_makes_another_query_counts(one, other):
    assert normalise(one) != normalise(other)


@pytest.mark.parametrize("text", ["", "?!…", "\u200b", "。"])
def test_nothing_but_punctuation_is_empty(text):
    assert normalise(text) == ""


def test_sources_take_turns_as_far_as_they_last():
    assert in_turn("aaaabac", 5) == [0, 1, 2, 4, 6]
    assert in_turn("ab", 9) == [0, 1]


def test_cover_by_hand():
    tags = [("a",), ("a", "b"), ("c",), ("a", "b"), ("b",)]
    sources = [0] * 5
    # Row 1 gains 2, as row 3 does, and is earlier. Then row 2 gains 1 and row 3 gains 1/2 + 1/2 = 1: row 2 is earlier.
    # Then row 3 (1) is above row 0 and 4 (1/2 each). Then a and b are there twice: rows 0 and 4 gain 1/3 each.
    assert cover(tags, sources, 5) == [1, 2, 3, 0, 4]
    assert cover(tags, sources, 2) == [1, 2]
    assert cover([("a",), ("b",), ("c",)], [0, 0, 1], 2) == [0, 2]  # one of each source
