"""Queries to train on, in the manner of ZOOTER's DivInstruct: of several sources, without repeats, diverse in tags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from zooter_core.data.curate.pick import Tags, cover, sample
from zooter_core.data.curate.reading import Candidates, Line, Survey, Tell, fetch, survey
from zooter_core.data.curate.texts import Benchmarks
from zooter_core.errors import ZooterError
from zooter_core.files import written_whole
from zooter_core.strict_json import dump_json

TAGGED = 256  # at a time
Tagging = Callable[[Sequence[str]], list[Tags]]


@dataclass(frozen=True)
class CurateConfig:
    """How queries are picked.

    Attributes:
        n: how many, at most.
        ngram: words in a row that a query may not share with a benchmark.
        near: the Jaccard similarity of character 5-grams from which a query is a near repeat; 1 keeps those.
        tag_at_most: how many queries the tagger sees at most (n, if that is more): a random part of those left.
        tags: where tags come from: `given` by the files, the `fleet`'s tagger, or the files where every line has them.
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
                raise ZooterError(f"--{name.replace('_', '-')} of at least {least}", str(value), "Mend it.")
        if not 0 < self.near <= 1:
            raise ZooterError("--near above 0 and up to 1", str(self.near), "Mend it.")


@dataclass(frozen=True)
class Picked:
    """The queries that were picked, in that order, and what they were picked from: `places` among the candidates."""

    lines: list[Line]
    tags: list[Tags]
    offered: list[Tags]
    places: list[int]


def curate(
    paths: Sequence[Path], exclude: Sequence[Path], out: Path, config: CurateConfig, tagging: Tagging, tell: Tell
) -> dict[str, Any]:
    """Write up to `config.n` queries of the files into `out`; returns the counts of the summary.

    The files are read twice and never held as a whole: a query takes about 200 bytes of memory, or 350 for a moment.

    Args:
        paths, exclude: queries files; benchmarks, whose texts must not come in.
        tagging: queries -> tags, called where the files' own are not taken.
        tell: called with a line about the progress.

    Raises:
        ZooterError: a line is wrong, lacks tags that were asked for, or no query is left.
    """
    paths, exclude = list(dict.fromkeys(paths)), list(dict.fromkeys(exclude))
    if out.resolve() in {path.resolve() for path in (*paths, *exclude)}:
        raise ZooterError("--out beside the files that are read", f"one of them, {out}", "Name another file.")
    if not out.name.endswith((".jsonl", ".jsonl.gz")):
        raise ZooterError("--out as a .jsonl or .jsonl.gz file", str(out), "Rename it.")
    with written_whole(out) as file:
        found = survey(paths, Benchmarks.read(exclude, config.ngram), tell)
        given = config.tags == "given" or (config.tags is None and not found.untagged)
        if given and found.untagged:
            raise ZooterError(f'"tags" in {found.untagged}', "none", "Add them, or take --tagger fleet.")
        tell("Looking for repeats ...")
        left = found.close(config.near)
        if not len(left.rows):
            read = found.read.total()
            raise ZooterError("at least one query that is left", f"none of {read:,} read", "Name other files.")
        picked = pick_given(paths, left, config) if given else pick_tagged(paths, left, config, tagging, tell)
        for record in records(picked):
            file.write(dump_json(record, ensure_ascii=False) + "\n")
    return {"n": len(picked.lines), "out": str(out), "seed": config.seed, **figures(found, left, picked, given)}


def pick_given(paths: Sequence[Path], left: Candidates, config: CurateConfig) -> Picked:
    """Pick among all that are left, by the tags of the files."""
    order = _shuffled(left, config)
    tags = [left.tagsets[number] for number in left.tagset[order]]
    chosen = cover(tags, left.source[order].tolist(), config.n)
    places = [order[at] for at in chosen]
    lines = fetch(paths, left, places)
    return Picked([lines[place] for place in places], [tags[at] for at in chosen], tags, places)


def pick_tagged(paths: Sequence[Path], left: Candidates, config: CurateConfig, tagging: Tagging, tell: Tell) -> Picked:
    """Pick among a random part of what is left, of all sources evenly, by the tags that a tagger gives."""
    order = _shuffled(left, config)
    order = [order[at] for at in sample(left.source[order].tolist(), max(config.tag_at_most, config.n))]
    lines = fetch(paths, left, order)
    tags: list[Tags] = []
    for start in range(0, len(order), TAGGED):
        tell(f"Tagging: {start:,} of {len(order):,} queries ...")
        tags += tagging([lines[place].query.text for place in order[start : start + TAGGED]])
    chosen = cover(tags, left.source[order].tolist(), config.n)
    places = [order[at] for at in chosen]
    return Picked([lines[place] for place in places], [tags[at] for at in chosen], tags, places)


def _shuffled(left: Candidates, config: CurateConfig) -> list[int]:
    order: list[int] = np.random.default_rng(config.seed).permutation(len(left.rows)).tolist()
    return order


def records(picked: Picked) -> Iterator[dict[str, Any]]:
    """Lines of a queries file. A query keeps its id unless one before has it."""
    taken: set[str] = set()
    for line, tags in zip(picked.lines, picked.tags, strict=True):
        own, number = line.query.id, 1
        name = own
        while name in taken:
            name = f"{line.source}/{own}" if number == 1 else f"{line.source}/{own}/{number}"
            number += 1
        taken.add(name)
        yield {"id": name, "query": line.query.text, "dataset": line.source, "tags": list(tags)}


def figures(found: Survey, left: Candidates, picked: Picked, given: bool) -> dict[str, Any]:
    """The counts of the summary. What was read is the sum of empty, excluded, repeats, near_repeats and left."""
    benchmarks = found.benchmarks
    of_source, kept = Counter(left.source.tolist()), Counter(left.source[picked.places].tolist())
    return {
        "read": found.read.total(),
        "empty": found.empty,
        "excluded": {
            name: {"count": count, "examples": benchmarks.examples[name]} for name, count in benchmarks.count.items()
        },
        "repeats": left.repeats,
        "near_repeats": left.near_repeats,
        "left": len(left.rows),
        "sources": {
            name: {"read": found.read[number], "left": of_source[number], "kept": kept[number]}
            for name, number in found.sources.items()
        },
        "tags": {
            "from": "given" if given else "fleet",
            "queries": len(picked.offered),
            "of": len(set(chain.from_iterable(picked.offered))),
            "covered": len(set(chain.from_iterable(picked.tags))),
            "untagged": sum(not tags for tags in picked.tags),
        },
    }
