"""Queries to train on, in the manner of ZOOTER's DivInstruct: from several sources, without repeats, with varied tags.

`curate` reads queries files, drops repeats and queries that overlap a benchmark, and picks the most varied of the rest.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from zooter_core.base.errors import ZooterError
from zooter_core.base.files import check_file, open_atomic
from zooter_core.base.strict_json import dump_json
from zooter_core.data.curate.reading import Candidates, Line, Report, Survey, fetch, survey_files
from zooter_core.data.curate.texts import Benchmarks

Tags = tuple[str, ...]
UNTAGGED: Tags = ("",)  # queries without tags share a tag, so that they are picked in turn with the others


def shares(counts: Sequence[int], n: int) -> list[int]:
    """n places shared out as evenly as the number of queries in each source allows; min(n, sum(counts)) in all.

    Example: shares([100, 2, 100], 11) is [4, 2, 5].
    """
    places, remaining = [0] * len(counts), n
    for served, source in enumerate(sorted(range(len(counts)), key=counts.__getitem__)):
        places[source] = min(counts[source], remaining // (len(counts) - served))
        remaining -= places[source]
    return places


def sample(sources: Sequence[int], n: int) -> list[int]:
    """Places of up to n queries: the first ones of every source, in even shares. The order must be random already."""
    counts = Counter(sources)
    room = dict(zip(counts, shares(list(counts.values()), n), strict=True))
    drawn = []
    for place, source in enumerate(sources):
        if room[source]:
            room[source] -= 1
            drawn.append(place)
    return drawn


def worth(count: int) -> float:
    """The gain of a query by a tag that `count` picked ones have: 1 / (1 + count), count cut to three binary digits.

    A tag's worth then changes about fifty times while thousands are picked, instead of every time.
    """
    shift = max(0, count.bit_length() - 3)
    return 1 / (1 + (count >> shift << shift))


def cover(tags: Sequence[Tags], sources: Sequence[int], n: int) -> list[int]:
    """Places of up to n queries in the order picked: always the one whose tags are the rarest among those picked.

    A query's gain is the sum of the worth of its tags; a tie goes to the earlier place. No source gets more than its
    even share. Gains only fall while queries are picked, so an earlier gain is an upper bound (lazy greedy: Minoux,
    1978), and queries with the same tags and source are evaluated together.
    """
    counts = Counter(sources)
    room = dict(zip(counts, shares(list(counts.values()), n), strict=True))
    groups: dict[tuple[int, Tags], list[int]] = {}
    for place, (source, names) in enumerate(zip(sources, tags, strict=True)):
        groups.setdefault((source, names or UNTAGGED), []).append(place)
    for places in groups.values():
        places.reverse()  # the earliest is popped first
    uses = dict.fromkeys((name for _, names in groups for name in names), 0)
    value = dict.fromkeys(uses, worth(0))
    heap = [(-float(len(group[1])), places[-1], group) for group, places in groups.items()]
    heapq.heapify(heap)
    picked: list[int] = []
    while heap:
        bound, place, (source, names) = heap[0]
        loss = -sum(map(value.__getitem__, names))
        if not room[source]:
            heapq.heappop(heap)
        elif loss > bound:
            heapq.heapreplace(heap, (loss, place, (source, names)))
        else:
            picked.append(groups[source, names].pop())
            room[source] -= 1
            for name in names:
                uses[name] += 1
                value[name] = worth(uses[name])
            heapq.heappop(heap)
            if remaining := groups[source, names]:  # the last gain is an upper bound of the next query's
                heapq.heappush(heap, (bound, remaining[-1], (source, names)))
    return picked


TAGGED = 256  # queries given to the tagger at a time
Tagging = Callable[[Sequence[str]], list[Tags]]


@dataclass(frozen=True)
class CurateConfig:
    """How queries are picked.

    Attributes:
        n: the largest number of queries to pick.
        ngram: length of a run of words that a query may not share with a benchmark.
        near: Jaccard similarity of character 5-grams from which a query is a near repeat; 1 keeps near repeats.
        tag_at_most: the largest number of queries to tag, drawn at random (n, if that is more).
        tags: `given` takes the files' tags, `fleet` the fleet's tagger, None the files' tags if every line has them.
    """

    n: int
    seed: int = 0
    ngram: int = 8
    near: float = 0.7
    tag_at_most: int = 20_000
    tags: str | None = None

    def __post_init__(self) -> None:
        for name, least in (("n", 1), ("seed", 0), ("ngram", 1), ("tag_at_most", 1)):
            if (value := getattr(self, name)) < least:
                raise ZooterError(f"--{name.replace('_', '-')} of at least {least}", str(value), "Use a larger number.")
        if not 0 < self.near <= 1:
            raise ZooterError("--near above 0 and up to 1", str(self.near), "Use for instance 0.7.")


@dataclass(frozen=True)
class Picked:
    """The queries that were picked, in order.

    Attributes:
        offered: the tags of all queries that could have been picked.
        places: the numbers of the picked queries among the candidates.
    """

    lines: list[Line]
    tags: list[Tags]
    offered: list[Tags]
    places: list[int]


def curate(
    paths: Sequence[Path], exclude: Sequence[Path], out: Path, config: CurateConfig, tagging: Tagging, report: Report
) -> dict[str, Any]:
    """Write up to `config.n` queries of the files into `out`; returns the counts of the summary.

    The files are read twice and never held in memory: a query takes about 200 bytes, briefly 350.

    Args:
        paths: queries files.
        exclude: benchmarks, whose texts must stay out.
        tagging: queries -> tags, called unless the files' tags are used.
        report: called with a line about the progress.

    Raises:
        ZooterError: a line is wrong or lacks tags that are needed, or no query is left.
    """
    paths, exclude = list(dict.fromkeys(paths)), list(dict.fromkeys(exclude))
    check_file(out, (*paths, *exclude))
    if not out.name.endswith((".jsonl", ".jsonl.gz")):
        raise ZooterError("--out as a .jsonl or .jsonl.gz file", str(out), "Rename it.")
    with open_atomic(out) as file:
        survey = survey_files(paths, Benchmarks.read(exclude, config.ngram), report)
        use_file_tags = config.tags == "given" or (config.tags is None and not survey.untagged)
        if use_file_tags and survey.untagged:
            raise ZooterError(f'"tags" in {survey.untagged}', "none", "Add them, or use --tagger fleet.")
        report("Looking for repeats ...")
        remaining = survey.close(config.near)
        if not len(remaining.rows):
            read = survey.read.total()
            raise ZooterError("at least one query that is left", f"none of {read:,} read", "Name other files.")
        picked = pick(paths, remaining, config, None if use_file_tags else tagging, report)
        for record in records(picked):
            file.write(dump_json(record, ensure_ascii=False) + "\n")
    return {
        "n": len(picked.lines),
        "out": str(out),
        "seed": config.seed,
        **figures(survey, remaining, picked, use_file_tags),
    }


def pick(
    paths: Sequence[Path], candidates: Candidates, config: CurateConfig, tagging: Tagging | None, report: Report
) -> Picked:
    """Pick from the candidates: from all by the tags of the files, else by the tags of a tagger.

    A tagger gets a random sample, drawn evenly from the sources.
    """
    order: list[int] = np.random.default_rng(config.seed).permutation(len(candidates.rows)).tolist()
    tags: list[Tags] = []
    if tagging is None:
        tags = [candidates.tagsets[number] for number in candidates.tagset[order]]
    else:
        order = [order[at] for at in sample(candidates.source[order].tolist(), max(config.tag_at_most, config.n))]
        lines = fetch(paths, candidates, order)
        for start in range(0, len(order), TAGGED):
            report(f"Tagging: {start:,} of {len(order):,} queries ...")
            tags += tagging([lines[place].query.text for place in order[start : start + TAGGED]])
    chosen = cover(tags, candidates.source[order].tolist(), config.n)
    places = [order[at] for at in chosen]
    if tagging is None:
        lines = fetch(paths, candidates, places)
    return Picked([lines[place] for place in places], [tags[at] for at in chosen], tags, places)


def records(picked: Picked) -> Iterator[dict[str, Any]]:
    """Lines of a queries file. An id that is taken gets its source before it, and a number after it if needed."""
    ids: set[str] = set()
    numbers: dict[str, int] = {}
    for line, tags in zip(picked.lines, picked.tags, strict=True):
        name, longer = line.query.id, f"{line.source}/{line.query.id}"
        while name in ids:  # the numbers go on where the last query of that id stopped
            number = numbers[longer] = numbers.get(longer, 0) + 1
            name = longer if number == 1 else f"{longer}/{number}"
        ids.add(name)
        record = {"id": name, "query": line.query.text, "dataset": line.source, "tags": list(tags)}
        yield record | dict(line.query.key or {})


def figures(survey: Survey, candidates: Candidates, picked: Picked, use_file_tags: bool) -> dict[str, Any]:
    """The counts of the summary. The queries read are the sum of empty, excluded, repeats, near_repeats and left."""
    benchmarks = survey.benchmarks
    remaining, chosen = Counter(candidates.source.tolist()), Counter(candidates.source[picked.places].tolist())
    return {
        "read": survey.read.total(),
        "empty": survey.empty,
        "excluded": {
            name: {"count": count, "examples": benchmarks.examples[name]} for name, count in benchmarks.count.items()
        },
        "repeats": candidates.repeats,
        "near_repeats": candidates.near_repeats,
        "left": len(candidates.rows),
        "sources": {
            name: {"read": survey.read[number], "left": remaining[number], "kept": chosen[number]}
            for name, number in survey.sources.items()
        },
        "tags": {
            "from": "given" if use_file_tags else "fleet",
            "queries": len(picked.offered),
            "of": len(set(chain.from_iterable(picked.offered))),
            "covered": len(set(chain.from_iterable(picked.tags))),
            "untagged": sum(not tags for tags in picked.tags),
        },
    }
