"""Selects training queries as in ZOOTER's DivInstruct: from several files, without repeats, with diverse tags.

`curate` drops queries that repeat an earlier one or overlap a benchmark, and selects from the others by rarity of tags.
"""

from __future__ import annotations

import heapq
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain, count
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from zooter_core.base.errors import NotInstalledError, ZooterError, listed
from zooter_core.base.files import check_file, open_atomic
from zooter_core.base.progress import Tell
from zooter_core.base.records import Query
from zooter_core.base.strict_json import dump_json
from zooter_core.data.json_records import ENDING, check_paths
from zooter_core.data.logs import PLAIN, Log, has_logged_answer, read_logs
from zooter_core.data.scores import each_query, read_query

OVERLAP = 8  # consecutive words that a query must not share with a benchmark
EXAMPLES = 5  # ids of overlapping queries in the figures
GRAM = 5  # characters
NEAR = 0.7  # the least Jaccard similarity of runs of GRAM characters at which a text is a near repeat
BANDS, ROWS = 20, 5  # of MinHash: two texts of similarity NEAR share a band with probability 0.98
MOST_TAGGED = 20_000  # queries that a tagger reads, sampled at random
TOGETHER = 256  # queries per call of the tagger
EVERY = 1000  # queries between two progress reports
QUERY_FIELDS = ("dataset", "source", "tags", "choices", "answer", "tests", "check")

SIGNS = {"-": "−", "*": "×", "/": "÷"}
UNSPACED = re.compile(  # scripts without spaces
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)

Tags = tuple[str, ...]
Paths = Sequence[Path]
Tagging = Callable[[Sequence[str]], list[Tags]]
Topic = Callable[[Sequence[str]], str]
UNTAGGED: Tags = ("",)  # the tag of queries without tags, so that they are selected in turn with the others


def normalise(text: str) -> str:
    """The words of a text in lower case, with single spaces and without punctuation; "" if there are none.

    Symbols (+, =, emoji) are words, as are - * / before a number, so that "12 - 30" differs from "12 * 30". In scripts
    without spaces, each character is a word.
    """
    text = unicodedata.normalize("NFC", text.casefold())
    text = re.sub(r"[-*/](?=\s*\d)", lambda sign: SIGNS[sign[0]], text)
    return " ".join("".join(map(_plain, text)).split())


@cache
def _plain(character: str) -> str:
    kind = unicodedata.category(character)
    if kind == "Cf":  # invisible characters, such as joiners and direction marks
        return ""
    if kind[0] in "PZ" or kind == "Cc":
        return " "
    return f" {character} " if kind[0] == "S" or UNSPACED.match(character) else character


def word_runs(normal: str) -> Iterable[str]:
    """The runs of OVERLAP words in a normalised text. A shorter text is a single run, which differs from all others."""
    words = normal.split(" ")
    if len(words) < OVERLAP:
        return (normal,)
    return (" ".join(words[start : start + OVERLAP]) for start in range(len(words) - OVERLAP + 1))


class Benchmarks:
    """The texts to exclude from training. They are given as file name -> texts."""

    def __init__(self, texts: Mapping[str, Iterable[str]]) -> None:
        self._names: dict[str, str] = {}
        for name, group in texts.items():
            for normal in filter(None, map(normalise, group)):
                self._names |= dict.fromkeys(word_runs(normal), name)

    @classmethod
    def read(cls, paths: Paths) -> Benchmarks:
        return cls({str(path): [query.text for _, query in each_query(path)] for path in paths})

    def overlap(self, normal: str) -> str | None:
        """The name of a file that shares OVERLAP consecutive words, or a whole shorter text, with a normalised text."""
        return next((self._names[run] for run in word_runs(normal) if run in self._names), None)


class NearRepeats:
    """Finds texts that nearly repeat an earlier text, by MinHash and then by their exact similarity."""

    def __init__(self) -> None:
        try:
            from datasketch import MinHash, MinHashLSH
        except ImportError:
            raise NotInstalledError("datasketch", "`zooter queries`", "pip install 'zooter[queries]'") from None
        self._empty = MinHash(BANDS * ROWS, hashfunc=crc32)
        self._index = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))

    def is_one(self, normal: str) -> bool:
        """Whether a text is a near repeat. If it is not, later texts are compared with it too."""
        grams, hashed = _grams(normal), self._empty.copy()
        hashed.update_batch([gram.encode("utf-8", "surrogatepass") for gram in grams])
        for other in map(_grams, self._index.query(hashed)):
            if len(grams & other) / len(grams | other) >= NEAR:
                return True
        self._index.insert(normal, hashed)
        return False


def _grams(normal: str) -> set[str]:
    padded = normal + "\0" * (GRAM - 1)
    return {padded[start : start + GRAM] for start in range(len(normal))}


def in_turn(sources: Sequence[Any], n: int) -> list[int]:
    """The indices of up to n queries: the first one of each source, then the second one of each source, and so on."""
    counts: defaultdict[Any, Iterator[int]] = defaultdict(count)
    turns = sorted((next(counts[source]), place) for place, source in enumerate(sources))
    return sorted(place for _, place in turns[:n])


def cover(tags: Sequence[Tags], sources: Sequence[Any], n: int) -> list[int]:
    """The indices of up to n queries, in order of selection.

    Each step selects the query whose tags are the rarest among the selected queries: its gain is the sum of
    1 / (1 + uses) over its tags. In a tie, the earlier query is selected. No source gets more than an equal share.
    Gains only decrease, so an earlier gain is an upper bound (lazy greedy: Minoux, 1978).
    """
    room = Counter(sources[place] for place in in_turn(sources, n))
    uses: Counter[str] = Counter()
    heap = [(-float(len(names or UNTAGGED)), place) for place, names in enumerate(tags)]
    heapq.heapify(heap)
    picked: list[int] = []
    while heap:
        bound, place = heap[0]
        names = tags[place] or UNTAGGED
        loss = -sum(1 / (1 + uses[name]) for name in names)
        if not room[sources[place]]:
            heapq.heappop(heap)
        elif loss > bound:
            heapq.heapreplace(heap, (loss, place))
        else:
            heapq.heappop(heap)
            picked.append(place)
            room[sources[place]] -= 1
            uses.update(names)
    return picked


@dataclass
class Sifted:
    """The usable queries of some files."""

    # The queries to select from. `dataset` is their source: their own data set, otherwise the file's name.
    left: list[Query] = field(default_factory=list)
    read: Counter[str] = field(default_factory=Counter)  # the number of queries by source
    excluded: dict[str, list[str]] = field(default_factory=dict)  # benchmark -> ids of the queries that overlap it
    empty: int = 0
    repeats: int = 0
    near_repeats: int = 0
    untagged: bool = False  # whether a line has no tags
    left_out: Counter[str] = field(default_factory=Counter)  # the number of records without a query, by reason


def sift(paths: Paths, exclude: Paths, report: Tell, topic: Topic) -> Sifted:
    """Read queries files and logs, without queries that are empty, overlap a benchmark, or repeat an earlier one."""
    benchmarks, near, texts = Benchmarks.read(exclude), NearRepeats(), set[str]()
    sifted = Sifted(excluded={str(path): [] for path in exclude})
    numbers = Counter[Path]()
    for log in read_logs(paths, sifted.left_out):
        numbers[log.file] += 1
        line = _query_line(log)
        try:
            query = read_query(log.place, line | {"query": topic(log.turns)}, str(numbers[log.file]))
        except ZooterError as problem:
            sifted.left_out[f"without {problem.failure.expected.removesuffix(f' in {log.place}')}"] += 1
            continue
        source = query.dataset or ENDING.sub("", log.file.name) or log.file.name
        sifted.read[source] += 1
        sifted.untagged |= "tags" not in line
        normal = normalise(query.text)
        if not normal:
            sifted.empty += 1
        elif name := benchmarks.overlap(normal):
            sifted.excluded[name].append(query.id)
        elif normal in texts:
            sifted.repeats += 1
        elif near.is_one(normal):
            sifted.near_repeats += 1
        else:
            sifted.left.append(replace(query, dataset=source, tags=tuple(dict.fromkeys(query.tags))))
        texts.add(normal)
        if (number := sifted.read.total()) % EVERY == 0:
            report(f"Reading: {number:,} queries ...")
    return sifted


def _query_line(log: Log) -> dict[str, Any]:
    """A log's query, as a line of a queries file."""
    names = [name for name in QUERY_FIELDS if log.form == PLAIN and log.fields.get(name) is not None]
    line = {name: log.fields[name] for name in names if name != "answer" or not has_logged_answer(log.fields)}
    return line | {"id": log.values["name"]}


def curate(
    paths: Paths, exclude: Paths, out: Path, limit: int, seed: int, tagging: Tagging, report: Tell, topic: Topic
) -> dict[str, Any]:
    """Write up to `limit` queries from the files to `out`. Returns the counts for the summary.

    Args:
        paths: queries files, logs (`data/logs.py`), or folders of them.
        exclude: benchmarks whose texts must not be selected.
        tagging: computes tags of texts. Not called if all lines of the files have tags.
        report: called with lines about the progress.
        topic: computes the query of a conversation from the user's texts, oldest first.

    Raises:
        ZooterError: a file has an unknown format, or there are no queries to select.
    """
    paths, exclude = list(dict.fromkeys(paths)), list(dict.fromkeys(exclude))
    check_paths(paths)
    check_file(out, (*paths, *exclude))
    if not out.name.endswith((".jsonl", ".jsonl.gz")):
        raise ZooterError("--out as a .jsonl or .jsonl.gz file", str(out), "Rename it.")
    with open_atomic(out) as file:
        sifted = sift(paths, exclude, report, topic)
        if not sifted.left:
            aside = {f"overlapping {name}": len(ids) for name, ids in sifted.excluded.items()} | {"empty": sifted.empty}
            reasons = [f"{count:,} {reason}" for reason, count in (aside | sifted.left_out).items() if count]
            read = f"none of {sifted.read.total():,} read ({listed(reasons)})"
            raise ZooterError("at least one query that is left", read, "Name other files.")
        order = np.random.default_rng(seed).permutation(len(sifted.left))
        offered = [sifted.left[number] for number in order]
        if sifted.untagged:
            offered = [offered[place] for place in in_turn([q.dataset for q in offered], max(MOST_TAGGED, limit))]
            offered = list(_tagged(offered, tagging, report))
        places = cover([query.tags for query in offered], [query.dataset for query in offered], limit)
        picked = [offered[place] for place in places]
        for record in records(picked):
            file.write(dump_json(record, ensure_ascii=False) + "\n")
    return {"n": len(picked), "out": str(out), "seed": seed, **figures(sifted, offered, picked)}


def _tagged(queries: Sequence[Query], tagging: Tagging, report: Tell) -> Iterator[Query]:
    for start in range(0, len(queries), TOGETHER):
        report(f"Tagging: {start:,} of {len(queries):,} queries ...")
        part = queries[start : start + TOGETHER]
        for query, tags in zip(part, tagging([query.text for query in part]), strict=True):
            yield replace(query, tags=tags)


def records(picked: Sequence[Query]) -> Iterator[dict[str, Any]]:
    """Yield the lines of a queries file. A duplicate id gets its source as a prefix, and a number if necessary."""
    ids: set[str] = set()
    for query in picked:
        longer = f"{query.dataset}/{query.id}"
        names = chain((query.id, longer), (f"{longer}/{number}" for number in count(len(ids))))
        name = next(name for name in names if name not in ids)
        ids.add(name)
        record = {"id": name, "query": query.text, "dataset": query.dataset, "tags": list(query.tags)}
        yield record | dict(query.key or {})


def figures(sifted: Sifted, offered: Sequence[Query], picked: Sequence[Query]) -> dict[str, Any]:
    """The counts for the summary. The number of queries read is empty + excluded + repeats + near_repeats + left."""
    left, chosen = (Counter(query.dataset for query in queries) for queries in (sifted.left, picked))
    return {
        "read": sifted.read.total(),
        "left_out": dict(sifted.left_out),
        "empty": sifted.empty,
        "excluded": {name: {"count": len(ids), "examples": ids[:EXAMPLES]} for name, ids in sifted.excluded.items()},
        "repeats": sifted.repeats,
        "near_repeats": sifted.near_repeats,
        "left": len(sifted.left),
        "sources": {
            name: {"read": count, "left": left[name], "kept": chosen[name]} for name, count in sifted.read.items()
        },
        "tags": {
            "from": "fleet" if sifted.untagged else "given",
            "queries": len(offered),
            "of": len(set(chain.from_iterable(query.tags for query in offered))),
            "covered": len(set(chain.from_iterable(query.tags for query in picked))),
            "untagged": sum(not query.tags for query in picked),
        },
    }
